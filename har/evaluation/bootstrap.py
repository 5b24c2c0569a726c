"""Intervals over images: a cluster bootstrap that draws images, each with all its runs (Field & Welsh 2007), or
whole groups."""

import os
from functools import lru_cache
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np

RESAMPLES = 2000
# Counts of a bootstrap that are in memory at a time: all 2,000 samples of 1,000 images, or some of more images.
BLOCK = 1 << 21


@lru_cache(maxsize=4)  # every model on a split shares its draws
def resample_counts(n: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each of `n` images is drawn in each bootstrap sample, [resamples, n], read-only."""
    counts = _drawn(np.random.default_rng(seed), n, resamples)
    counts.flags.writeable = False
    return counts


def resampled(values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Sums of `values` [n, K] over each bootstrap sample of `resample_counts`: [B, K]. Of many images some are summed
    at a time, so that memory stays flat."""
    n = len(values)
    if not resamples:
        return values[:0]
    if n * resamples <= BLOCK:
        return resample_counts(n, resamples, seed).astype(values.dtype) @ values
    total = np.zeros((resamples, values.shape[1]), values.dtype)
    file, width = _drawn_file(n, resamples, seed).fileno(), _width(resamples)
    for start in range(0, n, width):
        some = values[start : start + width]
        counts = np.frombuffer(os.pread(file, resamples * len(some), resamples * start), dtype=np.uint8)
        total += counts.reshape(resamples, -1).astype(values.dtype) @ some
    return total


def _width(resamples: int) -> int:
    """Of how many images the counts in all samples are in memory at a time."""
    return max(1, BLOCK // resamples)


@lru_cache(maxsize=4)
def _drawn_file(n: int, resamples: int, seed: int) -> BinaryIO:
    """`resample_counts` as bytes in a temporary file: every model shares them, as large as they are. `_width`
    images come after each other with their counts in all samples."""
    random, rows, width = np.random.default_rng(seed), max(1, BLOCK // n), _width(resamples)
    file = TemporaryFile()
    for first in range(0, resamples, rows):  # the generator goes on from block to block, so the draws are those of one
        counts = _drawn(random, n, min(rows, resamples - first))
        counts = counts.astype(np.uint8)  # an image drawn over 255 times has a probability of 1e-500
        for start in range(0, n, width):
            some = counts[:, start : start + width]
            os.pwrite(file.fileno(), some.tobytes(), resamples * start + first * some.shape[1])
    return file


def _drawn(random: np.random.Generator, n: int, samples: int) -> np.ndarray:
    drawn = random.integers(0, n, size=(samples, n))
    drawn += n * np.arange(samples)[:, None]
    # 10 times as fast as rng.multinomial
    return np.bincount(drawn.ravel(), minlength=samples * n).reshape(samples, n)


def percentile_interval(estimate: float, values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap `values` [B], widened to its estimate: macro scores of a resample are
    biased down where a small class goes missing, and an interval beside its estimate helps nobody."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return min(float(low), estimate), max(float(high), estimate)


def score_interval(
    estimate: np.ndarray, error: np.ndarray, n: int, bounds: tuple[float, float] = (0.0, 1.0), level: float = 0.95
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
    inside = variance > 1e-12  # sums in float32
    inverse = np.divide((np.asarray(error) / width) ** 2, variance, out=np.full_like(share, 1 / n), where=inside)
    shrinkage = stats.t.ppf((1 + level) / 2, n - 1) ** 2 * inverse
    centre = (share + shrinkage / 2) / (1 + shrinkage)
    half = np.sqrt(shrinkage * variance + shrinkage**2 / 4) / (1 + shrinkage)
    return low + width * np.clip(centre - half, 0, 1), low + width * np.clip(centre + half, 0, 1)


def bootstrap_interval(
    estimate: float, values: np.ndarray, n: int, bounds: tuple[float, float] = (0.0, 1.0), level: float = 0.95
) -> tuple[float, float]:
    """`score_interval` with the standard error of bootstrap `values` [B] of `n` images. It keeps its level where
    percentiles do not, on few images and near a bound (stage simulate)."""
    error = values.std() * np.sqrt(n / max(n - 1, 1))
    low, high = score_interval(estimate, error, n, bounds, level)
    return min(float(low), estimate), max(float(high), estimate)  # an end on the estimate may be off by rounding


def wilson(correct: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for the accuracy of a single run (Wilson 1927)."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(correct, n, alpha=1 - level, method="wilson")
    return min(float(low), correct / n), max(float(high), correct / n)
