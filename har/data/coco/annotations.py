"""Read COCO's caption and instance files as one record per image.

The files come from outside, so each row is checked before pycocotools indexes it: what is malformed is
reported by file and row, and a file name can never leave the folder it is written to.
"""

import contextlib
import io
import re
import sqlite3
import struct
import weakref
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, starmap
from operator import itemgetter
from pathlib import Path

import numpy as np

from har.core.errors import HarError
from har.core.json_rows import read_rows
from har.core.readers import ANNOTATIONS, is_number, is_text, is_whole, read_json

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
    """`Records` in memory, by image id."""
    return {record.image_id: record for record in Records(captions_json, instances_json)}


class Records:
    """Captions and person boxes of every image of the captions file, in ascending order of image ids, as often as one
    iterates.

    They lie in a temporary database on disk and the files are read row by row: memory does not grow with the images.
    Images that the instances file does not hold have no boxes. Raises HarError, naming file and row, for unreadable
    JSON, missing keys, duplicate or unknown ids, unsafe file names, sizes that are not positive, or two files that
    disagree about an image.
    """

    def __init__(self, captions_json: str | Path, instances_json: str | Path):
        self.rows = sqlite3.connect("")
        weakref.finalize(self, self.rows.close)
        # the place in its list of what a row tells is rowid - 1
        self.rows.executescript(
            "CREATE TABLE images (id, name, width, height, license, coco_url, flickr_url);"
            "CREATE TABLE captions (id, image, text);"
            "CREATE TABLE others (id, name, width, height);"  # the images of the instances file
            "CREATE TABLE things (id, image, category, crowd, area, box);"
        )
        with _room():
            self._read_captions(Path(captions_json))
            self.person = self._read_instances(Path(instances_json), str(captions_json))

    def __iter__(self) -> Iterator[ImageRecord]:
        with _room():
            yield from self._records()

    def _records(self) -> Iterator[ImageRecord]:
        # the largest box first; ties broken by annotation id: the order must not depend on that of rows in the file
        people = "SELECT image, crowd, box FROM things WHERE category = ? ORDER BY image, area DESC, id"
        captions = _Sorted(self.rows.execute("SELECT image, text FROM captions ORDER BY image, id"))
        boxes = _Sorted(self.rows.execute(people, [self.person]))
        for image in self.rows.execute("SELECT * FROM images ORDER BY id"):
            texts, found = captions.of(image[0]), boxes.of(image[0])
            single, crowds = (_boxes([box for _, crowd, box in found if crowd == one]) for one in (0, 1))
            yield ImageRecord(*image, tuple([text for _, text in texts]), single, crowds)

    def _read_captions(self, path: Path) -> None:
        def caption(value: dict, where: str) -> tuple:
            ids = _ids(value, where)
            if not is_text(value.get("caption")):
                raise HarError(f"{where}: caption is missing or not text")
            return *ids, value["caption"].strip()

        def image(value: dict, where: str) -> tuple:
            links = value.get("license", 0), value.get("coco_url", ""), value.get("flickr_url", "")
            return *_image(value, where), *links

        for key, rows in _each(path, "captions", ("images", "annotations")):
            if key == "images":
                self.rows.executemany("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", starmap(image, rows))
            else:
                self.rows.executemany("INSERT INTO captions VALUES (?, ?, ?)", starmap(caption, rows))
        self._check(path, "images", "captions")

    def _read_instances(self, path: Path, captions: str) -> int:
        """The id of the category 'person'. captions: the file whose images have been read."""

        def thing(value: dict, where: str) -> tuple:
            ids = _ids(value, where)
            _check_box(value, where)
            box = value["bbox"]
            crowd = int(bool(value.get("iscrowd")))
            return *ids, value["category_id"], crowd, float(box[2]) * box[3], struct.pack("4d", *box)

        people, categories = [], set()
        for key, rows in _each(path, "instances", ("images", "annotations", "categories")):
            if key == "images":
                self.rows.executemany("INSERT INTO others VALUES (?, ?, ?, ?)", starmap(_image, rows))
            elif key == "annotations":
                self.rows.executemany("INSERT INTO things VALUES (?, ?, ?, ?, ?, ?)", starmap(thing, rows))
            else:
                for value, where in rows:
                    _check_id(value, where, categories)
                    categories.add(value["id"])
                    if not is_text(value.get("name")):
                        raise HarError(f"{where}: name is missing or not text")
                    people += [value["id"]] if value["name"] == "person" else []
        if len(people) != 1:
            raise HarError(f"{path}: categories must hold 'person' exactly once")
        self._check(path, "others", "things")
        for (image_id,) in self.rows.execute(
            "SELECT id FROM images JOIN others USING (id) WHERE (images.name, images.width, images.height) "
            "IS NOT (others.name, others.width, others.height) LIMIT 1"
        ):
            raise HarError(f"{path}: image {image_id} has another file_name or size than in {captions}")
        return people[0]

    def _check(self, path: Path, images: str, annotations: str) -> None:
        """HarError where the file `path`, of which the two tables tell, has an id or name twice, or an annotation of no
        image."""
        for table, key, told, column in (
            (images, "images", "id", "id"),
            (images, "images", "file_name", "lower(name)"),  # some file systems do not tell case apart
            (annotations, "annotations", "id", "id"),
        ):
            twice = f"SELECT max(rowid), {column} FROM {table} GROUP BY {column} HAVING count(*) > 1 ORDER BY 1 LIMIT 1"
            for row, value in self.rows.execute(twice):
                raise HarError(f"{path}: {key}[{row - 1}]: {told} {value} occurs twice")
        unknown = f"SELECT rowid, image FROM {annotations} WHERE image NOT IN (SELECT id FROM {images}) LIMIT 1"
        for row, image_id in self.rows.execute(unknown):
            raise HarError(f"{path}: annotations[{row - 1}]: image_id {image_id} is not among the images")


@contextlib.contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:  # a full disk, or a folder that may not be written to
        raise HarError(f"annotations are sorted in the folder for temporary files (TMPDIR): {error}") from None


class _Sorted:
    """Rows in ascending order of their first value, to be asked for by ascending values."""

    def __init__(self, rows: Iterator[tuple]):
        self.rows, self.row = rows, next(rows, None)

    def of(self, value: int) -> list[tuple]:
        """The rows that start with `value`; those before it are passed over."""
        found = []
        while self.row is not None and self.row[0] <= value:
            if self.row[0] == value:
                found.append(self.row)
            self.row = next(self.rows, None)
        return found


def _boxes(packed: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(packed)).reshape(-1, 4) if packed else NO_BOXES


def _ids(annotation: dict, where: str) -> tuple[int, int]:
    """The checked ids of an annotation and of its image."""
    _check_id(annotation, where, ())
    image_id = annotation.get("image_id")
    if not is_whole(image_id):
        raise HarError(f"{where}: image_id {_shown(image_id)} is not among the images")
    return annotation["id"], image_id


def _image(image: dict, where: str) -> tuple[int, str, int, int]:
    _check_image(image, where, set(), ())
    return image["id"], image["file_name"], image["width"], image["height"]


def _each(path: Path, kind: str, keys: Sequence[str]) -> Iterator[tuple[str, Iterator[tuple[dict, str]]]]:
    """The lists `keys` in a COCO file: of each its objects, with where they stand; HarError where one is missing or
    holds other things."""
    missing = dict.fromkeys(keys)

    def objects(key: str, rows: Iterator[tuple[str, int | None, object]]) -> Iterator[tuple[dict, str]]:
        for _, row, value in rows:
            if row is None and value != []:
                raise HarError(f"{path}: {key!r} is missing or not a list")
            missing.pop(key, None)
            if row is not None:
                if not isinstance(value, dict):
                    raise HarError(f"{path}: {key}[{row}] is not an object")
                yield value, f"{path}: {key}[{row}]"

    for key, rows in groupby(read_rows(path, f"COCO {kind} in JSON"), key=itemgetter(0)):
        if key in keys:
            yield key, objects(key, rows)
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
