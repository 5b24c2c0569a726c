"""UCF-101's lists of which clips are for training and which for test: trainlist0N.txt and testlist0N.txt."""

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
        lists: the folder of trainlist0N.txt and testlist0N.txt; '' for none.
        split: N. Clips that neither list names are left out, and counted in the notes.

    Raises:
        HarError: as `find_in_folder`, and for a list that is missing or names what is not there.
    """
    listing = find_in_folder(root, groups, "clip")
    if not lists:
        return listing
    folder = Path(lists).expanduser()
    train, test = (_names(folder / f"{part}list{split:02d}.txt") for part in ("train", "test"))
    if both := sorted({*train} & {*test}):
        raise HarError(
            f"{folder}: split {split} has {len(both):,} clips in train and in test: {listed(map(plain, both))}"
        )
    given = dict.fromkeys(train, "train") | dict.fromkeys(test, "test")
    by_name = {one.name.casefold(): one for one in listing.images} | {one.name: one for one in listing.images}
    found = {name: by_name.get(name) or by_name.get(name.casefold()) for name in given}
    if missing := [name for name, one in found.items() if one is None]:
        raise HarError(
            f"{folder}: split {split} names {len(missing):,} clips that are not in {root}: {listed(map(plain, missing))}"
        )
    images = [replace(one, split=given[name]) for name, one in sorted(found.items())]
    notes = check_given_splits(images, given.values(), str(folder))
    if others := len(listing.images) - len(images):
        notes.append(f"left out: {others:,} clips that no list of split {split} names")
    return Listing(images, [*listing.notes, *notes])


def _names(file: Path) -> list[str]:
    """The clips of a list, quoted: a line holds a path below the root and, of train, the number of its class."""
    text = read_bytes(file, "a list of clips, as UCF-101 comes with", 64 * MB).decode("utf-8", "replace")
    return [quoted(re.sub(r"\s+\d+$", "", line.strip())) for line in text.splitlines() if line.strip()]
