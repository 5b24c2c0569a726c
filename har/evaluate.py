"""Predictions, which are the data, and the metrics that derive from them.

A predictions frame has one row for each run and image: `seed, image_id, split, label, p_<class>...`. The
order of the `p_` columns is the class order, the prediction is the largest probability (the first one at a
tie).

Intervals come from the images: the bootstrap draws images, each with all its runs, because runs on the same
images share their luck with these images and say nothing about others (Field & Welsh 2007, cluster
bootstrap).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from har.errors import HarError
from har.files import write_csv

SPLITS = ("train", "validation", "test", "extended")
METRICS = ("accuracy", "precision", "recall", "f1", "balanced_accuracy")
KEYS = ["seed", "image_id", "split", "label"]
RESAMPLES = 2000


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

    A row is named by its line in the CSV file (the header is line 1). Each run must cover the same images of
    a split, with the same labels: the cluster bootstrap rests on it.
    """

    def stop(bad: np.ndarray | pd.Series, what: str) -> None:
        bad = np.asarray(bad)
        if bad.any():
            raise HarError(f"{source}: line {int(bad.argmax()) + 2}: {what}")

    found = classes_of(frame)
    expected = KEYS + [f"p_{name}" for name in (classes or found)]
    if missing := [name for name in expected if name not in frame.columns]:
        raise HarError(f"{source}: column {missing[0]!r} is missing, expected {', '.join(expected)}")
    if unknown := [name for name in frame.columns if name not in expected]:
        raise HarError(f"{source}: column {unknown[0]!r} is unknown, expected {', '.join(expected)}")
    if classes is not None and found != tuple(classes):
        raise HarError(f"{source}: classes are {', '.join(found)}, expected {', '.join(classes)} in order")
    if len(found) < 2:
        raise HarError(f"{source}: expected a probability column p_<class> for each of two or more classes")
    if frame.empty:
        return frame
    for name in KEYS:
        stop(frame[name].isna(), f"{name} is empty")
    if not pd.api.types.is_integer_dtype(frame["seed"]):
        bad = pd.to_numeric(frame["seed"], errors="coerce").mod(1).ne(0)
        stop(bad if bad.any() else np.ones(len(frame), bool), "seed is no integer")
    stop(~frame["split"].isin(SPLITS), f"split is none of {', '.join(SPLITS)}")
    stop(~frame["label"].isin(found), f"label is none of {', '.join(found)}")
    values = frame[[f"p_{name}" for name in found]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    stop(~np.isfinite(values).all(1), "a probability is no finite number")
    stop(((values < 0) | (values > 1)).any(1), "a probability lies outside 0 to 1")
    stop(np.abs(values.sum(1) - 1) > 1e-4, "probabilities do not sum to 1 (tolerance 1e-4)")
    stop(frame.duplicated(["seed", "image_id", "split"]), "same seed, image_id and split as an earlier line")
    label = frame.groupby(["split", "image_id"], sort=False)["label"].transform("first")
    stop(frame["label"] != label, "label differs from that of another run on the same image")
    runs = frame.groupby("split")["seed"].transform("nunique")
    stop(
        frame.groupby(["split", "image_id"])["seed"].transform("size") != runs,
        "image is not predicted by every seed of its split",
    )
    return frame


def read_predictions(path: Path | str, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """The validated predictions in the CSV file `path`; HarError names the file and the line."""
    try:
        frame = pd.read_csv(path, float_precision="round_trip")
    except FileNotFoundError:
        raise HarError(f"{path}: no such predictions file") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise HarError(f"{path}: not a CSV file of predictions ({str(error).strip()})") from None
    return validate_predictions(frame, path, classes)


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


def metrics_from_confusion(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """METRICS from confusion matrices [..., C, C] (rows are true, columns predicted), each [...].

    Precision, recall and F1 are unweighted means over *all* classes of the task, 0 where undefined
    (scikit-learn's `average="macro", zero_division=0, labels=classes`). Balanced accuracy is the mean recall
    of the classes that occur (scikit-learn's `balanced_accuracy_score`). No image at all gives 0.
    """

    def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)

    confusion = np.asarray(confusion, dtype=float)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)  # [..., C]
    true, predicted = confusion.sum(-1), confusion.sum(-2)  # [..., C]
    recall = ratio(hits, true)
    return {
        "accuracy": ratio(hits.sum(-1), true.sum(-1)),
        "precision": ratio(hits, predicted).mean(-1),
        "recall": recall.mean(-1),
        "f1": ratio(2 * hits, true + predicted).mean(-1),
        "balanced_accuracy": ratio(recall.sum(-1), (true > 0).sum(-1)),
    }


class Cells(NamedTuple):
    """The outcomes of one configuration on one split, in order of image_id."""

    image_ids: np.ndarray  # [n]
    seeds: np.ndarray  # [S]
    truth: np.ndarray  # [n] class index
    guess: np.ndarray  # [n, S] class index
    classes: tuple[str, ...]

    def one_hot(self) -> np.ndarray:
        """Each image's contribution to the confusion matrices, [n, S*C*C]. float32 counts exactly to
        2**24."""
        n, runs, size = len(self.truth), len(self.seeds), len(self.classes)
        hot = np.zeros((n, runs, size * size), dtype=np.float32)
        cell = self.truth[:, None] * size + self.guess
        hot[np.arange(n)[:, None], np.arange(runs)[None, :], cell] = 1
        return hot.reshape(n, -1)

    def metrics(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Metrics of each run under image counts [B, n]: each [B, S]."""
        size = len(self.classes)
        confusion = (counts.astype(np.float32) @ self.one_hot()).reshape(len(counts), len(self.seeds), size, size)
        return metrics_from_confusion(confusion)


def cells(predictions: pd.DataFrame, split: str) -> Cells:
    """True and predicted class indices on `split`, whatever the order of rows; HarError if it has no row."""
    frame = predictions[predictions["split"] == split].sort_values(["image_id", "seed"])
    if frame.empty:
        raise HarError(f"predictions have no image in split {split!r}")
    classes = classes_of(frame)
    ids, seeds = frame["image_id"].unique(), frame["seed"].unique()
    if len(frame) != len(ids) * len(seeds):
        shape = f"{len(ids)} images x {len(seeds)} seeds"
        raise HarError(f"predictions on {split!r}: {len(frame)} rows are not {shape}")
    guess = frame[[f"p_{name}" for name in classes]].to_numpy(float).argmax(1).reshape(len(ids), len(seeds))
    truth = pd.Index(classes).get_indexer(frame["label"]).reshape(len(ids), len(seeds))[:, 0]
    return Cells(np.asarray(ids), np.sort(np.asarray(seeds)), truth, guess, classes)


def per_seed(predictions: pd.DataFrame) -> pd.DataFrame:
    """METRICS of each run on each split: columns split, seed, n and the metrics."""
    rows = []
    for split in SPLITS:
        if (predictions["split"] == split).any():
            one = cells(predictions, split)
            values = one.metrics(np.ones((1, len(one.truth))))
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


def resample_counts(n: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each of `n` images is drawn in each bootstrap sample, [resamples, n]."""
    drawn = np.random.default_rng(seed).integers(0, n, size=(resamples, n))
    flat = (drawn + n * np.arange(resamples)[:, None]).ravel()  # 10 times as fast as rng.multinomial
    return np.bincount(flat, minlength=resamples * n).reshape(resamples, n)


def percentile_interval(estimate: float, values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap `values` [B], widened to its estimate: macro scores of a resample are
    biased down where a small class goes missing, and an interval beside its estimate helps nobody."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return min(float(low), estimate), max(float(high), estimate)


def wilson(correct: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for the accuracy of a single run (Wilson 1927)."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(correct, n, alpha=1 - level, method="wilson")
    return min(float(low), correct / n), max(float(high), correct / n)


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
        n, runs = one.guess.shape
        observed = one.metrics(np.ones((1, n)))
        resampled = one.metrics(resample_counts(n, resamples, seed))
        summary[split] = {"n": n, "runs": runs}
        for metric in METRICS:
            scores = observed[metric][0]  # [S]
            mean = float(scores.mean())
            if metric == "accuracy" and runs == 1:
                low, high = wilson(round(mean * n), n, level)
            else:
                low, high = percentile_interval(mean, resampled[metric].mean(1), level)
            figures = {"mean": mean, "ci_low": low, "ci_high": high}
            if runs > 1:
                figures = {"mean": mean, "sd": float(scores.std(ddof=1)), "ci_low": low, "ci_high": high}
            summary[split][metric] = {key: round(value, 6) for key, value in figures.items()}
    return summary
