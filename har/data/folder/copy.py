"""The selected images as files of ours: photographs bytes unchanged, frames of clips as lossless WebP."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed
from PIL import Image
from tqdm import tqdm

from har.core.errors import HarError
from har.core.files import file_sha256, write_bytes
from har.core.readers import read_bytes
from har.data.folder.find import plain
from har.data.manifest import OWN
from har.data.photographs import MAX_BYTES
from har.data.video.decode import is_clip, read_clip

AGAIN = "since annotations looked at it; run `dvc repro -f annotations`, then `dvc repro`"


def copy_files(
    images: pd.DataFrame, sources: Mapping[str, Path], folder: Path, jobs: int, frames: int = 1
) -> list[dict]:
    """Copy images to a folder.

    Args:
        images: as har.data.folder.inspect.examine makes them.
        sources: the quoted path of an image or clip below the root to the user's file.
        folder: where to.
        jobs: processes side by side.
        frames: of a clip, as many as `examine` was given.

    Returns:
        Provenance, one dict for each image in order: image_id, file_name, bytes, sha256 and url
        (own:path/below/the/root) of what is written.

    Raises:
        HarError: where a file is gone or another since it was looked at.
    """
    names = images["name"] if "clip" not in images else images["clip"].where(images["clip"] != "", images["name"])
    files = images.groupby(names.rename("of"), sort=False)
    if gone := [name for name in files.groups if name not in sources]:
        raise HarError(f"{plain(gone[0])}: gone {AGAIN}")
    work = (delayed(_copy)(rows.to_dict("records"), sources[name], folder, frames) for name, rows in files)
    copied = Parallel(n_jobs=jobs, return_as="generator")(work)
    found = {row["image_id"]: row for rows in tqdm(copied, total=len(files), desc="copy", unit="file") for row in rows}
    return [found[image_id] for image_id in images["image_id"]]


def _copy(rows: list[dict], source: Path, folder: Path, frames: int) -> list[dict]:
    """One file: a photograph, or what is wanted of a clip."""
    if is_clip(source):
        digest, found = file_sha256(source), ((second, _webp(image)) for second, image in read_clip(source, frames))
    else:
        data = read_bytes(source, "an image", MAX_BYTES)
        digest, found = hashlib.sha256(data).hexdigest(), [(0.0, data)]
    if digest != rows[0]["sha256"]:
        raise HarError(f"{source}: changed {AGAIN}")
    wanted, done = {row.get("second", 0.0): row for row in rows}, []
    for row, data in ((wanted[second], data) for second, data in found if second in wanted):
        write_bytes(folder / row["file_name"], data)
        about = {"image_id": row["image_id"], "file_name": row["file_name"], "bytes": len(data)}
        done.append(about | {"sha256": hashlib.sha256(data).hexdigest(), "url": OWN + row["name"]})
    return done


def _webp(image: Image.Image) -> bytes:
    """No pixel lost, in two thirds of PNG's time and bytes."""
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=True, quality=0, method=0)
    return out.getvalue()
