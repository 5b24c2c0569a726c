"""Scenes as JPEG files with their provenance, as a download of photographs would leave them."""

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from joblib import delayed
from PIL import Image
from tqdm import tqdm

from har.core.cache import kept_calls, lasting
from har.core.files import replacing
from har.core.parallel import forked
from har.synthetic.render import render
from har.synthetic.sample import sample_scene

CHUNK = 16  # scenes, of which none is kept before all are drawn


def draw_files(
    seed: int, image_ids: Iterable[int], folder: str | Path, jobs: int = 1, keep: Path | None = None
) -> list[dict]:
    """Draw each scene at its own size to `folder`/{image_id:012d}.jpg.

    keep: a folder in which what is drawn outlives an interruption (har.core.cache). Returns provenance, one dict for
    each image in order: image_id, file_name, bytes, sha256, url (of the form world:seed/image_id).
    """
    ids, rows = [int(image_id) for image_id in image_ids], []
    work = (delayed(_draw)(seed, ids[start : start + CHUNK]) for start in range(0, len(ids), CHUNK))
    with lasting(keep) as room, tqdm(total=len(ids), desc="draw", unit="image") as progress:
        calls, _ = kept_calls(work, room)
        for chunk in forked(jobs, calls):
            for data in chunk:
                rows.append(_written(data.tobytes(), seed, ids[len(rows)], Path(folder)))
                progress.update()
    return rows


def _draw(seed: int, image_ids: list[int]) -> list[np.ndarray]:
    found = []
    for image_id in image_ids:
        buffer = io.BytesIO()
        Image.fromarray(render(sample_scene(seed, image_id))).save(buffer, "JPEG", quality=90)
        found.append(np.frombuffer(buffer.getvalue(), np.uint8))
    return found


def _written(data: bytes, seed: int, image_id: int, folder: Path) -> dict:
    path = folder / f"{image_id:012d}.jpg"
    with replacing(path, sync=False) as temporary:
        temporary.write_bytes(data)
    return {
        "image_id": image_id,
        "file_name": path.name,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "url": f"world:{seed}/{image_id}",
    }
