"""Read COCO's caption and instance files as one record per image.

The files come from outside, so each row is checked before pycocotools indexes it: what is malformed is
reported by file and row, and a file name can never leave the folder it is written to.
"""

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from har.errors import HarError
from har.outside import ANNOTATIONS, is_number, is_text, is_whole, read_json

# COCO's own names are 12 digits; letters are allowed for other people's images in the same format.
# No slash, no leading dot, one extension: such a name stays inside its folder on every file system.
SAFE_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.(?:jpe?g|png|webp|bmp|gif|tiff?)", re.ASCII)
# COCO's images are at most 640 x 640; other people's photographs may be larger, bombs are larger still.
MAX_SIDE, MAX_PIXELS = 100_000, 64_000_000


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
        raise HarError(f"{where}: file_name {_shown(name)} is not a plain image name such as 000000000139.jpg")
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

    data = read_json(path, f"COCO {kind} in JSON", memory=ANNOTATIONS)
    images = checked_images(data, path)
    ids = {image["id"] for image in images}
    annotations = rows_of(data, "annotations", path)
    _unique_ids(annotations, "annotations", path)
    for row, annotation in enumerate(annotations):
        where = f"{path}: annotations[{row}]"
        if not is_whole(annotation.get("image_id")) or annotation["image_id"] not in ids:
            raise HarError(f"{where}: image_id {_shown(annotation.get('image_id'))} is not among the images")
        if kind == "captions":
            if not is_text(annotation.get("caption")):
                raise HarError(f"{where}: caption is missing or not text")
        else:
            _check_box(annotation, where)

    coco = COCO()
    coco.dataset = {"images": images, "annotations": annotations}  # what else there is has not been checked
    if kind == "instances":
        coco.dataset["categories"] = checked_categories(data, path)
        if sum(category["name"] == "person" for category in coco.dataset["categories"]) != 1:
            raise HarError(f"{path}: categories must hold 'person' exactly once")
    with contextlib.redirect_stdout(io.StringIO()):  # createIndex prints its progress
        coco.createIndex()
    return coco


def checked_images(data: dict, path: Path) -> list[dict]:
    """The checked rows of 'images'."""
    images = rows_of(data, "images", path)
    _unique_ids(images, "images", path)
    names: set[str] = set()
    for row, image in enumerate(images):
        where = f"{path}: images[{row}]"
        name = safe_file_name(image.get("file_name"), where=where).lower()  # some file systems do not tell case apart
        if name in names:
            raise HarError(f"{where}: file_name {image['file_name']} occurs twice")
        names.add(name)
        for key in ("width", "height"):
            if not is_whole(image.get(key), 1, MAX_SIDE):
                raise HarError(f"{where}: {key} {_shown(image.get(key))} is not a number of pixels, 1 to {MAX_SIDE:,}")
        if image["width"] * image["height"] > MAX_PIXELS:
            raise HarError(f"{where}: {image['width']} x {image['height']} pixels, at most {MAX_PIXELS:,} allowed")
        if not is_whole(image.get("license", 0)):
            raise HarError(f"{where}: license {_shown(image['license'])} is not a whole number of 0 or more")
        for key in ("coco_url", "flickr_url"):
            if not is_text(image.get(key, "")):
                raise HarError(f"{where}: {key} is not text")
    return images


def checked_categories(data: dict, path: Path) -> list[dict]:
    """The checked rows of 'categories', each with id and name."""
    rows = rows_of(data, "categories", path)
    _unique_ids(rows, "categories", path)
    for row, category in enumerate(rows):
        if not is_text(category.get("name")):
            raise HarError(f"{path}: categories[{row}]: name is missing or not text")
    return rows


def rows_of(data: dict, key: str, path: Path) -> list[dict]:
    """The list of objects that `data` has under `key`."""
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
        if not is_whole(identity):
            raise HarError(f"{path}: {key}[{row}]: id {_shown(identity)} is not a whole number of 0 to 2^63 - 1")
        if identity in ids:
            raise HarError(f"{path}: {key}[{row}]: id {identity} occurs twice")
        ids.add(identity)
    return ids


def _check_box(annotation: dict, where: str) -> None:
    if not is_whole(annotation.get("category_id")):
        raise HarError(f"{where}: category_id is missing or not a whole number")
    if annotation.get("iscrowd", 0) not in (0, 1):
        raise HarError(f"{where}: iscrowd {_shown(annotation['iscrowd'])} is neither 0 nor 1")
    if not is_box(annotation.get("bbox")):
        raise HarError(f"{where}: bbox {_shown(annotation.get('bbox'))} is not [x, y, width, height] in pixels")


def is_box(box: object) -> bool:
    """Whether a value from JSON is x, y, width, height in pixels; a box may overhang its image."""
    numbers = isinstance(box, list) and len(box) == 4 and all(is_number(v, MAX_SIDE) for v in box)
    return numbers and box[2] >= 0 and box[3] >= 0


def _shown(value: object) -> str:
    """A value from JSON as a message quotes it; a list is not written out for its first characters."""
    return f"[{len(value)} values]" if isinstance(value, list | dict) and len(value) > 8 else f"{value!r:.60}"
