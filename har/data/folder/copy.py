"""The selected images as files of ours, bytes unchanged but for those that are to be turned."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from joblib import Parallel, delayed
from tqdm import tqdm

from har.core.errors import HarError
from har.core.files import replacing
from har.data.photographs import UPRIGHT, orientation
from har.data.store import opened


def copy_files(
    rows: Sequence[tuple[int, str, bool]], sources: Mapping[int, tuple[Path, str]], folder: Path, jobs: int
) -> list[dict]:
    """Copy images to `folder`. rows: (image_id, file_name, turned); sources: image_id to file and quoted name.

    Returns provenance, one dict for each image in order: image_id, file_name, bytes, sha256 (of our copy), url
    (own:path/below/the/root). Raises HarError where a file is gone since it was looked at.
    """
    for image_id, *_ in rows:
        if image_id not in sources:
            raise HarError(f"image {image_id} is gone since annotations looked; run `dvc repro -f annotations`")
    work = (delayed(_copy)(i, folder / name, turned, *sources[i]) for i, name, turned in rows)
    copied = Parallel(n_jobs=jobs, return_as="generator")(work)
    return list(tqdm(copied, total=len(rows), desc="copy", unit="image"))


def _copy(image_id: int, target: Path, turned: bool, source: Path, name: str) -> dict:
    try:
        with replacing(target) as temporary:
            if turned:
                with opened(source, source) as image:
                    pixels = image.convert("RGB")
                    pixels.transpose(UPRIGHT[orientation(image)]).save(temporary, "PNG")
            else:
                shutil.copyfile(source, temporary)
    except (OSError, KeyError) as error:  # KeyError: not to be turned any more
        raise HarError(f"{source}: cannot be copied ({error})") from None
    data = target.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return {"image_id": image_id, "file_name": target.name, "bytes": len(data), "sha256": digest, "url": f"own:{name}"}
