"""The selected images as files of ours, bytes unchanged."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from har.core.errors import HarError
from har.core.files import write_bytes
from har.core.readers import read_bytes
from har.data.folder.find import plain
from har.data.manifest import OWN
from har.data.photographs import MAX_BYTES

AGAIN = "since annotations looked at it; run `dvc repro -f annotations`, then `dvc repro`"


def copy_files(images: pd.DataFrame, sources: Mapping[int, Path], folder: Path, jobs: int) -> list[dict]:
    """Copy images (har.data.folder.inspect.COLUMNS) to `folder`. sources: image_id to the user's file.

    Returns provenance, one dict for each image in order: image_id, file_name, bytes, sha256, url
    (own:path/below/the/root). Raises HarError where a file is gone or another since it was looked at.
    """
    rows = list(images[["image_id", "file_name", "name", "sha256"]].itertuples(index=False))
    for row in rows:
        if row.image_id not in sources:
            raise HarError(f"{plain(row.name)}: gone {AGAIN}")
    work = (delayed(_copy)(*row, sources[row.image_id], folder) for row in rows)
    copied = Parallel(n_jobs=jobs, return_as="generator")(work)
    return list(tqdm(copied, total=len(rows), desc="copy", unit="image"))


def _copy(image_id: int, file_name: str, name: str, sha256: str, source: Path, folder: Path) -> dict:
    data = read_bytes(source, "an image", MAX_BYTES)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise HarError(f"{source}: changed {AGAIN}")
    write_bytes(folder / file_name, data)
    return {"image_id": image_id, "file_name": file_name, "bytes": len(data), "sha256": sha256, "url": OWN + name}
