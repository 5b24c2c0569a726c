"""Predictions, which are the data, and the metrics that derive from them.

A predictions frame has one row for each run and image: `seed, image_id, split, label, p_<class>...`. The
order of the `p_` columns is the class order, the prediction is the largest probability (the first one at a
tie).

Intervals come from the images: the bootstrap draws images, each with all its runs, because runs on the same
images share their luck with these images and say nothing about others (Field & Welsh 2007, cluster
bootstrap). Where a further column `group` says that images belong together, as frames of a clip, whole groups are
drawn, for the same reason.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from har.errors import HarError
from har.files import write_csv
from har.groups import group_codes
from har.memory import return_memory
from har.outside import one_line, read_blocks, read_csv, read_header

SPLITS = ("train", "validation", "test", "extended")
METRICS = ("accuracy", "precision", "recall", "f1", "balanced_accuracy")  # of the predicted class: metrics files
LOSSES = ("nll", "brier")  # of the probabilities
EPSILON = float(np.finfo(float).eps)  # probabilities are clipped to it before a logarithm, as scikit-learn does
KEYS = ["seed", "image_id", "split", "label"]
PREDICTIONS = "a CSV file of predictions"
LONGEST = 500  # characters of a message about a file, whose columns may have any name
RESAMPLES = 2000
# Counts of a bootstrap that are in memory at a time: all 2,000 samples of 1,000 images, or some of more images.
BLOCK = 1 << 21


# --- predictions -------------------------------------------------------------------------------------------


def classes_of(predictions: pd.DataFrame) -> tuple[str, ...]:
    """The classes in their order, from the `p_` columns."""
    return tuple(name[2:] for name in predictions.columns if name.startswith("p_"))


def predictions_frame(
    image_ids: Sequence,
    labels: Sequence[str],
    splits: Sequence[str],
    probabilities: np.ndarray,
    classes: Sequence[str],
    seed: int = 0,
) -> pd.DataFrame:
    """A predictions frame of one run from its probabilities [n, C]; validated."""
    probabilities = np.asarray(probabilities, dtype=float)
    if probabilities.shape != (len(image_ids), len(classes)):
        raise HarError(
            f"probabilities have shape {probabilities.shape}, expected ({len(image_ids)}, {len(classes)}): "
            "a row for each image, a column for each class"
        )
    frame = pd.DataFrame(
        {
            "seed": seed,
            "image_id": np.asarray(image_ids),
            "split": np.asarray(splits),
            "label": np.asarray(labels),
        }
    )
    frame[[f"p_{name}" for name in classes]] = probabilities
    return validate_predictions(frame)


def validate_predictions(
    frame: pd.DataFrame, source: str | Path = "predictions", classes: Sequence[str] | None = None
) -> pd.DataFrame:
    """`frame` itself if it keeps the contract, otherwise HarError that names `source` and the first bad row.

    A row is named by its line in the CSV file (the header is line 1), which the index tells. Each run must cover the
    same images of a split, with the same labels: the cluster bootstrap rests on it.
    """

    numbered = pd.api.types.is_integer_dtype(frame.index)

    def refuse(what: str) -> None:
        raise HarError(f"{source}: {one_line(what, LONGEST)}")

    def stop(bad: np.ndarray | pd.Series, what: str) -> None:
        bad = np.asarray(bad)
        if bad.any():
            place = bad.argmax()
            refuse(f"line {(frame.index[place] if numbered else place) + 2}: {what}")

    found = classes_of(frame)
    expected = KEYS + [f"p_{name}" for name in (classes or found)]
    if missing := [name for name in expected if name not in frame.columns]:
        refuse(f"column {missing[0]!r} is missing, expected {', '.join(expected)}")
    if unknown := [name for name in frame.columns if name not in (*expected, "group")]:
        refuse(f"column {unknown[0]!r} is unknown, expected {', '.join(expected)}")
    if classes is not None and found != tuple(classes):
        refuse(f"classes are {', '.join(found)}, expected {', '.join(classes)} in order")
    if len(found) < 2:
        refuse("expected a probability column p_<class> for each of two or more classes")
    if frame.empty:
        return frame
    for name in KEYS:
        stop(frame[name].isna(), f"{name} is empty")
    if not pd.api.types.is_integer_dtype(frame["seed"]):
        bad = pd.to_numeric(frame["seed"], errors="coerce").mod(1).ne(0)
        stop(bad if bad.any() else np.ones(len(frame), bool), "seed is no integer")
    stop(~frame["split"].isin(SPLITS), f"split is none of {', '.join(SPLITS)}")
    stop(~frame["label"].isin(found), f"label is none of {', '.join(found)}")
    chances = [pd.to_numeric(frame[f"p_{name}"], errors="coerce").to_numpy(float) for name in found]
    stop(~np.logical_and.reduce([np.isfinite(one) for one in chances]), "a probability is no finite number")
    stop(np.logical_or.reduce([(one < 0) | (one > 1) for one in chances]), "a probability lies outside 0 to 1")
    stop(np.abs(sum(chances) - 1) > 1e-4, "probabilities do not sum to 1 (tolerance 1e-4)")
    codes = (pd.factorize(frame[name])[0].astype(np.int32) for name in ("image_id", "split", "seed", "label"))
    image, split, seed, label = codes
    image = image * np.int32(len(SPLITS)) + split  # of a split
    images = int(image.max()) + 1
    prediction = seed * np.int64(images) + image
    ordered = np.sort(prediction)
    if (ordered[1:] == ordered[:-1]).any():
        stop(pd.Series(prediction).duplicated(), "same seed, image_id and split as an earlier line")
    del prediction, ordered
    first = np.empty(images, dtype=np.int32)
    first[image[::-1]] = label[::-1]  # of several the last one stays
    stop(label != first[image], "label differs from that of another run on the same image")
    runs = np.bincount(np.flatnonzero(np.bincount(seed * len(SPLITS) + split)) % len(SPLITS))  # of each split
    wrong = np.bincount(image)[image] != runs[split]
    stop(wrong, "image is not predicted by every seed of its split")
    return frame


def read_predictions(path: Path | str, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """The validated predictions in the CSV file `path`; HarError names the file and the line."""
    try:
        frame = read_columns(path)
    except HarError:  # the reader of any table tells what is wrong
        return read_checked(path, lambda frame, source: validate_predictions(frame, source, classes))
    return validate_predictions(frame, path, classes).astype(dict.fromkeys(KEYS[2:], "str"))


def read_columns(path: Path | str) -> pd.DataFrame:
    """The CSV file `path` where it looks as predictions do, not yet validated, split and label as categories; HarError
    for any other."""
    names = read_header(path, PREDICTIONS)
    kinds = dict.fromkeys(KEYS[:2], "int64") | dict.fromkeys(KEYS[2:], "category") | {"group": "str"}
    kinds = {name: "float" if name.startswith("p_") else kinds.get(name, "str") for name in names}
    columns: dict[str, list] = {name: [] for name in names}
    for block in read_blocks(path, kinds, PREDICTIONS):
        for name in names:
            columns[name].append(block[name].copy())
    joined = {
        name: union_categoricals(parts) if kinds[name] == "category" else pd.concat(parts, ignore_index=True)
        for name in names
        if (parts := columns.pop(name))
    }
    return_memory()
    return pd.DataFrame(joined, copy=False)


def read_checked(path: Path | str, validate: Callable[[pd.DataFrame, Path | str], pd.DataFrame]) -> pd.DataFrame:
    """The CSV file `path` as `validate(frame, path)` returns it; HarError names the file and what is wrong."""
    return validate(read_csv(path, PREDICTIONS, text=False), path)


def require(frame: pd.DataFrame, columns: Sequence[str], source: str | Path) -> None:
    """HarError unless `frame` has `columns`, whole numbers where they count something."""
    for name in columns:
        if name not in frame.columns:
            raise HarError(f"{source}: column {name!r} is missing, expected {', '.join(columns)}")
        if name != "model" and not frame.empty and not pd.api.types.is_integer_dtype(frame[name]):
            raise HarError(f"{source}: column {name!r} holds something else than whole numbers")


def write_predictions(path: Path | str, predictions: pd.DataFrame) -> None:
    """Validates, then writes atomically."""
    write_csv(path, validate_predictions(predictions, path))


def majority_predictions(split: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Predictions that know only how often each class occurs in train (`split`: image_id, label, split).

    Each image gets the training shares as probabilities, so the prediction is the majority class of *train*
    (the first in class order at a tie), whatever the other splits hold.
    """
    split = split[split["label"].isin(classes)]
    shares = split.loc[split["split"] == "train", "label"].value_counts(normalize=True)
    if shares.empty:
        raise HarError(f"majority class: no training image is labelled {', '.join(classes)}")
    probabilities = np.tile(shares.reindex(list(classes), fill_value=0.0).to_numpy(), (len(split), 1))
    return predictions_frame(split["image_id"], split["label"], split["split"], probabilities, classes)


def zero_shot_predictions(
    similarities: np.ndarray,
    logit_scale: float,
    image_ids: Sequence,
    labels: Sequence[str],
    splits: Sequence[str],
    classes: Sequence[str],
) -> pd.DataFrame:
    """Softmax over classes of `logit_scale` (the factor itself, not its logarithm) times the cosines [n, C]
    of image and label-text embeddings (Radford et al. 2021, §3.1). SigLIP's bias would cancel here."""
    logits = logit_scale * np.asarray(similarities, dtype=float)
    if logits.ndim != 2 or not np.isfinite(logits).all():
        raise HarError(f"similarities must be a finite [n, C] matrix, this one has shape {logits.shape}")
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return predictions_frame(image_ids, labels, splits, weights / weights.sum(1, keepdims=True), classes)


# --- metrics -----------------------------------------------------------------------------------------------


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)


def class_metrics(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1 of each class from confusion matrices [..., C, C] (rows are true, columns
    predicted), each [..., C]; 0 where undefined (scikit-learn's `zero_division=0`)."""
    confusion = np.asarray(confusion, dtype=float)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)  # [..., C]
    true, predicted = confusion.sum(-1), confusion.sum(-2)  # [..., C]
    return {
        "precision": _ratio(hits, predicted),
        "recall": _ratio(hits, true),
        "f1": _ratio(2 * hits, true + predicted),
    }


def metrics_from_confusion(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """METRICS from confusion matrices [..., C, C] (rows are true, columns predicted), each [...].

    Precision, recall and F1 are unweighted means over *all* classes of the task, 0 where undefined
    (scikit-learn's `average="macro", zero_division=0, labels=classes`). Balanced accuracy is the mean recall
    of the classes that occur (scikit-learn's `balanced_accuracy_score`). No image at all gives 0.
    """
    confusion = np.asarray(confusion, dtype=float)
    true = confusion.sum(-1)  # [..., C]
    classwise = class_metrics(confusion)
    return {
        "accuracy": _ratio(np.trace(confusion, axis1=-2, axis2=-1), true.sum(-1)),
        **{name: values.mean(-1) for name, values in classwise.items()},
        "balanced_accuracy": weighted_accuracy(confusion, np.ones(confusion.shape[-1])),
    }


def weighted_accuracy(confusion: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Accuracy on a population with class `shares` [C], from confusion matrices [..., C, C]: recalls averaged
    with these weights (post-stratification), over the classes that occur. Equal shares give balanced accuracy."""
    weights = np.where(np.asarray(confusion).sum(-1) > 0, shares, 0.0)
    return _ratio((class_metrics(confusion)["recall"] * weights).sum(-1), weights.sum(-1))


def negative_log_likelihood(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """-log of the true class's probability (nats), from probabilities [..., C] and class indices [...];
    clipped to EPSILON, so an impossible event costs 36, not infinity."""
    chosen = np.take_along_axis(probabilities, np.asarray(truth)[..., None], axis=-1)[..., 0]
    return -np.log(np.clip(chosen, EPSILON, 1))


class Cells(NamedTuple):
    """The outcomes of one configuration on one split, in order of image_id."""

    image_ids: np.ndarray  # [n]
    seeds: np.ndarray  # [S]
    truth: np.ndarray  # [n] class index
    probabilities: np.ndarray  # [n, S, C]
    classes: tuple[str, ...]
    groups: np.ndarray | None = None  # [n] 0, 1, ...: equal where images belong together

    def units(self, rows: np.ndarray | slice = slice(None)) -> int:
        """How many images (of `rows`) are independent of each other: their groups, or all."""
        return len(self.truth[rows]) if self.groups is None else len(np.unique(self.groups[rows]))

    def sums(self, values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
        """Sums of `values` [n, K] over the images, and over each bootstrap sample of images (groups): [1 + B, K]."""
        each = values
        if self.groups is not None:
            each = np.zeros((self.units(), values.shape[1]), values.dtype)
            np.add.at(each, self.groups, values)
        return np.concatenate([np.ones((1, len(values)), values.dtype) @ values, resampled(each, resamples, seed)])

    @property
    def guess(self) -> np.ndarray:
        """Predicted class indices, [n, S]."""
        return self.probabilities.argmax(-1)

    def ensemble_hits(self) -> np.ndarray:
        """Whether the mean probability over runs is largest for the true class, bool [n]."""
        return self.probabilities.mean(1).argmax(-1) == self.truth

    def one_hot(self) -> np.ndarray:
        """Each image's contribution to the confusion matrices, [n, S*C*C]. float32 counts exactly to
        2**24."""
        n, runs, size = self.probabilities.shape
        hot = np.zeros((n, runs, size * size), dtype=np.float32)
        cell = self.truth[:, None] * size + self.guess
        hot[np.arange(n)[:, None], np.arange(runs)[None, :], cell] = 1
        return hot.reshape(n, -1)

    def confusions(self, resamples: int = 0, seed: int = 0) -> np.ndarray:
        """Confusion matrices of each run, of the images and of each bootstrap sample: [1 + B, S, C, C]."""
        runs, size = self.probabilities.shape[1:]
        return self.sums(self.one_hot(), resamples, seed).reshape(-1, runs, size, size)

    def losses(self) -> dict[str, np.ndarray]:
        """LOSSES of each image and run, each [n, S]. Brier is the sum over classes of squared errors, 0 to 2
        (Brier 1950), for two classes too."""
        truth = np.broadcast_to(self.truth[:, None], self.probabilities.shape[:2])
        target = np.eye(len(self.classes))[self.truth]  # [n, C]
        brier = [((run - target) ** 2).sum(-1) for run in self.probabilities.swapaxes(0, 1)]
        return {"nll": negative_log_likelihood(self.probabilities, truth), "brier": np.stack(brier, axis=1)}

    def mean_losses(self, resamples: int = 0, seed: int = 0) -> dict[str, np.ndarray]:
        """The mean LOSSES of each run, over the images and over each bootstrap sample, each [1 + B, S]."""
        losses, n = self.losses(), len(self.truth)
        # a sample of groups has as many images as they have
        images = n if self.groups is None else self.sums(np.ones((n, 1)), resamples, seed)
        means = self.sums(np.hstack([losses[name] for name in LOSSES]), resamples, seed) / images
        return dict(zip(LOSSES, np.hsplit(means, len(LOSSES)), strict=True))


def cells(predictions: pd.DataFrame, split: str) -> Cells:
    """True and predicted class indices on `split`, whatever the order of rows; HarError if it has no row."""
    rows = np.flatnonzero(predictions["split"] == split)
    if not len(rows):
        raise HarError(f"predictions have no image in split {split!r}")
    rows = rows[np.lexsort([predictions[name].to_numpy()[rows] for name in ("seed", "image_id")])]
    ids, seeds = (predictions[name].iloc[rows].unique() for name in ("image_id", "seed"))
    if len(rows) != len(ids) * len(seeds):
        shape = f"{len(ids)} images x {len(seeds)} seeds"
        raise HarError(f"predictions on {split!r}: {len(rows)} rows are not {shape}")
    classes = classes_of(predictions)
    probabilities = np.empty((len(rows), len(classes)))
    for place, name in enumerate(classes):
        probabilities[:, place] = predictions[f"p_{name}"].to_numpy()[rows]
    first = predictions.iloc[rows[:: len(seeds)]]  # a row of each image
    truth, groups = pd.Index(classes).get_indexer(first["label"]), group_codes(first)
    probabilities = probabilities.reshape(len(ids), len(seeds), -1)
    return Cells(np.asarray(ids), np.sort(np.asarray(seeds)), truth, probabilities, classes, groups)


def per_seed(predictions: pd.DataFrame) -> pd.DataFrame:
    """METRICS of each run on each split: columns split, seed, n and the metrics."""
    rows = []
    for split in SPLITS:
        if (predictions["split"] == split).any():
            one = cells(predictions, split)
            values = metrics_from_confusion(one.confusions())
            rows += [
                {
                    "split": split,
                    "seed": int(seed),
                    "n": len(one.truth),
                    **{m: float(values[m][0, s]) for m in METRICS},
                }
                for s, seed in enumerate(one.seeds)
            ]
    return pd.DataFrame(rows, columns=["split", "seed", "n", *METRICS])


def seed_scores(predictions: pd.DataFrame, split: str = "test", metric: str = "accuracy") -> pd.Series:
    """One metric of each run on `split`, indexed by seed."""
    frame = per_seed(predictions[predictions["split"] == split])
    return frame.set_index("seed")[metric]


def confusion(predictions: pd.DataFrame, split: str) -> pd.DataFrame:
    """Confusion matrix [C, C] in images, mean over runs; the index is the true, the columns the predicted
    class."""
    one = cells(predictions, split)
    size = len(one.classes)
    matrix = one.one_hot().sum(0).reshape(-1, size, size).mean(0, dtype=float)
    index = pd.Index(one.classes)
    return pd.DataFrame(matrix, index=index.rename("true"), columns=index.rename("predicted"))


# --- intervals ---------------------------------------------------------------------------------------------


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


class Estimate(NamedTuple):
    """One metric of a configuration on a split: its runs, and their mean in each bootstrap sample of images."""

    metric: str
    n: int  # images
    runs: np.ndarray  # [S]
    resampled: np.ndarray  # [B]
    groups: int | None = None  # of these images, where there are any

    @property
    def units(self) -> int:
        """How many images or groups vary independently."""
        return self.n if self.groups is None else self.groups

    @property
    def mean(self) -> float:
        return float(self.runs.mean())

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """`level` interval over images of the mean of these runs: Wilson's for the accuracy of a single run,
        `bootstrap_interval` for other shares, percentiles for losses."""
        if self.metric == "accuracy" and len(self.runs) == 1 and self.groups is None:
            return wilson(round(self.mean * self.n), self.n, level)
        if self.metric in LOSSES:
            return percentile_interval(self.mean, self.resampled, level)
        return bootstrap_interval(self.mean, self.resampled, self.units, level=level)


def estimates(
    one: Cells, resamples: int = RESAMPLES, seed: int = 0, shares: Mapping[str, float] | None = None
) -> dict[str, Estimate]:
    """METRICS and LOSSES, each with the same bootstrap samples of images, and with the population's class
    `shares` "weighted_accuracy" (see there). Two configurations on the same images draw the same samples."""
    confusions = one.confusions(resamples, seed)
    found = metrics_from_confusion(confusions) | one.mean_losses(resamples, seed)
    if shares is not None:
        weights = np.array([shares[name] for name in one.classes])
        found["weighted_accuracy"] = weighted_accuracy(confusions, weights)
    n, groups = len(one.truth), None if one.groups is None else one.units()
    return {name: Estimate(name, n, values[0], values[1:].mean(1), groups) for name, values in found.items()}


def summarise(
    predictions: pd.DataFrame,
    splits: Sequence[str] = ("validation", "test", "extended"),
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> dict:
    """The metrics file: for each split that has images `n`, `runs` and for each metric mean, sd, ci_low,
    ci_high.

    `mean` and `sd` (ddof 1) are over runs; with a single run there is no `sd` key, as nothing was measured.
    `ci_low`, `ci_high`: `level` interval over images, by the cluster bootstrap; Wilson for the accuracy of a
    single run. Rounded to 6 digits; no rows give {}. The same predictions give the same figures in any order
    of rows.
    """
    summary = {}
    for split in splits:
        if not (predictions["split"] == split).any():
            continue
        one = cells(predictions, split)
        found = estimates(one, resamples, seed)
        summary[split] = {"n": len(one.truth), "runs": len(one.seeds)}
        for metric in METRICS:
            estimate = found[metric]
            low, high = estimate.interval(level)
            figures = {"mean": estimate.mean, "ci_low": low, "ci_high": high}
            if len(one.seeds) > 1:
                figures = {
                    "mean": estimate.mean,
                    "sd": float(estimate.runs.std(ddof=1)),
                    "ci_low": low,
                    "ci_high": high,
                }
            summary[split][metric] = {key: round(value, 6) for key, value in figures.items()}
    return summary


# --- each class --------------------------------------------------------------------------------------------


def per_class(one: Cells, resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95) -> list[dict]:
    """Precision, recall and F1 of each class, mean over runs, with intervals over images: a dict for each
    class with class, support (images), runs_predicting, and precision, precision_low, precision_high, ...

    Where one of several runs never predicts a class its precision counts as 0, as in the macro means. None:
    precision where no run predicts the class, recall and F1 where no image shows it. The interval leaves out
    the resamples in which the figure is not defined.
    """
    n = len(one.truth)
    confusions = one.confusions(resamples, seed)  # [1+B, S, C, C]
    values = {name: found.mean(1) for name, found in class_metrics(confusions).items()}  # [1+B, C]
    occurs, predicted = confusions[:, 0].sum(-1) > 0, confusions.sum(-2) > 0  # [1+B, C], [1+B, S, C]
    defined = {"precision": predicted.any(1), "recall": occurs, "f1": occurs}
    rows = []
    for place, name in enumerate(one.classes):
        support, predicting = int((one.truth == place).sum()), int(predicted[0, :, place].sum())
        row = {"class": name, "support": support, "runs_predicting": predicting}
        for metric, every in values.items():
            figures = (None, None, None)
            if defined[metric][0, place]:
                mean = float(every[0, place])
                among = one.units(one.truth == place)
                if metric == "precision":  # of the images that are taken for this class
                    among = max(1, round(confusions[0, :, :, place].sum(-1).mean() * one.units() / n))
                drawn = every[1:, place][defined[metric][1:, place]]
                figures = (mean, *bootstrap_interval(mean, drawn, among, level=level))
            row |= dict(zip((metric, f"{metric}_low", f"{metric}_high"), figures, strict=True))
        rows.append(row)
    return rows


def class_shares(labels: Sequence[str], classes: Sequence[str]) -> dict[str, float]:
    """Each class's share among the `labels` that belong to `classes`; HarError if none does."""
    counts = pd.Series(labels).value_counts().reindex(list(classes), fill_value=0)
    if not counts.sum():
        raise HarError(f"class shares: no image is labelled {', '.join(classes)}")
    return {name: float(count / counts.sum()) for name, count in counts.items()}
