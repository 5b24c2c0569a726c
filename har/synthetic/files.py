"""Scenes as JPEG files with their provenance, as a download of photographs would leave them."""

import hashlib
import io
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

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
        for image_id, data in zip(ids, chain.from_iterable(forked(jobs, calls)), strict=True):
            path = Path(folder) / f"{image_id:012d}.jpg"
            with replacing(path, sync=False) as temporary:
                temporary.write_bytes(data)
            rows.append({
                "image_id": image_id, "file_name": path.name, "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(), "url": f"world:{seed}/{image_id}",
            })  # fmt: skip
            progress.update()
    return rows


def _draw(seed: int, image_ids: list[int]) -> list[bytes]:
    found = []
    for image_id in image_ids:
        buffer = io.BytesIO()
        Image.fromarray(render(sample_scene(seed, image_id))).save(buffer, "JPEG", quality=90)
        found.append(buffer.getvalue())
    return found
