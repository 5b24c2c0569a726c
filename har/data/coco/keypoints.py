"""How much of an image's largest person is to be seen: from COCO's keypoints, and from the other people's boxes.

COCO's visibility flag v of a keypoint: 0 not labelled (outside the image, or nobody could say where), 1 labelled
but hidden (by a thing, another person or the own body), 2 seen.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from har.core.errors import HarError
from har.data.coco.annotations import largest_first, read_annotations, read_images, read_people

JOINTS = 17


def covered_share(box: np.ndarray, others: np.ndarray) -> float | None:
    """Share of `box` (x, y, width, height) that the union of `others` [n, 4] overlaps, 0 to 1; None for a box
    without area."""
    x, y, w, h = map(float, box)
    if w <= 0 or h <= 0:
        return None
    others = np.asarray(others, dtype=float).reshape(-1, 4)
    left, right = np.clip(others[:, 0], x, x + w), np.clip(others[:, 0] + others[:, 2], x, x + w)
    top, bottom = np.clip(others[:, 1], y, y + h), np.clip(others[:, 1] + others[:, 3], y, y + h)
    # the cells between all edges: each is covered as a whole or not at all
    xs, ys = np.unique(np.concatenate([left, right])), np.unique(np.concatenate([top, bottom]))
    across = (left[:, None] <= xs[:-1]) & (xs[1:] <= right[:, None])  # [n, columns]
    down = (top[:, None] <= ys[:-1]) & (ys[1:] <= bottom[:, None])  # [n, rows]
    covered = (across[:, None, :] & down[:, :, None]).any(0)  # [rows, columns]
    return min(1.0, float((np.diff(ys)[:, None] * np.diff(xs) * covered).sum() / (w * h)))


def read_visibility(instances_json: str | Path, keypoints_json: str | Path, image_ids: Iterable[int]) -> pd.DataFrame:
    """One row an image, in the order of `image_ids`: image_id, labelled_joints (share of the 17 joints that are
    labelled), hidden_joints (of these, the share that is not seen), overlap (share of the box that the boxes of
    other people, crowds too, overlap).

    All of the person with the largest box, crowds aside, as har.data.coco.annotations chooses it. Empty (NaN) where
    there is no such person, or none with labelled joints. Raises HarError, naming file and row, for files
    that are no COCO annotations.
    """
    everybody = defaultdict(list)
    for person in read_people(instances_json, read_images(instances_json)):
        everybody[person["image_id"]].append(person)
    # a person has the same annotation id in both files
    joints = read_joints(keypoints_json)
    rows = []
    for image_id in image_ids:
        people = everybody[image_id]
        single = [one for one in people if not one["iscrowd"]]
        row = {"image_id": int(image_id), "labelled_joints": math.nan, "hidden_joints": math.nan, "overlap": math.nan}
        if single:
            largest = min(single, key=largest_first)
            share = covered_share(largest["bbox"], [one["bbox"] for one in people if one is not largest])
            row["overlap"] = math.nan if share is None else share
            flags = joints.get(largest["id"], np.zeros(JOINTS, dtype=int))
            labelled = int((flags > 0).sum())
            if labelled:
                row |= {"labelled_joints": labelled / JOINTS, "hidden_joints": int((flags == 1).sum()) / labelled}
        rows.append(row)
    columns = {"image_id": "int64", "labelled_joints": float, "hidden_joints": float, "overlap": float}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def read_joints(keypoints_json: str | Path) -> dict[int, np.ndarray]:
    """Annotation id to the visibility flags of its joints, int [17]; HarError names the file and the row."""

    def check(row: dict, where: str) -> None:
        points = row.get("keypoints")
        fits = isinstance(points, list) and len(points) == 3 * JOINTS
        if not fits or any(isinstance(v, bool) or v not in (0, 1, 2) for v in points[2::3]):
            raise HarError(f"{where}: keypoints are not {JOINTS} times x, y, visibility (0, 1 or 2)")

    rows = read_annotations(keypoints_json, read_images(keypoints_json), check)
    return {row["id"]: np.array(row["keypoints"][2::3], dtype=int) for row in rows}
