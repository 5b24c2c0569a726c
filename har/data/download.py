"""One file from a server (http, https) or a folder (file), whole and verified or not at all.

The COCO server answers 503 "Slow Down" under load, long transfers break, and a proxy may answer with a web
page: so each file is retried with back-off, resumed where the server can, checked, and only then renamed.
"""

import email.utils
import hashlib
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from har.data.coco.partial import Partial
from har.core.errors import HarError
from har.core.readers import one_line

CHUNK = 1 << 16
# 408 timeout, 425 too early, 429 too many requests; every 5xx is retried as well
RETRIED_STATUSES = {408, 425, 429}
# Wrong bytes are seldom chance: a login page or another version stays, so give up sooner than on a break.
BAD_ATTEMPTS = 3
# An attempt that brought this much counts as progress and starts the count of attempts anew.
PROGRESS = 1 << 20

_threads = threading.local()


@dataclass(frozen=True)
class Receipt:
    """What was received: its length and its SHA-256 as 64 hex digits."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class _Wanted:
    url: str
    sha256: str | None
    size: int | None
    max_bytes: int
    check: Callable[[Path], None] | None


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
        partial_dir: where an unfinished transfer waits for the next try, also of a later process. None:
            it is deleted on failure.
        attempts: tries that may fail in a row; a try that brought a megabyte starts the count anew.
        timeout: seconds to connect, and seconds without a byte before a transfer counts as stalled.
        backoff, max_wait: seconds before the second try, doubled each time, and their bound. A server's
            Retry-After prolongs a wait up to that bound.
        progress: show a bar with the time left.

    Raises HarError, naming URL and cause, once no try is left, or at once where trying again is no use.
    """
    dest = Path(dest)
    wanted = _Wanted(url, sha256.lower() if sha256 else None, size, max_bytes, check)
    scheme = scheme_of(url)
    if scheme not in ("http", "https", "file"):
        raise HarError(f"{url}: expected a URL that begins with https://, http:// or file://")
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with Partial.open(url, dest, partial_dir) as part:
            if scheme == "file":
                _copy(wanted, part)
                receipt = _verify(wanted, part)
            else:
                receipt = _persist(wanted, part, attempts, timeout, backoff, max_wait, progress)
            part.publish(dest)
    except _Bad as error:
        raise HarError(f"{url}: {error}") from None
    except OSError as error:  # requests' own errors never get here
        raise HarError(f"{url}: cannot be written to {dest} ({error.strerror or error})") from None
    return receipt


def scheme_of(url: str) -> str:
    """https, http, file, ...; '' for what is no address."""
    try:
        return urlsplit(url).scheme
    except ValueError:  # a bracket of an IPv6 address that is not closed
        return ""


def _persist(
    wanted: _Wanted,
    part: Partial,
    attempts: int,
    timeout: tuple[float, float],
    backoff: float,
    max_wait: float,
    progress: bool,
) -> Receipt:
    """Transfer and verify until it works."""
    failures = bad = tries = 0
    reached = part.size()
    while True:
        wait = 0.0
        tries += 1
        try:
            _transfer(wanted, part, timeout, progress)
            return _verify(wanted, part)
        except _Bad as error:
            part.discard()
            bad += 1
            reason = str(error)
        except _Again as error:
            reason, wait = str(error), error.wait
        # a redirect to an impossible address is told by urllib3 itself or by the codec of host names
        except (requests.RequestException, HTTPError, UnicodeError) as error:
            reason = _explain(wanted.url, error)
        failures += 1
        if part.size() >= reached + PROGRESS:
            reached, failures = part.size(), 1
        if failures >= attempts or bad >= min(BAD_ATTEMPTS, attempts):
            raise HarError(f"{wanted.url}: {reason} (tried {tries} times)")
        _sleep(min(max_wait, max(backoff * 2 ** (failures - 1), wait)))


def _transfer(wanted: _Wanted, part: Partial, timeout: tuple[float, float], progress: bool) -> None:
    """Bring what is missing of `part`. Raises _Again, _Bad, HarError or requests' exceptions."""
    url, size, max_bytes = wanted.url, wanted.size, wanted.max_bytes
    offset = part.size()
    if offset and offset == size:
        return
    headers = {"Accept-Encoding": "identity"}  # a compressed body could be neither resumed nor measured
    if offset and (part.validator or wanted.sha256):
        headers["Range"] = f"bytes={offset}-"
        if part.validator:
            headers["If-Range"] = part.validator
    elif offset:  # nothing would tell two versions of the file apart
        part.discard()
        offset = 0
    with _session().get(url, headers=headers, timeout=timeout, stream=True) as response:
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise HarError(f"{url}: the server redirects to {one_line(response.url)}, which is not encrypted")
        total = _accept(url, response, part, offset)
        if total is not None and total > max_bytes:
            raise HarError(f"{url}: holds {total} bytes, more than the {max_bytes} allowed")
        if None not in (total, size) and total != size:
            raise _Bad(f"holds {total} bytes, expected {size}")
        name = url.rpartition("/")[2]
        unit = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}
        with tqdm(desc=name, total=total, initial=part.stream.tell(), disable=not progress, leave=False, **unit) as bar:
            for chunk in response.iter_content(CHUNK):
                part.stream.write(chunk)
                bar.update(len(chunk))
                if part.stream.tell() > max_bytes:
                    part.discard()
                    raise HarError(f"{url}: holds more than the {max_bytes} bytes allowed")
    if total is not None and part.size() < total:
        raise _Again(f"the transfer ended after {part.size()} of {total} bytes")


def _accept(url: str, response: requests.Response, part: Partial, offset: int) -> int | None:
    """Judge status and headers, make `part` ready for the body; the file's length where it is told."""
    status, said = response.status_code, one_line(response.reason or " ", 100)
    if status in RETRIED_STATUSES or status >= 500:
        wait = _retry_after(response.headers.get("Retry-After"))
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
        part.stream.seek(offset)
        return int(found[3]) if found[3] != "*" else None
    # 200: the file from its start, also where the server ignores Range or has another version by now
    part.discard()
    etag = response.headers.get("ETag", "")
    # If-Range takes only a strong ETag (RFC 9110, 13.1.5)
    part.remember(etag if etag.startswith('"') else response.headers.get("Last-Modified"))
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch(r"\d{1,18}", length, re.ASCII) else None


def _verify(wanted: _Wanted, part: Partial) -> Receipt:
    part.stream.flush()
    length = part.size()
    if wanted.size is not None and length != wanted.size:
        raise _Bad(f"holds {length} bytes, expected {wanted.size}")
    digest = file_sha256(part.path)
    if wanted.sha256 is not None and digest != wanted.sha256:
        raise _Bad(f"has sha256 {digest}, expected {wanted.sha256}")
    if wanted.check is not None:
        try:
            wanted.check(part.path)
        except HarError as error:
            raise _Bad(str(error)) from None
    return Receipt(length, digest)


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file as 64 hex digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy(wanted: _Wanted, part: Partial) -> None:
    url = wanted.url
    address = urlsplit(url)
    if address.netloc not in ("", "localhost"):
        raise HarError(f"{url}: a file URL needs three slashes, as in file:///folder/file")
    source = Path(url2pathname(address.path))
    if not source.is_file():
        raise HarError(f"{url}: no such file")
    part.discard()
    try:
        with source.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                part.stream.write(chunk)
                if part.stream.tell() > wanted.max_bytes:
                    raise _Bad(f"holds more than the {wanted.max_bytes} bytes allowed")
    except OSError as error:
        raise HarError(f"{url}: cannot be read ({error.strerror})") from None
    except _Bad:
        part.discard()
        raise


def _session() -> requests.Session:
    """One session a thread: connections are reused, and nothing is shared that is not safe to share."""
    if not hasattr(_threads, "session"):
        _threads.session = requests.Session()
        _threads.session.max_redirects = 5
    return _threads.session


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _retry_after(value: str | None) -> float:
    """Seconds the server asks to wait (RFC 9110, 10.2.3: seconds or a date); 0 where it says nothing."""
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):  # no date, or one beyond the year 9999 here
        return 0.0


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
