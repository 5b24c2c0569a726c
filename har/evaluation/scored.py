"""Models scored on a split: all that the tables tell of a model."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from har.evaluation import calibration
from har.evaluation.metrics import Cells, cells
from har.evaluation.predictions import HELD_OUT, OUT_OF_FOLD, in_split
from har.evaluation.summary import Estimate, estimates, per_class

SPLITS = (HELD_OUT, "test")  # the first one carries the claims, the second is what the paper has
PARTS = ("test", "extended")  # of HELD_OUT
HEADLINE = "balanced_accuracy"  # what models are ranked and compared by, since classes may differ in size
Key = tuple[str, str]  # task and model


class Calibration(NamedTuple):
    """Expected calibration errors, means over runs, and each run's temperature; None: some run has no validation
    images, so there are no scaled figures."""

    ece: float
    ece_of_calibrated: float
    temperatures: list[float] | None = None
    scaled_nll: float | None = None
    scaled_ece: float | None = None


class Part(NamedTuple):
    """A model on test or extended alone."""

    cells: Cells
    estimates: dict[str, Estimate]


class Scored(NamedTuple):
    """A model on one split."""

    cells: Cells
    estimates: dict[str, Estimate]
    per_class: list[dict]
    calibration: Calibration
    parts: dict[str, Part]  # of HELD_OUT, drawn independently of each other


def scored(
    predictions: Mapping[Key, pd.DataFrame], resamples: int, seed: int, level: float
) -> tuple[dict[str, dict[Key, Scored]], dict[Key, Estimate]]:
    """Each model on each split that it has predictions on, in their order; and each model's HEADLINE on images of train
    and validation that its fit did not see, without samples, where it has such images."""
    found, validated = {split: {} for split in SPLITS}, {}
    for key, frame in predictions.items():
        splits = (split for split in (HELD_OUT, *PARTS, OUT_OF_FOLD) if in_split(frame, split).any())
        on = {split: cells(frame, split) for split in splits}
        temperatures = {}
        if OUT_OF_FOLD in on:
            validated[key] = estimates(on[OUT_OF_FOLD], 0)[HEADLINE]
            temperatures = calibration.fit_temperatures(on[OUT_OF_FOLD])
        for split in filter(on.get, SPLITS):
            one = on[split]
            parts = {
                name: Part(on[name], estimates(on[name], resamples, seed + 1 + place))
                for place, name in enumerate(PARTS)
                if split == HELD_OUT and name in on
            }
            classes, calibrations = per_class(one, resamples, seed, level), calibrated(one, temperatures, seed)
            found[split][key] = Scored(one, estimates(one, resamples, seed), classes, calibrations, parts)
    return found, validated


def calibrated(one: Cells, temperatures: Mapping[int, float], seed: int) -> Calibration:
    """temperatures: of runs, by seed (calibration.fit_temperatures)."""
    errors = float(calibration.ece(one).mean()), float(calibration.ece_of_calibrated(one, seed).mean())
    if not set(map(int, one.seeds)) <= set(temperatures):
        return Calibration(*errors)
    scaled = calibration.rescaled(one, temperatures)
    mine = [temperatures[int(run)] for run in one.seeds]
    return Calibration(*errors, mine, float(scaled.losses()["nll"].mean()), float(calibration.ece(scaled).mean()))
