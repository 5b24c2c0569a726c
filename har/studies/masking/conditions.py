"""What is hidden: the conditions of the masking study, and their masks for images as a network sees them.

    none                  nothing
    <kind>-<percent>      a drawn mask of har.studies.masking.shapes, black over that share of the image
    hide_person           all persons and crowds black, by their outlines; keep_person: all else black
    hide_box, keep_box    the same by their boxes: a black figure still shows how it stands, a black box does not
    hide_elsewhere, keep_elsewhere
                          the boxes of another image's persons: as much hidden in the same way, but not by what it is
    hide_box-<fill>, hide_elsewhere-<fill>
                          the same, filled otherwise than by black (har.studies.masking.regions.FILLS)
    crop_box              the largest person and a margin, scaled to the network's input
    hide_cues, keep_cues  things that typically go with the image's own class (params); the mask knows the label, the
                          model does not
    hide_things           the things of all classes' lists: needs no label
    hide_relevant, keep_relevant
                          the pixels that the model itself holds most relevant (an explanation's map)

A region condition is told of the images that have such a region; hiding and keeping are complements.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from har.core.errors import HarError
from har.data.coco.instances import Instances
from har.studies.masking.regions import FILLS, hide, relevant, seen
from har.studies.masking.shapes import GRID, STRIPES, draw_one, drawn_mask

NONE = "none"
PERSON = "person"
BOX, ELSEWHERE = "box", "elsewhere"
CROP = "crop_box"


@dataclass(frozen=True)
class Drawing:
    """Which masks are drawn, and how."""

    kinds: Sequence[str]
    shares: Sequence[float]
    seed: int
    grid: int = GRID
    stripes: int = STRIPES
    fills: Sequence[str] = ("black",)  # of persons' boxes; the first is that of all other masks

    @property
    def names(self) -> list[str]:
        return [drawn_name(kind, share) for kind in self.kinds for share in self.shares]


def drawn_name(kind: str, share: float) -> str:
    """percent without needless digits: patches-10, patches-12.5."""
    return f"{kind}-{100 * share:g}"


def filled_name(region: str, fill: str) -> str:
    return f"hide_{region}" if fill == "black" else f"hide_{region}-{fill}"


@dataclass(frozen=True)
class View:
    """How a network looks at a photograph (har.models.preprocess): masks of one view serve all models that share it."""

    size: int
    fit: str
    crop_pct: float = 1.0


@dataclass(frozen=True)
class Region:
    """Where a region is in each image that has one. rows: their places in the list of images; masks: bool
    [rows, size, size], packed to bits along the last axis."""

    rows: np.ndarray
    masks: np.ndarray
    size: int

    @classmethod
    def pack(cls, rows: Sequence[int], masks: Sequence[np.ndarray], size: int) -> "Region":
        packed = np.packbits(np.array(masks, dtype=bool).reshape(-1, size, size), axis=-1)
        return cls(np.array(rows, dtype=int), packed, size)

    def unpack(self) -> np.ndarray:
        return np.unpackbits(self.masks, axis=-1, count=self.size).astype(bool)


def annotated_names(
    instances: Mapping[int, Instances], labels: Mapping[int, str], cues: Mapping[str, Sequence[str]]
) -> dict[str, dict[int, set[str]]]:
    """Region to image_id to the category names that make it up, for the images that hold one."""
    every = set().union(*cues.values())
    wanted = {
        "person": {i: {PERSON} for i in labels},
        BOX: {i: {PERSON} for i in labels},
        "cues": {i: set(cues.get(label, ())) for i, label in labels.items()},
        "things": {i: every for i in labels},
    }
    return {
        region: {i: names for i, names in of.items() if i in instances and instances[i].holds(names)}
        for region, of in wanted.items()
    }


def region_masks(
    instances: Mapping[int, Instances],
    labels: Mapping[int, str],
    cues: Mapping[str, Sequence[str]],
    views: Sequence[View],
) -> dict[View, dict[str, Region]]:
    """The annotated regions of each image (labels: image_id to class, in the images' order) in each view. A region
    that no image has is left out."""
    place = {image_id: row for row, image_id in enumerate(labels)}
    found: dict[View, dict[str, Region]] = {view: {} for view in views}
    for name, of in annotated_names(instances, labels, cues).items():
        if not of:
            continue
        masks: dict[View, list] = {view: [] for view in views}
        for image_id, names in of.items():
            region = instances[image_id].region(names, boxes=name == BOX)
            for view in views:
                masks[view].append(seen(region, view.size, view.fit, view.crop_pct))
        rows = [place[i] for i in of]
        for view in views:
            found[view][name] = Region.pack(rows, masks[view], view.size)
            if name == BOX and len(rows) > 1:
                found[view][ELSEWHERE] = Region.pack(rows, [*masks[view][1:], masks[view][0]], view.size)
    return found


def relevance_region(
    maps: np.ndarray, map_ids: Sequence[int], guesses: np.ndarray, image_ids: Sequence[int], share: float, size: int
) -> Region:
    """The most relevant `share` of each image for the class that the model itself says, from an explanation.

    maps: [m, classes, side, side] of images `map_ids`; guesses: the class index that the model gives each of
    `image_ids` unmasked. Images without a map are left out. HarError if none has one.
    """
    at = {image_id: row for row, image_id in enumerate(map_ids)}
    rows = [row for row, image_id in enumerate(image_ids) if image_id in at]
    if not rows:
        raise HarError("masking.relevance: no image of the study has an explanation")
    masks = [relevant(maps[at[image_ids[row]], guesses[row]], share, size) for row in rows]
    return Region.pack(rows, masks, size)


def masked_once(
    x: np.ndarray, image_ids: np.ndarray, drawing: Drawing, kinds: Sequence[str], shares: Sequence[float], seed: int
) -> np.ndarray:
    """Each image under one mask, of its own kind; share 0 leaves it whole."""
    return hide(x, drawn_masks(x.shape[-1], image_ids, drawing, kinds, shares, seed))


def drawn_masks(
    size: int, image_ids: np.ndarray, drawing: Drawing, kinds: Sequence[str], shares: Sequence[float], seed: int
) -> np.ndarray:
    """A mask for each image, of its own kind and share: bool [n, size, size]."""
    masks = [
        drawn_mask(
            kind, share, size, size, seed=seed, image_id=int(image_id), grid=drawing.grid, stripes=drawing.stripes
        )
        for image_id, kind, share in zip(image_ids, kinds, shares, strict=True)
    ]
    return np.array(masks)


def at_random(x: np.ndarray, image_ids: np.ndarray, drawing: Drawing, seed: int, epoch: int) -> np.ndarray:
    """Images for an epoch of training: share drawn from nothing and `drawing.shares`, kind from `drawing.kinds`."""
    shares = [draw_one([0.0, *drawing.shares], seed, epoch, image_id) for image_id in image_ids.tolist()]
    kinds = [draw_one(drawing.kinds, seed, epoch, image_id) for image_id in image_ids.tolist()]
    # masks of another seed than those that the study is measured by
    return masked_once(x, image_ids, drawing, kinds, shares, drawing.seed + 1 + epoch)


def masked(
    images: np.ndarray, image_ids: Sequence[int], drawing: Drawing, regions: Mapping[str, Region]
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Each condition's name, the rows of `images` that it has, these images with black (0) where they are hidden,
    and the share of each that is. images: uint8 [n, 3, size, size]."""
    size = images.shape[-1]
    every = np.arange(len(images))
    yield NONE, every, images, np.zeros(len(images))
    for kind in drawing.kinds:
        for share in drawing.shares:
            masks = drawn_masks(size, image_ids, drawing, [kind] * len(images), [share] * len(images), drawing.seed)
            yield drawn_name(kind, share), every, *_filled(images, masks)
    for name, region in regions.items():
        masks = region.unpack()
        yield f"hide_{name}", region.rows, *_filled(images[region.rows], masks)
        if name != "things":
            yield f"keep_{name}", region.rows, *_filled(images[region.rows], ~masks)
        for fill in drawing.fills[1:] if name in (BOX, ELSEWHERE) else ():
            yield filled_name(name, fill), region.rows, *_filled(images[region.rows], masks, fill)


def _filled(images: np.ndarray, masks: np.ndarray, fill: str = "black") -> tuple[np.ndarray, np.ndarray]:
    return FILLS[fill](images, masks), masks.mean((1, 2))
