"""The part of params.yaml that a stage reads: cut out by `check` for DVC to watch, and all that the stage gets to see.

A stage's settings are part of a small JSON file, in params.yaml's own structure. So a stage that reads what it does
not name fails at once, instead of giving stale results later; an edit of params.yaml during a run waits for the next
one; and DVC compares one hash a stage rather than parse all of params.yaml for each.
"""

import typing
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter

from har.config.load import Block
from har.config.profile import Params, Profile
from har.core.errors import HarError
from har.core.readers import one_line, read_json


def subset(params: Params, keys: Iterable[str]) -> dict:
    """What `keys` name, in params.yaml's structure.

    A key is a dotted path from the top of params.yaml (`profile`, `run.encoders`) or from the active profile
    (`tasks.activity`). Raises KeyError for a key that does not exist.
    """
    # field by field: a whole dump goes through every profile
    tops = {name: getattr(params, name) for name in ("run", "pretrain", "simulation")}
    found: dict = {}
    for key in keys:
        if key == "profile":
            found[key] = params.profile
            continue
        path = key.split(".")
        if path[0] not in tops:
            path = [params.profile, *path]
        value: object = params.active if path[0] == params.profile else tops[path[0]]
        here = found.setdefault(path[0], {})
        for place, part in enumerate(path[1:], 2):
            value = value[part] if isinstance(value, dict) else vars(value)[part]
            if place == len(path):
                here[part] = _plain(value)
            else:
                here = here.setdefault(part, {})
        if len(path) == 1:
            here.update(_plain(value))
    return found


def read(file: Path) -> tuple[Params, Profile]:
    """The "settings" of a stage's file, of `subset`, as the objects they were cut from; what it leaves out is no
    attribute of these.

    Raises HarError where there is no such file.
    """
    if not file.exists():
        raise HarError(f"{file} is missing: `dvc repro check` writes it from params.yaml")
    try:
        found = read_json(file, "the parameters of a stage")["settings"]
        name = found.pop("profile", "")  # pre-training and simulation have none
        profile = _partial(Profile, found.pop(name, {}))
        blocks = {key: _partial(Params.model_fields[key].annotation, value) for key, value in found.items()}
    except (HarError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise HarError(f"{file}: broken ({one_line(error)}); `dvc repro -f check` writes it again") from None
    return Params.model_construct(profile=name, **blocks), profile


def _plain(value):
    if isinstance(value, Block):
        return value.model_dump()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _partial(kind, value):
    """`value` as `kind`, of whose blocks some keys may have been left out."""
    if isinstance(kind, type) and issubclass(kind, Block):
        if value.keys() >= kind.model_fields.keys():
            return kind.model_validate(value)
        known = kind.model_fields
        return kind.model_construct(**{key: _partial(known[key].annotation, one) for key, one in value.items()})
    if typing.get_origin(kind) is dict:
        return {key: _partial(typing.get_args(kind)[1], one) for key, one in value.items()}
    return TypeAdapter(kind).validate_python(value)
