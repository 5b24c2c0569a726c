"""The photographs in two sizes, re-encoded: what a camera left in the file (places, names) does not travel along."""

from collections.abc import Iterable
from pathlib import Path

from joblib import Parallel, delayed
from tqdm import tqdm

from har.config.report import Page
from har.core.files import replacing
from har.data.store import opened


def write_photographs(files: Iterable[tuple[int, Path]], images: int, folder: Path, settings: Page) -> None:
    """`files` (image_id and file of so many images) as folder/thumbnails/{id}.jpg and folder/images/{id}.jpg, the long
    side at most `settings.thumbnail` and `settings.image` pixels. HarError names the first that cannot be decoded."""
    for name in ("thumbnails", "images"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    # Pillow decodes, resizes and encodes outside the interpreter's lock
    pool = Parallel(n_jobs=settings.jobs, prefer="threads", return_as="generator")
    work = pool(delayed(_write)(image_id, path, folder, settings) for image_id, path in files)
    for _ in tqdm(work, total=images, desc="photographs", unit="image"):
        pass


def _write(image_id: int, path: Path, folder: Path, settings: Page) -> None:
    with opened(path, path) as photograph:
        photograph.draft("RGB", (settings.image, settings.image))
        image = photograph.convert("RGB")
    for name, side in (("images", settings.image), ("thumbnails", settings.thumbnail)):
        image.thumbnail((side, side))
        with replacing(folder / name / f"{image_id}.jpg", sync=False) as temporary:
            image.save(temporary, "JPEG", quality=settings.quality)
