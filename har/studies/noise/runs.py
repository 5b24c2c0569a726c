"""What one way to learn the noise takes and gives; free of torch, so that a process that only collects need not load
it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from har.config.studies import NoiseTerms
from har.studies.masking.conditions import Drawing, drawn_name, masked_once
from har.studies.masking.shapes import draw_one

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


def under_masks(x: np.ndarray, image_ids: np.ndarray, drawing: Drawing) -> dict[str, np.ndarray]:
    """Condition to images: nothing hidden, and for each share one mask an image, of a kind that is drawn for it (the
    masks are those of the masking study)."""
    kinds = [draw_one(drawing.kinds, drawing.seed, image_id) for image_id in image_ids.tolist()]
    found = {"none": x}
    for share in drawing.shares:
        found[drawn_name(ANY, share)] = masked_once(x, image_ids, drawing, kinds, [share] * len(x), drawing.seed)
    return found
