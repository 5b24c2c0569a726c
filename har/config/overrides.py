"""Each value once: base values, and what a profile sets in their place. Plain mappings, as params.yaml holds them."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from har.core.errors import HarError

# Mappings that a profile replaces whole: their keys are its own classes, tasks and bins.
WHOLE = ("curate.classes", "tasks", "embed.prompts", "masking.cues", "generative.*.answers", "errors.bins.*")
# Mappings of which one entry may start from another: `like: NAME`, and what differs.
ALIKE = ("models", "generative", "noise.variants")


def merged(base: Mapping, over: Mapping, path: tuple[str, ...] = ()) -> dict:
    """`base` with what `over` holds: mappings are merged, all else is replaced; an entry of mappings or lists that
    `over` leaves empty is taken out."""
    out = dict(base)
    for key, value in over.items():
        if value is None and isinstance(base.get(key), Mapping | list):
            del out[key]
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
    whole = any(fnmatchcase(".".join(path), pattern) for pattern in WHOLE)
    return isinstance(base, Mapping) and isinstance(value, Mapping) and not whole


def leaves(values: Mapping, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    """Each value that is no mapping with entries, by its path."""
    found = {}
    for key, value in values.items():
        inner = isinstance(value, Mapping) and value
        found |= leaves(value, (*path, key)) if inner else {(*path, key): value}
    return found


def repeated(base: Mapping, over: Mapping) -> tuple[str, ...] | None:
    """The path of the first value of `over` that says what `base` says."""
    kept = leaves(differing(base, over))
    return next((path for path, value in leaves(over).items() if path not in kept and value != {}), None)


def alike(block: object, where: str) -> object:
    """`block`, a mapping of mappings, with every `like: NAME` replaced by what the entry of that name holds.

    Raises HarError where there is no such entry, or it starts from another one itself.
    """
    if not isinstance(block, Mapping):
        return block
    out = dict(block)
    for name, entry in block.items():
        if isinstance(entry, Mapping) and "like" in entry:
            other = block.get(entry["like"]) if isinstance(entry["like"], str) else None
            if not isinstance(other, Mapping) or "like" in other:
                able = [key for key, one in block.items() if isinstance(one, Mapping) and "like" not in one]
                raise HarError(f"{where}.{name}.like names {entry['like']!r}, expected one of {', '.join(able)}")
            out[name] = merged(other, {key: value for key, value in entry.items() if key != "like"})
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


def place(path: Sequence[str], base: Mapping, over: Mapping, profile: str) -> str:
    """The key under which the user wrote what `path` names: below `profile`, or at the top of the file."""

    def depth(values: object) -> int:
        for number, key in enumerate(path):
            if not isinstance(values, Mapping):
                return len(path)
            if key not in values:
                return number
            values = values[key]
        return len(path)

    deep = depth(over)
    below = deep == len(path) or deep > depth(base)
    return ".".join(["profiles", profile, *path] if below else path)
