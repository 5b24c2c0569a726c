"""Two models on the same images: paired differences with intervals."""

import numpy as np
import pandas as pd

from har.core.errors import HarError
from har.evaluation.anova import ROUNDING
from har.evaluation.bootstrap import RESAMPLES, bootstrap_error, bootstrap_interval, percentile_interval, score_p
from har.evaluation.metrics import LOSSES, METRICS, Cells, cells
from har.evaluation.summary import Estimate, estimates


def same_images(a: Cells, b: Cells, split: str) -> None:
    """HarError unless both were measured on the same images with the same labels and classes."""
    if a.classes != b.classes:
        raise HarError(f"difference on {split}: classes {a.classes} are not {b.classes}")
    if not np.array_equal(a.image_ids, b.image_ids):
        alone = sorted(set(a.image_ids) ^ set(b.image_ids))
        raise HarError(f"difference on {split}: image {alone[0]} is predicted by one of the two only")
    if (unlike := a.truth != b.truth).any():
        raise HarError(f"difference on {split}: image {a.image_ids[unlike][0]} has two labels")


def difference(
    a: pd.DataFrame,
    b: pd.DataFrame,
    split: str = "test",
    metric: str = "accuracy",
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> dict:
    """a minus b on the same images, mean over runs, with a `level` paired cluster-bootstrap interval over
    images: difference, ci_low, ci_high, p, share_below_zero (of the resamples), n, runs_a, runs_b, note.

    A resample draws images, each with all runs of both, so what makes an image hard cancels. HarError when
    the two were not measured on the same images with the same labels and classes.
    """
    if metric not in METRICS:
        raise HarError(f"metric {metric!r} is unknown, expected one of {', '.join(METRICS)}")
    first, second = cells(a, split), cells(b, split)
    same_images(first, second, split)
    found = (estimates(one, resamples, seed)[metric] for one in (first, second))
    return estimated_difference(*found, level)


def estimated_difference(a: Estimate, b: Estimate, level: float = 0.95) -> dict:
    """`difference` of two estimates. Paired if both come from the same images and bootstrap samples; if from
    other images and independently drawn samples, the interval is that of two independent means. p, of no difference,
    belongs to the interval: below 1 - `level` where that leaves out 0; None for losses."""
    values = a.resampled - b.resampled
    resampled = np.where(np.abs(values) < ROUNDING, 0.0, values)  # sums in another order are no difference
    estimate = a.mean - b.mean
    estimate = 0.0 if abs(estimate) < ROUNDING else estimate
    units, p = min(a.units, b.units), None
    if a.metric in LOSSES:
        low, high = percentile_interval(estimate, resampled, level)
    else:
        low, high = bootstrap_interval(estimate, resampled, units, (-1.0, 1.0), level)
        p = score_p(estimate, bootstrap_error(resampled, units), units)
    note = ""
    if units == 1:
        note = "A single image: the interval is all that a difference can be and says nothing about others."
    elif np.ptp(resampled) == 0:
        note = "Every image shows the same difference: the interval is a point."
    return {
        "difference": estimate,
        "ci_low": low,
        "ci_high": high,
        "p": p,
        "share_below_zero": float((resampled < 0).mean()),
        "n": a.n,
        "runs_a": len(a.runs),
        "runs_b": len(b.runs),
        "note": note,
    }
