"""Predictions of which the truth is known: do the intervals cover it, do the tests keep their level?

Run s of model m is right on image i where

    difficulty_i + strength_im + noise_ims + run_ms < probit(accuracy_m)

with independent normal terms whose variances sum to 1. So the accuracy over the population of images is
`accuracy_m` exactly, however much of the variance the runs of a model share (difficulty and strength) or the
models share (difficulty). A wrong answer is always the class that the image resembles, which makes the
confusion matrix of the population, and so its F1, exact too.

Arrays have the images first, [n, E, ...] for E experiments: one product with the bootstrap's counts [B, n]
resamples all experiments at once.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import scipy

from har.evaluation.bootstrap import resample_counts, score_interval
from har.evaluation.metrics import metrics_from_confusion
from har.evaluation.paired import simultaneous
from har.evaluation.summary import Estimate
from har.reporting import paper

IMAGES = (29, 100, 1000)  # the paper's test set, and larger ones
RUNS = (1, 5)
ACCURACIES = (0.4, 0.6, 0.76, 0.9)
NULL_ACCURACY = 0.4  # where the paper's small networks lie
MODELS = 8  # that the paper's ANOVA compares
# Shares of variance: they give two runs of a model a phi coefficient of about 0.7 and two models one of about
# 0.3, as fine-tuned models have them on the sample's extended set.
DIFFICULTY, STRENGTH = 0.45, 0.45
LEVEL = 0.95
BLOCK = 250  # experiments that share one draw of bootstrap samples; bounds the memory
F1_BLOCK, F1_WORK = 50, 400_000  # macro F1 takes the most time: half the experiments, on at most F1_WORK images
FOLDS, REPEATS, FEATURES, SEPARATION = 10, 3, 4, 0.7  # repeated cross-validation on 10 folds of 29 images
FAMILY = (0.6, 0.4, 0.5, 0.7, 0.76, 0.9)  # accuracies of models of which all pairs are compared
FAMILY_IMAGES, FAMILY_BLOCK = (100, 1000), 50
RUN_EFFECTS = (0.0, 0.01, 0.03)  # variance of a run: runs' accuracies have a standard deviation of 0, 4 and 7 points
ROUNDING = 1e-6  # sums in float32; an interval that ends on the truth covers it


@dataclass(frozen=True)
class Population:
    """Models of known accuracy on a population of images. `shares`: of the classes; the paper's by default."""

    accuracies: tuple[float, ...]  # [M]
    difficulty: float = DIFFICULTY  # variance shared by all models
    strength: float = STRENGTH  # variance of a model's own strengths and weaknesses, shared by its runs
    run: float = 0.0  # variance of a run's own strength on all images
    shares: tuple[float, ...] = tuple(
        size.count / paper.TABLE1["all"].count for name, size in paper.TABLE1.items() if name != "all"
    )

    def hits(self, rng: np.random.Generator, experiments: int, images: int, runs: int) -> np.ndarray:
        """Whether each run is right on each image, bool [n, E, M, S]."""
        models, drawn = len(self.accuracies), np.float32

        def normal(variance: float, *shape: int) -> np.ndarray:
            return rng.standard_normal((images, experiments, *shape), dtype=drawn) * drawn(np.sqrt(variance))

        latent = normal(self.difficulty, 1, 1) + normal(self.strength, models, 1)
        # shares that sum to 1 may leave -1e-16
        noise = normal(max(0.0, 1 - self.difficulty - self.strength - self.run), models, runs)
        noise += rng.standard_normal((1, experiments, models, runs), dtype=drawn) * drawn(np.sqrt(self.run))
        return noise + latent < scipy.stats.norm.ppf(self.accuracies).astype(drawn)[:, None]

    def mistakes(self) -> np.ndarray:
        """Probability [C, C] that an image of the row's class resembles the column's: by the classes' shares."""
        others = np.tile(self.shares, (len(self.shares), 1))
        np.fill_diagonal(others, 0)
        return others / others.sum(1, keepdims=True)

    def labels(self, rng: np.random.Generator, experiments: int, images: int) -> tuple[np.ndarray, np.ndarray]:
        """The class of each image and the one it resembles, each one-hot float32 [n, E, C]."""
        identity, shape = np.eye(len(self.shares), dtype=np.float32), (images, experiments)
        truth = rng.choice(len(self.shares), size=shape, p=self.shares)
        alike = (rng.random((*shape, 1)) > self.mistakes().cumsum(1)[truth]).sum(-1)
        return identity[truth], identity[np.minimum(alike, len(self.shares) - 1)]  # a cumulated 1 may be 1 - 1e-16

    def confusion(self) -> np.ndarray:
        """Confusion matrices of the whole population, as shares, [M, C, C]."""
        right = np.asarray(self.accuracies)[:, None, None]
        matrix = right * np.eye(len(self.shares)) + (1 - right) * self.mistakes()
        return matrix * np.asarray(self.shares)[:, None]


def mean_f1(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Macro F1, mean over runs [...], from image counts of each run and class [..., S, C], 0 where undefined:
    what `metrics_from_confusion` gives, without the other metrics and in float32, for speed."""
    f1 = true + predicted
    np.divide(2 * hits, np.maximum(f1, 1, out=f1), out=f1)
    cells = f1.shape[-2] * f1.shape[-1]
    return f1.reshape(*f1.shape[:-2], cells) @ np.full(cells, 1 / cells, f1.dtype)  # faster than two means


def blocks(experiments: int, size: int) -> Iterator[int]:
    """Sizes of the blocks that `experiments` are done in."""
    for start in range(0, experiments, size):
        yield min(size, experiments - start)


def bootstrap_counts(rng: np.random.Generator, images: int, resamples: int) -> np.ndarray:
    """`resample_counts` as the float32 that products are fast in, [B, n]."""
    return resample_counts(images, resamples, int(rng.integers(2**32))).astype(np.float32)


def bootstrap_intervals(
    estimate: np.ndarray, resampled: np.ndarray, n: int, bounds: tuple[float, float] = (0.0, 1.0)
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """method to ends, from estimates [...] and their bootstrap samples of `n` images [B, ...].

    percentile: as `percentile_interval`. expanded: the percentiles moved out by what Student's
    quantile and the n / (n - 1) of the variance ask for (Hesterberg 2015). score: `score_interval`
    with the bootstrap's standard error, times the root of n / (n - 1).
    """
    tail = (1 - LEVEL) / 2
    wider = scipy.stats.norm.cdf(np.sqrt(n / (n - 1)) * scipy.stats.t.ppf(tail, n - 1))
    ends = np.quantile(resampled, [tail, 1 - tail, wider, 1 - wider], axis=0)
    error = resampled.std(0, dtype=float) * np.sqrt(n / (n - 1))
    return {
        "percentile": (np.minimum(ends[0], estimate), np.maximum(ends[1], estimate)),
        "expanded": (np.minimum(ends[2], estimate), np.maximum(ends[3], estimate)),
        "score": score_interval(estimate, error, n, bounds, LEVEL),
    }


def covers(ends: tuple[np.ndarray, np.ndarray], truth: np.ndarray) -> np.ndarray:
    """Whether the truth [...] lies within the ends, bool [...]."""
    return (ends[0] - ROUNDING <= truth) & (truth <= ends[1] + ROUNDING)


Outcomes = dict[tuple, list[np.ndarray]]  # what came of experiments, bool [E] each time, under a key
Intervals = tuple[str, dict[str, tuple[np.ndarray, np.ndarray]], np.ndarray]  # figure, method to ends [E, M], truth [M]


def rates(outcomes: Outcomes, names: tuple[str, ...]) -> list[dict]:
    """A row for each key, whose parts are `names`: experiments, rate and its Monte-Carlo standard error."""
    rows = []
    for key, found in outcomes.items():
        every = np.concatenate(found)
        rate, count = float(every.mean()), len(every)
        error = float(np.sqrt(rate * (1 - rate) / count))
        rows.append(dict(zip(names, key, strict=True)) | {"experiments": count, "rate": rate, "standard_error": error})
    return rows


def _accuracy_intervals(
    population: Population, rng: np.random.Generator, images: int, runs: int, size: int, resamples: int
) -> Iterator[Intervals]:
    """Accuracy of each model, and its difference from the next model (from the last one, to the first)."""
    from statsmodels.stats.proportion import proportion_confint

    hits = population.hits(rng, size, images, runs)
    each = hits.mean(-1, dtype=np.float32)  # [n, E, M]
    resampled = bootstrap_counts(rng, images, resamples) @ each.reshape(images, -1) / images
    estimate, resampled = each.mean(0), resampled.reshape(resamples, size, -1)  # [E, M], [B, E, M]
    truth = np.array(population.accuracies)
    found = bootstrap_intervals(estimate, resampled, images)
    if runs == 1:
        found["wilson"] = proportion_confint(np.rint(estimate * images), images, 1 - LEVEL, "wilson")
    else:
        scores = hits.mean(0)  # Student's interval of their mean, as if runs were independent test sets
        half = scipy.stats.t.ppf((1 + LEVEL) / 2, runs - 1) * scores.std(-1, ddof=1) / np.sqrt(runs)
        found["runs"] = scores.mean(-1) - half, scores.mean(-1) + half
    yield "accuracy", found, truth
    gap, gaps = np.roll(estimate, -1, -1) - estimate, np.roll(resampled, -1, -1) - resampled
    found = bootstrap_intervals(gap, gaps, images, bounds=(-1.0, 1.0))
    yield "difference", found, np.roll(truth, -1) - truth


def _f1_intervals(
    population: Population, rng: np.random.Generator, images: int, runs: int, size: int, resamples: int
) -> Iterator[Intervals]:
    hits = population.hits(rng, size, images, runs)[..., None]
    true, alike = (one[:, :, None, None] for one in population.labels(rng, size, images))  # [n, E, 1, 1, C]
    counts = np.vstack([np.ones((1, images), np.float32), bootstrap_counts(rng, images, resamples)])
    right = hits * true  # [n, E, M, S, C]
    predicted = right + ~hits * alike
    sums = [(counts @ one.reshape(images, -1)).reshape(-1, *one.shape[1:]) for one in (right, true, predicted)]
    values = mean_f1(*sums)  # [1 + B, E, M]
    truth = metrics_from_confusion(population.confusion())["f1"]
    yield "f1", bootstrap_intervals(values[0], values[1:], images), truth


def coverage(experiments: int, resamples: int, seed: int, sizes: tuple[int, ...] = IMAGES) -> list[dict]:
    """How often `LEVEL` intervals over images hold the population's figure: a dict for each figure (accuracy,
    difference, f1), method, number of images and runs, and accuracy, with experiments, rate and its
    Monte-Carlo standard error."""
    population, outcomes = Population(ACCURACIES), defaultdict(list)
    for images, runs in product(sizes, RUNS):
        rng = np.random.default_rng([seed, images, runs])
        work = [(_accuracy_intervals, size) for size in blocks(experiments, BLOCK)]
        work += [(_f1_intervals, size) for size in blocks(min(experiments // 2, F1_WORK // images), F1_BLOCK)]
        for intervals, size in work:
            for figure, methods, truth in intervals(population, rng, images, runs, size, resamples):
                for method, ends in methods.items():
                    for accuracy, inside in zip(ACCURACIES, covers(ends, truth).T, strict=True):
                        outcomes[figure, method, images, runs, accuracy].append(inside)
    return rates(outcomes, ("figure", "method", "images", "runs", "accuracy"))


def families(experiments: int, resamples: int, seed: int, images: tuple[int, ...] = FAMILY_IMAGES) -> list[dict]:
    """How often the intervals of all pairs of FAMILY models hold their truths at once ("coverage"), and how often a
    pair of equal models is told apart ("rejection"), without and with an effect of the training run: a dict for each,
    number of images and effect, with experiments, rate and its Monte-Carlo standard error.

    Balanced accuracy on the paper's shares of classes (har.evaluation.paired.simultaneous).
    """
    outcomes, equal = defaultdict(list), FAMILY[:1] * len(FAMILY)
    for n, effect, (figure, accuracies) in product(images, RUN_EFFECTS, (("coverage", FAMILY), ("rejection", equal))):
        population = Population(accuracies, strength=STRENGTH - effect, run=effect)
        rng = np.random.default_rng([seed, n, round(1000 * effect), len(figure)])
        for size in blocks(experiments, FAMILY_BLOCK):
            outcomes[figure, n, effect].append(_family(population, rng, n, size, resamples, figure))
    return rates(outcomes, ("figure", "images", "run_effect"))


def _family(
    population: Population, rng: np.random.Generator, images: int, experiments: int, resamples: int, figure: str
) -> np.ndarray:
    """Whether all intervals hold, or some pair is told apart, bool [E]."""
    strata, runs = tuple(max(2, round(images * share)) for share in population.shares), max(RUNS)
    weight = np.concatenate([np.full(n, 1 / (len(strata) * n), np.float32) for n in strata])  # of a balanced accuracy
    counts = resample_counts(strata, resamples, int(rng.integers(2**32))) * weight
    pairs, found = list(combinations(range(len(population.accuracies)), 2)), []
    truth = np.array([population.accuracies[a] - population.accuracies[b] for a, b in pairs])
    for hits in population.hits(rng, experiments, sum(strata), runs).swapaxes(0, 1):  # [n, M, S]
        scores, drawn = np.tensordot(weight, hits, 1), counts @ hits.mean(-1, dtype=np.float32)
        noise = np.square(weight) @ hits.var(-1, ddof=1) / runs
        models = [
            Estimate("balanced_accuracy", len(hits), scores[m], drawn[:, m].astype(float), noise=float(noise[m]))
            for m in range(len(scores))
        ]
        told = simultaneous(models, pairs, LEVEL, int(rng.integers(2**32)))
        found.append(covers(told[1:3], truth).all() if figure == "coverage" else (told.p < 1 - LEVEL).any())
    return np.array(found)


def anova_p(scores: np.ndarray) -> np.ndarray:
    """p [E] of the paper's one-way ANOVA, groups are models, from the runs' hits [E, M, S]; 1 where F is not
    defined."""
    defined = np.ptp(scores, axis=-1).max(-1) > 0
    p = np.ones(len(scores))
    p[defined] = scipy.stats.f_oneway(*np.moveaxis(scores[defined], 1, 0), axis=-1).pvalue
    return p


def paired_t_p(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """p [E] of the paper's paired t-test over runs, from hits [E, S]; 1 where t is not defined."""
    defined = np.ptp(a - b, axis=-1) > 0
    p = np.ones(len(a))
    p[defined] = scipy.stats.ttest_rel(a[defined], b[defined], axis=-1).pvalue
    return p


def mcnemar_p(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact and mid-p McNemar p [E] of two models, from whether each is right, bool [n, E] (McNemar 1947;
    Fagerland et al. 2013)."""
    only_a, only_b = (a & ~b).sum(0), (b & ~a).sum(0)
    rarer, number = np.minimum(only_a, only_b), only_a + only_b
    both = 2 * scipy.stats.binom.cdf(rarer, number, 0.5)
    tied = np.where(only_a == only_b, 0.5, 1.0)  # both tails then hold the observed count
    return np.minimum(both, 1), np.minimum(both, 1) - tied * scipy.stats.binom.pmf(rarer, number, 0.5)


def corrected_t_p(scores: np.ndarray, ratio: float) -> np.ndarray:
    """p [E] that the mean of differences on test folds [E, J] is 0, with the variance s² (1 / J + ratio),
    ratio = n_test / n_train (Nadeau & Bengio 2003); ratio 0 gives the ordinary t-test."""
    folds = scores.shape[1]
    error = np.sqrt(scores.var(1, ddof=1) * (1 / folds + ratio))
    mean = scores.mean(1)
    t = np.divide(np.abs(mean), error, out=np.zeros_like(mean), where=error > 0)
    return 2 * scipy.stats.t.sf(t, folds - 1)


def cross_validate(rng: np.random.Generator, experiments: int) -> np.ndarray:
    """Difference in accuracy on each test fold of repeated cross-validation, [E, REPEATS * FOLDS], between two
    nearest-centroid classifiers that are really trained. Each sees FEATURES of its own, of one distribution:
    so by symmetry neither is expected to be better."""
    classes, fold = 3, paper.TEST_IMAGES
    images = FOLDS * fold
    label = rng.integers(classes, size=(experiments, images))
    centres = SEPARATION * np.eye(classes, FEATURES, dtype=np.float32)
    features = centres[label][:, :, None] + rng.standard_normal(
        (experiments, images, 2, FEATURES), dtype=np.float32
    )  # [E, n, 2, F]
    found = []
    for _ in range(REPEATS):
        order = rng.random((experiments, images), dtype=np.float32).argsort(1)
        x = np.take_along_axis(features, order[:, :, None, None], 1).reshape(experiments, FOLDS, fold, -1)
        truth = np.take_along_axis(label, order, 1).reshape(experiments, FOLDS, fold)
        hot = np.eye(classes, dtype=np.float32)[truth]  # [E, folds, n, C]
        sums, counts = np.swapaxes(hot, 2, 3) @ x, hot.sum(2)[..., None]  # [E, folds, C, 2F], [E, folds, C, 1]
        # what is not in the fold is its training set
        centroids = (sums.sum(1, keepdims=True) - sums) / np.maximum(counts.sum(1, keepdims=True) - counts, 1)
        right = []
        for model in (slice(0, FEATURES), slice(FEATURES, 2 * FEATURES)):
            own = centroids[..., model]  # [E, folds, C, F]
            nearness = x[..., model] @ np.swapaxes(own, 2, 3) - (own**2).sum(-1)[:, :, None] / 2
            right.append((nearness.argmax(-1) == truth).mean(-1))
        found.append(right[0] - right[1])
    return np.concatenate(found, axis=1)


def rejection(experiments: int, resamples: int, seed: int, sizes: tuple[int, ...] = IMAGES) -> list[dict]:
    """How often tests at 1 - `LEVEL` reject models of equal accuracy: a dict for each null, test and number of
    images, with experiments, rate and its Monte-Carlo standard error.

    Null "strengths": each model is strong on other images, all have the same accuracy on the population. Null
    "runs": the models differ in nothing but the noise of their runs. Null "training": `cross_validate`.
    """
    alpha, outcomes, runs = 1 - LEVEL, defaultdict(list), max(RUNS)
    for stream, (null, strength) in enumerate((("strengths", STRENGTH), ("runs", 0.0)), start=1):
        population = Population((NULL_ACCURACY,) * MODELS, DIFFICULTY + STRENGTH - strength, strength)
        for images in sizes:
            rng = np.random.default_rng([seed, images, runs, stream])
            for size in blocks(experiments, BLOCK):
                hits = population.hits(rng, size, images, runs)
                scores = hits.sum(0).astype(float)  # [E, M, S]; whole images, so that ties are ties
                exact, mid = mcnemar_p(*(hits[:, :, model].sum(-1) > runs / 2 for model in (0, 1)))
                rejected = {
                    "anova": anova_p(scores) < alpha,
                    "paired_t": paired_t_p(scores[:, 0], scores[:, 1]) < alpha,
                    "mcnemar": exact < alpha,
                    "mcnemar_mid": mid < alpha,
                }
                gap = hits[:, :, 0].mean(-1, dtype=np.float32) - hits[:, :, 1].mean(-1, dtype=np.float32)  # [n, E]
                gaps = bootstrap_counts(rng, images, resamples) @ gap / images
                found = bootstrap_intervals(gap.mean(0), gaps, images, bounds=(-1.0, 1.0))
                rejected |= {method: ~covers(ends, 0.0) for method, ends in found.items()}
                for test, told in rejected.items():
                    outcomes[null, test, images].append(told)
    rng = np.random.default_rng([seed, FOLDS, REPEATS])
    for size in blocks(experiments, BLOCK):
        scores = cross_validate(rng, size)
        for test, ratio in (("folds_t", 0.0), ("corrected_t", 1 / (FOLDS - 1))):
            outcomes["training", test, FOLDS * paper.TEST_IMAGES].append(corrected_t_p(scores, ratio) < alpha)
    return rates(outcomes, ("null", "test", "images"))
