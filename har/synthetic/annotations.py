"""The world in COCO's formats: masks, boxes, keypoints, captions, licences, as pycocotools reads them."""

from collections.abc import Iterable
from itertools import count, islice
from typing import Any

import numpy as np
from joblib import delayed
from pycocotools import mask as rle
from scipy.ndimage import find_objects

from har.core.parallel import forked
from har.synthetic.captions import captions
from har.synthetic.keypoints import FACE, HELD_CODE, PACK_CODE, PERSON_CODE, PROP_CODE, joints, own_parts
from har.synthetic.labels import CATEGORIES, KEYPOINTS, LICENCES, OBJECTS, PERSON_ID, SKELETON
from har.synthetic.random import Dice
from har.synthetic.render import owners
from har.synthetic.sample import sample_scene
from har.synthetic.scene import Scene, carried
from har.synthetic.visible import visible

_LEAST_PIXELS = 24  # what is hidden beyond this is not annotated, as a person would not


def _regions(codes: np.ndarray) -> dict[int, dict[str, Any]]:
    """bbox, area and RLE of the visible part of every owner large enough to annotate, by owner number."""
    owner = (codes >> 6).astype(np.uint8)
    out = {}
    for number, place in enumerate(find_objects(owner), 1):
        if place is None:
            continue
        mask = owner[place] == number
        area = np.count_nonzero(mask)
        if area < _LEAST_PIXELS:
            continue
        full = np.zeros(owner.shape, np.uint8, order="F")
        full[place] = mask
        code = rle.encode(full)
        rows, columns = place
        out[number] = {
            "bbox": [float(columns.start), float(rows.start), float(mask.shape[1]), float(mask.shape[0])],
            "area": float(area),
            "segmentation": {"size": [int(v) for v in code["size"]], "counts": code["counts"].decode("ascii")},
            "iscrowd": 0,
        }
    return out


def _keypoints(scene: Scene, index: int, codes: np.ndarray) -> list[int]:
    """x, y, v of the 17 keypoints. v: 0 outside the image, 1 hidden by a thing, another or the own body, 2 seen."""
    body = joints(scene, scene.people[index])
    out: list[int] = []
    for name in KEYPOINTS:
        px, py, facing = body[name]
        x, y = int(px * scene.height), int(py * scene.height)
        if not (0 <= x < scene.width and 0 <= y < scene.height):
            out += (0, 0, 0)
            continue
        owner, part = divmod(int(codes[y, x]), 64)
        away = name in FACE and facing < -0.05
        seen = owner == PERSON_CODE + index and part in own_parts(name) and not away
        out += (x, y, 2 if seen else 1)
    return out


def _annotations(scene: Scene, codes: np.ndarray, regions: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the people, which have keypoints, then of the things that stand about or that they carry."""
    out = []
    for index in range(len(scene.people)):
        if region := regions.get(PERSON_CODE + index):
            points = _keypoints(scene, index, codes)
            labelled = sum(v > 0 for v in points[2::3])
            out.append({"category_id": PERSON_ID, **region, "keypoints": points, "num_keypoints": labelled})
    owned = [(PROP_CODE + k, prop.kind) for k, prop in enumerate(scene.props)]
    owned += [((PACK_CODE if kind == "backpack" else HELD_CODE) + i, kind) for i, kind in carried(scene)]
    for number, kind in owned:
        if kind in OBJECTS and number in regions:
            out.append({"category_id": OBJECTS[kind], **regions[number]})
    return out


def _records(image_id: int, seed: int, hard: float) -> dict[str, Any] | None:
    """Everything COCO says of one image, without annotation ids; None where the image is left out."""
    scene = sample_scene(seed, image_id)
    anyway = Dice(seed, image_id, 6).chance(hard)
    if not (anyway or visible(scene)):  # most of those left out, before anything is drawn
        return None
    codes = owners(scene)
    regions = _regions(codes)
    if not (anyway or visible(scene, codes, regions)):
        return None
    # One minute an image from a fixed start: dates that are plausible and the same everywhere.
    taken = np.datetime64("2013-11-14T00:00") + image_id % 500_000
    image = {
        "id": image_id, "file_name": f"{image_id:012d}.jpg", "width": scene.width, "height": scene.height,
        "license": scene.licence, "coco_url": f"world:{seed}/{image_id}", "flickr_url": "",
        "date_captured": f"{str(taken).replace('T', ' ')}:00",
    }  # fmt: skip
    return {"image": image, "captions": captions(scene), "annotations": _annotations(scene, codes, regions)}


def _header(seed: int, what: str) -> dict[str, Any]:
    return {
        "info": {
            "description": f"Generated world, {what}, seed {seed}", "url": "", "version": "1.0", "year": 2017,
            "contributor": "generated", "date_created": "2017/09/01",
        },
        "licenses": [{"id": number, "name": name, "url": url} for number, name, url in LICENCES],
        "images": [],
        "annotations": [],
    }  # fmt: skip


def coco_annotations(
    seed: int, image_ids: Iterable[int], workers: int = 1, *, hard: float = 1.0, images: int | None = None
) -> dict[str, dict[str, Any]]:
    """Annotation files of the given images: keys captions, instances, person_keypoints, as COCO lays them out. Boxes,
    areas and masks are of visible pixels, keypoints in pixels of the native size.

    Args:
        image_ids: different ones, considered in their order; may be endless where `images` is given.
        workers: processes to share the images among; the result is the same for any number.
        hard: share of the scenes whose activity can't be seen (`visible`) that is kept all the same.
        images: keep so many, the first (None: all).
    """
    ids, records = iter(image_ids), []
    while batch := [int(i) for i in islice(ids, None if images is None else images - len(records))]:
        records += filter(None, forked(workers, (delayed(_records)(image_id, seed, hard) for image_id in batch)))
    files = {name: _header(seed, name) for name in ("captions", "instances", "person_keypoints")}
    person = {"supercategory": "person", "id": PERSON_ID, "name": "person"}
    things = [
        {"supercategory": group, "id": number, "name": name}
        for group, members in CATEGORIES.items()
        for name, number in members.items()
    ]
    files["instances"]["categories"] = [person, *things]
    skeleton = {"keypoints": list(KEYPOINTS), "skeleton": [list(edge) for edge in SKELETON]}
    files["person_keypoints"]["categories"] = [person | skeleton]
    # Annotation ids are unique per file; a person has the same id in instances and keypoints, as in COCO.
    text_ids, thing_ids = count(1), count(1)
    for record in records:
        image_id = record["image"]["id"]
        for file in files.values():
            file["images"].append(record["image"])
        for text in record["captions"]:
            files["captions"]["annotations"].append({"id": next(text_ids), "image_id": image_id, "caption": text})
        for annotation in record["annotations"]:
            full = {"id": next(thing_ids), "image_id": image_id, **annotation}
            if "keypoints" in full:
                files["person_keypoints"]["annotations"].append(full)
            plain = {k: v for k, v in full.items() if k not in ("keypoints", "num_keypoints")}
            files["instances"]["annotations"].append(plain)
    return files
