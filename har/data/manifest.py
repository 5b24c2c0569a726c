"""`manifest.csv`: one row per selected image, the contract between curation and everything after it."""

from pathlib import Path

import pandas as pd

from har.core.errors import HarError
from har.core.files import write_csv
from har.core.readers import read_table

MANIFEST_COLUMNS = {
    "image_id": "int64",
    "label": "str",
    "part": "str",  # 'drawn' (train, validation, test) or 'extended' (further test images)
    "file_name": "str",
    "width": "int64",  # pixels
    "height": "int64",  # pixels
    "license": "int64",  # COCO licence id, 0 if unknown
    "url": "str",
    "flickr_url": "str",
    "persons": "int64",  # annotated persons, crowds not counted
    "person_area": "float64",  # share of the image covered by the largest person box
    "captions_for_label": "int64",
    "captions_total": "int64",
    "rule": "str",  # for people: 'sitting: 3 of 5 captions'
    "evidence": "str",  # JSON list of the captions that mention the label
}
EVIDENCE_COLUMNS = {"image_id": "int64", "caption_index": "int64", "caption": "str", "mentions": "str"}
# Columns that own images may have beside these, absent where no image has a value.
OWN_COLUMNS = {
    "group": "str",  # images of one group never straddle a split, as frames of a clip
    "split": "str",  # the split that the images came with; '' for images outside the splits
    "clip": "str",  # of a frame: its clip's path below the root, quoted; '' for photographs. A clip has one group
    "second": "float64",  # of a frame: when it is shown, from the clip's first frame on
}
PARTS = ("drawn", "extended")
OWN = "own:"  # how the url of an own image starts; its path below the root follows, quoted


def write_manifest(manifest: pd.DataFrame, path: str | Path) -> None:
    """Write a manifest (MANIFEST_COLUMNS) as CSV, atomically."""
    own = [c for c in OWN_COLUMNS if c in manifest.columns and (manifest[c] != "").any()]
    write_csv(path, manifest[[*MANIFEST_COLUMNS, *own]])


def read_manifest(path: str | Path) -> pd.DataFrame:
    """The manifest at `path` with typed columns; HarError names the file and what is wrong with it."""
    frame = read_table(path, MANIFEST_COLUMNS, OWN_COLUMNS)
    if not frame["part"].isin(PARTS).all():
        raise HarError(f"{path}: column 'part' may hold only {' and '.join(PARTS)}")
    return frame


def owned(manifest: pd.DataFrame) -> bool:
    """Whether the photographs are the user's own, and not COCO's or of its layout."""
    return bool(manifest["url"].str.startswith(OWN).any())


def read_evidence(path: str | Path) -> pd.DataFrame:
    """The captions at `path`, a row each, and the classes that each mentions, joined by '+'."""
    return read_table(path, EVIDENCE_COLUMNS, unique=False)
