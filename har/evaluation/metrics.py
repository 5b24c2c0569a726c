"""Metrics of predictions: of the predicted class (METRICS) and of the probabilities (LOSSES), for each run."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from har.core.errors import HarError
from har.data.groups import group_codes
from har.evaluation.bootstrap import RESAMPLES, resampled
from har.evaluation.ensemble import ensemble
from har.evaluation.predictions import classes_of, in_split

METRICS = ("accuracy", "precision", "recall", "f1", "balanced_accuracy")  # of the predicted class: metrics files
LOSSES = ("nll", "brier")  # of the probabilities
TOP5 = "top5_accuracy"  # beside METRICS where there are more than 5 classes
EPSILON = float(np.finfo(float).eps)  # probabilities are clipped to it before a logarithm, as scikit-learn does


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
    true, classwise = confusion.sum(-1), class_metrics(confusion)  # each [..., C]
    return {
        "accuracy": _ratio(np.trace(confusion, axis1=-2, axis2=-1), true.sum(-1)),
        **{name: values.mean(-1) for name, values in classwise.items()},
        "balanced_accuracy": mean_recall(classwise["recall"], true),
    }


def mean_recall(recalls: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Balanced accuracy: `recalls` [..., C] averaged over the classes that have `images` [..., C]."""
    occurs = images > 0
    return _ratio((recalls * occurs).sum(-1), occurs.sum(-1))


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

    def sums(
        self, values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0, within_classes: bool = False
    ) -> np.ndarray:
        """Sums of `values` [n, K] over the images, and over each bootstrap sample of images (groups): [1 + B, K].
        within_classes: each sample draws as many images of a class as there are, so that none goes missing; groups
        among those of the same rarest class."""
        each, strata = values, ()
        if self.groups is not None:
            each = np.zeros((self.units(), values.shape[1]), values.dtype)
            np.add.at(each, self.groups, values)
        if within_classes:
            classes = self.strata()
            each, strata = each[np.argsort(classes, kind="stable")], tuple(np.unique(classes, return_counts=True)[1])
        drawn = resampled(each, resamples, seed, strata)
        return np.concatenate([np.ones((1, len(values)), values.dtype) @ values, drawn])

    def strata(self) -> np.ndarray:
        """The class of each image; of each group, where there are any, the rarest that it shows."""
        if self.groups is None:
            return self.truth
        rarity = np.argsort(np.argsort(np.bincount(self.truth, minlength=len(self.classes)), kind="stable"))
        rarest = np.full(self.units(), len(self.classes))
        np.minimum.at(rarest, self.groups, rarity[self.truth])
        return rarest

    @property
    def guess(self) -> np.ndarray:
        """Predicted class indices, [n, S]."""
        return self.probabilities.argmax(-1)

    def ensemble_hits(self) -> np.ndarray:
        """Whether the ensemble (har.evaluation.ensemble) is right, bool [n]."""
        return ensemble(self.probabilities)[0] == self.truth

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

    def recalls(self, resamples: int = 0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Recall of each run and class [1 + B, S, C], of the images and of each bootstrap sample within classes, and
        images of each class [1 + B, 1, C]; 0 where there are none."""
        classes = np.eye(len(self.classes), dtype=np.float32)[self.truth]  # [n, C]
        hits = (self.guess == self.truth[:, None])[:, :, None] * classes[:, None]  # [n, S, C]
        values = np.hstack([classes, hits.reshape(len(classes), -1)])
        found = self.sums(values, resamples, seed, within_classes=True)
        found = found.astype(float).reshape(-1, 1 + hits.shape[1], len(self.classes))
        return _ratio(found[:, 1:], found[:, :1]), found[:, :1]

    def losses(self) -> dict[str, np.ndarray]:
        """LOSSES of each image and run, each [n, S]. Brier is the sum over classes of squared errors, 0 to 2
        (Brier 1950), for two classes too."""
        truth = np.broadcast_to(self.truth[:, None], self.probabilities.shape[:2])
        target = np.eye(len(self.classes))[self.truth]  # [n, C]
        brier = [((run - target) ** 2).sum(-1) for run in self.probabilities.swapaxes(0, 1)]
        return {"nll": negative_log_likelihood(self.probabilities, truth), "brier": np.stack(brier, axis=1)}

    def top5(self) -> dict[str, np.ndarray]:
        """TOP5: whether the true class is of the 5 likeliest, of each image and run [n, S]; {} for up to 5 classes."""
        if len(self.classes) <= 5:
            return {}
        likeliest = (-self.probabilities).argsort(-1, kind="stable")[..., :5]
        return {TOP5: (likeliest == self.truth[:, None, None]).any(-1).astype(float)}

    def means(self, resamples: int = 0, seed: int = 0) -> dict[str, np.ndarray]:
        """The mean LOSSES and TOP5 of each run, over the images and over each bootstrap sample, each [1 + B, S]."""
        values, n = self.losses() | self.top5(), len(self.truth)
        # a sample of groups has as many images as they have
        images = n if self.groups is None else self.sums(np.ones((n, 1)), resamples, seed)
        means = self.sums(np.hstack(list(values.values())), resamples, seed) / images
        return dict(zip(values, np.hsplit(means, len(values)), strict=True))


def cells(predictions: pd.DataFrame, split: str) -> Cells:
    """True and predicted class indices on `split` (or HELD_OUT), whatever the order of rows; HarError if it has no
    row."""
    rows = np.flatnonzero(in_split(predictions, split))
    if not len(rows):
        raise HarError(f"predictions have no image in split {split!r}")
    rows = rows[np.lexsort([predictions[name].to_numpy()[rows] for name in ("seed", "image_id")])]
    ids, seeds = (predictions[name].iloc[rows].unique() for name in ("image_id", "seed"))
    if len(rows) != len(ids) * len(seeds):
        shape = f"{len(ids)} images x {len(seeds)} seeds"
        raise HarError(f"predictions on {split!r}: {len(rows)} rows are not {shape}")
    classes, first = classes_of(predictions), predictions.iloc[rows[:: len(seeds)]]  # a row of each image
    truth, groups = pd.Index(classes).get_indexer(first["label"]), group_codes(first)
    probabilities = predictions.filter(regex="^p_").to_numpy(float)[rows].reshape(len(ids), len(seeds), -1)
    return Cells(np.asarray(ids), np.sort(np.asarray(seeds)), truth, probabilities, classes, groups)


def confusion(predictions: pd.DataFrame, split: str) -> pd.DataFrame:
    """Confusion matrix [C, C] in images, mean over runs; the index is the true, the columns the predicted
    class."""
    one = cells(predictions, split)
    matrix, index = one.confusions()[0].mean(0, dtype=float), pd.Index(one.classes)
    return pd.DataFrame(matrix, index=index.rename("true"), columns=index.rename("predicted"))
