"""COCO's files from its server or anything laid out like it: https, http or file.

The official place is https://s3.amazonaws.com/images.cocodataset.org (the certificate of
images.cocodataset.org itself does not match). Images lie at {base}/val2017/{file_name}, the annotations at
{base}/annotations/annotations_trainval2017.zip.
"""

import hashlib
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from urllib.parse import quote, urlsplit

from tqdm import tqdm

from har.core.errors import HarError
from har.core.files import file_sha256, link_or_copy, replacing
from har.core.readers import one_line
from har.data.coco.annotations import safe_file_name
from har.data.download import download, scheme_of
from har.data.photographs import LOOK, opened, rgb

MAX_IMAGE_BYTES = 32 << 20
MAX_ARCHIVE_BYTES, MAX_MEMBER_BYTES = 300_000_000, 1_000_000_000
SHOWN = 4  # failures that a message tells of, of any number


def fetch_images(
    rows: Iterable[tuple[int, str, int, int]],
    base_url: str,
    dest_dir: str | Path,
    cache_dir: str | Path,
    *,
    folder: str = "val2017",
    workers: int = 8,
) -> list[dict]:
    """Fetch the images one by one from {base_url}/{folder}/{file_name} into `dest_dir`.

    Each file is decoded and its size compared with the annotation before it gets its name. Good files stay
    in `cache_dir`, apart for each base URL, and are not fetched again: an interrupted call goes on where it
    stopped.

    Args:
        rows: image_id, file_name, width, height (pixels) of each image.
        workers: connections side by side.

    Returns provenance, one dict for each row in order of rows: image_id, file_name, bytes, sha256, url.
    Raises HarError for a file name that is none before any work, and for what could not be downloaded, by URL and
    cause, after everything else was fetched (but if nothing at all comes, it stops early).
    """
    rows = list(rows)
    for number, (_, name, _, _) in enumerate(rows):
        safe_file_name(name, where=f"image row {number}")
    cache, address = cache_folder(cache_dir, base_url) / folder, f"{base_url.rstrip('/')}/{folder}"

    def fetch(name: str, width: int, height: int) -> bool:
        """Whether the image had to be fetched."""
        try:
            check_image(cache / name, width, height)
            return False
        except (HarError, FileNotFoundError):  # damaged, or not there
            url = f"{address}/{quote(name)}"
            download(url, cache / name, max_bytes=MAX_IMAGE_BYTES, check=lambda path: check_image(path, width, height))
            return True

    failures, done, fetched = [], 0, False
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(rows), desc="images", unit="image") as bar,
    ):
        try:
            for future in as_completed([pool.submit(fetch, *row[1:]) for row in rows]):
                bar.update()
                done += 1
                try:
                    fetched |= future.result()
                except HarError as error:
                    failures.append(str(error))
                    # a dead server must not cost the full patience for each of hundreds of images
                    if not fetched and len(failures) >= max(8, 2 * workers):
                        break
        finally:  # Ctrl-C as well: only what is under way ends
            pool.shutdown(cancel_futures=True)
    if failures:
        skipped = len(rows) - done
        named = sorted(failures)[:SHOWN] + [f"and {len(failures) - SHOWN} more"] * (len(failures) > SHOWN)
        lost = f"{len(failures) + skipped} of {len(rows)} images could not be downloaded"
        rest = f"; {skipped} more were given up, as none had come" if skipped else ""
        raise HarError(f"{lost}: {'; '.join(named)}{rest}")
    found = []
    for image_id, name, _, _ in rows:
        link_or_copy(cache / name, Path(dest_dir) / name)
        about = {"bytes": (cache / name).stat().st_size, "sha256": file_sha256(cache / name)}
        found.append({"image_id": int(image_id), "file_name": name, **about, "url": f"{address}/{quote(name)}"})
    return found


def check_image(path: Path, width: int, height: int) -> None:
    """Raises HarError unless the file is a photograph, whole, of width x height pixels."""
    with open(path, "rb") as stream:
        head = stream.read(512).lstrip().lower()
    if head.startswith(b"<") or b"<html" in head:
        raise HarError("is a web page, not an image")
    with opened(path, "the file") as image:
        if image.size != (width, height):
            raise HarError(f"is {image.width}x{image.height} pixels, expected {width}x{height}")
        rgb(image, "the file", LOOK)


def fetch_annotations(
    base_url: str,
    dest_dir: str | Path,
    cache_dir: str | Path,
    *,
    sha256: str | None,
    size: int | None,
    members: Sequence[str],
    archive: str = "annotations/annotations_trainval2017.zip",
) -> None:
    """Fetch the zip of annotations and unpack `members` (file names, without folder) into `dest_dir`.

    The official zip has 252,907,541 bytes and sha256 113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4
    aaae470268; pass None for both with a mirror that has its own. The zip stays in `cache_dir`, apart for
    each base URL. Raises HarError, naming the URL.
    """
    for name in members:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*\.json", name):
            raise HarError(f"annotations: {name!r} is not a plain file name such as captions_val2017.json")
    url = f"{base_url.rstrip('/')}/{archive}"
    cached = cache_folder(cache_dir, base_url) / archive

    def unpack() -> None:
        for name in members:
            _unpack(cached, name, Path(dest_dir) / name)

    if cached.is_file() and (sha256 is None or file_sha256(cached) == sha256.lower()):
        try:
            return unpack()
        except HarError:
            pass  # a damaged or outdated cache: fetch it again
    pin = {"sha256": sha256, "size": size, "pins": "data.server.annotations_sha256, data.server.annotations_bytes"}
    download(url, cached, **pin, max_bytes=MAX_ARCHIVE_BYTES, check=_check_zip, progress=True)
    try:
        unpack()
    except HarError as error:
        raise HarError(f"{url}: {error}") from None


def cache_folder(cache_dir: str | Path, base_url: str) -> Path:
    """Where files from `base_url` are kept: apart from other sources, so that provenance stays true."""
    base_url = base_url.rstrip("/")
    if scheme_of(base_url) not in ("https", "http", "file"):
        expected = "an address of a server, https://, http:// or file:///folder"
        raise HarError(f"data.server.url is {base_url!r}, expected {expected}")
    host = re.sub(r"[^A-Za-z0-9.-]", "_", urlsplit(base_url).netloc) or "local"
    return Path(cache_dir) / f"{host}-{hashlib.sha256(base_url.encode()).hexdigest()[:8]}"


def _check_zip(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        raise HarError("is not a zip archive")


def _unpack(path: Path, name: str, dest: Path) -> None:
    """Unpack the one member whose base name is `name`; zipfile compares its length and CRC."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if info.filename.rpartition("/")[2] == name]
            if len(infos) != 1:
                raise HarError(f"the archive holds {name} {len(infos)} times, expected once")
            if infos[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others ask for memory first
                raise HarError(f"{name} is packed by another method than deflate")
            if not 0 <= infos[0].header_offset < path.stat().st_size:  # zipfile would go there
                raise HarError(f"{name} is said to lie outside the archive")
            if infos[0].file_size > MAX_MEMBER_BYTES:  # zipfile gives no more than that
                raise HarError(f"{name} unpacks to more than the {MAX_MEMBER_BYTES} bytes allowed")
            with archive.open(infos[0]) as source, replacing(dest) as temporary, open(temporary, "wb") as target:
                shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as e:
        raise HarError(f"{name} cannot be unpacked ({one_line(e)})") from None
