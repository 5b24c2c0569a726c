"""The backbone door: pretrained checkpoints from a model hub, at a pinned revision, or from a local folder.

Only what a model needs and what cannot run code is taken: JSON, vocabularies and safetensors, never pickles
(.bin, .pt) or Python files. Each file is compared with a hash, given here or by the hub, before the folder
gets its name.
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from har.core.errors import HarError
from har.core.files import replacing_folder, write_json
from har.core.readers import MB, is_text, is_whole, one_line, read_json
from har.models.hub_files import WEIGHTS, check_safetensors, choose_files

MAX_FILES = 10_000  # of a repository's root
# What the library makes file names of: hashes, quoted or not.
ETAG = re.compile(r'(W/)?"?[\w+=-]{1,200}"?', re.ASCII)
COMMIT = re.compile("[0-9a-f]{40}")
MAX_ANSWERS = 2000  # of a hub for one model


@dataclass(frozen=True)
class _Entry:
    """One file as the hub lists it: its length and its hashes (git's blob id; sha256 for large files)."""

    size: int
    blob_id: str
    sha256: str | None


def fetch_hub(
    repo_id: str,
    revision: str,
    dest_dir: str | Path,
    *,
    cache_dir: str | Path,
    sha256: Mapping[str, str] | None = None,
    max_bytes: int,
    endpoint: str | None = None,
    weights: bool = True,
    attempts: int = 4,
    backoff: float = 1.0,
) -> list[dict]:
    """Fetch a model in transformers' format into `dest_dir`, whole and verified or not at all.

    Args:
        repo_id: name on the hub, as openai/clip-vit-base-patch32.
        revision: the commit, 40 hex digits. A branch or tag may point elsewhere tomorrow: refused.
        cache_dir: huggingface_hub's cache; what it holds is not fetched again and works without network.
        sha256: file name -> hex digits, for files whose hash is known beforehand. The others are compared
            with the hash the hub itself tells.
        max_bytes: of all files together.
        endpoint: the hub's address (None: HF_ENDPOINT or https://huggingface.co). To an address given here
            no stored access token is sent.
        weights: False takes configuration, processor and tokenizer alone.
        attempts, backoff: tries for each file, and seconds before the second, doubled each time.

    Returns provenance, one dict for each file: file, bytes, sha256, url. Raises HarError, naming
    repository, revision and file.
    """
    label = f"{repo_id}@{revision}"
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise HarError(f"{label}: the revision must be a commit of 40 hex digits, not a branch or tag")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", repo_id, re.ASCII) or ".." in repo_id:
        raise HarError(f"{label}: the repository must be a name such as openai/clip-vit-base-patch32")
    hub = _quiet_hub()
    endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or hub.constants.ENDPOINT).rstrip("/")
    # None lets the library find the user's token; False sends none
    token = None if endpoint == hub.constants.ENDPOINT else False
    options = {"endpoint": endpoint, "token": token}
    cache_dir = Path(cache_dir)

    def try_hard(what: str, action: Callable[[], Any]) -> Any:
        return _try_hard(f"{label}: {what}", action, attempts, backoff)

    def fetch(name: str, force: bool = False) -> Path:
        return Path(
            try_hard(
                name,
                lambda: hub.hf_hub_download(
                    repo_id,
                    name,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=force,
                    tqdm_class=_bounded(4 * entries[name].size + MB),  # a few times from the start, at worst
                    **options,
                ),
            )
        )

    def fetch_verified(name: str) -> Path:
        """A file that was spoilt in the cache or on its way is fetched once more."""
        path = fetch(name)
        if _mismatch(path, entries[name], (sha256 or {}).get(name)):
            path = fetch(name, force=True)
        reason = _mismatch(path, entries[name], (sha256 or {}).get(name))
        if reason:
            # later runs must not find it in the cache
            path.resolve().unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise HarError(f"{label}: {name} {reason}")
        return path

    entries = _listing(
        cache_dir / f"models--{repo_id.replace('/', '--')}" / "har-listings" / f"{revision}.json",
        lambda: try_hard(
            "list of files",
            lambda: _entries(
                islice(hub.HfApi(**options).list_repo_tree(repo_id, revision=revision, recursive=False), MAX_FILES)
            ),
        ),
    )
    chosen = choose_files(label, {n: e.size for n, e in entries.items()}, fetch_verified, sha256, max_bytes, weights)
    return _assemble(
        label, {n: fetch_verified(n) for n in chosen}, dest_dir, f"{endpoint}/{repo_id}/resolve/{revision}"
    )


def fetch_folder(
    path: str | Path,
    dest_dir: str | Path,
    *,
    sha256: Mapping[str, str] | None = None,
    max_bytes: int,
    weights: bool = True,
) -> list[dict]:
    """Copy a local folder in the hub's format under the rules of `fetch_hub`; returns the same provenance."""
    folder = Path(path)
    if not folder.is_dir():
        raise HarError(f"{folder}: no such folder; expected a model in the hub's format (config.json, {WEIGHTS})")
    sizes = {p.name: p.stat().st_size for p in folder.iterdir() if p.is_file()}
    chosen = choose_files(str(folder), sizes, lambda name: folder / name, sha256, max_bytes, weights)
    for name in chosen:
        reason = _mismatch(folder / name, None, (sha256 or {}).get(name))
        if reason:
            raise HarError(f"{folder}: {name} {reason}")
    return _assemble(str(folder), {n: folder / n for n in chosen}, dest_dir, folder.resolve().as_uri())


def _mismatch(path: Path, entry: _Entry | None, sha256: str | None) -> str | None:
    """What is wrong with the file, or None. A hash given beforehand outranks the hub's own."""
    size = path.stat().st_size
    if entry is not None and size != entry.size:
        return f"has {size} bytes, the hub lists {entry.size}"
    wanted = sha256.lower() if sha256 else entry.sha256 if entry else None
    if wanted:
        digest = _digest(path, hashlib.sha256())
        if digest != wanted:
            return f"has sha256 {digest}, expected {wanted} ({'as given' if sha256 else 'as the hub says'})"
    elif entry is not None:
        # small files live in git itself, whose id of a file is this
        digest = _digest(path, hashlib.sha1(b"blob %d\0" % size))
        if digest != entry.blob_id:
            return f"has git blob id {digest}, expected {entry.blob_id} (as the hub says)"
    if path.name.endswith(".safetensors"):
        try:
            check_safetensors(path)
        except HarError as error:
            return str(error)
    return None


def _digest(path: Path, digest) -> str:
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _assemble(label: str, files: Mapping[str, Path], dest_dir: str | Path, address: str) -> list[dict]:
    """Copy the files into a folder beside `dest_dir`, which then takes its name."""
    rows = []
    with replacing_folder(dest_dir) as folder:
        for name, source in files.items():
            try:
                shutil.copyfile(source, folder / name)
            except OSError as error:
                raise HarError(f"{label}: {name} cannot be copied to {dest_dir} ({error.strerror})") from None
            size = (folder / name).stat().st_size
            digest = _digest(folder / name, hashlib.sha256())
            rows.append({"file": name, "bytes": size, "sha256": digest, "url": f"{address}/{name}"})
    return rows


def _listing(memo: Path, ask: Callable[[], dict[str, _Entry]]) -> dict[str, _Entry]:
    """The repository's files at its root. A commit never changes, so the answer is kept for later runs."""
    try:
        return {name: _Entry(**entry) for name, entry in read_json(memo, "a list of files").items()}
    except (HarError, TypeError):
        pass
    entries = ask()
    write_json(memo, {name: asdict(entry) for name, entry in entries.items()})
    return entries


def _entries(items: Iterable[Any]) -> dict[str, _Entry]:
    """The files among what the hub lists; ValueError for one that is not described as a hub describes it."""
    entries = {}
    for item in items:
        if not hasattr(item, "size"):  # a folder
            continue
        size, sha256 = (item.lfs.size, item.lfs.sha256) if item.lfs else (item.size, None)
        if not is_text(item.path) or not is_whole(size) or not re.fullmatch("[0-9a-f]{40}", str(item.blob_id)):
            raise ValueError(f"the hub lists {item.path!r:.60} without a size or a hash")
        if item.lfs and not re.fullmatch("[0-9a-f]{64}", str(sha256)):
            raise ValueError(f"the hub lists {item.path!r:.60} without a sha256")
        if "/" not in item.path:
            entries[item.path] = _Entry(size, item.blob_id, sha256)
    return entries


def _quiet_hub():
    """huggingface_hub without its Xet transport and telemetry, also if it was imported before."""
    os.environ["HF_HUB_DISABLE_XET"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import huggingface_hub
    from huggingface_hub import constants

    # Xet is a second way to the same bytes that our tests cannot stand in for
    constants.HF_HUB_DISABLE_XET = constants.HF_HUB_DISABLE_TELEMETRY = True
    if _guard not in huggingface_hub.get_session().event_hooks["response"]:
        huggingface_hub.set_client_factory(_guarded_client)
    _guard.answers = 0
    return huggingface_hub


class _Guard:
    """Looks at each answer of the hub. Its library makes names of files of ETags and commits, and follows pages of a
    list without end."""

    answers = 0

    def __call__(self, response) -> None:
        """HarError for headers that are no hashes, and after too many answers."""
        self.answers += 1
        if self.answers > MAX_ANSWERS:
            raise HarError(f"more than {MAX_ANSWERS:,} answers, the hub does not come to an end")
        for name, pattern in (("ETag", ETAG), ("X-Linked-ETag", ETAG), ("X-Repo-Commit", COMMIT)):
            value = response.headers.get(name)
            if value is not None and not pattern.fullmatch(value):
                raise HarError(f"the server's {name} is {value!r:.60}, which is no hash")


_guard = _Guard()


def _guarded_client():
    from huggingface_hub.utils._http import default_client_factory

    client = default_client_factory()
    client.event_hooks = {**client.event_hooks, "response": [_guard]}
    return client


def _bounded(most: int) -> type:
    """A progress bar that stops a transfer after so many bytes: HarError where a file does not come to its end."""
    from huggingface_hub.utils import tqdm

    class Bounded(tqdm):
        received = 0

        def update(self, n=1):
            self.received += n
            if self.received > most:
                raise HarError(f"more than {most:,} bytes come, the hub listed fewer")
            return super().update(n)

    return Bounded


def _try_hard(label: str, action: Callable[[], Any], attempts: int, backoff: float) -> Any:
    """The result of `action`; faults of the network are tried again, the others told at once."""
    from huggingface_hub import errors

    final = (
        (errors.RevisionNotFoundError, "this revision does not exist"),
        (errors.GatedRepoError, "access needs the owner's consent (log in with `hf auth login`)"),
        (errors.RepositoryNotFoundError, "this repository does not exist or is private"),
        (errors.RemoteEntryNotFoundError, "this file does not exist"),
        (errors.OfflineModeIsEnabled, "not in the cache, and HF_HUB_OFFLINE forbids to fetch it"),
    )
    for attempt in range(1, attempts + 1):
        try:
            return action()
        except HarError as error:
            raise HarError(f"{label}: {error}") from None
        except Exception as error:  # httpx's, requests' and the library's own errors have no common base
            cause = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) else None
            for known in (error, cause):
                for kind, reason in final:
                    if isinstance(known, kind):
                        raise HarError(f"{label}: {reason}") from None
            response = getattr(error, "response", None)
            code = getattr(response, "status_code", None)
            if attempt == attempts or (code is not None and code < 500 and code not in (408, 429)):
                raise HarError(f"{label}: cannot be fetched ({one_line(cause or error, 300)})") from None
            time.sleep(backoff * 2 ** (attempt - 1))
