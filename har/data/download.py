"""One file from a server (http, https) or a folder (file), whole and verified or not at all.

The COCO server answers 503 "Slow Down" under load, long transfers break, and a proxy may answer with a web page.
urllib3 asks again where a server is busy or does not answer; here a body that broke or is wrong is fetched again.
"""

import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from har.core.errors import HarError
from har.core.files import file_sha256, sync_file, temporary_beside
from har.core.readers import one_line, ordinary_size

CHUNK = 1 << 16
ATTEMPTS = 5
TIMEOUT = (10.0, 30.0)  # seconds to connect, and without a byte before a transfer counts as stalled
BACKOFF, MAX_WAIT = 0.5, 60.0  # seconds before the second try, doubled each time, and the most, whatever a server asks
BUSY = (408, 425, 429, *range(500, 600))  # timeout, too early, too many requests, the server's own faults
REASONS = {
    "timed out": "the server did not answer or stalled",
    "refused": "the connection was refused",
    "reset|aborted|broken": "the connection broke",
    "resolve|Name or service": "the server's name is unknown here (is there a network?)",
}

_threads = threading.local()


def download(
    url: str,
    dest: str | Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    pins: str = "",
    max_bytes: int,
    check: Callable[[Path], None] | None = None,
    progress: bool = False,
) -> None:
    """Fetch `url` to `dest`; `dest` appears whole and verified, or not at all.

    Args:
        url: https, http or file.
        sha256, size: what the file must have (hex digits, bytes); None where it is not known. With a hash, which tells
            whether parts fit, a transfer that broke is resumed, also by a later call.
        pins: the keys of params.yaml that say so, for messages.
        max_bytes: more than this is refused.
        check: called with the path of the received bytes; raises HarError if they are no good.
        progress: show a bar with the time left.

    Raises HarError, naming URL and cause, once no try is left, or at once where trying again is no use.
    """
    dest, scheme = Path(dest), scheme_of(url)
    if scheme not in ("http", "https", "file"):
        raise HarError(f"{url}: expected a URL that begins with https://, http:// or file://")
    part = dest.with_name(f".{dest.name}.part") if sha256 else temporary_beside(dest)
    attempts = 1 if scheme == "file" else ATTEMPTS
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, attempts + 1):
            try:
                if scheme == "file":
                    _copy(url, part, max_bytes)
                else:
                    _transfer(url, part, size, max_bytes, progress)
                reason = _fault(part, sha256, size, pins, check)
                if not reason:
                    sync_file(part)
                    os.replace(part, dest)
                    return
                part.unlink()
            except (requests.RequestException, HTTPError) as error:
                reason = _reason(error)
                if not sha256:
                    part.unlink(missing_ok=True)
            if attempt < attempts:
                time.sleep(min(MAX_WAIT, BACKOFF * 2 ** (attempt - 1)))
        raise HarError(f"{url}: {reason}" + (f" (tried {attempts} times)" if attempts > 1 else ""))
    except OSError as error:  # requests' own errors never get here
        raise HarError(f"{url}: cannot be written to {dest} ({error.strerror or error})") from None
    finally:
        if not sha256:
            part.unlink(missing_ok=True)


def scheme_of(url: str) -> str:
    """https, http, file, ...; '' for what is no address."""
    try:
        return urlsplit(url).scheme
    except ValueError:  # a bracket of an IPv6 address that is not closed
        return ""


def _transfer(url: str, part: Path, size: int | None, max_bytes: int, progress: bool) -> None:
    """Bring what is missing of a file. Raises HarError where no good answer comes, and requests' exceptions where a
    body breaks."""
    have = part.stat().st_size if part.exists() else 0
    if have and have == size:
        return
    headers = {"Accept-Encoding": "identity"}  # a compressed body could be neither resumed nor measured
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = _session().get(url, headers=headers, timeout=TIMEOUT, stream=True)
    # a redirect to an impossible address, or a date that is none, is told by urllib3 itself or by Python
    except (requests.RequestException, HTTPError, ValueError, OverflowError) as error:
        raise HarError(f"{url}: {_reason(error)}") from None
    with response:
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise HarError(f"{url}: the server redirects to {one_line(response.url)}, which is not encrypted")
        if have and response.status_code == 416:  # there is no more
            return
        resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if response.status_code != 200 and not resumed:
            if response.status_code == 206:  # another place: not again from there
                part.unlink(missing_ok=True)
            said = one_line(response.reason or " ", 100)
            raise HarError(f"{url}: the server answered {response.status_code} {said}".rstrip())
        length = response.headers.get("Content-Length", "")
        total = int(length) + have * resumed if re.fullmatch(r"\d{1,18}", length, re.ASCII) else None
        if total is not None and total > max_bytes:
            raise HarError(f"{url}: holds {total} bytes, more than the {max_bytes} allowed")
        about = {"desc": url.rpartition("/")[2], "unit": "B", "unit_scale": True, "unit_divisor": 1024}
        with (
            open(part, "ab" if resumed else "wb") as out,
            tqdm(total=total, initial=have * resumed, disable=not progress, leave=False, **about) as bar,
        ):
            for chunk in response.iter_content(CHUNK):
                bar.update(out.write(chunk))
                if out.tell() > max_bytes:
                    part.unlink()
                    raise HarError(f"{url}: holds more than the {max_bytes} bytes allowed")


def _session() -> requests.Session:
    """One a thread: connections are reused, and nothing is shared that is not safe to share."""
    if not hasattr(_threads, "session"):
        again = Retry(
            ATTEMPTS - 1, backoff_factor=BACKOFF, backoff_max=MAX_WAIT, retry_after_max=MAX_WAIT,
            status_forcelist=BUSY, raise_on_status=False,
        )  # fmt: skip
        _threads.session = requests.Session()
        _threads.session.max_redirects = 5
        for scheme in ("http://", "https://"):
            _threads.session.mount(scheme, HTTPAdapter(max_retries=again))
    return _threads.session


def _copy(url: str, part: Path, max_bytes: int) -> None:
    address = urlsplit(url)
    if address.netloc not in ("", "localhost"):
        raise HarError(f"{url}: a file URL needs three slashes, as in file:///folder/file")
    source = Path(url2pathname(address.path))
    ordinary_size(source, "a file to copy", max_bytes, url)
    shutil.copyfile(source, part)


def _fault(part: Path, sha256: str | None, size: int | None, pins: str, check: Callable[[Path], None] | None) -> str:
    """What is wrong with the received bytes, or ''."""
    pins = pins and f" ({pins})"
    if size not in (None, length := part.stat().st_size):
        return f"holds {length} bytes, expected {size}{pins}"
    if sha256 and (digest := file_sha256(part)) != sha256.lower():
        return f"has sha256 {digest}, expected {sha256}{pins}"
    try:
        if check is not None:
            check(part)
    except HarError as error:
        return str(error)
    return ""


def _reason(error: Exception) -> str:
    """Why an answer or its body did not come, in one line."""
    text = one_line(error, 300)
    return next((reason for pattern, reason in REASONS.items() if re.search(pattern, str(error), re.IGNORECASE)), text)
