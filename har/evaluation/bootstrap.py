"""Intervals over images: a cluster bootstrap that draws images, each with all its runs (Field & Welsh 2007), or whole
groups; within strata where there are any."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

RESAMPLES = 2000
BLOCK = 1 << 21  # counts that are drawn, or multiplied, at a time


@lru_cache(maxsize=8)  # every model on a split shares its draws
def resample_counts(n: int | tuple[int, ...], resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each of `n` images is drawn in each bootstrap sample, uint8 [resamples, n], read-only. n may tell how
    many images each stratum has, one stratum after the other: a sample then draws as many from each."""
    strata = (n,) if isinstance(n, int) else n
    random, start = np.random.default_rng(seed), 0
    counts = np.empty((resamples, sum(strata)), np.uint8)  # an image drawn over 255 times has a probability of 1e-500
    for n in strata:
        rows = max(1, BLOCK // n)
        for first in range(0, resamples, rows):  # the generator goes on, so blocks change no draw
            some = counts[first : first + rows, start : start + n]
            drawn = random.integers(0, n, size=some.shape)
            drawn += n * np.arange(len(some))[:, None]
            # 10 times as fast as rng.multinomial
            some[:] = np.bincount(drawn.ravel(), minlength=some.size).reshape(some.shape)
        start += n
    counts.flags.writeable = False
    return counts


def resampled(
    values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0, strata: tuple[int, ...] = ()
) -> np.ndarray:
    """Sums of `values` [n, K] over each bootstrap sample of `resample_counts`: [B, K]. strata: the rows of each."""
    if not resamples:
        return values[:0]
    counts, width = resample_counts(strata or len(values), resamples, seed), max(1, BLOCK // resamples)
    total = np.zeros((resamples, values.shape[1]), values.dtype)
    for start in range(0, len(values), width):
        total += counts[:, start : start + width].astype(values.dtype) @ values[start : start + width]
    return total


def percentile_interval(estimate: float, values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap `values` [B], widened to its estimate: macro scores of a resample are
    biased down where a small class goes missing, and an interval beside its estimate helps nobody."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return min(float(low), estimate), max(float(high), estimate)


def score_interval(
    estimate: np.ndarray, error: np.ndarray, n: float, bounds: tuple[float, float] = (0.0, 1.0), level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval at the effective sample size, for any figure within `bounds` that is measured on
    `n` images with standard error `error`.

    The effective sample size is the number of independent images on which a proportion would have this
    standard error, p (1 - p) / error² (Kish 1965; in Wilson's interval: Franco et al. 2019). The quantile
    is Student's with n - 1 degrees of freedom, as `error` is itself estimated from the images (Korn & Graubard
    1998). An estimate on a bound is taken for n images all alike; where else `error` is 0 the interval is a
    point; a single image gives `bounds`.
    """
    from scipy import stats

    low, width = bounds[0], bounds[1] - bounds[0]
    share = (np.asarray(estimate, dtype=float) - low) / width
    if n < 2:
        return np.full_like(share, bounds[0]), np.full_like(share, bounds[1])
    variance = np.maximum(share * (1 - share), 0)
    inverse = _inverse_size(variance, np.asarray(error) / width, n)
    shrinkage = stats.t.ppf((1 + level) / 2, n - 1) ** 2 * inverse
    centre = (share + shrinkage / 2) / (1 + shrinkage)
    half = np.sqrt(shrinkage * variance + shrinkage**2 / 4) / (1 + shrinkage)
    lower, upper = (low + width * np.clip(centre + side, 0, 1) for side in (-half, half))
    return np.minimum(lower, estimate), np.maximum(upper, estimate)  # beside the estimate by rounding alone


def _inverse_size(variance: np.ndarray, error: np.ndarray, n: float) -> np.ndarray:
    """1 / effective sample size of a share with `variance` p (1 - p) and standard error `error`; 1 / n on a bound."""
    inside = variance > 1e-12  # sums in float32
    return np.divide(error**2, variance, out=np.full_like(variance, 1 / n), where=inside)


def score_p(difference: float, error: float, n: float) -> float:
    """Two-sided p that a `difference` (-1 to 1) is 0 in truth: the level at which `score_interval` ends on 0, or that
    of `n` images all alike where `error` is 0. A single image gives 1."""
    from scipy import stats

    if n < 2:
        return 1.0
    inverse = float(_inverse_size(np.array((1 - difference**2) / 4), np.array(error / 2), n)) or 1 / n
    return float(2 * stats.t.sf(abs(difference) / inverse**0.5, n - 1))


def bootstrap_error(values: np.ndarray, n: float) -> float:
    """Standard error from bootstrap `values` [B] of `n` images; a bootstrap's own is too small by n / (n - 1)."""
    return float(values.std() * np.sqrt(n / max(n - 1, 1)))


def bootstrap_interval(
    estimate: float, values: np.ndarray, n: float, bounds: tuple[float, float] = (0.0, 1.0), level: float = 0.95
) -> tuple[float, float]:
    """`score_interval` with the standard error of bootstrap `values` [B] of `n` images. It keeps its level where
    percentiles do not, on few images and near a bound (stage simulate)."""
    low, high = score_interval(estimate, bootstrap_error(values, n), n, bounds, level)
    return float(low), float(high)


class Mean(NamedTuple):
    """With its interval; None where no image has a value."""

    mean: float | None
    low: float | None
    high: float | None


def mean_with_interval(values: Sequence[float], bounds: tuple[float, float] = (0.0, 1.0), level: float = 0.95) -> Mean:
    """The mean of one number an image within `bounds`: `score_interval` with the standard error of a mean, of
    a series by group (har.data.groups.by_image) that of a mean of clusters."""
    values = pd.Series(values, dtype=float)
    if values.empty:
        return Mean(None, None, None)
    groups = values.index.get_level_values("group") if "group" in values.index.names else None
    values = values.to_numpy()
    n, mean = len(values), float(values.mean())
    units = n if groups is None else groups.nunique()
    error = values.std(ddof=1) / np.sqrt(n) if n > 1 else 0.0
    if groups is not None and units > 1:
        sums = pd.Series(values - mean).groupby(groups).sum().to_numpy()
        error = np.sqrt(units / (units - 1) * np.square(sums).sum()) / n
    low, high = score_interval(mean, error, units, bounds, level)
    return Mean(mean, float(low), float(high))


def wilson(correct: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for the accuracy of a single run (Wilson 1927)."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(correct, n, alpha=1 - level, method="wilson")
    return min(float(low), correct / n), max(float(high), correct / n)
