"""One file from a server (http, https) or a folder (file), whole and verified or not at all.

The COCO server answers 503 "Slow Down" under load, long transfers break, and a proxy may answer with a web
page: so each file is retried with back-off, resumed where the server can, checked, and only then renamed.
"""

import fcntl
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
from tqdm import tqdm
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from har.core.errors import HarError
from har.core.files import file_sha256, replacing, temporary_beside
from har.core.readers import one_line

CHUNK = 1 << 16
# 408 timeout, 425 too early, 429 too many requests; every 5xx is retried as well
RETRIED_STATUSES = {408, 425, 429}
# Wrong bytes are seldom chance: a login page or another version stays, so give up sooner than on a break.
BAD_ATTEMPTS = 3
# An attempt that brought this much counts as progress and starts the count of attempts anew.
PROGRESS = 1 << 20
VALIDATOR = re.compile(r"[\x20-\x7e]{1,1000}")  # an ETag or a date, as it goes into a header

_threads = threading.local()


@dataclass(frozen=True)
class Receipt:
    """What was received: its length and its SHA-256 as 64 hex digits."""

    bytes: int
    sha256: str


class _Again(Exception):
    """The transfer failed; what is there already stays good. `wait`: seconds the server asked for."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


class _Bad(Exception):
    """What came is not what was wanted: delete it."""


def download(
    url: str,
    dest: str | Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    max_bytes: int,
    check: Callable[[Path], None] | None = None,
    partial_dir: str | Path | None = None,
    attempts: int = 6,
    timeout: tuple[float, float] = (10.0, 30.0),
    backoff: float = 0.5,
    max_wait: float = 60.0,
    progress: bool = False,
) -> Receipt:
    """Fetch `url` to `dest`; `dest` appears whole and verified, or not at all.

    Args:
        url: https, http or file.
        sha256, size: what the file must have (hex digits, bytes); None where it is not known.
        max_bytes: more than this is refused.
        check: called with the path of the received bytes; raises HarError if they are no good.
        partial_dir: where an unfinished transfer waits for a later call; it is resumed where `sha256` tells whether
            the parts fit. None: it is deleted on failure.
        attempts: tries that may fail in a row; a try that brought a megabyte starts the count anew.
        timeout: seconds to connect, and seconds without a byte before a transfer counts as stalled.
        backoff, max_wait: seconds before the second try, doubled each time, and their bound. A server's
            Retry-After prolongs a wait up to that bound.
        progress: show a bar with the time left.

    Raises HarError, naming URL and cause, once no try is left, or at once where trying again is no use.
    """
    dest, sha256 = Path(dest), sha256.lower() if sha256 else None
    scheme = scheme_of(url)
    if scheme not in ("http", "https", "file"):
        raise HarError(f"{url}: expected a URL that begins with https://, http:// or file://")
    bring = _copy if scheme == "file" else _Transfer(timeout, progress)
    failures = bad = tries = reached = 0
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with _partial(url, dest, partial_dir) as part:
            if not sha256:  # nothing would tell two versions of the file apart
                part.truncate(0)
            while True:
                wait, tries = 0.0, tries + 1
                try:
                    bring(url, part, size, max_bytes)
                    receipt = _verify(part, sha256, size, check)
                    break
                except _Bad as error:
                    part.truncate(0)
                    bad += 1
                    reason = str(error)
                except _Again as error:
                    reason, wait = str(error), error.wait
                # a redirect to an impossible address is told by urllib3 itself or by the codec of host names
                except (requests.RequestException, HTTPError, UnicodeError) as error:
                    reason = _explain(url, error)
                failures += 1
                if (now := _size(part)) >= reached + PROGRESS:
                    reached, failures = now, 1
                if scheme == "file" or failures >= attempts or bad >= min(BAD_ATTEMPTS, attempts):
                    raise HarError(f"{url}: {reason}" + (f" (tried {tries} times)" if scheme != "file" else ""))
                _sleep(min(max_wait, max(backoff * 2 ** (failures - 1), wait)))
            with replacing(dest) as temporary:
                try:
                    os.replace(part.name, temporary)
                except OSError:  # partial_dir lies on another file system
                    shutil.copyfile(part.name, temporary)
            return receipt
    except OSError as error:  # requests' own errors never get here
        raise HarError(f"{url}: cannot be written to {dest} ({error.strerror or error})") from None


@contextmanager
def _partial(url: str, dest: Path, folder: str | Path | None) -> Iterator[BinaryIO]:
    """The unfinished file, at its end, locked against other processes; it stays in `folder` if it is not moved away."""
    path = temporary_beside(dest)
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        path = Path(folder) / f"{dest.name}.{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"
    part = open(path, "a+b")
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # who held it may have moved this very file to its destination
        mine = path.exists() and os.path.samestat(os.fstat(part.fileno()), os.stat(path))
    except OSError:
        mine = False
    if not mine:  # another process is at it: alone, without a part to resume
        part.close()
        folder, path = None, temporary_beside(dest)
        part = open(path, "a+b")
    try:
        yield part
    finally:
        if folder is None or not _size(part):
            path.unlink(missing_ok=True)
        part.close()


def _size(part: BinaryIO) -> int:
    part.flush()
    return os.fstat(part.fileno()).st_size


def scheme_of(url: str) -> str:
    """https, http, file, ...; '' for what is no address."""
    try:
        return urlsplit(url).scheme
    except ValueError:  # a bracket of an IPv6 address that is not closed
        return ""


class _Transfer:
    """Brings what is missing of a file; it resumes what it began itself, or what a hash is known of."""

    def __init__(self, timeout: tuple[float, float], progress: bool):
        self.timeout, self.progress, self.validator = timeout, progress, None

    def __call__(self, url: str, part: BinaryIO, size: int | None, max_bytes: int) -> None:
        """Raises _Again, _Bad, HarError or requests' exceptions."""
        offset = _size(part)
        if offset and offset == size:
            return
        headers = {"Accept-Encoding": "identity"}  # a compressed body could be neither resumed nor measured
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if self.validator:
                headers["If-Range"] = self.validator
        with _session().get(url, headers=headers, timeout=self.timeout, stream=True) as response:
            if url.startswith("https:") and not response.url.startswith("https:"):
                raise HarError(f"{url}: the server redirects to {one_line(response.url)}, which is not encrypted")
            total = self._accept(url, response, part, offset)
            if total is not None and total > max_bytes:
                raise HarError(f"{url}: holds {total} bytes, more than the {max_bytes} allowed")
            if None not in (total, size) and total != size:
                raise _Bad(f"holds {total} bytes, expected {size}")
            about = {"desc": url.rpartition("/")[2], "unit": "B", "unit_scale": True, "unit_divisor": 1024}
            with tqdm(total=total, initial=_size(part), disable=not self.progress, leave=False, **about) as bar:
                for chunk in response.iter_content(CHUNK):
                    bar.update(part.write(chunk))
                    if part.tell() > max_bytes:
                        part.truncate(0)
                        raise HarError(f"{url}: holds more than the {max_bytes} bytes allowed")
        if total is not None and _size(part) < total:
            raise _Again(f"the transfer ended after {_size(part)} of {total} bytes")

    def _accept(self, url: str, response: requests.Response, part: BinaryIO, offset: int) -> int | None:
        """Judge status and headers, make `part` ready for the body; the file's length where it is told."""
        status, said = response.status_code, one_line(response.reason or " ", 100)
        if status in RETRIED_STATUSES or status >= 500:
            try:
                wait = Retry().get_retry_after(response.raw) or 0.0
            except (HTTPError, ValueError, OverflowError):  # neither seconds nor a date
                wait = 0.0
            raise _Again(f"the server answered {status} {said}".rstrip(), wait)
        if status == 416 and offset:
            raise _Bad("the partial file is longer than the server's")
        if status not in (200, 206) or (status == 206 and not offset):
            raise HarError(f"{url}: the server answered {status} {said}".rstrip())
        if response.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
            raise _Bad("the server sends a compressed body though none was asked for")
        if status == 206:
            told = response.headers.get("Content-Range", "")
            found = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", told, re.ASCII)
            if not found or int(found[1]) != offset:
                raise _Bad(f"the server resumed at another place ({one_line(told or 'not told', 60)})")
            return int(found[3]) if found[3] != "*" else None
        # 200: the file from its start, also where the server ignores Range or has another version by now
        part.truncate(0)
        etag = response.headers.get("ETag", "")
        # If-Range takes only a strong ETag (RFC 9110, 13.1.5)
        found = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
        self.validator = found if VALIDATOR.fullmatch(found) else None
        length = response.headers.get("Content-Length", "")
        return int(length) if re.fullmatch(r"\d{1,18}", length, re.ASCII) else None


def _verify(part: BinaryIO, sha256: str | None, size: int | None, check: Callable[[Path], None] | None) -> Receipt:
    length, path = _size(part), Path(part.name)
    if size is not None and length != size:
        raise _Bad(f"holds {length} bytes, expected {size}")
    digest = file_sha256(path)
    if sha256 not in (None, digest):
        raise _Bad(f"has sha256 {digest}, expected {sha256}")
    if check is not None:
        try:
            check(path)
        except HarError as error:
            raise _Bad(str(error)) from None
    return Receipt(length, digest)


def _copy(url: str, part: BinaryIO, size: int | None, max_bytes: int) -> None:
    address = urlsplit(url)
    if address.netloc not in ("", "localhost"):
        raise HarError(f"{url}: a file URL needs three slashes, as in file:///folder/file")
    source = Path(url2pathname(address.path))
    if not source.is_file():
        raise HarError(f"{url}: no such file")
    part.truncate(0)
    if source.stat().st_size > max_bytes:
        raise HarError(f"{url}: holds more than the {max_bytes} bytes allowed")
    try:
        with source.open("rb") as stream:
            shutil.copyfileobj(stream, part)
    except OSError as error:
        raise HarError(f"{url}: cannot be read ({error.strerror})") from None


def _session() -> requests.Session:
    """One session a thread: connections are reused, and nothing is shared that is not safe to share."""
    if not hasattr(_threads, "session"):
        _threads.session = requests.Session()
        _threads.session.max_redirects = 5
    return _threads.session


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _explain(url: str, error: Exception) -> str:
    """The cause in one line; raises HarError where trying again is no use."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return "the server did not answer or stalled"
    text = one_line(error, 300)
    hopeless = (requests.TooManyRedirects, requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)
    if isinstance(error, hopeless) or "CERTIFICATE_VERIFY_FAILED" in text:
        raise HarError(f"{url}: {text}")
    if "refused" in text:
        return "the connection was refused"
    if "reset" in text or "aborted" in text or "broken" in text.lower():
        return "the connection broke"
    if "resolve" in text or "Name or service" in text:
        return "the server's name is unknown here (is there a network?)"
    return text
