"""Models on the same images: paired differences with intervals, of two models, or of many pairs at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from har.core.errors import HarError
from har.evaluation.anova import ROUNDING
from har.evaluation.bootstrap import bootstrap_error, bootstrap_interval, score_interval, score_p
from har.evaluation.metrics import Cells
from har.evaluation.summary import Estimate


def same_images(a: Cells, b: Cells, split: str) -> None:
    """HarError unless both were measured on the same images with the same labels and classes."""
    if a.classes != b.classes:
        raise HarError(f"difference on {split}: classes {a.classes} are not {b.classes}")
    if not np.array_equal(a.image_ids, b.image_ids):
        alone = sorted(set(a.image_ids) ^ set(b.image_ids))
        raise HarError(f"difference on {split}: image {alone[0]} is predicted by one of the two only")
    if (unlike := a.truth != b.truth).any():
        raise HarError(f"difference on {split}: image {a.image_ids[unlike][0]} has two labels")


def estimated_difference(a: Estimate, b: Estimate, level: float = 0.95) -> dict:
    """a minus b, means over runs, with a `level` interval over images: difference, ci_low, ci_high, p, share_below_zero
    (of the bootstrap samples), n, runs_a, runs_b, note.

    Paired if both come from the same images and bootstrap samples, so that what makes an image hard cancels; if from
    other images and independently drawn samples, the interval is that of two independent means. p, of no difference,
    belongs to the interval: below 1 - `level` where that leaves out 0.
    """
    values = a.resampled - b.resampled
    resampled = np.where(np.abs(values) < ROUNDING, 0.0, values)  # sums in another order are no difference
    estimate = a.mean - b.mean
    estimate = 0.0 if abs(estimate) < ROUNDING else estimate
    units = min(a.units, b.units)
    low, high = bootstrap_interval(estimate, resampled, units, (-1.0, 1.0), level)
    note = ""
    if units == 1:
        note = "A single image: the interval is all that a difference can be and says nothing about others."
    elif np.ptp(resampled) == 0:
        note = "Every image shows the same difference: the interval is a point."
    return {
        "difference": estimate,
        "ci_low": low,
        "ci_high": high,
        "p": score_p(estimate, bootstrap_error(resampled, units), units),
        "share_below_zero": float((resampled < 0).mean()),
        "n": a.n,
        "runs_a": len(a.runs),
        "runs_b": len(b.runs),
        "note": note,
    }


class Compared(NamedTuple):
    """Pairs of models, each [P]: difference, the ends of its interval, p of no difference, and the least difference
    that would be found with `power`."""

    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    detectable: np.ndarray


def simultaneous(
    found: Sequence[Estimate], pairs: Sequence[tuple[int, int]], level: float = 0.95, seed: int = 0, power: float = 0.8
) -> Compared:
    """Differences a - b of `pairs` of the models `found`, with intervals that hold all at once with probability `level`
    and p-values adjusted to match: below 1 - level where the interval leaves out 0.

    What is compared is a model's expected score over images and training runs. The bootstrap samples of images, the
    same for all models, tell how differences vary over images and vary together; the variance of a model's mean over
    its runs, less what images that only some runs get right have already told, comes on top as normal noise. The
    largest of the standardised differences of each sample (max-t: Westfall & Young 1993; Hothorn, Bretz & Westfall
    2008) gives the level that every single interval needs; each takes Student's quantile at its own Satterthwaite
    degrees of freedom (Hasler & Hothorn 2008), by `score_interval`. A single run has no variance of runs: then it is
    that run which is compared.

    Args:
        found: estimates of one metric on the same images, from the same bootstrap samples.
        pairs: places in `found`.
        level: of all intervals together.
        seed: of the noise of runs.
        power: of `detectable`.
    """
    from scipy import stats

    a, b = np.array(pairs, int).reshape(-1, 2).T
    means = np.array([one.mean for one in found])
    drawn = np.stack([one.resampled for one in found], axis=1)  # [B, M]
    runs = np.array([len(one.runs) for one in found])
    observed = np.array([one.runs.var(ddof=1) / len(one.runs) if len(one.runs) > 1 else 0.0 for one in found])
    spread = np.maximum(0.0, observed - np.array([one.noise for one in found]))
    units = min(one.units for one in found)
    difference = np.where(np.abs(means[a] - means[b]) < ROUNDING, 0.0, means[a] - means[b])
    images = (drawn[:, a] - drawn[:, b]).var(0) * units / max(units - 1, 1)
    images[images < ROUNDING**2] = 0.0  # sums in another order are no difference
    variance = images + spread[a] + spread[b]
    parts = [images**2 / max(units - 1, 1)] + [observed[side] ** 2 / np.maximum(runs[side] - 1, 1) for side in (a, b)]
    total = sum(parts)
    freedom = np.divide(variance**2, total, out=np.full(len(a), float(units - 1)), where=total > 0)
    error, varies = np.sqrt(variance), variance > 0
    noise = np.random.default_rng(seed).standard_normal(drawn.shape) * np.sqrt(spread)
    centred = drawn - drawn.mean(0) + noise
    draws = centred[:, a[varies]] - centred[:, b[varies]]
    largest = np.abs(draws / draws.std(0)).max(1, initial=0.0)  # [B]
    alpha = 2 * stats.norm.sf(np.quantile(largest, level)) if varies.any() else 1 - level
    alpha = min(alpha, 1 - level)  # of one pair the bootstrap's normal tails say no less than the level itself
    each = list(zip(difference, error, freedom + 1, strict=True))
    low, high = np.array([score_interval(*one, (-1.0, 1.0), 1 - alpha) for one in each]).reshape(-1, 2).T
    single = [score_p(*one) for one in each]
    at_least = largest[:, None] >= stats.norm.isf(np.array(single) / 2)
    p = np.maximum((1 + at_least.sum(0)) / (1 + len(largest)), single)
    quantiles = stats.t.isf(alpha / 2, np.maximum(freedom, 1)) + stats.t.isf(1 - power, np.maximum(freedom, 1))
    return Compared(difference, low, high, p, quantiles * error)
