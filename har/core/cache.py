"""Finished work that outlives an interruption: what came of each of many calls, kept until their stage has ended well.

DVC empties a stage's outs before it runs it, so all this lies in a folder of its own, `keep`:

    keep/<digest>/result.safetensors    what a call gave: arrays, and all else as JSON
    keep/<digest>/running.pt             how far a training has come (har.training.progress), until there is a result
    keep/<digest>/...                    what else the call leaves there: weights

The digest is of everything that decides the result: the call and the code of the project that it reaches, its arguments
(arrays and files by content), the machine, and the versions of the libraries that compute. So nothing is ever taken for
what it is not, and a changed parameter starts afresh. Nothing here is a pickle, and torch is not needed to read it.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel
from safetensors import safe_open
from safetensors.numpy import save

from har.core.files import replacing, sync_file
from har.core.sources import closure

Call = tuple[Callable, tuple, dict]

RESULT = "result.safetensors"
RUNNING = "running.pt"
# What rounds: another version of these may give another last digit.
LIBRARIES = ("numpy", "scikit-learn", "torch", "transformers", "peft")
ROOT = Path(__file__).parents[2]


def kept_calls(
    work: Iterable[Call], keep: Path, types: Sequence[type], own_folder: bool = False
) -> tuple[list[Call], list[Path]]:
    """`work` (joblib's `delayed` calls) so that each first looks for its result below `keep` and leaves it there, and
    the folder of each.

    types: the dataclasses and pydantic models that results are made of. own_folder: calls take a further argument
    `keep`, their folder, for what they keep themselves. What `keep` holds of other calls, from before something
    changed, is removed.
    """
    work, digest, here = list(work), Digest(), machine()
    made_by = {module: code(module) for module in {call.__module__ for call, *_ in work}}
    folders = [
        keep / digest(call.__qualname__, made_by[call.__module__], here, args, options) for call, args, options in work
    ]
    for stale in set(keep.glob("*/")) - set(folders):
        shutil.rmtree(stale, ignore_errors=True)
    calls = [(_kept, (folder, tuple(types), *one, own_folder), {}) for folder, one in zip(folders, work, strict=True)]
    return calls, folders


def _kept(folder: Path, types: Sequence[type], call: Callable, args: tuple, options: dict, own_folder: bool):
    try:
        return read(folder / RESULT, types)
    except Exception:  # not there, or spoilt in one of many ways: done again
        pass
    folder.mkdir(parents=True, exist_ok=True)
    result = call(*args, **options, keep=folder) if own_folder else call(*args, **options)
    for file in folder.rglob("*"):
        if file.is_file():
            sync_file(file)  # the result says that all else is there
    write(folder / RESULT, result)
    (folder / RUNNING).unlink(missing_ok=True)
    return result


@contextmanager
def lasting(keep: Path | None) -> Iterator[Path]:
    """`keep` itself, or a folder that goes when the block ends, for callers who need nothing to outlive them."""
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


# --- what decides a result -----------------------------------------------------------------------------------


class Digest:
    """sha256, as hex digits, of values of the kinds that calls are made of; arrays and files are read once."""

    def __init__(self):
        self.known: dict[int | Path, tuple[object, str]] = {}

    def __call__(self, *values: object) -> str:
        found = hashlib.sha256()
        for part in self._parts(values):
            found.update(len(part).to_bytes(8, "little"))
            found.update(part)
        return found.hexdigest()

    def _parts(self, value: object) -> Iterator[bytes | memoryview]:
        """`value` as bytes, from which kind and content could be told again."""
        match value:
            case None | bool() | int() | float() | str() | bytes() | np.generic():
                yield type(value).__name__.encode()
                yield value if isinstance(value, bytes) else repr(value).encode()
            case Path():
                yield b"path"
                yield self._once(value, value, lambda: content(value)).encode()
            case np.ndarray():
                yield b"array"
                yield self._once(id(value), value, lambda: _array(value)).encode()
            case pd.DataFrame():
                yield from self._parts(["frame", list(value.columns), [value[name].tolist() for name in value.columns]])
            case BaseModel():
                yield from self._parts([type(value).__name__, value.model_dump_json()])
            case Mapping():
                yield from self._parts(["mapping", [list(pair) for pair in value.items()]])
            case list() | tuple():
                yield f"sequence {len(value)}".encode()
                for one in value:
                    yield from self._parts(one)
            case _ if is_dataclass(value):
                held = {field.name: getattr(value, field.name) for field in fields(value)}
                yield from self._parts([type(value).__name__, held])
            case _ if hasattr(value, "get_params"):  # scikit-learn's, fitted: the numbers that it predicts by
                numbers = np.ndarray | np.generic | int | float | str
                held = {key: one for key, one in vars(value).items() if key == "steps" or isinstance(one, numbers)}
                yield from self._parts([type(value).__name__, held])
            case _:
                raise TypeError(f"a {type(value).__name__} has no digest here")

    def _once(self, key: int | Path, value: object, find: Callable[[], str]) -> str:
        if key not in self.known:
            self.known[key] = value, find()  # with the value, so that its id is not given away
        return self.known[key][1]


def _array(array: np.ndarray) -> str:
    found = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return found.hexdigest()


def content(path: Path) -> str:
    """sha256 of a file, or of the names and files of a folder; of nothing where there is neither."""
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path] if path.exists() else []:
        if file.is_file():
            with open(file, "rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            found.update(f"{file.relative_to(path).as_posix()} {digest}\n".encode())
    return found.hexdigest()


def code(module: str) -> str:
    """sha256 of the project's files that `module` reaches by imports, and of the versions of LIBRARIES."""
    path = Path(sys.modules[module].__file__).resolve()
    found = hashlib.sha256()
    for file in sorted(closure(path, ROOT)) if path.is_relative_to(ROOT) else [path]:
        found.update(f"{file.name} {content(file)}\n".encode())
    for name in LIBRARIES:
        found.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    return found.hexdigest()


def machine() -> list[str]:
    """What of this machine decides how sums are rounded and what device "auto" is; asking torch would load it."""
    found = [sys.platform, platform.machine(), os.environ.get("CUDA_VISIBLE_DEVICES", "all")]
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        found += sorted({line for line in cpus.read_text().splitlines() if line.startswith(("model name", "flags"))})
    return found + sorted(str(path) for path in Path("/dev").glob("nvidia[0-9]*"))


# --- results as files ----------------------------------------------------------------------------------------


def write(path: Path, value: object) -> None:
    """`value` as a safetensors file: its arrays, and the rest as JSON among the metadata, with a digest of both."""
    arrays: dict[str, np.ndarray] = {}
    tree = json.dumps(_pack(value, arrays))
    with replacing(path) as temporary:
        temporary.write_bytes(save(arrays, metadata={"tree": tree, "sha256": _digest(tree, arrays)}))


def read(path: Path, types: Sequence[type]) -> object:
    """What `write` wrote; raises one of many errors where the file is no such file or not as it was written."""
    with safe_open(path, framework="numpy") as file:
        told, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    if _digest(told["tree"], arrays) != told["sha256"]:
        raise ValueError(f"{path} is not as it was written")
    return _unpack(json.loads(told["tree"]), arrays.__getitem__, {one.__name__: one for one in types})


def _digest(tree: str, arrays: dict[str, np.ndarray]) -> str:
    return Digest()(tree, dict(sorted(arrays.items())))


def _pack(value: object, arrays: dict[str, np.ndarray]) -> object:
    match value:
        case np.generic():
            return value.item()
        case None | bool() | int() | float() | str():
            return value
        case np.ndarray() if value.dtype != object:
            name = str(len(arrays))
            arrays[name] = np.ascontiguousarray(value)
            return {"array": name, "shape": list(value.shape)}
        case pd.DataFrame() if isinstance(value.index, pd.RangeIndex):
            return {"frame": [[name, *_column(value[name], arrays)] for name in value.columns]}
        case list() | tuple():
            return {type(value).__name__: [_pack(one, arrays) for one in value]}
        case dict():
            return {"dict": [[_pack(key, arrays), _pack(one, arrays)] for key, one in value.items()]}
        case BaseModel():
            return {"model": type(value).__name__, "values": value.model_dump_json()}
        case _ if is_dataclass(value):
            held = {field.name: _pack(getattr(value, field.name), arrays) for field in fields(value)}
            return {"object": type(value).__name__, "values": held}
        case _:
            raise TypeError(f"a {type(value).__name__} cannot be kept")


def _column(column: pd.Series, arrays: dict[str, np.ndarray]) -> list:
    plain = column.dtype.kind in "biuf" and isinstance(column.dtype, np.dtype)
    return [str(column.dtype), _pack(column.to_numpy() if plain else column.tolist(), arrays)]


def _unpack(tree: object, array: Callable[[str], np.ndarray], types: Mapping[str, type]) -> object:
    def again(one):
        return _unpack(one, array, types)

    match tree:
        case {"array": name, "shape": shape}:
            return array(name).reshape(shape)
        case {"frame": columns}:
            return pd.DataFrame({name: pd.Series(again(values), dtype=dtype) for name, dtype, values in columns})
        case {"list": values}:
            return [again(one) for one in values]
        case {"tuple": values}:
            return tuple(again(one) for one in values)
        case {"dict": pairs}:
            return {again(key): again(one) for key, one in pairs}
        case {"model": name, "values": values}:
            return types[name].model_validate_json(values)
        case {"object": name, "values": values}:
            return types[name](**{key: again(one) for key, one in values.items()})
    return tree
