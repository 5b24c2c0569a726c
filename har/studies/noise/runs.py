"""What one way to learn the noise takes and gives; free of torch, so that a process that only collects need not load
it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from har.config.studies import NoiseTerms
from har.studies.masking.conditions import Drawing, drawn_name
from har.studies.masking.regions import hide
from har.studies.masking.shapes import draw_one, drawn_mask

NOTHING, ERASING = "nothing", "erasing"
ANY = "any"  # a condition any-30: 30 % hidden, by a mask of a kind that is drawn for the image


@dataclass(frozen=True)
class Run:
    """method: nothing, erasing or the name of a variant. terms and bound: of a variant; rate: erasing's learning
    rate."""

    method: str
    terms: NoiseTerms | None = None
    bound: float = 0.0
    rate: float = 0.0


@dataclass(frozen=True)
class FittedNoise:
    """candidates: a row for each check of validation and rule, `method, bound, rate, epoch, rule, nll, accuracy`, the
    least nll first; predictions: of the least one (har.studies.masking.predict); patterns: its, float32 [C or 1, 3,
    size, size] in pixel values, None where there are none."""

    run: Run
    candidates: pd.DataFrame
    predictions: pd.DataFrame
    patterns: np.ndarray | None
    seconds: float

    @property
    def loss(self) -> float:
        return float(self.candidates["nll"].iloc[0])


def masked_once(
    x: np.ndarray, image_ids: np.ndarray, drawing: Drawing, kinds: Sequence[str], shares: Sequence[float], seed: int
) -> np.ndarray:
    """Each image under one mask, of its own kind; share 0 leaves it whole."""
    size = x.shape[-1]
    masks = [
        drawn_mask(
            kind, share, size, size, seed=seed, image_id=int(image_id), grid=drawing.grid,
            stripes=drawing.stripes,
        )
        for image_id, kind, share in zip(image_ids, kinds, shares, strict=True)
    ]  # fmt: skip
    return hide(x, np.array(masks))


def at_random(x: np.ndarray, image_ids: np.ndarray, drawing: Drawing, seed: int, epoch: int) -> np.ndarray:
    """Images for an epoch of training: share drawn from nothing and `drawing.shares`, kind from `drawing.kinds`."""
    shares = [draw_one([0.0, *drawing.shares], seed, epoch, image_id) for image_id in image_ids.tolist()]
    kinds = [draw_one(drawing.kinds, seed, epoch, image_id) for image_id in image_ids.tolist()]
    # masks of another seed than those that the study is measured by
    return masked_once(x, image_ids, drawing, kinds, shares, drawing.seed + 1 + epoch)


def under_masks(x: np.ndarray, image_ids: np.ndarray, drawing: Drawing) -> dict[str, np.ndarray]:
    """Condition to images: nothing hidden, and for each share one mask an image, of a kind that is drawn for it (the
    masks are those of the masking study)."""
    kinds = [draw_one(drawing.kinds, drawing.seed, image_id) for image_id in image_ids.tolist()]
    found = {"none": x}
    for share in drawing.shares:
        found[drawn_name(ANY, share)] = masked_once(x, image_ids, drawing, kinds, [share] * len(x), drawing.seed)
    return found
