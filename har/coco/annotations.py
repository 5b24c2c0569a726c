"""Read COCO's caption and instance files as one record per image.

The files come from outside, so each row is checked before pycocotools indexes it: what is malformed is
reported by file and row, and a file name can never leave the folder it is written to.
"""

import contextlib
import io
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from har.errors import HarError

# COCO's own names are 12 digits; letters are allowed for other people's images in the same format.
# No slash, no leading dot, one extension: such a name stays inside its folder on every file system.
SAFE_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.(?:jpe?g|png|webp|bmp|gif|tiff?)", re.ASCII)


@dataclass(frozen=True)
class ImageRecord:
    """What COCO says about one image.

    Attributes:
        image_id, file_name, width, height: as annotated; sizes in pixels.
        license: COCO licence id (0 where the file gives none).
        coco_url, flickr_url: where the photograph comes from ('' where the file gives none).
        captions: in the order of their annotation ids.
        boxes: float64 [persons, 4], x, y, width, height in pixels, largest box first; single persons only.
        crowds: float64 [crowds, 4], person boxes that stand for a crowd (`iscrowd`).
    """

    image_id: int
    file_name: str
    width: int
    height: int
    license: int
    coco_url: str
    flickr_url: str
    captions: tuple[str, ...]
    boxes: np.ndarray
    crowds: np.ndarray

    @property
    def person_area(self) -> float:
        """Share of the image covered by the largest person box, 0 to 1 (0 without a person)."""
        if not len(self.boxes):
            return 0.0
        x, y, w, h = self.boxes[0]
        # boxes may overhang the border by a fraction of a pixel
        w = min(x + w, self.width) - max(x, 0.0)
        h = min(y + h, self.height) - max(y, 0.0)
        return float(max(w, 0.0) * max(h, 0.0) / (self.width * self.height))


def safe_file_name(name: object, *, where: str) -> str:
    """`name` if it is a plain image file name; raises HarError (starting with `where`) otherwise."""
    if not isinstance(name, str) or not SAFE_FILE_NAME.fullmatch(name):
        raise HarError(f"{where}: file_name {name!r:.120} is not a plain image name such as 000000000139.jpg")
    return name


def read_records(captions_json: str | Path, instances_json: str | Path) -> dict[int, ImageRecord]:
    """Captions and person boxes of every image of the captions file, by image id in ascending order.

    Images that the instances file does not hold have no boxes. Raises HarError, naming file and row, for
    unreadable JSON, missing keys, duplicate or unknown ids, unsafe file names, sizes that are not positive,
    or two files that disagree about an image.
    """
    captions = load(Path(captions_json), kind="captions")
    instances = load(Path(instances_json), kind="instances")
    (person,) = instances.getCatIds(catNms=["person"])

    records = {}
    for image_id in sorted(captions.imgs):
        image = captions.imgs[image_id]
        other = instances.imgs.get(image_id)
        if other is not None and any(image[k] != other[k] for k in ("file_name", "width", "height")):
            raise HarError(f"{instances_json}: image {image_id} has another file_name or size than in {captions_json}")
        texts = sorted(captions.imgToAnns.get(image_id, []), key=lambda a: a["id"])
        people = [a for a in instances.imgToAnns.get(image_id, []) if a["category_id"] == person]
        # ties broken by annotation id: the order must not depend on the order of rows in the file
        people.sort(key=lambda a: (-a["bbox"][2] * a["bbox"][3], a["id"]))
        records[image_id] = ImageRecord(
            image_id=image_id,
            file_name=image["file_name"],
            width=image["width"],
            height=image["height"],
            license=image.get("license", 0),
            coco_url=image.get("coco_url", ""),
            flickr_url=image.get("flickr_url", ""),
            captions=tuple(a["caption"].strip() for a in texts),
            boxes=_boxes(a for a in people if not a.get("iscrowd")),
            crowds=_boxes(a for a in people if a.get("iscrowd")),
        )
    return records


def _boxes(annotations) -> np.ndarray:
    return np.array([a["bbox"] for a in annotations], dtype=np.float64).reshape(-1, 4)


def load(path: Path, *, kind: str):
    """A pycocotools COCO object over checked rows."""
    from pycocotools.coco import COCO

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HarError(f"{path}: no such file; expected COCO {kind} in JSON") from None
    except (OSError, ValueError, RecursionError) as error:
        raise HarError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(data, dict):
        raise HarError(f"{path}: expected a JSON object with 'images' and 'annotations'")

    images = _rows(data, "images", path)
    ids = _unique_ids(images, "images", path)
    for row, image in enumerate(images):
        where = f"{path}: images[{row}]"
        safe_file_name(image.get("file_name"), where=where)
        for key in ("width", "height"):
            if not _is_int(image.get(key)) or image[key] <= 0:
                raise HarError(f"{where}: {key} {image.get(key)!r:.60} is not a positive whole number")
        if not _is_int(image.get("license", 0)):
            raise HarError(f"{where}: license {image['license']!r:.60} is not a whole number")
        for key in ("coco_url", "flickr_url"):
            if not isinstance(image.get(key, ""), str):
                raise HarError(f"{where}: {key} is not text")

    annotations = _rows(data, "annotations", path)
    _unique_ids(annotations, "annotations", path)
    for row, annotation in enumerate(annotations):
        where = f"{path}: annotations[{row}]"
        if not _is_int(annotation.get("image_id")) or annotation["image_id"] not in ids:
            raise HarError(f"{where}: image_id {annotation.get('image_id')!r:.60} is not among the images")
        if kind == "captions":
            if not isinstance(annotation.get("caption"), str):
                raise HarError(f"{where}: caption is missing or not text")
        else:
            _check_box(annotation, where)

    if kind == "instances":
        categories = _rows(data, "categories", path)
        _unique_ids(categories, "categories", path)
        if sum(category.get("name") == "person" for category in categories) != 1:
            raise HarError(f"{path}: categories must hold 'person' exactly once")

    coco = COCO()
    coco.dataset = data
    with contextlib.redirect_stdout(io.StringIO()):  # createIndex prints its progress
        coco.createIndex()
    return coco


def _rows(data: dict, key: str, path: Path) -> list[dict]:
    rows = data.get(key)
    if not isinstance(rows, list):
        raise HarError(f"{path}: '{key}' is missing or not a list")
    for row, value in enumerate(rows):
        if not isinstance(value, dict):
            raise HarError(f"{path}: {key}[{row}] is not an object")
    return rows


def _unique_ids(rows: list[dict], key: str, path: Path) -> set[int]:
    ids: set[int] = set()
    for row, value in enumerate(rows):
        identity = value.get("id")
        if not _is_int(identity) or identity < 0:
            raise HarError(f"{path}: {key}[{row}]: id {identity!r:.60} is not a whole number of 0 or more")
        if identity in ids:
            raise HarError(f"{path}: {key}[{row}]: id {identity} occurs twice")
        ids.add(identity)
    return ids


def _check_box(annotation: dict, where: str) -> None:
    if not _is_int(annotation.get("category_id")):
        raise HarError(f"{where}: category_id is missing or not a whole number")
    if annotation.get("iscrowd", 0) not in (0, 1):
        raise HarError(f"{where}: iscrowd {annotation['iscrowd']!r:.60} is neither 0 nor 1")
    box = annotation.get("bbox")
    numbers = (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in box)
    )
    if not numbers or box[2] < 0 or box[3] < 0:
        raise HarError(f"{where}: bbox {box!r:.80} is not [x, y, width, height] in pixels")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
