"""Where things are: the instance annotations of single images, as pixels.

Polygons and run-length codes (crowds, and the generated world's own masks) become pixels by pycocotools; where an
annotation has neither, its box stands in.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from har.core.errors import HarError
from har.core.readers import is_number, is_whole
from har.data.coco.annotations import (
    MAX_SIDE,
    check_box,
    has_area,
    read_annotations,
    read_categories,
    read_images,
    shown,
)

MAX_OUTLINE = 1_000_000  # pixels along an outline: pycocotools walks every one of them


@dataclass(frozen=True)
class Instances:
    """The annotated things of one image. width, height: pixels; names: the category of each of `shapes`."""

    width: int
    height: int
    names: list[str] = field(default_factory=list)
    shapes: list[dict] = field(default_factory=list)  # bbox and, where annotated, segmentation

    def holds(self, names: Iterable[str]) -> bool:
        return not set(names).isdisjoint(self.names)

    def region(self, names: Iterable[str], boxes: bool = False) -> np.ndarray:
        """Pixels that any thing called one of `names` covers, bool [height, width]. boxes: the whole boxes around
        them, which show no outline."""
        from pycocotools import mask as rle

        wanted, region, codes = set(names), np.zeros((self.height, self.width), dtype=bool), []
        for name, shape in zip(self.names, self.shapes, strict=True):
            if name not in wanted:
                continue
            outline = shape.get("segmentation")
            if boxes or not outline:
                x, y, width, height = shape["bbox"]
                # the pixels whose middles lie inside the box
                rows = slice(max(0, round(y)), max(0, round(y + height)))
                region[rows, max(0, round(x)) : max(0, round(x + width))] = True
            elif isinstance(outline, list):
                codes += rle.frPyObjects(outline, self.height, self.width)
            elif isinstance(outline["counts"], list):
                codes.append(rle.frPyObjects(outline, self.height, self.width))
            else:
                codes.append({"size": outline["size"], "counts": outline["counts"].encode("ascii")})
        if codes:  # one decoding for all: merging run lengths costs little
            region |= rle.decode(rle.merge(codes)).view(bool)
        return region


def read_instances(path: str | Path, image_ids: Sequence[int]) -> dict[int, Instances]:
    """The annotations in a COCO instances file of each of `image_ids`, none for an image that it lacks.

    Raises HarError, naming file and row, for what is not laid out as COCO's.
    """
    names, images = read_categories(path), read_images(path)
    found = {i: Instances(images[i]["width"], images[i]["height"]) for i in image_ids if i in images}

    def check(row: dict, where: str) -> None:
        check_box(row, where)
        image = found.get(row["image_id"])
        if image is not None and (wrong := _wrong(row, names, image)):
            raise HarError(f"{where}: {wrong}")

    for annotation in read_annotations(path, images, check):
        image = found.get(annotation["image_id"])
        if image is not None and has_area(annotation):
            image.names.append(names[annotation["category_id"]])
            image.shapes.append({"bbox": annotation["bbox"], "segmentation": _outline(annotation)})
    return found


def _outline(annotation: dict) -> list | dict | None:
    """The outline without the polygons of fewer than three corners, which enclose nothing."""
    outline = annotation.get("segmentation")
    if not isinstance(outline, list):
        return outline
    return [points for points in outline if not (isinstance(points, list) and len(points) in (0, 2, 4))]


def _wrong(annotation: dict, names: dict[int, str], image: Instances) -> str:
    """What pycocotools would trip over, or ''."""
    category = annotation.get("category_id")
    if category not in names:
        return f"category_id {shown(category)} is not among the categories"
    outline = _outline(annotation)
    if not outline:
        return ""
    if isinstance(outline, list):
        if not all(map(_is_polygon, outline)):
            return "segmentation has a polygon that is not x, y, x, y, ... of three corners or more"
        return f"segmentation is longer than {MAX_OUTLINE:,} pixels" if _length(outline) > MAX_OUTLINE else ""
    if isinstance(outline, dict) and outline.get("size") == [image.height, image.width]:
        counts = outline.get("counts")
        runs = _runs(counts) if isinstance(counts, str) else counts
        if isinstance(runs, list) and all(is_whole(run) for run in runs):
            return "" if sum(runs) == image.height * image.width else "segmentation counts other pixels than its size"
    return "segmentation is neither polygons nor a run-length code of the image's size"


def _is_polygon(points: object) -> bool:
    flat = isinstance(points, list) and len(points) >= 6 and len(points) % 2 == 0
    return flat and all(is_number(v, MAX_SIDE) for v in points)


def _length(polygons: Sequence[Sequence[float]]) -> float:
    corners = (np.array(polygon, dtype=float).reshape(-1, 2) for polygon in polygons)
    return sum(float(np.abs(np.roll(xy, 1, 0) - xy).sum()) for xy in corners)


def _runs(code: str) -> list[int] | None:
    """The run lengths of COCO's compressed code, None where it is none: pycocotools reads on behind an open end.

    Six bits a character from "0" on: five of the number, the lowest first, and one that says that more follow. From
    the fourth on a number is the difference from the one before the last (maskApi.c, rleFrString).
    """
    runs: list[int] = []
    value = shift = 0
    for c in code:
        bits = ord(c) - 48
        if not 0 <= bits < 64 or shift > 30:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return None if shift else runs
