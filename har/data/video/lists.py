"""UCF-101's lists of which clips are for training and which for test: trainlist0N.txt and testlist0N.txt, and of its
classes: classInd.txt."""

import re
from dataclasses import replace
from pathlib import Path

from har.core.errors import HarError
from har.core.readers import MB, listed, read_bytes
from har.data.folder.find import Listing, check_given_splits, find_in_folder, plain, quoted

NAME = "ucfTrainTestlist"  # of the folder that they come in


def lists_near(root: str | Path) -> str:
    """The folder of lists inside `root` or beside it; '' where there is none."""
    root = Path(root).expanduser()
    near = (root / NAME, root.absolute().parent / NAME, root)
    return next((str(folder) for folder in near if (folder / "trainlist01.txt").is_file()), "")


def find_clips(root: str | Path, groups: str, lists: str = "", split: int = 1) -> Listing:
    """Clips in root/<class>/ and below, as `find_in_folder` finds images.

    Args:
        root, groups: as `find_in_folder` takes them.
        lists: the folder of trainlist0N.txt, testlist0N.txt and, where it is there, classInd.txt; '' for none.
        split: N. Clips that neither list names are left out, and counted in the notes.

    Raises:
        HarError: as `find_in_folder`, and for a list that is missing or names what is not there, and for other classes
            than classInd.txt names.
    """
    listing = find_in_folder(root, groups, "clip")
    if not lists:
        return listing
    folder = Path(lists).expanduser()
    lines = {part: _lines(folder / f"{part}list{split:02d}.txt") for part in ("train", "test")}
    # a line holds a path below the root and, of train, the number of its class
    train, test = ([quoted(re.sub(r"\s+\d+$", "", line)) for line in lines[part]] for part in ("train", "test"))
    if both := sorted({*train} & {*test}):
        raise HarError(
            f"{folder}: split {split} has {len(both):,} clips in train and in test: {listed(map(plain, both))}"
        )
    given = dict.fromkeys(train, "train") | dict.fromkeys(test, "test")
    by_name = {one.name.casefold(): one for one in listing.images} | {one.name: one for one in listing.images}
    found = {name: by_name.get(name) or by_name.get(name.casefold()) for name in given}
    images = [replace(one, split=given[name]) for name, one in sorted(found.items()) if one]
    if (classes := folder / "classInd.txt").is_file():
        _check_classes(classes, root, {one.label for one in listing.images}, {one.label for one in images})
    if missing := [name for name, one in found.items() if one is None]:
        told = f"{folder}: split {split} names {len(missing):,} clips that are not in {root}"
        raise HarError(f"{told}: {listed(map(plain, missing))}")
    notes = check_given_splits(images, given.values(), str(folder))
    if others := len(listing.images) - len(images):
        notes.append(f"left out: {others:,} clips that no list of split {split} names")
    return Listing(images, [*listing.notes, *notes])


def _check_classes(file: Path, root: str | Path, folders: set[str], used: set[str]) -> None:
    """HarError unless each class of `file`, a number and a name a line, has a folder, and it names those in use."""
    named = {name.casefold(): name for name in (re.sub(r"^\d+\s+", "", line) for line in _lines(file))}
    empty = [name for key, name in named.items() if key not in {label.casefold() for label in folders}]
    unknown = sorted(label for label in used if label.casefold() not in named)
    told = [f"names {len(empty):,} classes that have no clips in {root}: {listed(empty)}"] if empty else []
    told += [f"lacks {len(unknown):,} classes of clips in the lists: {listed(unknown)}"] if unknown else []
    if told:
        raise HarError(f"{file}: {'; '.join(told)}")


def _lines(file: Path) -> list[str]:
    text = read_bytes(file, "a list, as UCF-101 comes with", 64 * MB).decode("utf-8", "replace")
    return [line.strip() for line in text.splitlines() if line.strip()]
