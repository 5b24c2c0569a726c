"""Two models on the same images: paired differences with intervals, McNemar's test and its power."""

from functools import lru_cache

import numpy as np
import pandas as pd
import scipy

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


def mcnemar(a: np.ndarray, b: np.ndarray) -> dict:
    """Exact McNemar test of two models on the same images (McNemar 1947; binomial, two-sided), from whether
    each is right, bool [n]: only_a, only_b (discordant images), p, cohens_g, odds_ratio, note.

    Cohen's g: the share of the discordant images that only a gets right, minus 1/2. Odds ratio: only_a /
    only_b.
    """
    from statsmodels.stats.contingency_tables import mcnemar as exact_mcnemar

    a, b = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    result = {"only_a": only_a, "only_b": only_b, "p": 1.0, "cohens_g": None, "odds_ratio": None, "note": ""}
    if not only_a + only_b:
        return result | {"note": "No image that one gets right and the other wrong: p is 1, no effect size is defined."}
    table = [[int((a & b).sum()), only_a], [only_b, int((~a & ~b).sum())]]
    result |= {"p": float(exact_mcnemar(table, exact=True).pvalue), "cohens_g": only_a / (only_a + only_b) - 0.5}
    if only_b:
        return result | {"odds_ratio": only_a / only_b}
    return result | {"note": "The odds ratio is not defined: no image that only the second gets right."}


def _discordant(n: int, share: float, alpha: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The numbers of discordant images that `n` images may show, their probabilities, and for each the largest
    count on the rarer side at which the exact two-sided McNemar test rejects (-1: it cannot)."""
    number = np.arange(n + 1)
    weight = scipy.stats.binom.pmf(number, n, share)
    number, weight = number[weight > 1e-15], weight[weight > 1e-15]
    critical = scipy.stats.binom.ppf(alpha / 2, number, 0.5)
    exceeds = 2 * scipy.stats.binom.cdf(critical, number, 0.5) > alpha
    return number, weight, critical - exceeds


def _power(number: np.ndarray, weight: np.ndarray, critical: np.ndarray, favoured: float) -> float:
    favoured = min(favoured, 1.0)  # rounding
    rejects = scipy.stats.binom.cdf(critical, number, favoured) + scipy.stats.binom.sf(
        number - critical - 1, number, favoured
    )
    return float((weight * np.where(critical >= 0, rejects, 0.0)).sum())


def mcnemar_power(n: int, discordant: float, difference: float, alpha: float = 0.05) -> float:
    """Probability that the exact two-sided McNemar test on `n` images rejects at `alpha` when a share
    `discordant` of images is got right by one model only and the accuracies differ by `difference`
    (0 <= difference <= discordant, discordant > 0).

    Exact and unconditional: the number of discordant images is Binomial(n, discordant), those that favour
    the better model are Binomial(number, (discordant + difference) / (2 discordant)); the sum over both that
    Connor (1987) approximates.
    """
    return _power(*_discordant(n, discordant, alpha), (discordant + difference) / (2 * discordant))


@lru_cache(maxsize=1000)  # many pairs of models differ on as many images
def minimum_detectable_difference(
    n: int, discordant: float, alpha: float = 0.05, power: float = 0.8
) -> tuple[float | None, str]:
    """The smallest difference in accuracy that the exact McNemar test on `n` images finds at `alpha` with
    `power`, given the share of `discordant` images (`mcnemar_power`), and a note. None if it finds none: no
    difference can exceed the discordant share."""
    from scipy.optimize import brentq

    none = "No detectable difference: even if all discordant images favoured one model the power is less."
    if discordant <= 0:
        return None, none
    counts = _discordant(n, discordant, alpha)
    if _power(*counts, 1.0) < power:
        return None, none
    favoured = brentq(lambda share: _power(*counts, share) - power, 0.5, 1.0, xtol=1e-9)
    return float(discordant * (2 * favoured - 1)), ""
