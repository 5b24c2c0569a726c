"""The backbone door: pretrained checkpoints from a model hub, at a pinned revision, or from a local folder.

Only what a model needs and what cannot run code is taken: JSON, vocabularies and safetensors, never pickles (.bin, .pt)
or Python files. huggingface_hub fetches into the user's own cache (HF_HOME, HF_HUB_CACHE; HF_HUB_OFFLINE=1 takes what
is there). Added here is what it leaves open: a bound on sizes, hashes compared with bytes, and one line within seconds
for whatever a hub or a network refuses.
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from har.core.errors import HarError
from har.core.files import file_sha256, link_or_copy, replacing_folder
from har.core.readers import MB, is_whole, one_line
from har.models.hub_files import INDEX, OPEN_CLIP, TRANSFORMERS, WEIGHTS, Format, check_small_files

HUB = "https://huggingface.co"
MAX_SMALL = 64 * MB  # of one file beside the weights; the largest tokenizer.json in use has 38 MB
MAX_ANSWERS = 2000  # of a hub for one model
WAITS = (1, 2, 4)  # seconds before a fault of the network or a busy hub is tried again
PATIENCE = 5  # the most seconds that a hub may ask us to wait
REASONS = {
    "RevisionNotFound": "this revision does not exist",
    "EntryNotFound": "this file does not exist",
    "RepoNotFound": "this repository does not exist or is private (`hf auth login`)",
    "GatedRepo": "access needs the owner's consent (ask for it on the model's page, then `hf auth login`)",
    401: "the hub wants an access token, or refuses the one it got (`hf auth login`)",
    403: "the hub refuses access to this repository",
    404: "the hub has no such repository, revision or file",
}
# What becomes names of files: hashes, quoted or not.
ETAG = re.compile(r'(W/)?"?[\w+=-]{1,200}"?', re.ASCII)
COMMIT = re.compile("[0-9a-f]{40}")


def fetch_hub(
    repo_id: str,
    revision: str,
    dest_dir: str | Path,
    *,
    max_bytes: int,
    sha256: str | None = None,
    weights: bool = True,
    form: Format = TRANSFORMERS,
) -> None:
    """Fetch a model into `dest_dir`, whole and verified or not at all.

    The hub is HF_ENDPOINT or huggingface.co. An access token (HF_TOKEN, `hf auth login`) is sent to huggingface.co
    alone; to another HF_ENDPOINT only where HAR_TOKEN_TO_ENDPOINT=1 says so.

    Args:
        repo_id: name on the hub, as openai/clip-vit-base-patch32.
        revision: the commit, 40 hex digits. A branch or tag may point elsewhere tomorrow: refused.
        max_bytes: of all files together, compared with what the hub lists before they are fetched.
        sha256: hex digits of model.safetensors, where known beforehand.
        weights: False takes configuration, processor and tokenizer alone.
        form: of its files.

    Raises:
        HarError: one line with repository, revision and reason.
    """
    label = f"{repo_id}@{revision}"
    if not COMMIT.fullmatch(revision):
        raise HarError(f"{label}: the revision must be a commit of 40 hex digits, not a branch or tag")
    with _in_one_line(repo_id, label):
        files = _in_cache(label, repo_id, revision, max_bytes, weights, form)
    for file in files:
        if sha256 and file.name == WEIGHTS and (found := file_sha256(file)) != sha256.lower():
            raise HarError(f"{label}: {file.name} has sha256 {found}, expected {sha256} (as given)")
    with replacing_folder(dest_dir) as folder:
        for file in files:
            link_or_copy(file.resolve(), folder / file.name)  # so that a checkpoint is stored once


def newest(repo_id: str) -> str:
    """The commit at which a repository's main branch is, or was when the cache last saw it. HarError as `fetch_hub`."""
    with _in_one_line(repo_id, repo_id):
        return _snapshot(repo_id, None, [OPEN_CLIP], MAX_SMALL).name


@contextmanager
def _in_one_line(repo_id: str, label: str) -> Iterator[None]:
    """HarError for a name that is none, and for whatever a hub, the network or the library refuses in the block."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", repo_id, re.ASCII) or ".." in repo_id:
        raise HarError(f"{label}: the repository must be a name such as openai/clip-vit-base-patch32")
    try:
        yield
    except HarError:
        raise
    except Exception as error:  # httpx's and the library's own have no common base
        from huggingface_hub.errors import OfflineModeIsEnabled

        cause = error.__cause__ or error
        if isinstance(cause, OfflineModeIsEnabled):
            reason = "not in the cache, and HF_HUB_OFFLINE forbids to fetch it"
        else:
            reason = str(cause) if isinstance(cause, _RefusedError) else f"cannot be fetched ({one_line(cause, 300)})"
        raise HarError(f"{label}: {reason}") from None


def fetch_folder(
    path: str | Path, dest_dir: str | Path, *, max_bytes: int, weights: bool = True, form: Format = TRANSFORMERS
) -> None:
    """Copy a local folder in the hub's format under the rules of `fetch_hub`."""
    folder = Path(path)
    if not folder.is_dir():
        expected = f"expected a model in {'the hub' if form is TRANSFORMERS else 'open_clip'}'s format"
        raise HarError(f"{folder}: no such folder; {expected} ({form.first}, weights)")
    sizes = {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()}
    names = [name for name in form.small if name in sizes]
    if weights:
        form.check(folder, "")
        names += form.weights(str(folder), sizes)
    check_small_files(folder, names=form.small)
    _check_sizes(str(folder), names, sizes, max_bytes)
    with replacing_folder(dest_dir) as made:
        for name in names:
            shutil.copyfile(folder / name, made / name)


def _check_sizes(label: str, names: Iterable[str], sizes: Mapping[str, int], max_bytes: int) -> None:
    for name in names:
        if not is_whole(sizes[name]):
            raise HarError(f"{label}: the hub lists {name} without a size")
        if not name.endswith(".safetensors") and sizes[name] > MAX_SMALL:
            raise HarError(f"{label}: {name} has {sizes[name]} bytes, more than the {MAX_SMALL} allowed")
    total = sum(sizes[name] for name in names)
    if total > max_bytes:
        raise HarError(f"{label}: the files have {total} bytes together, more than the {max_bytes} allowed")


def _in_cache(label: str, repo_id: str, revision: str, max_bytes: int, weights: bool, form: Format) -> list[Path]:
    """The model's files in the user's cache, fetched where they are not there, each with the hash that names it."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    folder = _snapshot(repo_id, revision, [], MAX_SMALL)  # the list of files alone
    try:
        sizes = {file.path: file.size for file in get_cached_repo_tree(repo_id, revision=revision)}
    except CachedRepoTreeNotFoundError:  # no network, and filled by another client
        sizes = {file.name: file.stat().st_size for file in folder.iterdir()}
        if weights and not any(name == INDEX or name.endswith(".safetensors") for name in sizes):
            raise HarError(f"{label}: the weights are not in the cache, and the hub cannot be asked") from None
    if form.first and form.first not in sizes:
        raise HarError(f"{label}: {form.first} is missing; expected a model in {form.name} format")

    def fetch(names: list[str]) -> None:
        for _ in range(2):
            if not all((folder / name).exists() for name in names):
                _snapshot(repo_id, revision, names, 2 * sum(sizes[name] for name in names) + MB)
            spoilt = [folder / name for name in names if _is_spoilt(folder / name)]
            if not spoilt:
                return
            for file in spoilt:
                file.resolve().unlink()
                file.unlink(missing_ok=True)
        raise HarError(f"{label}: {spoilt[0].name} comes with other bytes than the hash that the hub names")

    names = [name for name in form.small if name in sizes]
    _check_sizes(label, names, sizes, max_bytes)
    fetch(names)
    check_small_files(folder, label, form.small)
    if weights:
        heavy = form.weights(label, sizes)
        _check_sizes(label, [*names, *heavy], sizes, max_bytes)
        fetch(heavy)
        form.check(folder, label)
        names += heavy
    return [folder / name for name in names]


def _snapshot(repo_id: str, revision: str | None, names: list[str], most: int) -> Path:
    """A revision's folder in the user's cache (None: of the main branch) with the files `names`, of `most` bytes
    together. A busy hub and faults of the network are tried again for some seconds, then what is there must do."""
    # without telemetry, messages and Xet: a second way to the same bytes, that our tests cannot stand in for
    os.environ["HF_HUB_DISABLE_XET"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import httpx2
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.utils import logging

    constants.HF_HUB_DISABLE_XET = constants.HF_HUB_DISABLE_TELEMETRY = True
    logging.set_verbosity_error()
    huggingface_hub.set_client_factory(_client)
    endpoint = (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    trusted = endpoint == HUB or os.environ.get("HAR_TOKEN_TO_ENDPOINT") == "1"
    get = partial(
        huggingface_hub.snapshot_download,
        repo_id,
        revision=revision,
        allow_patterns=names,
        endpoint=endpoint,
        token=None if trusted else False,  # None: the user's own
        tqdm_class=_bounded(most, any(name.endswith(".safetensors") for name in names)),
    )
    for pause in (*WAITS, None):
        try:
            return Path(get())
        except (_RefusedError, httpx2.ReadError) as error:  # a connection was reset
            refused, wait = error, getattr(error, "wait", 0)
        if pause is None or wait is None or wait > PATIENCE:
            break
        time.sleep(max(pause, wait))
    try:
        return Path(get(local_files_only=True))  # what another client has put there
    except huggingface_hub.errors.LocalEntryNotFoundError:
        raise refused from None


def _is_spoilt(file: Path) -> bool:
    """Whether a file of the cache has other bytes than its name tells: a sha256, or git's id of its content."""
    name = file.resolve().name
    if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", name):
        return False
    if len(name) == 64:
        return file_sha256(file) != name
    blob = hashlib.sha1(b"blob %d\0" % file.stat().st_size)
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, lambda: blob).hexdigest() != name


class _RefusedError(Exception):
    """What a hub or the network refuses, in one line. wait: the seconds after which another try may do, None where none
    will."""

    def __init__(self, reason: str, wait: int | None = None):
        super().__init__(reason)
        self.wait = wait


def _client():
    from huggingface_hub.utils._http import default_client_factory

    client = default_client_factory()
    client.send = partial(_send, client.send, count(1))
    return client


def _send(send: Callable, answers: Iterator[int], request, **options):
    """The answer to `request`, or _RefusedError."""
    import httpx2

    name = f"{Path(request.url.path).name}: " if "/resolve/" in request.url.path else ""
    if next(answers) > MAX_ANSWERS:
        raise _RefusedError(f"more than {MAX_ANSWERS:,} answers, the hub does not come to an end")
    try:
        response = send(request, **options)
    except httpx2.TransportError as error:
        wait = None if isinstance(error, httpx2.TimeoutException | httpx2.UnsupportedProtocol) else 0
        raise _RefusedError(f"{name}{request.url.host} cannot be reached ({one_line(error, 100)})", wait) from None
    for header, pattern in (("ETag", ETAG), ("X-Linked-ETag", ETAG), ("X-Repo-Commit", COMMIT)):
        if request.method == "HEAD" and not pattern.fullmatch(response.headers.get(header, "")):
            response.headers.pop(header, None)  # the library makes names of files of them
    status, headers = response.status_code, response.headers
    if status < 400:
        return response
    response.close()
    if reason := REASONS.get(headers.get("X-Error-Code")) or REASONS.get(status):
        raise _RefusedError(f"{name}{reason}")
    if status not in (408, 429) and status < 500:
        return response
    told = f"is busy (status {status})" if status != 429 else "has had too many requests (status 429)"
    asked = re.search(r"(?:^|\br=0;t=)([0-9]{1,9})", headers.get("Retry-After") or headers.get("RateLimit", ""))
    wait = int(asked[1]) if asked else 0
    later = f"in {wait} seconds" if wait else "later"
    raise _RefusedError(f"{name}the hub {told}, try again {later}", wait)


def _bounded(most: int, shown: bool) -> type:
    """A progress bar, `shown` or not, that stops a transfer which does not come to its end after so many bytes."""
    from huggingface_hub.utils import tqdm

    class Bounded(tqdm):
        received = 0

        def __init__(self, *args, **options):
            super().__init__(*args, **options if shown else {**options, "disable": True})

        def update(self, n=1):
            self.received += n or 0
            if self.received > most:
                raise _RefusedError(f"more than {most:,} bytes come, the hub listed fewer")
            return super().update(n)

    return Bounded
