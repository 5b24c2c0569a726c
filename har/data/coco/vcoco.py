"""What people do according to V-COCO: human verbs for each person in COCO's images.

Gupta & Malik 2015, Visual Semantic Role Labeling (arXiv 1505.04474). A file is a JSON list of 26 actions, each
with `action_name` and the parallel arrays `image_id`, `ann_id` (the person's annotation in COCO) and `label` (0 or
1). What the person acts upon (`role_name`, `role_object_id`) is not needed here.
"""

from pathlib import Path

import pandas as pd

from har.core.errors import HarError
from har.core.files import file_sha256
from har.core.readers import MB, is_whole, one_line, read_json
from har.data.coco.fetch import cache_folder
from har.data.download import download

ACTIVITY_OF = {"walk": "walking_running", "run": "walking_running", "sit": "sitting", "stand": "standing"}
MAX_BYTES = 64 * MB  # vcoco_test.json has 6 MB
ARRAYS = ("image_id", "ann_id", "label")
EXPECTED = "V-COCO's list of actions in JSON, image_id, ann_id and label as long as each other"


def fetch(url: str, cache_dir: str | Path, *, sha256: str, size: int) -> Path:
    """The pinned file, from `cache_dir` or from `url` (https, http, file).

    HarError in one line if it could not be downloaded or is another file.
    """
    base, _, name = url.rpartition("/")
    path = cache_folder(cache_dir, base) / (name or "vcoco.json")
    if not (path.is_file() and file_sha256(path) == sha256.lower()):
        download(url, path, sha256=sha256, size=size, max_bytes=MAX_BYTES, progress=True)
    return path


def read_people(path: str | Path) -> pd.DataFrame:
    """Who does what: image_id, person (annotation id), activity, main (always True: V-COCO names no main person).

    One row for each person and activity, with the activity '' for a person who does none of them. Raises HarError,
    naming the file and what is wrong, for what is no such file.
    """
    verbs: dict[tuple[int, int], set[str]] = {}
    actions = read_json(path, EXPECTED, list, MAX_BYTES)
    try:
        for action in actions:
            verb = action["action_name"]
            for image_id, person, label in zip(*(action[key] for key in ARRAYS), strict=True):
                if not (is_whole(image_id) and is_whole(person) and is_whole(label, 0, 1)):
                    raise ValueError(f"action {verb} has no whole numbers")
                said = verbs.setdefault((image_id, person), set())
                if label and verb in ACTIVITY_OF:
                    said.add(verb)
        if missing := {*ACTIVITY_OF} - {action["action_name"] for action in actions}:
            raise ValueError(f"action {min(missing)} is missing")
    except (LookupError, TypeError, ValueError) as error:
        raise HarError(f"{path}: {one_line(repr(error))}; expected {EXPECTED}") from None
    if len({person for _, person in verbs}) < len(verbs):
        raise HarError(f"{path}: a person (ann_id) occurs in two images")
    rows = [(i, a, activity, True) for (i, a), said in sorted(verbs.items()) for activity in activities(said) or [""]]
    return pd.DataFrame(rows, columns=["image_id", "person", "activity", "main"])


def activities(verbs: set[str]) -> list[str]:
    """The activities of one person. V-COCO says `stand` of almost everyone who walks or runs (93 % in train and val),
    as they are upright: so walking or running takes precedence over standing. Other pairs stay two activities."""
    said = {ACTIVITY_OF[verb] for verb in verbs}
    return sorted(said - {"standing"} if "walking_running" in said else said)
