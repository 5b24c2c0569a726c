"""Pretrained checkpoints from a model hub, at a pinned revision, or from a local folder.

Only what a model needs and what cannot run code is taken: JSON, vocabularies and safetensors, never pickles (.bin, .pt)
or Python files. huggingface_hub fetches into the user's own cache (HF_HOME, HF_HUB_CACHE; HF_HUB_OFFLINE=1 takes what
is there) and tries again what a network or a busy hub refuses. Added here is what it leaves open: a bound on sizes,
hashes compared with bytes, and one line for whatever fails.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from har.core.errors import HarError
from har.core.files import file_sha256, link_or_copy, replacing_folder
from har.core.readers import MB, TOKENIZER, is_whole, one_line
from har.models.hub_files import OPEN_CLIP, check_safetensors, check_small_files, transformers_files

HUB = "https://huggingface.co"
MAX_SMALL = TOKENIZER  # bytes of one file beside the weights
MAX_ANSWERS = 2000  # of a hub for one model
RESETS = 3  # of a connection, before a transfer is given up
# By the name of huggingface_hub's exception; what others say is told as it is.
REASONS = {
    "OfflineModeIsEnabled": "not in the cache, and HF_HUB_OFFLINE forbids to fetch it",
    "RevisionNotFoundError": "this revision does not exist",
    "RepositoryNotFoundError": "this repository does not exist or is private (`hf auth login`)",
    "GatedRepoError": "access needs the owner's consent (ask for it on the model's page, then `hf auth login`)",
}
# What becomes names of files: hashes, quoted or not.
ETAG = re.compile(r'(W/)?"?[\w+=-]{1,200}"?', re.ASCII)
COMMIT = re.compile("[0-9a-f]{40}")

Choose = Callable[[Collection[str]], list[str]]


def fetch_hub(
    repo_id: str, revision: str, dest_dir: str | Path, *, max_bytes: int, choose: Choose = transformers_files
) -> None:
    """Fetch a model into `dest_dir`, whole and verified or not at all.

    The hub is HF_ENDPOINT or huggingface.co. An access token (HF_TOKEN, `hf auth login`) is sent to huggingface.co
    alone; to another HF_ENDPOINT only where HAR_TOKEN_TO_ENDPOINT=1 says so.

    Args:
        repo_id: name on the hub, as openai/clip-vit-base-patch32.
        revision: the commit, 40 hex digits. A branch or tag may point elsewhere tomorrow: refused.
        max_bytes: of all files together, compared with what the hub lists before they are fetched.
        choose: the names that are taken, from all that there are (har.models.hub_files).

    Raises:
        HarError: one line with repository, revision and reason.
    """
    label = f"{repo_id}@{revision}"
    if not COMMIT.fullmatch(revision):
        raise HarError(f"{label}: the revision must be a commit of 40 hex digits, not a branch or tag")
    with _in_one_line(repo_id, label):
        folder = _snapshot(repo_id, revision, ["config.json", OPEN_CLIP], MAX_SMALL)
        sizes = _sizes(repo_id, revision, folder)
        names = choose(sizes)
        _check_sizes(names, sizes, max_bytes)
        if not all((folder / name).exists() for name in names):
            _snapshot(repo_id, revision, names, 2 * sum(sizes[name] for name in names) + MB)
        for name in names:
            if _is_spoilt(folder / name):
                (folder / name).resolve().unlink()
                (folder / name).unlink(missing_ok=True)
                raise HarError(f"{name} came with other bytes than its hash tells and is removed; run it again")
        _take(folder, names, dest_dir, link_or_copy)  # linked, so that a checkpoint is stored once


def fetch_folder(
    path: str | Path, dest_dir: str | Path, *, max_bytes: int, choose: Choose = transformers_files
) -> None:
    """Copy a local folder in the hub's format under the rules of `fetch_hub`."""
    folder = Path(path)
    if not folder.is_dir():
        raise HarError(f"{folder}: no such folder; expected a model's (configuration, weights)")
    sizes = {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()}
    try:
        names = choose(sizes)
        _check_sizes(names, sizes, max_bytes)
    except HarError as error:
        raise HarError(f"{folder}: {error}") from None
    _take(folder, names, dest_dir, shutil.copyfile)


def newest(repo_id: str) -> str:
    """The commit at which a repository's main branch is, or was when the cache last saw it. HarError as `fetch_hub`."""
    with _in_one_line(repo_id, repo_id):
        return _snapshot(repo_id, None, [OPEN_CLIP], MAX_SMALL).name


def _take(folder: Path, names: list[str], dest_dir: str | Path, copy: Callable[[Path, Path], object]) -> None:
    """The checked files `names` of `folder` in `dest_dir`."""
    check_small_files(folder)
    for name in names:
        if name.endswith(".safetensors"):
            check_safetensors(folder / name)
    with replacing_folder(dest_dir) as made:
        for name in names:
            copy((folder / name).resolve(), made / name)


def _sizes(repo_id: str, revision: str, folder: Path) -> dict[str, int]:
    """Name to bytes of each file of a revision as the hub lists them, or else, without a network, of those that
    another client has put in the cache."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        return {file.path: file.size for file in get_cached_repo_tree(repo_id, revision=revision)}
    except CachedRepoTreeNotFoundError:
        return {file.name: file.stat().st_size for file in folder.iterdir()}


def _check_sizes(names: list[str], sizes: Mapping[str, int], max_bytes: int) -> None:
    for name in names:
        if not is_whole(sizes[name]):
            raise HarError(f"the hub lists {name} without a size")
        if not name.endswith(".safetensors") and sizes[name] > MAX_SMALL:
            raise HarError(f"{name} has {sizes[name]} bytes, more than the {MAX_SMALL} allowed")
    total = sum(sizes[name] for name in names)
    if total > max_bytes:
        raise HarError(f"the files have {total} bytes together, more than the {max_bytes} allowed")


@contextmanager
def _in_one_line(repo_id: str, label: str) -> Iterator[None]:
    """HarError for a name that is none, and for whatever a hub, the network or the library refuses in the block."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", repo_id, re.ASCII) or ".." in repo_id:
        raise HarError(f"{label}: the repository must be a name such as openai/clip-vit-base-patch32")
    try:
        yield
    except HarError as error:
        raise HarError(f"{label}: {error}") from None
    except Exception as error:  # httpx's and the library's own have no common base
        from huggingface_hub.errors import LocalEntryNotFoundError

        cause = (isinstance(error, LocalEntryNotFoundError) and error.__cause__) or error
        name = type(cause).__name__
        reason = REASONS.get(name) or f"cannot be fetched from {endpoint()} ({name}: {one_line(cause, 300)})"
        raise HarError(f"{label}: {reason}") from None


def endpoint() -> str:
    """The hub's address."""
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def _snapshot(repo_id: str, revision: str | None, names: list[str], most: int) -> Path:
    """A revision's folder in the user's cache (None: of the main branch) with the files `names`, of `most` bytes
    together."""
    # without telemetry and Xet: a second way to the same bytes, that our tests cannot stand in for
    os.environ["HF_HUB_DISABLE_XET"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import httpx2
    import huggingface_hub
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_XET = constants.HF_HUB_DISABLE_TELEMETRY = True
    huggingface_hub.set_client_factory(_client)
    trusted = endpoint() == HUB or os.environ.get("HAR_TOKEN_TO_ENDPOINT") == "1"
    options = {"endpoint": endpoint(), "token": None if trusted else False, "tqdm_class": _bounded(most)}
    for resets in count(1):
        try:
            return Path(huggingface_hub.snapshot_download(repo_id, revision=revision, allow_patterns=names, **options))
        except httpx2.ReadError:  # the library takes up a transfer that breaks off, not a connection that is reset
            if resets == RESETS:
                raise


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


def _client():
    from huggingface_hub.utils._http import default_client_factory

    client = default_client_factory()
    client.event_hooks["response"].append(partial(_check_answer, count(1)))
    return client


def _check_answer(answers: Iterator[int], response) -> None:
    """Take from an answer what the library would make names of files of; HarError for a hub without end."""
    for header, pattern in (("ETag", ETAG), ("X-Linked-ETag", ETAG), ("X-Repo-Commit", COMMIT)):
        if not pattern.fullmatch(response.headers.get(header, "")):
            response.headers.pop(header, None)
    if next(answers) > MAX_ANSWERS:
        raise HarError(f"more than {MAX_ANSWERS:,} answers, the hub does not come to an end")


def _bounded(most: int) -> type:
    """A progress bar that stops a transfer which does not come to its end after so many bytes."""
    from huggingface_hub.utils import tqdm

    class Bounded(tqdm):
        received = 0
        monitor_interval = 0  # else each such class keeps a thread

        def update(self, n=1):
            self.received += n or 0
            if self.received > most:
                raise HarError(f"more than {most:,} bytes come, the hub listed fewer")
            return super().update(n)

    return Bounded
