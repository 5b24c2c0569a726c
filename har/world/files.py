"""Scenes as JPEG files with their provenance, as a download of photographs would leave them."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from joblib import Parallel, delayed
from PIL import Image
from tqdm import tqdm

from har.world.render import render
from har.world.sample import sample_scene


def draw_files(seed: int, image_ids: Iterable[int], folder: str | Path, jobs: int = 1) -> list[dict]:
    """Draw each scene at its own size to `folder`/{image_id:012d}.jpg.

    Returns provenance, one dict for each image in order: image_id, file_name, bytes, sha256, url (of the
    form world:seed/image_id).
    """
    ids = list(image_ids)
    rows = Parallel(n_jobs=jobs, return_as="generator")(delayed(_draw)(seed, i, Path(folder)) for i in ids)
    return list(tqdm(rows, total=len(ids), desc="draw", unit="image"))


def _draw(seed: int, image_id: int, folder: Path) -> dict:
    path = folder / f"{image_id:012d}.jpg"
    Image.fromarray(render(sample_scene(seed, image_id))).save(path, quality=90)
    data = path.read_bytes()
    return {
        "image_id": image_id,
        "file_name": path.name,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "url": f"world:{seed}/{image_id}",
    }
