"""Finished calls of an interrupted stage, which DVC's next run of it does not make again.

DVC empties a stage's outs before it runs it, so all this lies in a folder of its own, `keep`:

    keep/<key>/result.pkl    what a call returned
    keep/<key>/running.pt    how far a training has come (har.training.checkpoint), until there is a result
    keep/<key>/...           what else the call leaves there: weights

The key is joblib's hash of the call, its arguments (arrays and files by content), the project's code, the versions of
the libraries that compute, and the machine: where one of these changes, the call is made again. Results are pickles,
with their sha256, and are read from no folder but the project's own.
"""

import hashlib
import importlib.metadata
import pickle
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import joblib
import numpy as np
from joblib.hashing import Hasher

from har.core.files import file_sha256, sync_file, write_bytes

Call = tuple[Callable, tuple, dict]

RESULT, RUNNING = "result.pkl", "running.pt"
# What rounds: another version of these may give another last digit.
LIBRARIES = ("numpy", "scikit-learn", "torch", "transformers", "peft")
PACKAGE = Path(__file__).parents[1]


def kept_calls(work: Iterable[Call], keep: Path, own_folder: bool = False) -> tuple[list[Call], list[Path]]:
    """`work` (joblib's `delayed` calls) so that each first looks for its result below `keep` and leaves it there, and
    the folder of each.

    own_folder: calls take a further argument `keep`, their folder, for what they keep themselves. What `keep` holds of
    other calls, from before something changed, is removed.
    """
    work, seen = list(work), {}
    code = [path.read_bytes() for path in sorted(PACKAGE.rglob("*.py"))]
    runs_as = joblib.hash([code, platform.node(), [importlib.metadata.version(name) for name in LIBRARIES]])
    folders = [
        keep / _Hasher(seen).hash([runs_as, call.__module__, call.__qualname__, args, options])
        for call, args, options in work
    ]
    for stale in set(keep.glob("*/")) - set(folders):
        shutil.rmtree(stale, ignore_errors=True)
    return [(_kept, (folder, *one, own_folder), {}) for folder, one in zip(folders, work, strict=True)], folders


def _kept(folder: Path, call: Callable, args: tuple, options: dict, own_folder: bool):
    with suppress(Exception):  # there is none, or it is damaged in one of many ways: made again
        return _read(folder / RESULT)
    folder.mkdir(parents=True, exist_ok=True)
    result = call(*args, **options, keep=folder) if own_folder else call(*args, **options)
    for file in folder.rglob("*"):
        if file.is_file():
            sync_file(file)  # the result says that all else is there
    data = pickle.dumps(result)
    write_bytes(folder / RESULT, hashlib.sha256(data).digest() + data)
    (folder / RUNNING).unlink(missing_ok=True)
    return result


def _read(path: Path):
    data = path.read_bytes()
    if hashlib.sha256(data[32:]).digest() != data[:32]:
        raise ValueError(f"{path} is damaged")
    return pickle.loads(data[32:])


@contextmanager
def lasting(keep: Path | None) -> Iterator[Path]:
    """`keep` itself, or a folder that goes when the block ends, for callers who need nothing to outlive them."""
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


class _Hasher(Hasher):
    """joblib's hash, of files by their content. seen: what was hashed before, so that each is read once."""

    def __init__(self, seen: dict):
        super().__init__()
        self.seen = seen

    def save(self, value):
        if isinstance(value, np.ndarray | Path):
            key = value if isinstance(value, Path) else id(value)
            if key not in self.seen:  # with the value, so that its id is not given to another
                self.seen[key] = value, _content(value) if isinstance(value, Path) else joblib.hash(value)
            value = self.seen[key][1]
        super().save(value)


def _content(path: Path) -> str:
    """Of a file, or of the names and files of a folder; of nothing where there is neither."""
    found = []
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            found.append((file.relative_to(path).as_posix(), file_sha256(file)))
    return joblib.hash(found)
