"""What kind of collection the user has: a folder of images, a folder of clips, or a table."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from har.core.errors import HarError
from har.core.readers import listed, read_csv
from har.data.folder.find import TABLE, Listing, find_in_folder, find_in_table
from har.data.photographs import suffixes
from har.data.video.decode import is_clip
from har.data.video.lists import find_clips, lists_near

# What people call the columns of a table, in any case; Hugging Face's metadata.csv has file_name.
COLUMN_NAMES = {
    "image": ("image", "file_name", "filename", "file", "path", "filepath", "image_path", "clip", "video"),
    "label": ("label", "class", "category", "activity"),
    "group": ("group",),
    "split": ("split", "subset", "partition"),
}
METADATA = "metadata.csv"


def recognise(images: str, groups: str, columns: Mapping[str, str]) -> tuple[dict, Listing]:
    """What kind of collection `images` is, and the images in it.

    Args:
        images: a folder of images or of clips, or a CSV file. A folder with a metadata.csv that has an image and a
            label column is that table; UCF-101's lists are taken where they lie in a folder of clips or beside it.
        groups: a regular expression, as `find_in_folder` takes it.
        columns: the table's columns by image, label, group and split, where the user names them; others are
            recognised by COLUMN_NAMES.

    Returns:
        What changes in the block `data` of params.yaml, and the images.

    Raises:
        HarError: as `find_in_folder` and `find_in_table`, and for a column that is not found or could be one of two.
    """
    named = any(columns.values())
    is_table = images.lower().endswith(".csv")
    file = images if is_table else os.path.join(images, METADATA)
    if is_table or named or os.path.isfile(os.path.expanduser(file)):
        header = list(read_csv(Path(file).expanduser(), TABLE).columns)
        found = {key: _column(file, header, key, columns.get(key, "")) for key in COLUMN_NAMES}
        missing = [key for key in ("image", "label") if not found[key]]
        if not missing:
            return {"source": "csv", "csv": {"file": file, **found}}, find_in_table(file, "", **found, groups=groups)
        if is_table or named:
            key, known = missing[0], ", ".join(COLUMN_NAMES[missing[0]])
            raise HarError(f"{file}: no column for the {key} ({known}); it has {listed(header)}; name it with --{key}")
    source = {"source": "folder", "folder": {"root": images}}
    files = [file for _, _, names in os.walk(os.path.expanduser(images)) for file in names]
    if sum(map(is_clip, files)) <= sum(file.lower().endswith(suffixes()) for file in files):
        return source, find_in_folder(images, groups)
    lists = lists_near(images)
    return source | {"source": "video", "video": {"lists": lists}}, find_clips(images, groups, lists)


def _column(file: str, header: Sequence[str], key: str, named: str) -> str:
    """The column of `header` that `named` is, or else one that COLUMN_NAMES knows for `key`; '' where there is none."""
    if named in header:
        return named
    for name in (named.lower(),) if named else COLUMN_NAMES[key]:
        same = [column for column in header if column.strip().lower() == name]
        if len(same) > 1:
            raise HarError(f"{file}: columns {' and '.join(map(repr, same))} could be the {key}; choose with --{key}")
        if same:
            return same[0]
    if named:
        raise HarError(f"{file}: column {named!r} ({key}) is missing; it has {listed(header)}")
    return ""
