"""Read COCO's caption and instance files as one record per image.

The files come from outside, so each row is checked before pycocotools indexes it: what is malformed is
reported by file and row, and a file name can never leave the folder it is written to.
"""

import contextlib
import io
import re
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from har.errors import HarError
from har.json_rows import read_rows
from har.outside import ANNOTATIONS, is_number, is_text, is_whole, read_json

# COCO's own names are 12 digits; letters are allowed for other people's images in the same format.
# No slash, no leading dot, one extension: such a name stays inside its folder on every file system.
SAFE_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.(?:jpe?g|png|webp|bmp|gif|tiff?)", re.ASCII)
# COCO's images are at most 640 x 640; other people's photographs may be larger, bombs are larger still.
MAX_SIDE, MAX_PIXELS = 100_000, 64_000_000
NO_BOXES = np.empty((0, 4))


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
        raise HarError(f"{where}: file_name {_shown(name)} is not a plain image name such as 000000000139.jpg")
    return name


def read_records(captions_json: str | Path, instances_json: str | Path) -> dict[int, ImageRecord]:
    """Captions and person boxes of every image of the captions file, by image id in ascending order.

    Images that the instances file does not hold have no boxes. The files are read row by row: outlines, most of their
    bytes, are never in memory together. Raises HarError, naming file and row, for unreadable JSON, missing keys,
    duplicate or unknown ids, unsafe file names, sizes that are not positive, or two files that disagree about an image.
    """
    images, texts = _read_captions(Path(captions_json))
    boxes, crowds = _read_people(Path(instances_json), images, str(captions_json))
    return {
        image_id: ImageRecord(
            image_id=image_id,
            file_name=name,
            width=width,
            height=height,
            license=licence,
            coco_url=coco_url,
            flickr_url=flickr_url,
            captions=texts.get(image_id, ()),
            boxes=boxes.get(image_id, NO_BOXES),
            crowds=crowds.get(image_id, NO_BOXES),
        )
        for image_id, (name, width, height, licence, coco_url, flickr_url) in sorted(images.items())
    }


def _read_captions(path: Path) -> tuple[dict[int, tuple], dict[int, tuple[str, ...]]]:
    """Of a captions file, what is kept of each image, and its captions."""
    images, names, rows, texts = {}, set(), _Rows(path), []
    for key, row, value in _each(path, "captions", ("images", "annotations")):
        where = f"{path}: {key}[{row}]"
        if key == "images":
            _check_image(value, where, names, images)
            size = value["file_name"], value["width"], value["height"]
            images[value["id"]] = *size, value.get("license", 0), value.get("coco_url", ""), value.get("flickr_url", "")
            continue
        rows.add(value, where)
        if not is_text(value.get("caption")):
            raise HarError(f"{where}: caption is missing or not text")
        texts.append(value["caption"].strip())
    ids = rows.checked(images)
    return images, {i: tuple(texts[k] for k in places) for i, places in rows.by_image(np.argsort(ids))}


def _read_people(path: Path, images: Mapping[int, tuple], captions: str) -> list[dict[int, np.ndarray]]:
    """Of an instances file, the boxes of the persons in each image, and those of crowds. images: as the file `captions`
    has them."""
    found, names, rows, people, categories = set(), set(), _Rows(path), [], set()
    kinds, boxes = array("q"), array("d")  # of each annotation: category and iscrowd; x, y, width, height
    for key, row, value in _each(path, "instances", ("images", "annotations", "categories")):
        where = f"{path}: {key}[{row}]"
        if key == "images":
            _check_image(value, where, names, found)
            found.add(value["id"])
            other = images.get(value["id"])
            if other is not None and other[:3] != (value["file_name"], value["width"], value["height"]):
                raise HarError(f"{path}: image {value['id']} has another file_name or size than in {captions}")
        elif key == "annotations":
            rows.add(value, where)
            _check_box(value, where)
            kinds.extend((value["category_id"], bool(value.get("iscrowd"))))
            boxes.extend(value["bbox"])
        else:
            _check_id(value, where, categories)
            categories.add(value["id"])
            if not is_text(value.get("name")):
                raise HarError(f"{where}: name is missing or not text")
            people += [value["id"]] if value["name"] == "person" else []
    if len(people) != 1:
        raise HarError(f"{path}: categories must hold 'person' exactly once")
    ids, table = rows.checked(found), np.array(boxes).reshape(-1, 4)
    kind, crowd = np.array(kinds, dtype=np.int64).reshape(-1, 2).T
    # the largest first; ties broken by annotation id: the order must not depend on the order of rows in the file
    order = np.lexsort((ids, -table[:, 2] * table[:, 3]))
    order = order[kind[order] == people[0]]
    return [{i: table[places] for i, places in rows.by_image(order[crowd[order] == one])} for one in (0, 1)]


class _Rows:
    """The ids of a file's annotations and of their images, checked when all are known."""

    def __init__(self, path: Path):
        self.path, self.ids, self.images = path, array("q"), array("q")

    def add(self, annotation: dict, where: str) -> None:
        _check_id(annotation, where, ())
        image_id = annotation.get("image_id")
        if not is_whole(image_id):
            raise HarError(f"{where}: image_id {_shown(image_id)} is not among the images")
        self.ids.append(annotation["id"])
        self.images.append(image_id)

    def checked(self, known: Collection[int]) -> np.ndarray:
        """The ids; HarError where one stands twice, or an image is not `known`."""
        ids, images = np.array(self.ids, dtype=np.int64), np.array(self.images, dtype=np.int64)
        order = np.argsort(ids, kind="stable")
        twice = order[1:][ids[order][1:] == ids[order][:-1]]
        if len(twice):
            raise HarError(f"{self.path}: annotations[{twice.min()}]: id {ids[twice.min()]} occurs twice")
        for image_id, row in zip(*np.unique(images, return_index=True), strict=True):
            if int(image_id) not in known:
                raise HarError(f"{self.path}: annotations[{row}]: image_id {image_id} is not among the images")
        return ids

    def by_image(self, order: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Each image and the places of its annotations, of those in `order` and in this order."""
        images = np.array(self.images, dtype=np.int64)[order]
        together = np.argsort(images, kind="stable")
        order, images = order[together], images[together]
        starts = np.flatnonzero(np.diff(images, prepend=-1))
        ends = [*starts[1:], len(order)]
        for start, end in zip(starts, ends, strict=False):
            yield int(images[start]), order[start:end]


def _each(path: Path, kind: str, keys: Sequence[str]) -> Iterator[tuple[str, int, dict]]:
    """Key, place and object of the lists `keys` in a COCO file; HarError where one is missing or holds other things."""
    missing = dict.fromkeys(keys)
    for key, row, value in read_rows(path, f"COCO {kind} in JSON"):
        if key not in keys:
            continue
        if row is None and value != []:
            raise HarError(f"{path}: {key!r} is missing or not a list")
        missing.pop(key, None)
        if row is not None:
            if not isinstance(value, dict):
                raise HarError(f"{path}: {key}[{row}] is not an object")
            yield key, row, value
    for key in missing:
        raise HarError(f"{path}: {key!r} is missing or not a list")


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
    names: set[str] = set()
    ids: set[int] = set()
    for row, image in enumerate(images):
        _check_image(image, f"{path}: images[{row}]", names, ids)
        ids.add(image["id"])
    return images


def _check_image(image: dict, where: str, names: set[str], ids: Collection[int]) -> None:
    """HarError for a row of 'images' that is malformed or has a name of `names`, which it joins, or an id of `ids`."""
    _check_id(image, where, ids)
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


def _unique_ids(rows: list[dict], key: str, path: Path) -> None:
    ids: set[int] = set()
    for row, value in enumerate(rows):
        _check_id(value, f"{path}: {key}[{row}]", ids)
        ids.add(value["id"])


def _check_id(value: dict, where: str, ids: Collection[int]) -> None:
    identity = value.get("id")
    if not is_whole(identity):
        raise HarError(f"{where}: id {_shown(identity)} is not a whole number of 0 to 2^63 - 1")
    if identity in ids:
        raise HarError(f"{where}: id {identity} occurs twice")


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
