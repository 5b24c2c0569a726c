"""The photographs in two sizes, re-encoded: what a camera left in the file (places, names) does not travel along."""

from collections.abc import Iterable
from pathlib import Path

from joblib import Parallel, delayed
from tqdm import tqdm

from har.config.report import Page
from har.core.files import replacing
from har.data.photographs import opened, rgb, turned


def write_photographs(
    files: Iterable[tuple[int, Path]], images: int, folder: Path, settings: Page, turn: bool = True
) -> None:
    """Write folder/thumbnails/{id}.jpg and folder/images/{id}.jpg.

    Args:
        files: image_id and file.
        images: how many they are.
        folder: the page's.
        settings: the long sides, `thumbnail` and `image`, in pixels at most; quality; jobs.
        turn: upright as EXIF says (har.data.photographs.read); False for COCO's.

    Raises:
        HarError: names the first file that cannot be decoded.
    """
    for name in ("thumbnails", "images"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    # Pillow decodes, resizes and encodes outside the interpreter's lock
    pool = Parallel(n_jobs=settings.jobs, prefer="threads", return_as="generator")
    work = pool(delayed(_write)(image_id, path, folder, settings, turn) for image_id, path in files)
    for _ in tqdm(work, total=images, desc="photographs", unit="image"):
        pass


def _write(image_id: int, path: Path, folder: Path, settings: Page, turn: bool) -> None:
    with opened(path, path) as photograph:
        photograph.draft("RGB", (settings.image, settings.image))
        image = rgb(photograph, path)
        image = turned(image, photograph) if turn else image
    for name, side in (("images", settings.image), ("thumbnails", settings.thumbnail)):
        image.thumbnail((side, side))
        with replacing(folder / name / f"{image_id}.jpg", sync=False) as temporary:
            image.save(temporary, "JPEG", quality=settings.quality)
