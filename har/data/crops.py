"""What of an image a model looks at, its views:

image    all of it
flip     all of it, left and right exchanged
crops    windows spread evenly over it (`cuts`)
person   its largest person with a margin, where one is annotated; all of it otherwise

A store's `boxes.csv` has a row for each image with an annotated person: image_id and left, top, right, bottom of the
largest box of a single person (no crowd), as shares of the image's width and height, so that they hold at every size.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from har.core.errors import HarError
from har.core.files import write_csv
from har.core.readers import read_table
from har.data.coco.annotations import ImageRecord
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
        left, top, right, bottom = (round(float(edge), 6) for edge in edges.clip(0, 1))
        if right > left and bottom > top:
            rows.append((image_id, left, top, right, bottom))
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


class View(Store):
    """A store of which each image is what `cut` leaves of it."""

    def __init__(self, folder: str | Path, cut: Callable[[np.ndarray], np.ndarray]):
        super().__init__(folder)
        self._cut = cut

    def image(self, image_id: int) -> np.ndarray:
        return self._cut(super().image(image_id))


class PersonStore(Store):
    """A store of which each image is its largest person, where its boxes have one, and the whole image otherwise."""

    def __init__(self, folder: str | Path, margin: float):
        super().__init__(folder)
        boxes = read_boxes(self.folder / BOXES)
        self._boxes, self._margin = dict(zip(boxes.image_id, boxes[EDGES].to_numpy(), strict=True)), margin

    def image(self, image_id: int) -> np.ndarray:
        whole = super().image(image_id)
        if image_id not in self._boxes:
            return whole
        height, width = whole.shape[:2]
        left, top, right, bottom = person_window(self._boxes[image_id], width, height, self._margin)
        return whole[top:bottom, left:right]


def cuts(name: str, crops: Sequence[tuple[float, int]]) -> list[Callable[[np.ndarray], np.ndarray]]:
    """What makes the view `name` (but person) of an image [height, width, 3]: one function, or for crops one a window.

    crops: pairs of a share and a number: `number` x `number` windows of that share of width and height, evenly from
    corner to corner; a single one is the centre.
    """
    if name == "flip":
        return [lambda whole: whole[:, ::-1]]
    if name != "crops":
        return [lambda whole: whole]
    found = []
    for share, number in crops:
        places = np.linspace(0, 1, number).tolist() if number > 1 else [0.5]
        found += [partial(_window, share=share, x=x, y=y) for y in places for x in places]
    return found


def _window(whole: np.ndarray, share: float, x: float, y: float) -> np.ndarray:
    """Of an image a `share` of width and height; x, y: its place from 0 (left, top) to 1 (right, bottom)."""
    height, width = (max(1, round(share * side)) for side in whole.shape[:2])
    top, left = round(y * (whole.shape[0] - height)), round(x * (whole.shape[1] - width))
    return whole[top : top + height, left : left + width]


def view(store: Store, name: str, crops: Sequence[tuple[float, int]], margin: float) -> list[Store]:
    """The view `name` of a store: one store, or one for each window of `crops`. margin: around a person."""
    if name == "person":
        return [PersonStore(store.folder, margin)]
    return [View(store.folder, cut) for cut in cuts(name, crops)]
