"""Do probabilities mean what they say? Expected calibration error, reliability and temperature scaling.

Confidence is the largest probability of an image. Bins hold equally many images (equal mass), not equally wide
ranges, as few images make wide bins empty (Nguyen & O'Connor 2015).

The plug-in error is biased upwards: even a calibrated model misses its confidence by chance in each bin, the
more so the fewer images a bin holds (Roelofs et al. 2022). So `ece_of_calibrated` says what a model with these
very confidences scores if they are all true; only what exceeds that is a sign of miscalibration.
"""

import math

import numpy as np

from har.evaluation.bootstrap import RESAMPLES
from har.evaluation.metrics import EPSILON, Cells, negative_log_likelihood

MAX_BINS = 15
DRAWS = 200  # of outcomes under which confidences are true: their mean error is known to 1 in 100
TEMPERATURES = (0.05, 20.0)  # where one is looked for
# Standard deviation of a temperature's logarithm around 0, before an image is seen: few images leave it near 1. Fitted
# on 28 images of train and validation of the sample and read on 114 others, the NLL of 18 models is .816 on average,
# unscaled .821, without this .823: there all 13 models with an NLL below 1 get worse. With .5 .817.
SPREAD = 0.25


def bin_count(n: int) -> int:
    """How many bins `n` images fill: its square root, at most MAX_BINS, so that more images make both more bins
    and fuller ones; 29 make 5."""
    return min(MAX_BINS, math.isqrt(n))


def equal_mass_bins(confidence: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each of n confidences, 0, 1, ...: quantiles are the edges, and equal confidences share a bin,
    so there may be fewer than `bins` and the order of images does not matter."""
    edges = np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    return np.unique(np.searchsorted(edges, confidence, side="right"), return_inverse=True)[1]


def expected_calibration_error(confidence: np.ndarray, hits: np.ndarray, bins: int) -> np.ndarray:
    """Mean over images of the gap between accuracy and mean confidence of their bin, 0 to 1 (Naeini et al.
    2015), from confidences [n] and outcomes [..., n]: [...]."""
    place = equal_mass_bins(confidence, bins)
    in_bin = np.eye(place.max() + 1)[place]  # [n, bins]
    return np.abs((hits - confidence) @ in_bin).sum(-1) / len(confidence)


def ece(one: Cells) -> np.ndarray:
    """Expected calibration error of each run, [S]."""
    confidence, hits = one.probabilities.max(-1), one.guess == one.truth[:, None]
    bins = bin_count(len(one.truth))
    return np.array([expected_calibration_error(c, h, bins) for c, h in zip(confidence.T, hits.T, strict=True)])


def ece_of_calibrated(one: Cells, seed: int = 0, draws: int = DRAWS) -> np.ndarray:
    """What `ece` expects of each run if its confidences were true, [S]: the mean over `draws` of outcomes."""
    random, bins = np.random.default_rng(seed), bin_count(len(one.truth))
    return np.array(
        [
            expected_calibration_error(run, random.random((draws, len(run))) < run, bins).mean()
            for run in one.probabilities.max(-1).T
        ]
    )


def reliability(one: Cells, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, np.ndarray]:
    """Confidence and accuracy in equal-mass bins of the images of all runs together: confidence, accuracy,
    images (runs counted) [bins], and accuracies in bootstrap samples of images, resampled [B, bins]; NaN where a
    sample leaves a bin empty."""
    n, runs = one.guess.shape
    confidence, hits = one.probabilities.max(-1), one.guess == one.truth[:, None]  # [n, S]
    place = equal_mass_bins(confidence.ravel(), bin_count(n)).reshape(n, runs)
    in_bin = np.eye(place.max() + 1, dtype=np.float32)[place]  # [n, S, bins]; float32 counts exactly to 2**24
    both = np.hstack([(in_bin * hits[..., None]).sum(1), in_bin.sum(1)])  # right and all of each image
    right, total = np.hsplit(one.sums(both, resamples, seed).astype(float), 2)
    with np.errstate(invalid="ignore"):
        accuracy = right / total
    return {
        "confidence": np.bincount(place.ravel(), confidence.ravel()) / total[0],
        "accuracy": accuracy[0],
        "images": total[0].astype(int),
        "resampled": accuracy[1:],
    }


# --- temperature -------------------------------------------------------------------------------------------


def scale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Softmax of log-probabilities [..., C] divided by `temperature`: above 1 makes them less sure, the order
    of classes stays."""
    from scipy.special import softmax

    if temperature == 1:
        return probabilities  # not even their rounding changes
    return softmax(np.log(np.clip(probabilities, EPSILON, 1)) / temperature, axis=-1)


def fit_temperature(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The temperature in TEMPERATURES with the largest posterior on probabilities [n, C] and class indices [n] (Guo et
    al. 2017; its logarithm normal with deviation SPREAD). 1 where no other is better, so scaling never raises the loss
    that it was fitted on."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        prior = (log_temperature / SPREAD) ** 2 / (2 * len(truth))
        return negative_log_likelihood(scale(probabilities, np.exp(log_temperature)), truth).mean() + prior

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    unscaled = negative_log_likelihood(probabilities, truth).mean()
    return float(np.exp(found.x)) if found.fun < unscaled - 1e-12 else 1.0


def fit_temperatures(validation: Cells) -> dict[int, float]:
    """Each run's own temperature, by seed."""
    runs = zip(validation.seeds, validation.probabilities.swapaxes(0, 1), strict=True)
    return {int(seed): fit_temperature(probabilities, validation.truth) for seed, probabilities in runs}


def rescaled(one: Cells, temperatures: dict[int, float]) -> Cells:
    """`one` with each run's probabilities at its temperature; KeyError for a run without one."""
    runs = [scale(one.probabilities[:, place], temperatures[int(seed)]) for place, seed in enumerate(one.seeds)]
    return one._replace(probabilities=np.stack(runs, axis=1))
