"""Read a YAML file into a frozen pydantic model; what is not understood is an error that names the key."""

import difflib
import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, RootModel, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from har.core.errors import HarError
from har.core.readers import one_line, read_bytes

MAX_BYTES = 200_000  # a params file is a page of text
MAX_DEPTH = 100  # of lists and mappings within each other


class Block(BaseModel):
    """Base of every block of params.yaml: frozen, no unknown key, no silent conversion of types, finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_key(cls, values):
        for key in values if isinstance(values, dict) else ():
            if key not in cls.model_fields:
                near = nearest(key, cls.model_fields)
                raise PydanticCustomError("unknown_key", "unknown key", {"key": key, "near": near})
        return values


class Plain(RootModel[dict[str, JsonValue]]):
    """What params.yaml is made of: texts, numbers, true and false, and lists and mappings of these; no dates."""


M = TypeVar("M", bound=BaseModel)


def read_yaml(path: str | Path) -> dict:
    """The file's mapping, read as YAML 1.2 (so `1e-06` is a number, unlike in PyYAML).

    Raises HarError for a missing file, a large one, aliases (`dvc exp run -S` breaks them), tags, duplicate keys,
    broken YAML, and values of other types than JSON has.
    """
    data = read_bytes(path, "parameters in YAML", MAX_BYTES)
    try:
        text = data.decode("utf-8")
        _check_events(text, path)
        values = YAML(typ="safe").load(text)
    except (YAMLError, ValueError, TypeError) as error:  # no UTF-8, no such date; a list within a list as key
        raise HarError(f"{path}: not valid YAML: {one_line(error)}") from None
    if not isinstance(values, dict):
        raise HarError(f"{path}: expected a mapping of keys to values")
    return validate(Plain, values, str(path)).root


def _check_events(text: str, path: str | Path) -> None:
    """HarError for aliases, tags, and lists and mappings so deep that the loader would crash."""
    depth = 0
    for event in YAML(typ="safe").parse(text):
        where = f"{path}, line {event.start_mark.line + 1}"
        if isinstance(event, AliasEvent):
            raise HarError(f"{where}: aliases (*name) are not used here, write the value out")
        if getattr(event, "tag", None):
            raise HarError(f"{where}: tags (!name) are not used here, write the value without")
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise HarError(f"{where}: lists and mappings within each other, more than {MAX_DEPTH} deep")


def nearest(key: str, known: Iterable[str]) -> str:
    """Of `known` the name most like `key`; empty where there is none."""
    return next(iter(difflib.get_close_matches(key, known, n=1, cutoff=0)), "")


def validate(model: type[M], data: dict, where: str) -> M:
    """`data` as `model`. Raises HarError naming the first offending key and, for a key that does not exist, the nearest
    one that does."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise HarError(f"{where}: {one_line(explain(error, data), 500)}") from None


def explain(error: ValidationError, data: dict) -> str:
    """The first offending key of `error`, which is what pydantic says of `data`, and what was expected there."""
    # an unknown key explains more than what is missing in its place
    first = min(error.errors(), key=lambda one: one["type"] != "unknown_key")
    path = _path(first["loc"], data, first["type"] == "missing")
    key = ".".join(path)
    if first["type"] == "unknown_key":
        wrong, near = first["ctx"]["key"], first["ctx"]["near"]
        told = f"unknown key {'.'.join([*path, wrong])}"
        return f"{told}; the nearest valid key is {'.'.join([*path, near])}" if near else told
    if first["type"] == "missing":
        return f"key {key} is missing"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if first["type"] != "value_error":
        message += f", got {reprlib.repr(first['input'])}"
    return f"{key}: {message}" if key else message


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
