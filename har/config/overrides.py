"""Each value once: base values, and what a profile sets in their place. Plain mappings, as params.yaml holds them."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from har.core.errors import HarError

# Mappings that a profile replaces whole: their keys are its own classes, tasks and bins.
WHOLE = ("curate.classes", "tasks", "embed.prompts", "masking.cues", "generative.*.answers", "errors.bins.*")


def merged(base: Mapping, over: Mapping, path: tuple[str, ...] = ()) -> dict:
    """`base` with what `over` holds: mappings are merged, all else is replaced; an entry of mappings or lists that
    `over` leaves empty is taken out, if it is there: what one profile does without may go from the base."""
    out, entries = dict(base), bool(base) and all(isinstance(one, Mapping | list) for one in base.values())
    for key, value in over.items():
        if value is None and (isinstance(base.get(key), Mapping | list) or (entries and key not in base)):
            out.pop(key, None)
        elif _merges(base.get(key), value, (*path, key)):
            out[key] = merged(base[key], value, (*path, key))
        else:
            out[key] = value
    return out


def differing(base: Mapping, over: Mapping, path: tuple[str, ...] = ()) -> dict:
    """The part of `over` that says something else than `base`."""
    out = {}
    for key, value in over.items():
        if _merges(base.get(key), value, (*path, key)):
            value = differing(base[key], value, (*path, key))
            if value:
                out[key] = value
        elif key not in base or type(value) is not type(base[key]) or value != base[key]:
            out[key] = value
    return out


def _merges(base: object, value: object, path: Sequence[str]) -> bool:
    return isinstance(base, Mapping) and isinstance(value, Mapping) and not _whole(path)


def _whole(path: Sequence[str]) -> bool:
    return any(fnmatchcase(".".join(path), pattern) for pattern in WHOLE)


def leaves(values: Mapping, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    """Each value that is no mapping with entries, by its path."""
    found = {}
    for key, value in values.items():
        inner = isinstance(value, Mapping) and value
        found |= leaves(value, (*path, key)) if inner else {(*path, key): value}
    return found


def alike(block: Mapping, where: str, path: tuple[str, ...] = ()) -> dict:
    """`block` with every entry that holds `like: NAME` laid over the entry NAME beside it.

    Raises HarError, which starts with `where`, if there is no such entry, or it starts from another one itself.
    """
    out = dict(block)
    for name, entry in block.items():
        here = (*path, name)
        if not isinstance(entry, Mapping) or _whole(here):
            continue
        if "like" in entry:
            others = {key: one for key, one in block.items() if isinstance(one, Mapping) and "like" not in one}
            if entry["like"] not in list(others):
                names = f"{'.'.join(here)}.like names {entry['like']!r}"
                raise HarError(f"{where}: {names}, expected one of {', '.join(others)}")
            entry = merged(others[entry["like"]], {key: value for key, value in entry.items() if key != "like"}, here)
        out[name] = alike(entry, where, here)
    return out


def described(values: Mapping) -> str:
    """Settings for people: "learning_rate 0.0003, head text"."""
    return ", ".join(f"{key} {shown(value)}" for key, value in values.items())


def shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
