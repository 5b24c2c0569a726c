"""COCO's files from its server or anything laid out like it: https, http or file.

The official place is https://s3.amazonaws.com/images.cocodataset.org (the certificate of
images.cocodataset.org itself does not match). Images lie at {base}/val2017/{file_name}, the annotations at
{base}/annotations/annotations_trainval2017.zip.
"""

import hashlib
import re
import threading
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from urllib.parse import quote, urlsplit

from tqdm import tqdm

from har.data.coco.annotations import safe_file_name
from har.core.files import file_sha256
from har.data.download import CHUNK, Receipt, download, scheme_of
from har.data.photographs import LOOK, MAX_PIXELS, opened, rgb
from har.core.errors import HarError
from har.core.files import link_or_copy, replacing
from har.core.readers import one_line

__all__ = ["check_image", "download", "fetch_annotations", "fetch_images"]

MAX_IMAGE_BYTES = 32 << 20
SHOWN = 4  # failures that a message tells of, of any number
MAX_ENTRIES, ENTRY = 10_000, b"PK\1\2"  # of an archive, and how each begins in its table of contents


def fetch_images(
    rows: Iterable[tuple[int, str, int, int]],
    base_url: str,
    dest_dir: str | Path,
    cache_dir: str | Path,
    *,
    folder: str = "val2017",
    workers: int = 8,
    progress: bool = True,
    **options,
) -> list[dict]:
    """Fetch the images one by one from {base_url}/{folder}/{file_name} into `dest_dir`.

    Each file is decoded and its size compared with the annotation before it gets its name. Good files stay
    in `cache_dir`, apart for each base URL, and are not fetched again: an interrupted call goes on where it
    stopped.

    Args:
        rows: image_id, file_name, width, height (pixels) of each image.
        workers: connections side by side.
        progress: show a bar with the time left.
        options: attempts, timeout, backoff, max_wait of `download`.

    Returns provenance, one dict for each row in order of rows: image_id, file_name, bytes, sha256, url.
    Raises HarError for unusable rows before any work, and for what could not be downloaded, by URL and cause, after
    everything else was fetched (but if nothing at all comes, it stops early).
    """
    rows = _checked_rows(rows)
    dest_dir = Path(dest_dir)
    cache = cache_folder(cache_dir, base_url) / folder
    address = f"{base_url.rstrip('/')}/{folder}"
    # a dead server must not cost the full patience for each of hundreds of images
    hopeless = threading.Event()
    patience = max(8, 2 * workers)

    def one(row: tuple[int, str, int, int]) -> tuple[dict, bool]:
        image_id, name, width, height = row
        receipt = _cached_image(cache / name, width, height)
        fresh = receipt is None
        if fresh:
            if hopeless.is_set():
                raise _NotTried
            receipt = download(
                f"{address}/{quote(name)}",
                cache / name,
                max_bytes=MAX_IMAGE_BYTES,
                check=lambda path: check_image(path, width, height),
                **options,
            )
        link_or_copy(cache / name, dest_dir / name)
        found = {"image_id": image_id, "file_name": name, "bytes": receipt.bytes, "sha256": receipt.sha256}
        return {**found, "url": f"{address}/{quote(name)}"}, fresh

    found: dict[int, dict] = {}
    failures: list[str] = []
    fetched = skipped = 0
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(rows), desc="images", unit="image", disable=not progress) as bar,
    ):
        futures: dict[Future, int] = {pool.submit(one, row): row[0] for row in rows}
        try:
            for future in as_completed(futures):
                bar.update()
                try:
                    found[futures[future]], fresh = future.result()
                    fetched += fresh
                except _NotTried:
                    skipped += 1
                except HarError as error:
                    failures.append(str(error))
                    if not fetched and len(failures) >= patience:
                        hopeless.set()
        except BaseException:
            hopeless.set()  # Ctrl-C: no further downloads, only those under way end
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failures:
        named, others = sorted(failures)[:SHOWN], len(failures) - SHOWN
        if others > 0:
            named.append(f"and {others} more")
        lost = f"{len(failures) + skipped} of {len(rows)} images could not be downloaded"
        rest = f"; {skipped} more were not tried, as none had come" if skipped else ""
        raise HarError(f"{lost}: {'; '.join(named)}{rest}")
    return [found[row[0]] for row in rows]


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
    max_bytes: int = 300_000_000,
    max_member_bytes: int = 1_000_000_000,
    archive: str = "annotations/annotations_trainval2017.zip",
    progress: bool = True,
    **options,
) -> list[dict]:
    """Fetch the zip of annotations and unpack `members` (file names, without folder) into `dest_dir`.

    The official zip has 252,907,541 bytes and sha256 113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4
    aaae470268; pass None for both with a mirror that has its own. The zip stays in `cache_dir`, apart for
    each base URL, and an interrupted transfer resumes. `max_member_bytes` bounds each unpacked file.

    Returns one dict for each member: file_name, bytes, sha256, url. Raises HarError, naming the URL.
    """
    for name in members:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*\.json", name):
            raise HarError(f"annotations: {name!r} is not a plain file name such as captions_val2017.json")
    url = f"{base_url.rstrip('/')}/{archive}"
    cached = cache_folder(cache_dir, base_url) / archive

    def unpack(path: Path) -> list[dict]:
        _check_zip(path)
        found = [(name, _unpack(path, name, Path(dest_dir) / name, max_member_bytes)) for name in members]
        return [{"file_name": n, "bytes": r.bytes, "sha256": r.sha256, "url": url} for n, r in found]

    if cached.is_file() and (sha256 is None or file_sha256(cached) == sha256.lower()):
        try:
            return unpack(cached)
        except HarError:
            pass  # a damaged or outdated cache: fetch it again
    download(
        url,
        cached,
        sha256=sha256,
        size=size,
        max_bytes=max_bytes,
        check=_check_zip,
        partial_dir=cached.parent,
        progress=progress,
        **options,
    )
    try:
        return unpack(cached)
    except HarError as error:
        raise HarError(f"{url}: {error}") from None


def cache_folder(cache_dir: str | Path, base_url: str) -> Path:
    """Where files from `base_url` are kept: apart from other sources, so that provenance stays true."""
    base_url = base_url.rstrip("/")
    if scheme_of(base_url) not in ("https", "http", "file"):
        raise HarError(f"{base_url!r} is no address of a server; expected https://, http:// or file:///folder")
    host = re.sub(r"[^A-Za-z0-9.-]", "_", urlsplit(base_url).netloc) or "local"
    return Path(cache_dir) / f"{host}-{hashlib.sha256(base_url.encode()).hexdigest()[:8]}"


class _NotTried(Exception):
    pass


def _checked_rows(rows: Iterable[tuple]) -> list[tuple[int, str, int, int]]:
    checked, ids, names = [], set(), set()
    for number, (image_id, name, width, height) in enumerate(rows):
        where = f"image row {number}"
        safe_file_name(name, where=where)
        width, height, image_id = int(width), int(height), int(image_id)
        if width < 1 or height < 1 or width * height > MAX_PIXELS:
            raise HarError(f"{where}: {name} is said to have {width}x{height} pixels, which is not plausible")
        if image_id in ids or name.lower() in names:
            raise HarError(f"{where}: image {image_id} ({name}) occurs twice")
        ids.add(image_id)
        names.add(name.lower())  # some file systems do not tell case apart
        checked.append((image_id, name, width, height))
    return checked


def _cached_image(path: Path, width: int, height: int) -> Receipt | None:
    if not path.is_file():
        return None
    try:
        check_image(path, width, height)
    except HarError:
        return None
    return Receipt(path.stat().st_size, file_sha256(path))


def _check_zip(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        raise HarError("is not a zip archive")
    with open(path, "rb") as stream:  # zipfile keeps an object for each entry, in memory
        entries = sum(chunk.count(ENTRY) for chunk in iter(lambda: stream.read(1 << 20), b""))
    if entries > MAX_ENTRIES:
        raise HarError(f"holds more than {MAX_ENTRIES:,} files")


def _unpack(path: Path, name: str, dest: Path, max_bytes: int) -> Receipt:
    """Unpack the one member whose base name is `name`; zipfile compares its CRC at the end."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [i for i in archive.infolist() if i.filename.rpartition("/")[2] == name]
            if len(infos) != 1:
                raise HarError(f"the archive holds {name} {len(infos)} times, expected once")
            if infos[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others ask for memory first
                raise HarError(f"{name} is packed by another method than deflate")
            if not 0 <= infos[0].header_offset < path.stat().st_size:  # zipfile would go there
                raise HarError(f"{name} is said to lie outside the archive")
            digest, length = hashlib.sha256(), 0
            with archive.open(infos[0]) as source, replacing(dest) as temporary:
                with open(temporary, "wb") as target:
                    # what the header says about the length is not believed
                    while chunk := source.read(CHUNK):
                        length += len(chunk)
                        if length > max_bytes:
                            raise HarError(f"{name} unpacks to more than the {max_bytes} bytes allowed")
                        digest.update(chunk)
                        target.write(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise HarError(f"{name} cannot be unpacked ({one_line(error)})") from None
    return Receipt(length, digest.hexdigest())
