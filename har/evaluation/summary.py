"""Estimates with intervals: of a configuration on a split, of each class, and the small metrics files of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from har.config.report import Report
from har.evaluation.bootstrap import RESAMPLES, bootstrap_interval, percentile_interval, wilson
from har.evaluation.metrics import (
    LOSSES,
    METRICS,
    TOP5,
    Cells,
    cells,
    class_metrics,
    mean_recall,
    metrics_from_confusion,
)
from har.evaluation.predictions import HELD_OUT, in_split


class Estimate(NamedTuple):
    """One metric of a configuration on a split: its runs, and their mean in each bootstrap sample of images."""

    metric: str
    n: int  # images
    runs: np.ndarray  # [S]
    resampled: np.ndarray  # [B]
    groups: int | None = None  # of these images, where there are any
    parts: tuple["Estimate", ...] = ()  # recalls of the classes, of which this is the mean
    noise: float = 0.0  # of a mean over classes: variance by images that only some runs get right

    @property
    def units(self) -> float:
        """How many images or groups vary independently. Of a mean over classes: the degrees of freedom of a sum of
        variances that are 1 / n in each class (Satterthwaite 1946), n where classes are equal."""
        if self.parts:
            variances = [1 / part.units for part in self.parts]
            return sum(variances) ** 2 / sum(v**2 / part.units for v, part in zip(variances, self.parts, strict=True))
        return self.n if self.groups is None else self.groups

    @property
    def mean(self) -> float:
        return float(self.runs.mean())

    @property
    def sd(self) -> float | None:
        """Over the runs; None for a single one, which measures nothing."""
        return float(self.runs.std(ddof=1)) if len(self.runs) > 1 else None

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """`level` interval over images of the mean of these runs: Wilson's for the accuracy of a single run,
        `bootstrap_interval` for other shares, percentiles for losses. Of a mean over classes each class's own
        intervals, their distances from it squared and added (Zou & Donner 2008): a class of few images, all of them
        right, has no spread to draw from, but an interval."""
        if self.parts:
            ends = np.array([part.interval(level) for part in self.parts])
            means = np.array([[part.mean] for part in self.parts])
            low, high = np.sqrt(np.square(ends - means).sum(0)) / len(self.parts)
            return max(0.0, self.mean - low), min(1.0, self.mean + high)
        if self.metric == "accuracy" and len(self.runs) == 1 and self.groups is None:
            return wilson(round(self.mean * self.n), self.n, level)
        if self.metric in LOSSES:
            return percentile_interval(self.mean, self.resampled, level)
        return bootstrap_interval(self.mean, self.resampled, self.units, level=level)


def estimates(one: Cells, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Estimate]:
    """METRICS, LOSSES and TOP5. Two configurations on the same images draw the same samples: balanced accuracy within
    classes, all others of images."""
    everything = np.ones(len(one.truth), bool)
    values = metrics_from_confusion(one.confusions(resamples, seed)) | one.means(resamples, seed)
    found = {name: _estimate(name, one, everything, each) for name, each in values.items()}
    recalls, images = one.recalls(resamples, seed)
    classes = {place: one.truth == place for place in np.flatnonzero(images[0, 0])}  # those that occur
    parts = tuple(_estimate("recall", one, mine, recalls[:, :, place]) for place, mine in classes.items())
    runs, hits = one.probabilities.shape[1], one.guess == one.truth[:, None]
    unsteady = hits.var(1, ddof=1) / runs if runs > 1 else np.zeros(len(hits))
    noises = [unsteady[mine].mean() / mine.sum() for mine in classes.values()]
    balanced = _estimate("balanced_accuracy", one, everything, mean_recall(recalls, images))
    noise = float(np.sum(noises)) / len(classes) ** 2
    return found | {"balanced_accuracy": balanced._replace(parts=parts, noise=noise)}


def _estimate(metric: str, one: Cells, rows: np.ndarray, values: np.ndarray) -> Estimate:
    """Of `values` [1 + B, S], of the images `rows` (bool [n]) and of each bootstrap sample."""
    groups = None if one.groups is None else one.units(rows)
    return Estimate(metric, int(rows.sum()), values[0], values[1:].mean(1), groups)


def summarise(
    predictions: pd.DataFrame,
    splits: Sequence[str] = ("validation", "test", HELD_OUT),
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
        if not in_split(predictions, split).any():
            continue
        one = cells(predictions, split)
        found = estimates(one, resamples, seed)
        summary[split] = {"n": len(one.truth), "runs": len(one.seeds)}
        for metric in filter(found.get, (*METRICS, TOP5)):
            estimate = found[metric]
            low, high = estimate.interval(level)
            figures = {"mean": estimate.mean, "sd": estimate.sd, "ci_low": low, "ci_high": high}
            summary[split][metric] = {key: round(value, 6) for key, value in figures.items() if value is not None}
    return summary


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


FLOOR = 0.01


def tolerance(n: int, runs: int, sd: float | None) -> float:
    """How far the mean of `runs` runs on `n` images may move where sums are rounded otherwise, as on another
    processor, and each run drifts away like one of another seed: max(0.01, 1 / n, 3 sd sqrt(2 / runs)). sd: over runs;
    sqrt(2 / runs) sd is the standard error of the difference of two such means, 1 / n is one image in all runs."""
    return max(FLOOR, 1 / max(n, 1), 3 * (sd or 0.0) * (2 / max(runs, 1)) ** 0.5)


SCALARS = {  # names of a metric's mean, sd and interval
    "accuracy": ("accuracy", "sd", "ci_low", "ci_high"),
    "balanced_accuracy": ("balanced_accuracy", "balanced_sd", "balanced_low", "balanced_high"),
    "f1": ("f1", "f1_sd"),
}


def scalars(predictions: pd.DataFrame, report: Report) -> dict:
    """Of each split n, runs, and accuracy, sd, ci_low, ci_high; balanced_accuracy, balanced_sd, balanced_low,
    balanced_high; f1 (macro), f1_sd: means over seeds, their deviation over seeds (0 for a single run), an interval
    over images. balanced_n: images, had every class as few as the rarest; one image may move the balanced accuracy by
    its inverse. TOP5 where there is one. Everything else is in the tables."""
    full = summarise(predictions, resamples=report.resamples, seed=report.seed, level=report.confidence)
    found = {}
    for split, scores in full.items():
        counts = predictions[in_split(predictions, split)].drop_duplicates("image_id")["label"].value_counts()
        found[split] = {}
        for metric, names in SCALARS.items():
            one = scores[metric]
            figures = (one["mean"], one.get("sd", 0.0), one["ci_low"], one["ci_high"])
            found[split] |= dict(zip(names, figures, strict=False))
        found[split] |= {"n": scores["n"], "balanced_n": int(counts.min() * len(counts)), "runs": scores["runs"]}
        if TOP5 in scores:
            found[split][TOP5] = scores[TOP5]["mean"]
    return found
