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

A region condition has the images that show such a region; hiding and keeping are complements.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from har.config.studies import Masking
from har.core.errors import HarError
from har.data.coco.instances import Instances
from har.models.preprocess import Preprocess
from har.studies.masking.regions import FILLS, hide, relevant, seen
from har.studies.masking.shapes import draw_one, drawn_mask

NONE = "none"
PERSON = "person"
BOX, ELSEWHERE = "box", "elsewhere"
CROP = "crop_box"
# Its name, the places in the list of images of those that show it, and where, bool [rows, size, size].
Region = tuple[str, np.ndarray, np.ndarray]


def drawn_name(kind: str, share: float) -> str:
    """percent without needless digits: patches-10, patches-12.5."""
    return f"{kind}-{100 * share:g}"


def filled_name(region: str, fill: str) -> str:
    return f"hide_{region}" if fill == "black" else f"hide_{region}-{fill}"


def annotated_regions(
    instances: Mapping[int, Instances],
    labels: Mapping[int, str],
    cues: Mapping[str, Sequence[str]],
    preprocess: Preprocess,
) -> Iterator[Region]:
    """The annotated regions as a network sees them that looks by `preprocess`; none that no image has.

    labels: image_id to class, in the images' order.
    """
    every = set().union(*cues.values())
    wanted = {
        "person": lambda label: {PERSON},
        BOX: lambda label: {PERSON},
        "cues": lambda label: set(cues.get(label, ())),
        "things": lambda label: every,
    }
    for name, names_of in wanted.items():
        rows, masks = [], []
        for row, (image_id, label) in enumerate(labels.items()):
            if image_id in instances and instances[image_id].holds(names_of(label)):
                region = instances[image_id].region(names_of(label), boxes=name == BOX)
                rows.append(row)
                masks.append(seen(region, preprocess.size, preprocess.fit, preprocess.crop_pct))
        if rows:
            yield name, np.array(rows), np.array(masks)
        if name == BOX and len(rows) > 1:
            yield ELSEWHERE, np.array(rows), np.array([*masks[1:], masks[0]])


def relevant_region(
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
    return "relevant", np.array(rows), np.array(masks)


def masked_once(
    x: np.ndarray, image_ids: np.ndarray, config: Masking, kinds: Sequence[str], shares: Sequence[float], seed: int
) -> np.ndarray:
    """Each image under one mask, of its own kind; share 0 leaves it whole."""
    return hide(x, drawn_masks(x.shape[-1], image_ids, config, kinds, shares, seed))


def drawn_masks(
    size: int, image_ids: np.ndarray, config: Masking, kinds: Sequence[str], shares: Sequence[float], seed: int
) -> np.ndarray:
    """A mask for each image, of its own kind and share: bool [n, size, size]."""
    masks = [
        drawn_mask(kind, share, size, size, seed=seed, image_id=int(i), grid=config.grid, stripes=config.stripes)
        for i, kind, share in zip(image_ids, kinds, shares, strict=True)
    ]
    return np.array(masks)


def at_random(x: np.ndarray, image_ids: np.ndarray, config: Masking, seed: int, epoch: int) -> np.ndarray:
    """Images for an epoch of training: share drawn from nothing and `config.shares`, kind from `config.kinds`."""
    shares = [draw_one([0.0, *config.shares], seed, epoch, image_id) for image_id in image_ids.tolist()]
    kinds = [draw_one(config.kinds, seed, epoch, image_id) for image_id in image_ids.tolist()]
    # masks of another seed than those that the study is measured by
    return masked_once(x, image_ids, config, kinds, shares, config.seed + 1 + epoch)


def masked(
    images: np.ndarray, image_ids: Sequence[int], config: Masking, regions: Iterable[Region]
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Each condition's name, the rows of `images` that it has, these images with black (0) where they are hidden,
    and the share of each that is. images: uint8 [n, 3, size, size]."""
    every, count = np.arange(len(images)), len(images)
    yield NONE, every, images, np.zeros(count)
    for kind in config.kinds:
        for share in config.shares:
            masks = drawn_masks(images.shape[-1], image_ids, config, [kind] * count, [share] * count, config.seed)
            yield drawn_name(kind, share), every, hide(images, masks), masks.mean((1, 2))
    for name, rows, masks in regions:
        shown = images[rows]
        for fill in config.fills if name in (BOX, ELSEWHERE) else ["black"]:
            yield filled_name(name, fill), rows, FILLS[fill](shown, masks), masks.mean((1, 2))
            if fill == "black" and name != "things":
                yield f"keep_{name}", rows, hide(shown, ~masks), (~masks).mean((1, 2))
