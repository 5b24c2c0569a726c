"""Read a YAML file into a frozen pydantic model; what is not understood is an error that names the key."""

import difflib
import types
import typing
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from har.errors import HarError

# A params file is a page of text. A larger one, or one with aliases, is not ours.
MAX_BYTES = 1_000_000


class Block(BaseModel):
    """Base of every block of params.yaml: frozen, no unknown key, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


M = typing.TypeVar("M", bound=Block)


def read_yaml(path: str | Path) -> dict:
    """The file's mapping, read as YAML 1.2 (so `1e-06` is a number, unlike in PyYAML).

    Raises HarError for a missing file, one over 1 MB, aliases, tags, duplicate keys or broken YAML.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise HarError(f"{path}: {path.stat().st_size:,} bytes, expected at most {MAX_BYTES:,}")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HarError(f"{path}: cannot be read: {error}") from None
    yaml = YAML(typ="safe")  # with ruamel.yaml.clib eight times as fast; the same values (YAML 1.2)
    try:
        for event in yaml.parse(text):
            if type(event).__name__ == "AliasEvent":
                line = event.start_mark.line + 1
                raise HarError(f"{path}, line {line}: aliases (*name) are not used here, write the value out")
        data = YAML(typ="safe").load(text)
    except YAMLError as error:
        raise HarError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise HarError(f"{path}: expected a mapping of keys to values")
    return data


def validate(model: type[M], data: dict, where: str) -> M:
    """`data` as `model`. Raises HarError naming the first offending key and, for a key that does not
    exist, the nearest one that does."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise HarError(f"{where}: {explain(model, error)}") from None


def explain(model: type[BaseModel], error: ValidationError) -> str:
    """The first offending key of `error` and what was expected there, in one line."""
    # A misspelt key shows up twice, as an unknown key and as a missing one: the unknown one explains both.
    details = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    first = details[0]
    path = _key_path(model, first["loc"])
    key = ".".join(path)
    if first["type"] == "extra_forbidden":
        known = _known_keys(model, first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0)
        hint = f"; the nearest valid key is {'.'.join([*path[:-1], near[0]])}" if near else ""
        return f"unknown key {key}{hint}"
    if first["type"] == "missing":
        return f"key {key} is missing"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if first["type"] in ("value_error", "assertion_error"):
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
            # a block that takes further entries says of what type they are
            here = [e for m in here if m.model_config["extra"] == "allow" for e in _entries_of(m)] or here
    return keys, here


def _entries_of(model: type[BaseModel]) -> list[type[BaseModel]]:
    return _models_in(typing.get_type_hints(model, include_extras=True)["__pydantic_extra__"])


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    args = typing.get_args(field.annotation) if field else ()
    return args[0] if args else None


def _key_path(model: type[BaseModel], loc: tuple) -> list[str]:
    return _walk(model, loc)[0]


def _known_keys(model: type[BaseModel], loc: tuple) -> list[str]:
    return sorted({name for m in _walk(model, loc)[1] for name in m.model_fields})
