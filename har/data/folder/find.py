"""Which images there are, and what the user's folder or table says of each. Nothing is decoded here.

What lies below the root is not trusted: no link leads out of it, and a name never becomes a path of ours.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from har.core.errors import HarError
from har.core.readers import listed, read_csv
from har.data.groups import require_whole

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
ID_BYTES = 6  # 48 bits: below 2**53, so an id survives any program's floats, and a million images rarely collide
SPLIT_NAMES = {"train": "train", "validation": "validation", "val": "validation", "valid": "validation",
               "dev": "validation", "test": "test", "extended": "extended"}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """One image file. name: its path below the root, with slashes, as a URL quotes it (so that any name is text);
    group, split: '' where there is none."""

    image_id: int
    path: Path
    name: str
    label: str
    group: str = ""
    split: str = ""


def image_id(name: str) -> int:
    """A number for an image that depends on its (quoted) path below the root alone: further images move no id."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:ID_BYTES], "big")


def quoted(relative: str) -> str:
    """A path below the root as a URL quotes it; composed characters, as macOS writes them otherwise than Linux."""
    relative = relative.replace(os.sep, "/")
    return quote(unicodedata.normalize("NFC", relative).encode("utf-8", "surrogateescape"), safe="/ ,()+=@")


def find_in_folder(root: str | Path, groups: str) -> list[Found]:
    """Images in root/<class>/ and below, in order of their names; the label is <class>.

    groups: a regular expression searched in the path below root; its groups (or, without any, all that it matches)
    name the image's group. Hidden files, other files and links that lead out of `root` are passed over.
    Raises HarError where `root` is no folder or holds no image.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise HarError(f"{root}: no such folder; expected a folder with a folder of images for each class")
    pattern = re.compile(groups) if groups else None
    home, found = root.resolve(), []
    for here, folders, files in os.walk(root):  # follows no link to a folder
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        relative = Path(here).relative_to(root)
        for file in files if relative.parts else ():
            path = Path(here) / file
            if file.startswith(".") or path.suffix.lower() not in SUFFIXES or not _inside(path, home):
                continue
            below = (relative / file).as_posix()
            label = unicodedata.normalize("NFC", relative.parts[0]).strip()
            name = quoted(below)
            found.append(Found(image_id(name), path, name, label, _group(pattern, below)))
    if not found:
        raise HarError(f"{root}: holds no image; expected {root.name}/<class>/… with {', '.join(SUFFIXES)}")
    return _distinct(found, str(root))


def _group(pattern: re.Pattern | None, below: str) -> str:
    match = pattern.search(below) if pattern else None
    if match is None:
        return ""
    return quoted("/".join(part or "" for part in match.groups()) if match.groups() else match[0])


def _inside(path: Path, home: Path) -> bool:
    try:
        return path.is_file() and path.resolve().is_relative_to(home)
    except (OSError, RuntimeError):  # a link to itself
        return False


def find_in_table(
    file: str | Path, root: str | Path, *, image: str, label: str, group: str = "", split: str = "", groups: str = ""
) -> list[Found]:
    """The images that the CSV `file` names, in order of their names.

    root: where its paths start ('' for the folder of `file`); image, label, group, split: its columns, '' for none. groups:
    where no column names groups, a regular expression as `find_in_folder` takes it.
    Raises HarError, naming file and line, for a missing column, an empty path or label, a path that is no file or
    leads out of `root`, an image named twice, an unknown split, or a group in two splits.
    """
    file = Path(file).expanduser()
    frame = read_csv(file, "a CSV file with a row for each image")
    columns = {"image": image, "label": label, "group": group, "split": split}
    for key, column in columns.items():
        if column and column not in frame.columns:
            raise HarError(f"{file}: column {column!r} ({key}) is missing; it has {listed(frame.columns)}")
    top = Path(root).expanduser() if str(root) else file.parent
    home, found = top.resolve(), []
    pattern = re.compile(groups) if groups else None
    for number, row in enumerate(frame.to_dict("records"), 2):
        where = f"{file}: line {number}"
        told, said = row[image], unicodedata.normalize("NFC", row[label].strip())
        if not told or not said:
            raise HarError(f"{where}: {'image' if not told else 'label'} is empty")
        path = top / told
        if not os.path.isfile(path):  # unlike Path's, it takes a name too long, or with a NUL, for no file
            raise HarError(f"{where}: {told!r:.200} is no file below {top}")
        if not _inside(path, home):
            raise HarError(f"{where}: {told!r:.200} leads out of {top}")
        part = row[split].strip().lower() if split else ""
        if part and part not in SPLIT_NAMES:
            raise HarError(f"{where}: split {row[split]!r:.60} is none of train, validation, test, extended")
        # two spellings of one path are one image
        below = os.path.relpath(os.path.abspath(path), os.path.abspath(top))
        name = quoted(below)
        kin = quoted(row[group].strip()) if group else _group(pattern, below.replace(os.sep, "/"))
        found.append(Found(image_id(name), path, name, said, kin, SPLIT_NAMES.get(part, "")))
    if not found:
        raise HarError(f"{file}: holds no row")
    if split:
        _check_given_splits(found, str(file))
    return _distinct(found, str(file))


def _check_given_splits(found: Iterable[Found], where: str) -> None:
    for one in found:
        if not one.split:
            raise HarError(f"{where}: {one.name} has no split; either all images have one or the column is not named")
    frame = pd.DataFrame([vars(one) for one in found])
    require_whole(frame, where, "; give the images of a group one split, or name no groups")


def _distinct(found: Sequence[Found], where: str) -> list[Found]:
    seen: dict[int, str] = {}
    for one in found:
        other = seen.setdefault(one.image_id, one.name)
        if other != one.name:
            raise HarError(f"{where}: {other} and {one.name} get the same image id; rename one of them")
    if len(seen) < len(found):
        names = pd.Series([one.name for one in found])
        raise HarError(f"{where}: {names[names.duplicated()].iloc[0]} is named twice")
    return sorted(found, key=lambda one: one.name)
