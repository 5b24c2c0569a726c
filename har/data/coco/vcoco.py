"""What people do according to V-COCO: human verbs for each person in COCO's images.

Gupta & Malik 2015, Visual Semantic Role Labeling (arXiv 1505.04474). A file is a JSON list of 26 actions, each
with `action_name` and the parallel arrays `image_id`, `ann_id` (the person's annotation in COCO) and `label` (0 or
1). What the person acts upon (`role_name`, `role_object_id`) is not needed here.
"""

from pathlib import Path

import pandas as pd

from har.core.files import file_sha256
from har.data.download import download
from har.data.coco.fetch import cache_folder
from har.core.errors import HarError
from har.core.readers import MB, is_text, is_whole, read_json

ACTIVITY_OF = {"walk": "walking_running", "run": "walking_running", "sit": "sitting", "stand": "standing"}
MAX_BYTES = 64 * MB  # vcoco_test.json has 6 MB
_ARRAYS = ("image_id", "ann_id", "label")


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
    naming the file and the action, for what is no such file.
    """
    verbs: dict[tuple[int, int], set[str]] = {}
    for name, (images, annotations, labels) in _read_actions(Path(path)).items():
        for image_id, annotation, label in zip(images, annotations, labels, strict=True):
            said = verbs.setdefault((image_id, annotation), set())
            if label and name in ACTIVITY_OF:
                said.add(name)
    if len({annotation for _, annotation in verbs}) < len(verbs):
        raise HarError(f"{path}: a person (ann_id) occurs in two images")
    rows = [(i, a, activity, True) for (i, a), said in sorted(verbs.items()) for activity in activities(said) or [""]]
    return pd.DataFrame(rows, columns=["image_id", "person", "activity", "main"])


def activities(verbs: set[str]) -> list[str]:
    """The activities of one person. V-COCO says `stand` of almost everyone who walks or runs (93 % in train and val),
    as they are upright: so walking or running takes precedence over standing. Other pairs stay two activities."""
    said = {ACTIVITY_OF[verb] for verb in verbs}
    return sorted(said - {"standing"} if "walking_running" in said else said)


def _read_actions(path: Path) -> dict[str, tuple[list, list, list]]:
    """Checked image_id, ann_id and label of each action, by its name."""
    actions: dict[str, tuple] = {}
    for row, action in enumerate(read_json(path, "V-COCO's list of actions in JSON", list, MAX_BYTES)):
        name = action.get("action_name") if isinstance(action, dict) else None
        if not is_text(name):
            raise HarError(f"{path}: action {row} is no object with an action_name")
        if name in actions:
            raise HarError(f"{path}: action {name!r:.60} occurs twice")
        actions[name] = tuple(_array(path, name, key, action.get(key)) for key in _ARRAYS)
        if len({len(values) for values in actions[name]}) > 1:
            raise HarError(f"{path}: action {name!r:.60}: {', '.join(_ARRAYS)} differ in length")
    if missing := [verb for verb in ACTIVITY_OF if verb not in actions]:
        raise HarError(f"{path}: action {missing[0]!r} is missing")
    return actions


def _array(path: Path, name: str, key: str, values: object) -> list[int]:
    most = 1 if key == "label" else 2**63 - 1
    if not isinstance(values, list) or not all(is_whole(value, 0, most) for value in values):
        kind = "of 0 and 1" if key == "label" else "of whole numbers of 0 or more"
        raise HarError(f"{path}: action {name!r:.60}: {key} is no list {kind}")
    return values
