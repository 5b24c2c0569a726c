"""The backbone door: pretrained checkpoints from a model hub, at a pinned revision, or from a local folder.

Only what a model needs and what cannot run code is taken: JSON, vocabularies and safetensors, never pickles
(.bin, .pt) or Python files. Each file is compared with a hash, given here or by the hub, before the folder
gets its name.
"""

import hashlib
import json
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from har.errors import HarError
from har.files import write_json

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
# What transformers reads of a model, its image processor and its tokenizer.
SMALL_FILES = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
)
MAX_SMALL = 64 << 20  # bytes; the largest tokenizer.json in use has about 35 MB
MAX_HEADER = 25_000_000  # bytes; a safetensors header of CLIP has 50 kB
# bits an element, https://huggingface.co/docs/safetensors
DTYPES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


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
                    repo_id, name, revision=revision, cache_dir=cache_dir, force_download=force, **options
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
            lambda: list(hub.HfApi(**options).list_repo_tree(repo_id, revision=revision, recursive=False)),
        ),
    )
    chosen = _choose(label, {n: e.size for n, e in entries.items()}, fetch_verified, sha256, max_bytes, weights)
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
    chosen = _choose(str(folder), sizes, lambda name: folder / name, sha256, max_bytes, weights)
    for name in chosen:
        reason = _mismatch(folder / name, None, (sha256 or {}).get(name))
        if reason:
            raise HarError(f"{folder}: {name} {reason}")
    return _assemble(str(folder), {n: folder / n for n in chosen}, dest_dir, folder.resolve().as_uri())


def _choose(
    label: str,
    sizes: Mapping[str, int],
    open_file: Callable[[str], Path],
    sha256: Mapping[str, str] | None,
    max_bytes: int,
    weights: bool,
) -> list[str]:
    """Names of the files to take; HarError if the model is incomplete, too large or not safe."""
    if "config.json" not in sizes:
        raise HarError(f"{label}: config.json is missing; expected a model in transformers' format")
    names = [name for name in SMALL_FILES if name in sizes]
    for name in names:
        if sizes[name] > MAX_SMALL:
            raise HarError(f"{label}: {name} has {sizes[name]} bytes, more than the {MAX_SMALL} allowed")
    for name in names:
        if name.endswith(".json"):
            _check_json(label, name, open_file(name))
    if weights:
        names += _weight_files(label, sizes, open_file)
    total = sum(sizes[name] for name in names)
    if total > max_bytes:
        raise HarError(f"{label}: the files have {total} bytes together, more than the {max_bytes} allowed")
    for name in sha256 or {}:
        if name not in names:
            raise HarError(f"{label}: sha256 names {name}, which is not among {', '.join(names)}")
    return names


def _weight_files(label: str, sizes: Mapping[str, int], open_file: Callable[[str], Path]) -> list[str]:
    if WEIGHTS in sizes:
        return [WEIGHTS]
    if INDEX not in sizes:
        pickles = [n for n in sizes if n.endswith((".bin", ".pt", ".pth", ".h5", ".msgpack"))]
        hint = f" (only {', '.join(sorted(pickles))}, which may run code or is of another framework)" if pickles else ""
        raise HarError(f"{label}: {WEIGHTS} is missing{hint}; choose a revision that has it")
    if sizes[INDEX] > MAX_SMALL:
        raise HarError(f"{label}: {INDEX} has {sizes[INDEX]} bytes, more than the {MAX_SMALL} allowed")
    mapping = _check_json(label, INDEX, open_file(INDEX)).get("weight_map")
    if not isinstance(mapping, dict) or not mapping:
        raise HarError(f"{label}: {INDEX} has no weight_map")
    shards = sorted({str(shard) for shard in mapping.values()})
    for shard in shards:
        if not SHARD.fullmatch(shard) or shard not in sizes:
            raise HarError(f"{label}: {INDEX} names the shard {shard!r:.80}, which is missing or no safetensors")
    return [INDEX, *shards]


def _check_json(label: str, name: str, path: Path) -> dict:
    """The file's object; HarError if it is none or asks for code of the repository's own."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise HarError(f"{label}: {name} cannot be read as JSON ({error})") from None
    if not isinstance(data, dict):
        raise HarError(f"{label}: {name} is not a JSON object")
    if name.endswith("config.json"):
        stack: list[Any] = [data]
        while stack:
            value = stack.pop()
            if isinstance(value, dict):
                for key in ("auto_map", "custom_pipelines"):
                    if value.get(key):
                        raise HarError(f"{label}: {name} has {key}: it wants to run code from the repository")
                stack.extend(value.values())
            elif isinstance(value, list):
                stack.extend(value)
    return data


def check_safetensors(path: Path) -> None:
    """Raises HarError unless the header describes tensors that fill the rest of the file exactly."""
    size = path.stat().st_size
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER):
            raise HarError("is no safetensors file: its header does not fit")
        try:
            header = json.loads(stream.read(length))
            spans = []
            for name, tensor in header.items():
                if name == "__metadata__":
                    continue
                start, end = tensor["data_offsets"]
                shape = tensor["shape"]
                whole = all(type(n) is int and n >= 0 for n in (start, end, *shape))
                if not whole or math.prod(shape) * DTYPES[tensor["dtype"]] != 8 * (end - start):
                    raise ValueError(name)
                spans.append((start, end))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise HarError(f"is no safetensors file: its header is malformed ({error})"[:200]) from None
    position = 0
    for start, end in sorted(spans):
        if start != position:
            raise HarError("is no safetensors file: its tensors overlap or leave gaps")
        position = end
    if position != size - 8 - length:
        raise HarError(f"is no whole safetensors file: {size - 8 - length} bytes of tensors, not {position}")


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
    with _replacing_folder(Path(dest_dir)) as folder:
        for name, source in files.items():
            try:
                shutil.copyfile(source, folder / name)
            except OSError as error:
                raise HarError(f"{label}: {name} cannot be copied to {dest_dir} ({error.strerror})") from None
            size = (folder / name).stat().st_size
            digest = _digest(folder / name, hashlib.sha256())
            rows.append({"file": name, "bytes": size, "sha256": digest, "url": f"{address}/{name}"})
    return rows


@contextmanager
def _replacing_folder(dest: Path) -> Iterator[Path]:
    dest.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(dir=dest.parent, prefix=f".{dest.name}."))
    try:
        fresh = room / "new"
        fresh.mkdir()
        yield fresh
        if dest.exists():  # a folder cannot be renamed onto one that holds something
            dest.rename(room / "old")
        fresh.rename(dest)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _listing(memo: Path, ask: Callable[[], list]) -> dict[str, _Entry]:
    """The repository's files at its root. A commit never changes, so the answer is kept for later runs."""
    try:
        return {name: _Entry(**entry) for name, entry in json.loads(memo.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        pass
    entries = {}
    for item in ask():
        if hasattr(item, "size") and "/" not in item.path:  # folders have no size
            sha256 = item.lfs.sha256 if item.lfs else None
            entries[item.path] = _Entry(item.lfs.size if item.lfs else item.size, item.blob_id, sha256)
    write_json(memo, {name: asdict(entry) for name, entry in entries.items()})
    return entries


def _quiet_hub():
    """huggingface_hub without its Xet transport and telemetry, also if it was imported before."""
    os.environ["HF_HUB_DISABLE_XET"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import huggingface_hub
    from huggingface_hub import constants

    # Xet is a second way to the same bytes that our tests cannot stand in for
    constants.HF_HUB_DISABLE_XET = constants.HF_HUB_DISABLE_TELEMETRY = True
    return huggingface_hub


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
        except Exception as error:  # httpx's, requests' and the library's own errors have no common base
            cause = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) else None
            for known in (error, cause):
                for kind, reason in final:
                    if isinstance(known, kind):
                        raise HarError(f"{label}: {reason}") from None
            response = getattr(error, "response", None)
            code = getattr(response, "status_code", None)
            if attempt == attempts or (code is not None and code < 500 and code not in (408, 429)):
                text = " ".join(str(cause or error).split()) or type(error).__name__
                raise HarError(f"{label}: cannot be fetched ({text[:300]})") from None
            time.sleep(backoff * 2 ** (attempt - 1))
