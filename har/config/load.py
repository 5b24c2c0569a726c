"""Read a YAML file into a frozen pydantic model; what is not understood is an error that names the key."""

import difflib
import math
import re
import types
import typing
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
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


M = typing.TypeVar("M", bound=Block)


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


def validate(model: type[M], data: dict, where: str, name: Callable[[Sequence[str]], str] = ".".join) -> M:
    """`data` as `model`; name: as for `explain`. Raises HarError naming the first offending key and, for a key that
    does not exist, the nearest one that does."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise HarError(f"{where}: {one_line(explain(model, error, name), 500)}") from None


def explain(model: type[BaseModel], error: ValidationError, name: Callable[[Sequence[str]], str] = ".".join) -> str:
    """The first offending key of `error` and what was expected there, in one line. name: of the key of a path."""
    # A misspelt key shows up twice, as an unknown key and as a missing one: the unknown one explains both.
    details = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    first = details[0]
    path = _key_path(model, first["loc"])
    key = name(path) if path else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(model, first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0)
        hint = f"; the nearest valid key is {key.removesuffix(path[-1])}{near[0]}" if near else ""
        return f"unknown key {key}{hint}"
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


def _models_in(annotation) -> list[type[BaseModel]]:
    """The pydantic models an annotation can hold, looking through unions, dicts, tuples and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (typing.Annotated, typing.Union, types.UnionType, dict, tuple, list):
        return [m for a in typing.get_args(annotation) for m in _models_in(a)]
    return []


def _walk(model: type[BaseModel], loc: tuple) -> tuple[list[str], list[type[BaseModel]]]:
    """Follow a pydantic error location; union tags in it (`models.clip.finetune.lr`) are not keys."""
    keys: list[str] = []
    here: list[type[BaseModel]] = [model]
    entries = False  # inside a dict or list, where the next part is an entry's name
    for part in loc:
        fields = {n: f for m in here for n, f in m.model_fields.items()}
        tags = {m: _tag(m) for m in here}
        if entries:
            keys.append(str(part))
            entries = False
        elif len(here) > 1 and part in tags.values():
            here = [m for m, tag in tags.items() if tag == part]
        elif part in fields:
            keys.append(str(part))
            annotation = fields[part].annotation
            here = _models_in(annotation)
            entries = typing.get_origin(annotation) in (dict, tuple, list)
        else:
            keys.append(str(part))
    return keys, here


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    args = typing.get_args(field.annotation) if field else ()
    return args[0] if args else None


def _key_path(model: type[BaseModel], loc: tuple) -> list[str]:
    return _walk(model, loc)[0]


def _known_keys(model: type[BaseModel], loc: tuple) -> list[str]:
    return sorted({name for m in _walk(model, loc)[1] for name in m.model_fields})
