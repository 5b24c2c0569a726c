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
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from har.config.studies import Masking
from har.core.errors import HarError
from har.core.readers import read_array, read_table
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
    instances: Mapping[int, Instances], labels: pd.Series, cues: Mapping[str, Sequence[str]], preprocess: Preprocess
) -> Iterator[Region]:
    """The annotated regions as a network sees them that looks by `preprocess`; none that no image has.

    labels: the class of each image, by image_id.
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


def relevant_region(folder: Path, guesses: np.ndarray, image_ids: np.ndarray, share: float, size: int) -> Region:
    """The most relevant `share` of each image for the class that the model itself says, from the maps that stage
    explain wrote to `folder`.

    guesses: the class index that the model gives each of `image_ids` unmasked. Images without a map are left out.
    HarError where there are no maps, or none of these images.
    """
    if not (folder / "maps.npy").exists():
        raise HarError(f"{folder}: no maps.npy; run stage explain or empty masking.relevance.models")
    ids = read_table(folder / "index.csv", {"image_id": "int64"}).image_id
    maps = read_array(folder / "maps.npy", "maps of each image of index.csv", (len(ids), None, None, None), mapped=True)
    at = pd.Index(ids).get_indexer(image_ids)
    rows = np.flatnonzero(at >= 0)
    if not len(rows):
        raise HarError("masking.relevance: no image of the study has an explanation")
    return "relevant", rows, np.array([relevant(maps[at[row], guesses[row]], share, size) for row in rows])


def drawn_masks(
    size: int, image_ids: np.ndarray, config: Masking, kinds: str | Sequence[str], shares: float | Sequence[float],
    seed: int,
) -> np.ndarray:  # fmt: skip
    """A mask for each image, all of one kind and share or each of its own: bool [n, size, size]."""
    options, count = {"seed": seed, "grid": config.grid, "stripes": config.stripes}, len(image_ids)
    masks = [
        drawn_mask(kind, share, size, size, image_id=int(i), **options)
        for i, kind, share in zip(image_ids, np.broadcast_to(kinds, count), np.broadcast_to(shares, count), strict=True)
    ]
    return np.array(masks)


def masked_once(x: np.ndarray, image_ids: np.ndarray, config: Masking, kinds, shares, seed: int) -> np.ndarray:
    """Each image under one of `drawn_masks`; share 0 leaves it whole."""
    return hide(x, drawn_masks(x.shape[-1], image_ids, config, kinds, shares, seed))


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
    every = np.arange(len(images))
    yield NONE, every, images, np.zeros(len(images))
    for kind, share in product(config.kinds, config.shares):
        masks = drawn_masks(images.shape[-1], image_ids, config, kind, share, config.seed)
        yield drawn_name(kind, share), every, hide(images, masks), masks.mean((1, 2))
    for name, rows, masks in regions:
        shown = images[rows]
        for fill in config.fills if name in (BOX, ELSEWHERE) else ["black"]:
            yield filled_name(name, fill), rows, FILLS[fill](shown, masks), masks.mean((1, 2))
            if fill == "black" and name != "things":
                yield f"keep_{name}", rows, hide(shown, ~masks), (~masks).mean((1, 2))
