"""Read a YAML file into a frozen pydantic model; what is not understood is an error that names the key."""

import difflib
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from har.config.types import HIDDEN
from har.core.errors import HarError
from har.core.readers import one_line, read_bytes

# A params file is a page of text. A larger one, or one with aliases, is not ours.
MAX_BYTES = 1_000_000
MAX_DEPTH, MAX_EVENTS, MAX_NAME = 20, 100_000, 200
NESTING = {"MappingStartEvent": 1, "SequenceStartEvent": 1, "MappingEndEvent": -1, "SequenceEndEvent": -1}


class Block(BaseModel):
    """Base of every block of params.yaml: frozen, no unknown key, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_key(cls, values):
        for key in values if isinstance(values, dict) else ():
            if key not in cls.model_fields:
                near = nearest(key, cls.model_fields)
                raise PydanticCustomError("unknown_key", "unknown key", {"key": key, "near": near})
        return values


M = TypeVar("M", bound=Block)


def read_yaml(path: str | Path) -> dict:
    """The file's mapping, read as YAML 1.2 (so `1e-06` is a number, unlike in PyYAML).

    Raises HarError for a missing file, one over 1 MB, aliases, tags, duplicate keys, broken YAML, more than
    MAX_DEPTH levels, dates, and numbers that are not finite or need more than 64 bits.
    """
    text = read_bytes(path, "parameters in YAML", MAX_BYTES)
    yaml = YAML(typ="safe")  # with ruamel.yaml.clib eight times as fast; the same values (YAML 1.2)
    try:
        depth = 0
        for number, event in enumerate(yaml.parse(text.decode("utf-8"))):
            depth += NESTING.get(type(event).__name__, 0)
            refused = ""
            if type(event).__name__ == "AliasEvent":
                refused = "aliases (*name) are not used here, write the value out"
            elif getattr(event, "tag", None) is not None:
                refused = f"tags ({one_line(str(event.tag), 60)}) are not used here, write the value alone"
            elif depth > MAX_DEPTH or number > MAX_EVENTS:
                refused = f"more than {MAX_DEPTH} levels or {MAX_EVENTS:,} values, parameters have fewer"
            if refused:
                raise HarError(f"{path}, line {event.start_mark.line + 1}: {refused}")
        data = YAML(typ="safe").load(text.decode("utf-8"))
    except HarError:
        raise
    except (YAMLError, ValueError, TypeError) as error:  # ValueError: no UTF-8, no such date; TypeError: a list as key
        raise HarError(f"{path}: not valid YAML: {one_line(error)}") from None
    if not isinstance(data, dict):
        raise HarError(f"{path}: expected a mapping of keys to values")
    _check_values(data, str(path))
    return data


def _check_values(data: Any, where: str, key: str = "") -> None:
    """HarError, naming the key, unless `data` is made of texts, whole numbers of 64 bits, finite numbers, true and
    false, and lists and mappings of these."""
    if isinstance(data, dict):
        for name, value in data.items():
            if not isinstance(name, str) or {unicodedata.category(c) for c in name} & HIDDEN or len(name) > MAX_NAME:
                raise HarError(f"{where}: key {key}{name!r:.60}: expected a name of at most {MAX_NAME} characters")
            _check_values(value, where, f"{key}{name}.")
    elif isinstance(data, list):
        for value in data:
            _check_values(value, where, key)
    elif type(data) is int and not -(2**63) <= data < 2**63:
        raise HarError(f"{where}: {key[:-1]}: a whole number of more than 64 bits")
    elif type(data) is float and not math.isfinite(data):
        raise HarError(f"{where}: {key[:-1]}: {data} is not finite")
    elif not isinstance(data, str | int | float | None):
        raise HarError(f"{where}: {key[:-1]}: {type(data).__name__} is not used here; quote it if it is text")


def nearest(key: str, known: Iterable[str]) -> str:
    """Of `known` the name most like `key`; empty where there is none."""
    return next(iter(difflib.get_close_matches(key, known, n=1, cutoff=0)), "")


def validate(model: type[M], data: dict, where: str, name: Callable[[Sequence[str]], str] = ".".join) -> M:
    """`data` as `model`; name: as for `explain`. Raises HarError naming the first offending key and, for a key that
    does not exist, the nearest one that does."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise HarError(f"{where}: {one_line(explain(model, error, data, name), 500)}") from None


def explain(
    model: type[BaseModel], error: ValidationError, data: dict, name: Callable[[Sequence[str]], str] = ".".join
) -> str:
    """The first offending key of `error` and what was expected there, in one line.

    Args:
        model: what `data` should have been.
        error: what pydantic says of it.
        data: the values.
        name: of the key of a path.
    """
    # an unknown key explains more than what is missing in its place
    first = min(error.errors(), key=lambda one: one["type"] != "unknown_key")
    path = _path(first["loc"], data, first["type"] == "missing")
    key = name(path) if path else ""
    if first["type"] == "unknown_key":
        wrong, near = first["ctx"]["key"], first["ctx"]["near"]
        key = name([*path, wrong])
        return f"unknown key {key}" + (f"; the nearest valid key is {key.removesuffix(wrong)}{near}" if near else "")
    if first["type"] == "missing":
        return f"key {key} is missing"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if first["type"] in ("value_error", "assertion_error"):
        if not key and (start := re.match(r"\w+(\.\w+)*", message)) and start[0].split(".")[0] in model.model_fields:
            return name(start[0].split(".")) + message[start.end() :]  # such a message starts with its key
        return f"{key}: {message}" if key else message
    shown = repr(first["input"])
    return f"{key}: {message}, got {shown if len(shown) <= 60 else shown[:57] + '...'}"


def _path(loc: Sequence[str | int], data: Any, missing: bool) -> list[str]:
    """The keys of an error's location in `data`. Other parts of it are kinds of a union (`models.clip.finetune.lr`),
    the last one is the key that is `missing`."""
    path = []
    for part in loc:
        try:
            data = data[part]
        except (LookupError, TypeError):
            continue
        path.append(str(part))
    return [*path, str(loc[-1])] if missing else path
