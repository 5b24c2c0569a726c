"""Which images or clips there are, and what the user's folder or table says of each. Nothing is decoded here.

What lies below the root is not trusted: no link leads out of it, and a name never becomes a path of ours.
"""

import hashlib
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import pandas as pd

from har.core.errors import HarError
from har.core.readers import listed, one_line, read_csv
from har.data.groups import require_whole
from har.data.photographs import left_out, suffixes
from har.data.video.decode import SUFFIXES as CLIPS

ID_BYTES = 6  # 48 bits: below 2**53, so an id survives any program's floats, and a million images rarely collide
# What people call splits, in any case.
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid", "dev", "eval"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
    "extended": "extended",
}
TABLE = "a CSV file with a row for each image"


@dataclass(frozen=True)
class Found:
    """One image or clip. name: its path below the root, with slashes, as a URL quotes it (so that any name is text);
    group, split: '' where there is none."""

    image_id: int
    path: Path
    name: str
    label: str
    group: str = ""
    split: str = ""


@dataclass(frozen=True)
class Listing:
    """images: in order of their names; notes: lines for the user, what was left out and how splits were understood."""

    images: list[Found]
    notes: list[str]


def image_id(name: str) -> int:
    """A number for an image that depends on its (quoted) path below the root alone: further images move no id."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:ID_BYTES], "big")


def quoted(relative: str) -> str:
    """A path below the root as a URL quotes it; composed characters, as macOS writes them otherwise than Linux."""
    relative = relative.replace(os.sep, "/")
    return quote(unicodedata.normalize("NFC", relative).encode("utf-8", "surrogateescape"), safe="/ ,()+=@")


def plain(name: str) -> str:
    """A quoted name as people read it, in one line."""
    return one_line(unquote(name))


def find_in_folder(root: str | Path, groups: str, what: str = "image") -> Listing:
    """Images in root/<class>/ and below; in root/<split>/<class>/ where all folders in `root` have names of splits.

    groups: a regular expression searched in the path below root; its groups (or, without any, all that it matches)
    name the image's group. what: "image" or "clip". Other files, hidden images and links that lead out of `root` or to
    a folder are left out, and counted in the notes. Raises HarError where `root` is no folder or holds no image, some
    of its folders are splits and others are not, there are splits without train or test, or a group is in two splits.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise HarError(f"{root}: no such folder; expected a folder with a folder of {what}s for each class")
    read = CLIPS if what == "clip" else suffixes()
    paths, notes = _files(root, read)
    tops = sorted({path.parts[0] for path in paths})
    splits = [top for top in tops if top.lower() in SPLIT_NAMES]
    if 1 < len(splits) < len(tops):
        others = listed(top for top in tops if top not in splits)
        raise HarError(f"{root}: {', '.join(splits)} are splits, {others} beside them are not; expected either")
    depth = 1 if splits and len(splits) == len(tops) else 0  # of the class's folder
    expected = f"{root}/{'<split>/' * depth}<class>/…"
    if shallow := [path for path in paths if len(path.parts) < depth + 2]:
        count, example = len(shallow), _shown(shallow[0])
        notes.append(f"left out: {count:,} in no folder of a class, as {example}; expected {expected}")
    found = []
    for path in (path for path in paths if len(path.parts) >= depth + 2):
        name, label = quoted(path.as_posix()), unicodedata.normalize("NFC", path.parts[depth]).strip()
        split = SPLIT_NAMES[path.parts[0].lower()] if depth else ""
        found.append(Found(image_id(name), root / path, name, label, _group(groups, path.as_posix()), split))
    if not found:
        why = "; ".join([f"holds no {what}", *notes])
        raise HarError(f"{root}: {why}; expected {expected} with {', '.join(read)}")
    if depth:
        try:
            notes += check_given_splits(found, (one.name.partition("/")[0] for one in found), str(root))
        except HarError as error:  # a split may lack the images that a note tells of
            raise HarError("; ".join([str(error), *notes])) from None
    return Listing(_distinct(found, str(root)), notes)


def _files(root: Path, read: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The files of suffixes `read` in folders below `root`, by their paths from there; notes on what else there is."""
    home, found, others, reasons = root.resolve(), [], Counter(), defaultdict(list)
    for here, folders, files in os.walk(root):  # follows no link to a folder
        relative = Path(here).relative_to(root)
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        links = [relative / folder for folder in folders if os.path.islink(os.path.join(here, folder))]
        reasons["links to folders, which are not followed"] += links
        for file in sorted(files):
            path, suffix = relative / file, os.path.splitext(file)[1].lower()
            if suffix not in read:
                others[suffix] += not file.startswith(".")
            elif file.startswith("."):
                reasons["hidden"].append(path)
            elif not relative.parts:
                reasons["in no folder of a class"].append(path)
            elif not _inside(root / path, home):
                reasons["links that lead out of the folder or nowhere"].append(path)
            else:
                found.append(path)
    notes = [f"left out: {len(paths):,} {why}, as {_shown(paths[0])}" for why, paths in reasons.items() if paths]
    if others := +others:
        notes.insert(0, f"left out: {left_out(others)}; read are {', '.join(read)}")
    return found, notes


def _shown(path: Path) -> str:
    return plain(quoted(path.as_posix()))


def _group(pattern: str, below: str) -> str:
    match = re.search(pattern, below) if pattern else None
    return quoted("/".join(part or "" for part in match.groups() or [match[0]])) if match else ""


def _inside(path: Path, home: Path) -> bool:
    try:
        return path.is_file() and path.resolve().is_relative_to(home)
    except (OSError, RuntimeError):  # a link to itself
        return False


def find_in_table(
    file: str | Path, root: str | Path, *, image: str, label: str, group: str = "", split: str = "", groups: str = ""
) -> Listing:
    """The images that the CSV `file` names.

    Args:
        file: the table.
        root: where its paths start; '' for the folder of `file`.
        image, label, group, split: its columns, '' for none.
        groups: as `find_in_folder` takes it, where no column names groups.

    Raises:
        HarError: naming file and line, for a missing column, an empty path or label, a path that is no file or leads
            out of `root`, an image named twice, an unknown split, splits without train or test, or a group in two.
    """
    file = Path(file).expanduser()
    frame = read_csv(file, TABLE)
    columns = {"image": image, "label": label, "group": group, "split": split}
    for key, column in columns.items():
        if column and column not in frame.columns:
            raise HarError(f"{file}: column {column!r} ({key}) is missing; it has {listed(frame.columns)}")
    top = Path(root).expanduser() if str(root) else file.parent
    home, found = top.resolve(), []
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
            raise HarError(f"{where}: split {row[split]!r:.60} is none of {', '.join(SPLIT_NAMES)}")
        # two spellings of one path are one image
        below = os.path.relpath(os.path.abspath(path), os.path.abspath(top)).replace(os.sep, "/")
        name = quoted(below)
        kin = quoted(row[group].strip()) if group else _group(groups, below)
        found.append(Found(image_id(name), path, name, said, kin, SPLIT_NAMES.get(part, "")))
    if not found:
        raise HarError(f"{file}: holds no row")
    found = _distinct(found, str(file))
    unused = [column for column in frame.columns if column not in columns.values()]
    notes = [f"columns not used: {listed(unused)}"] if unused else []
    if split:
        notes += check_given_splits(found, frame[split].str.strip(), str(file))
    return Listing(found, notes)


def check_given_splits(found: Sequence[Found], given: Iterable[str], where: str) -> list[str]:
    """A note on how the splits that came with `found`, named `given`, were understood. HarError, for `where`, for
    an image without one, a group in two, and no train or no test."""
    for one in found:
        if not one.split:
            raise HarError(
                f"{where}: {plain(one.name)} has no split; either all images have one or the column is not named"
            )
    frame = pd.DataFrame([vars(one) for one in found])
    require_whole(frame, where)
    counts = Counter(given)
    for part in ("train", "test"):
        if not any(SPLIT_NAMES[name.lower()] == part for name in counts):
            raise HarError(
                f"{where}: the images come with splits ({', '.join(sorted(counts))}), but none is {part}; call one of "
                f"them {part}, validation is drawn from train where there is none"
            )
    told = (f"{name} {count:,} ({SPLIT_NAMES[name.lower()]})" for name, count in sorted(counts.items()))
    return [f"splits as given: {', '.join(told)}"]


def _distinct(found: Sequence[Found], where: str) -> list[Found]:
    seen: dict[int, str] = {}
    for one in found:
        other = seen.setdefault(one.image_id, one.name)
        if other != one.name:
            raise HarError(f"{where}: {plain(other)} and {plain(one.name)} get the same image id; rename one of them")
    if len(seen) < len(found):
        names = pd.Series([one.name for one in found])
        raise HarError(f"{where}: {plain(names[names.duplicated()].iloc[0])} is named twice")
    return sorted(found, key=lambda one: one.name)
