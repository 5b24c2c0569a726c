"""Read COCO's caption and instance files as one record per image.

The files come from outside, so each row is checked as it is read: what is malformed is reported by file and row, and a
file name can never leave the folder it is written to. They are large (470 MB for train2017), so they are read row by
row and only what is asked for stays in memory.
"""

import re
import reprlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from har.core.errors import HarError
from har.core.readers import is_number, is_text, is_whole, listed, read_json_rows
from har.data.photographs import check_size

# COCO's own names are 12 digits; annotation tools write blanks, dots, any letters and subfolders. No part begins with a
# dot or holds a character that a file system gives a meaning: such a name stays inside its folder.
PART = r"[^\s./\\:*?\"<>|\x00-\x1f\x7f][^/\\:*?\"<>|\x00-\x1f\x7f]{0,150}"
SUFFIX = "(?:jpe?g|jpe|jfif|png|webp|avif|bmp|gif|tiff?|ppm)"
IMAGE_NAME = re.compile(rf"(?:{PART}/){{0,20}}{PART}\.{SUFFIX}", re.IGNORECASE)
FOLDER_LIKE_IMAGE = re.compile(rf"\.{SUFFIX}/|[ .]/", re.IGNORECASE)
MAX_SIDE = 100_000  # pixels
# What is told of an image
IMAGE = ("file_name", "width", "height", "license", "coco_url", "flickr_url")
# What stands for null, or where a file does not say; and what other tools than COCO's write as text or fractions.
ABSENT = {"license": 0, "coco_url": "", "flickr_url": "", "iscrowd": 0, "bbox": []}
NUMBERS = ("id", "width", "height", "license", "image_id", "category_id", "iscrowd")
# What the address of a licence holds, by COCO's id.
COCO_LICENCES = {1: "by-nc-sa/2.0", 2: "by-nc/2.0", 3: "by-nc-nd/2.0", 4: "by/2.0", 5: "by-sa/2.0", 6: "by-nd/2.0",
                 7: "flickr.com/commons", 8: "usa.gov"}  # fmt: skip
Check = Callable[[dict, str], None]  # raises HarError for a row that stands at the place


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """What COCO says about one image.

    Attributes:
        image_id, file_name, width, height: as annotated; sizes in pixels.
        license: COCO licence id (0 where the file gives none, or lists another licence under that id).
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
    """`name` if it names an image, in a folder or below it; raises HarError (starting with `where`) otherwise."""
    if not (is_text(name) and len(name) <= 500 and IMAGE_NAME.fullmatch(name)) or FOLDER_LIKE_IMAGE.search(name):
        expected = "the name of an image below the folder of images, such as 000000000139.jpg or train/a.png"
        raise HarError(f"{where}: file_name {shown(name)} is not {expected}; rename it in file and annotations")
    return name


def read_records(captions_json: str | Path, instances_json: str | Path) -> dict[int, ImageRecord]:
    """Captions and person boxes of every image of the captions file, in ascending order of image ids.

    Images that the instances file does not hold have no boxes. Raises HarError, naming file and row, for unreadable
    JSON, missing keys, duplicate or unknown ids, unsafe file names, sizes that are not positive, or two files that
    disagree about an image.
    """

    def check_caption(row: dict, where: str) -> None:
        if not is_text(row.get("caption")):
            raise HarError(f"{where}: caption is missing or not text")

    images, captions, people = read_images(captions_json), defaultdict(list), defaultdict(list)
    for row in read_annotations(captions_json, images, check_caption):
        captions[row["image_id"]].append((row["id"], row["caption"].strip()))
    others = read_images(instances_json)
    for image_id in images.keys() & others.keys():
        if any(images[image_id][key] != others[image_id][key] for key in ("file_name", "width", "height")):
            raise HarError(f"{instances_json}: image {image_id} has another file_name or size than in {captions_json}")
    for row in read_people(instances_json, others):
        people[row["image_id"]].append(row)

    others_licences = _other_licences(captions_json)
    for row in images.values():
        if row["license"] in others_licences:
            row["license"] = 0

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


def _other_licences(path: str | Path) -> set[int]:
    """Ids under which the file's own `licenses` name another licence than COCO; a file without that list means
    COCO's."""
    try:
        rows = list(read_json_rows(path, "licenses", "COCO annotations in JSON"))
    except HarError:  # no such list
        return set()
    told = [row for row in rows if isinstance(row, dict) and is_whole(row.get("id"))]
    return {row["id"] for row in told if COCO_LICENCES.get(row["id"], "?") not in str(row.get("url"))}


def largest_first(person: Mapping) -> tuple[float, int]:
    """By which persons are sorted; ties are broken by annotation id: the order must not depend on that of rows."""
    _, _, width, height = person["bbox"]
    return -float(width) * height, person["id"]


def read_images(path: str | Path) -> dict[int, dict]:
    """The checked rows of 'images', by id, with values for all of IMAGE."""
    names: set[str] = set()

    def check(row: dict, where: str) -> None:
        _check_image(row, where)
        name = row["file_name"].lower()  # some file systems do not tell case apart
        if name in names:
            raise HarError(f"{where}: file_name {row['file_name']} occurs twice")
        names.add(name)

    return {row["id"]: row for row in _rows(path, "images", check)}


def read_categories(path: str | Path) -> dict[int, str]:
    """Category id to name, that of people in small letters."""

    def check(row: dict, where: str) -> None:
        if not is_text(row.get("name")):
            raise HarError(f"{where}: name is missing or not text")

    names = {row["id"]: row["name"] for row in _rows(path, "categories", check)}
    return {number: "person" if name.strip().lower() == "person" else name for number, name in names.items()}


def read_people(path: str | Path, images: Mapping[int, dict]) -> Iterator[dict]:
    """id, image_id, bbox, iscrowd of every person in a file of instances, whose `images` these are. A box without area
    is none: tools leave them behind."""
    categories = read_categories(path)
    # a tool's root category may have the name too
    people = {category for category, name in categories.items() if name == "person"}
    if not people:
        raise HarError(f"{path}: no category is called person; there are {listed(categories.values())}")
    for row in read_annotations(path, images, check_box):
        if row["category_id"] in people and has_area(row):
            yield {key: row[key] for key in ("id", "image_id", "bbox", "iscrowd")}


def read_annotations(path: str | Path, images: Mapping[int, dict], check: Check) -> Iterator[dict]:
    """The rows of 'annotations', each with an image_id of `images`, that `check` lets pass."""

    def checked(row: dict, where: str) -> None:
        if not is_whole(row.get("image_id")) or row["image_id"] not in images:
            raise HarError(f"{where}: image_id {shown(row.get('image_id'))} is not among the images")
        check(row, where)

    return _rows(path, "annotations", checked)


def _rows(path: str | Path, key: str, check: Check) -> Iterator[dict]:
    """The objects in the list `key` of a COCO file, each with an id of its own, that `check` lets pass.

    Tools write null for what they do not know and numbers as text: null counts as missing (see ABSENT), digits as a
    number. Raises HarError for the first row that is refused, with the count of all, after the last one.
    """
    ids: set[int] = set()
    first, refused, place = None, 0, -1
    for place, row in enumerate(read_json_rows(path, key, "COCO annotations in JSON")):
        where = f"{path}: {key}[{place}]"
        try:
            if not isinstance(row, dict):
                raise HarError(f"{where} is not an object")
            _normalise(row)
            if not is_whole(row.get("id")):
                raise HarError(f"{where}: id {shown(row.get('id'))} is not a whole number of 0 to 2^63 - 1")
            if row["id"] in ids:
                raise HarError(f"{where}: id {row['id']} occurs twice")
            ids.add(row["id"])
            check(row, where)
        except HarError as error:
            first, refused = first or error, refused + 1
            continue
        yield row
    if first is not None:
        count = f" ({refused:,} of {place + 1:,} rows of {key} are refused)" if refused > 1 else ""
        raise HarError(f"{first}{count}")


def _normalise(row: dict) -> None:
    row.update((name, value) for name, value in ABSENT.items() if row.get(name) is None)
    for name in NUMBERS:
        value = row.get(name)
        digits = isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value)
        if digits or (isinstance(value, float) and value.is_integer() and abs(value) < 2**53):
            row[name] = int(value)


def _check_image(image: dict, where: str) -> None:
    """HarError for a row of 'images' that is malformed."""
    safe_file_name(image.get("file_name"), where=where)
    for key in ("width", "height"):
        if not is_whole(image.get(key), 1, MAX_SIDE):
            raise HarError(f"{where}: {key} {shown(image.get(key))} is not a number of pixels, 1 to {MAX_SIDE:,}")
    check_size(image["width"], image["height"], where)
    if not is_whole(image["license"]):
        raise HarError(f"{where}: license {shown(image['license'])} is not a whole number of 0 or more")
    for key in ("coco_url", "flickr_url"):
        if not is_text(image[key]):
            raise HarError(f"{where}: {key} is not text")


def check_box(annotation: dict, where: str) -> None:
    """HarError unless category_id, iscrowd and bbox of an annotation are as they should be; [] is a box that is
    missing."""
    if not is_whole(annotation.get("category_id")):
        raise HarError(f"{where}: category_id {shown(annotation.get('category_id'))} is not a whole number")
    if annotation["iscrowd"] not in (0, 1):
        raise HarError(f"{where}: iscrowd {shown(annotation['iscrowd'])} is neither 0 nor 1")
    if annotation["bbox"] != [] and not is_box(annotation["bbox"]):
        raise HarError(f"{where}: bbox {shown(annotation['bbox'])} is not [x, y, width, height] in pixels")


def has_area(annotation: dict) -> bool:
    """Whether the box of a checked annotation is there and encloses something."""
    return annotation["bbox"] != [] and annotation["bbox"][2] * annotation["bbox"][3] > 0


def is_box(box: object) -> bool:
    """Whether a value from JSON is x, y, width, height in pixels; a box may overhang its image."""
    numbers = isinstance(box, list) and len(box) == 4 and all(is_number(v, MAX_SIDE) for v in box)
    return numbers and box[2] >= 0 and box[3] >= 0


def shown(value: object) -> str:
    """A value from JSON as a message quotes it, however long or deep."""
    return reprlib.repr(value)[:60]
