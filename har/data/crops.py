"""What of an image a model looks at: all of it, or its largest person.

A store's `boxes.csv` has a row for each image with an annotated person: image_id and left, top, right, bottom of the
largest box of a single person (no crowd), as shares of the image's width and height, so that they hold at every size.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from har.data.coco.annotations import ImageRecord
from har.core.errors import HarError
from har.core.files import write_csv
from har.core.readers import read_table
from har.data.store import Store

BOXES = "boxes.csv"  # in a store's folder
EDGES = ["left", "top", "right", "bottom"]


def largest_persons(records: Mapping[int, ImageRecord], image_ids) -> pd.DataFrame:
    """The boxes of `image_ids` as this module's table. Annotators draw over the border by fractions of a pixel: cut.
    Boxes without area, and images without a record, have no row."""
    rows = []
    for image_id in image_ids:
        record = records.get(image_id)
        if record is None or not len(record.boxes):
            continue
        x, y, width, height = record.boxes[0]
        edges = np.array([x, y, x + width, y + height]) / np.array([record.width, record.height] * 2)
        left, top, right, bottom = edges.clip(0, 1)
        if right > left and bottom > top:
            rows.append((image_id, *(round(float(edge), 6) for edge in (left, top, right, bottom))))
    return pd.DataFrame(rows, columns=["image_id", *EDGES])


def write_boxes(path: str | Path, boxes: pd.DataFrame) -> None:
    write_csv(path, boxes[["image_id", *EDGES]])


def read_boxes(path: str | Path) -> pd.DataFrame:
    """The table at `path`; HarError names the file and the image whose box is none."""
    boxes = read_table(path, {"image_id": "int64", **dict.fromkeys(EDGES, "float64")})
    edges = boxes[EDGES].to_numpy()
    good = (edges >= 0).all(1) & (edges <= 1).all(1) & (edges[:, :2] < edges[:, 2:]).all(1)
    if not good.all():
        raise HarError(f"{path}: image {boxes.image_id[int(good.argmin())]}: no box within 0 to 1, left of right")
    return boxes


def person_window(box: np.ndarray, width: int, height: int, margin: float) -> tuple[int, int, int, int]:
    """left, top, right, bottom in pixels of the part of a `width` x `height` image that shows a person.

    The box (shares) grows by `margin` of its sides on each side, then along its shorter side to a square, so that
    no network sees the person squashed or cut; then it is moved into the image and, where it is larger, cut.
    """
    left, top, right, bottom = box * np.array([width, height, width, height])
    wide, high = (right - left) * (1 + 2 * margin), (bottom - top) * (1 + 2 * margin)
    side = max(wide, high)
    window = []
    for centre, whole in (((left + right) / 2, width), ((top + bottom) / 2, height)):
        size = min(max(1, round(side)), whole)
        start = min(max(0, round(centre - size / 2)), whole - size)
        window.append((start, start + size))
    return window[0][0], window[1][0], window[0][1], window[1][1]


class PersonStore(Store):
    """A store of which each image is its largest person, where its boxes have one, and the whole image otherwise."""

    def __init__(self, folder: str | Path, margin: float):
        super().__init__(folder)
        boxes = read_boxes(self.folder / BOXES)
        self._boxes = dict(zip(boxes.image_id, boxes[EDGES].to_numpy(), strict=True))
        self._margin = margin

    def image(self, image_id: int) -> np.ndarray:
        whole = super().image(image_id)
        if image_id not in self._boxes:
            return whole
        height, width = whole.shape[:2]
        left, top, right, bottom = person_window(self._boxes[image_id], width, height, self._margin)
        return whole[top:bottom, left:right]
