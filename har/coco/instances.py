"""Where things are: the instance annotations of single images, as pixels.

Polygons and run-length codes (crowds, and the generated world's own masks) become pixels by pycocotools; where an
annotation has neither, its box stands in.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from har.errors import HarError


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
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        names = {c["id"]: c["name"] for c in data["categories"]}
        sizes = {i["id"]: (i["width"], i["height"]) for i in data["images"]}
        rows = data["annotations"]
    except FileNotFoundError:
        raise HarError(f"{path}: no such file; expected COCO instances in JSON") from None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise HarError(f"{path}: not a COCO instances file ({type(error).__name__}: {error})") from None
    found = {i: Instances(*sizes[i]) for i in image_ids if i in sizes}
    for row, annotation in enumerate(rows):
        image = found.get(annotation.get("image_id"))
        if image is None:
            continue
        if wrong := _wrong(annotation, names, image):
            raise HarError(f"{path}: annotations[{row}]: {wrong}")
        image.names.append(names[annotation["category_id"]])
        image.shapes.append({key: annotation.get(key) for key in ("bbox", "segmentation")})
    return found


def _wrong(annotation: dict, names: dict[int, str], image: Instances) -> str:
    """What pycocotools would trip over, or ''."""
    if annotation.get("category_id") not in names:
        return f"category_id {annotation.get('category_id')!r:.40} is not among the categories"
    if not _numbers(annotation.get("bbox"), 4):
        return f"bbox {annotation.get('bbox')!r:.80} is not [x, y, width, height] in pixels"
    outline = annotation.get("segmentation")
    if not outline:
        return ""
    if isinstance(outline, list):
        if all(_numbers(polygon) and len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in outline):
            return ""
        return "segmentation has a polygon that is not x, y, x, y, ... of three corners or more"
    if isinstance(outline, dict) and outline.get("size") == [image.height, image.width]:
        counts = outline.get("counts")
        if isinstance(counts, str) and counts.isascii():
            return ""
        if isinstance(counts, list) and all(isinstance(c, int) and c >= 0 for c in counts):
            return "" if sum(counts) == image.height * image.width else "segmentation counts other pixels than its size"
    return "segmentation is neither polygons nor a run-length code of the image's size"


def _numbers(values: object, length: int | None = None) -> bool:
    return (
        isinstance(values, list)
        and (length is None or len(values) == length)
        and all(isinstance(v, int | float) and not isinstance(v, bool) and np.isfinite(v) for v in values)
    )
