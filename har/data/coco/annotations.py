"""Read COCO's caption and instance files as one record per image.

The files come from outside, so each row is checked as it is read: what is malformed is reported by file and row, and a
file name can never leave the folder it is written to. They are large (470 MB for train2017), so they are read row by row
and only what is asked for stays in memory.
"""

import re
import reprlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from har.core.errors import HarError
from har.core.readers import is_number, is_text, is_whole, read_json_rows

# COCO's own names are 12 digits; letters are allowed for other people's images in the same format.
# No slash, no leading dot, one extension: such a name stays inside its folder on every file system.
SAFE_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.(?:jpe?g|png|webp|bmp|gif|tiff?)", re.ASCII)
# COCO's images are at most 640 x 640; other people's photographs may be larger, bombs are larger still.
MAX_SIDE, MAX_PIXELS = 100_000, 64_000_000


# What is told of an image, and what where the file does not say
IMAGE = {"file_name": "", "width": 0, "height": 0, "license": 0, "coco_url": "", "flickr_url": ""}


@dataclass(frozen=True, slots=True)
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
        raise HarError(f"{where}: file_name {shown(name)} is not a plain image name such as 000000000139.jpg")
    return name


def read_records(captions_json: str | Path, instances_json: str | Path) -> dict[int, ImageRecord]:
    """Captions and person boxes of every image of the captions file, in ascending order of image ids.

    Images that the instances file does not hold have no boxes. Raises HarError, naming file and row, for unreadable
    JSON, missing keys, duplicate or unknown ids, unsafe file names, sizes that are not positive, or two files that
    disagree about an image.
    """
    images, captions, people = read_images(captions_json), defaultdict(list), defaultdict(list)
    for row, where in read_annotations(captions_json, images):
        if not is_text(row.get("caption")):
            raise HarError(f"{where}: caption is missing or not text")
        captions[row["image_id"]].append((row["id"], row["caption"].strip()))
    others = read_images(instances_json)
    for image_id in images.keys() & others.keys():
        if any(images[image_id][key] != others[image_id][key] for key in ("file_name", "width", "height")):
            told = f"{instances_json}: image {image_id} has another file_name or size than in {captions_json}"
            raise HarError(told)
    for row in read_people(instances_json, others):
        people[row["image_id"]].append(row)

    def boxes(image_id: int, crowd: int) -> np.ndarray:
        rows = (row for row in people[image_id] if row["iscrowd"] == crowd)
        return np.array([row["bbox"] for row in sorted(rows, key=largest_first)], dtype=float).reshape(-1, 4)

    return {
        image_id: ImageRecord(
            image_id,
            *(images[image_id][key] for key in IMAGE),
            tuple(text for _, text in sorted(captions[image_id])),
            boxes(image_id, 0),
            boxes(image_id, 1),
        )
        for image_id in sorted(images)
    }


def largest_first(person: Mapping) -> tuple[float, int]:
    """By which persons are sorted; ties are broken by annotation id: the order must not depend on that of rows."""
    _, _, width, height = person["bbox"]
    return -float(width) * height, person["id"]


def read_images(path: str | Path) -> dict[int, dict]:
    """The checked rows of 'images', by id, with values for all of IMAGE."""
    found, names = {}, set()
    for row, where in _rows(path, "images"):
        _check_image(row, where)
        name = row["file_name"].lower()  # some file systems do not tell case apart
        if name in names:
            raise HarError(f"{where}: file_name {row['file_name']} occurs twice")
        names.add(name)
        found[row["id"]] = IMAGE | row
    return found


def read_categories(path: str | Path) -> dict[int, str]:
    """Category id to name."""
    found = {}
    for row, where in _rows(path, "categories"):
        if not is_text(row.get("name")):
            raise HarError(f"{where}: name is missing or not text")
        found[row["id"]] = row["name"]
    return found


def read_people(path: str | Path, images: Mapping[int, dict]) -> Iterator[dict]:
    """id, image_id, bbox, iscrowd of every person in a file of instances, whose `images` these are."""
    categories = read_categories(path)
    people = [category for category, name in categories.items() if name == "person"]
    if len(people) != 1:
        raise HarError(f"{path}: categories must hold 'person' exactly once")
    for row, where in read_annotations(path, images):
        _check_box(row, where)
        if row["category_id"] == people[0]:
            crowd = int(row.get("iscrowd", 0))
            yield {"id": row["id"], "image_id": row["image_id"], "bbox": row["bbox"], "iscrowd": crowd}


def read_annotations(path: str | Path, images: Mapping[int, dict]) -> Iterator[tuple[dict, str]]:
    """The rows of 'annotations', each with where it stands and an image_id of `images`."""
    for row, where in _rows(path, "annotations"):
        if not is_whole(row.get("image_id")) or row["image_id"] not in images:
            raise HarError(f"{where}: image_id {shown(row.get('image_id'))} is not among the images")
        yield row, where


def _rows(path: str | Path, key: str) -> Iterator[tuple[dict, str]]:
    """The objects in the list `key` of a COCO file, each with an id of its own and where it stands."""
    ids: set[int] = set()
    for place, row in enumerate(read_json_rows(path, key, "COCO annotations in JSON")):
        where = f"{path}: {key}[{place}]"
        if not isinstance(row, dict):
            raise HarError(f"{where} is not an object")
        if not is_whole(row.get("id")):
            raise HarError(f"{where}: id {shown(row.get('id'))} is not a whole number of 0 to 2^63 - 1")
        if row["id"] in ids:
            raise HarError(f"{where}: id {row['id']} occurs twice")
        ids.add(row["id"])
        yield row, where


def _check_image(image: dict, where: str) -> None:
    """HarError for a row of 'images' that is malformed."""
    safe_file_name(image.get("file_name"), where=where)
    for key in ("width", "height"):
        if not is_whole(image.get(key), 1, MAX_SIDE):
            raise HarError(f"{where}: {key} {shown(image.get(key))} is not a number of pixels, 1 to {MAX_SIDE:,}")
    if image["width"] * image["height"] > MAX_PIXELS:
        raise HarError(f"{where}: {image['width']} x {image['height']} pixels, at most {MAX_PIXELS:,} allowed")
    if not is_whole(image.get("license", 0)):
        raise HarError(f"{where}: license {shown(image['license'])} is not a whole number of 0 or more")
    for key in ("coco_url", "flickr_url"):
        if not is_text(image.get(key, "")):
            raise HarError(f"{where}: {key} is not text")


def _check_box(annotation: dict, where: str) -> None:
    if not is_whole(annotation.get("category_id")):
        raise HarError(f"{where}: category_id is missing or not a whole number")
    if annotation.get("iscrowd", 0) not in (0, 1):
        raise HarError(f"{where}: iscrowd {shown(annotation['iscrowd'])} is neither 0 nor 1")
    if not is_box(annotation.get("bbox")):
        raise HarError(f"{where}: bbox {shown(annotation.get('bbox'))} is not [x, y, width, height] in pixels")


def is_box(box: object) -> bool:
    """Whether a value from JSON is x, y, width, height in pixels; a box may overhang its image."""
    numbers = isinstance(box, list) and len(box) == 4 and all(is_number(v, MAX_SIDE) for v in box)
    return numbers and box[2] >= 0 and box[3] >= 0

def shown(value: object) -> str:
    """A value from JSON as a message quotes it, however long or deep."""
    return reprlib.repr(value)[:60]
