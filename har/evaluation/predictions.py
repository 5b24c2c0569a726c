"""Predictions, which are the data, and the metrics that derive from them.

A predictions frame has one row for each run and image: `seed, image_id, split, label, p_<class>...`. The
order of the `p_` columns is the class order, the prediction is the largest probability (the first one at a
tie).

Intervals come from the images: the bootstrap draws images, each with all its runs, because runs on the same
images share their luck with these images and say nothing about others (Field & Welsh 2007, cluster
bootstrap). Where a further column `group` says that images belong together, as frames of a clip, whole groups are
drawn, for the same reason. A column `clip` names the clip that an image is a frame of.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from har.core.errors import HarError
from har.core.files import write_parquet
from har.core.readers import one_line, read_parquet

SPLITS = ("train", "validation", "test", "extended")
OUT_OF_FOLD = "out_of_fold"  # train and validation together, each predicted by a fit without its fold
HELD_OUT = "held_out"  # test and extended together: all images that no choice was made on
KEYS = ["seed", "image_id", "split", "label"]
PREDICTIONS = "a Parquet file of predictions"
FLOOR = 1e-12  # of a probability, whose logarithm must be finite
LONGEST = 500  # characters of a message about a file, whose columns may have any name


def classes_of(predictions: pd.DataFrame) -> tuple[str, ...]:
    """The classes in their order, from the `p_` columns."""
    return tuple(name[2:] for name in predictions.columns if name.startswith("p_"))


def predicted_classes(predictions: pd.DataFrame) -> pd.Series:
    """The class of the largest probability of each row."""
    return predictions.filter(regex="^p_").idxmax(axis=1).str[2:]


def in_split(predictions: pd.DataFrame, split: str) -> np.ndarray:
    """Which rows are of `split`, one of SPLITS, OUT_OF_FOLD or HELD_OUT, bool [rows]."""
    several = {OUT_OF_FOLD: ("train", "validation"), HELD_OUT: ("test", "extended")}
    return predictions["split"].isin(several.get(split, (split,))).to_numpy()


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
    ids, parts, truth = map(np.asarray, (image_ids, splits, labels))
    frame = pd.DataFrame({"seed": seed, "image_id": ids, "split": parts, "label": truth})
    frame[[f"p_{name}" for name in classes]] = probabilities
    return validate_predictions(frame)


def validate_predictions(
    frame: pd.DataFrame, source: str | Path = "predictions", classes: Sequence[str] | None = None
) -> pd.DataFrame:
    """`frame` itself if it keeps the contract, otherwise HarError that names `source` and the first bad row.

    A row is named by its place in the file, from 1, which the index tells. Each run must cover the same images of a
    split, with the same labels: the cluster bootstrap rests on it.
    """

    numbered = pd.api.types.is_integer_dtype(frame.index)

    def refuse(what: str) -> None:
        raise HarError(f"{source}: {one_line(what, LONGEST)}")

    def stop(bad: np.ndarray | pd.Series, what: str) -> None:
        bad = np.asarray(bad)
        if bad.any():
            place = bad.argmax()
            refuse(f"row {(frame.index[place] if numbered else place) + 1}: {what}")

    found = classes_of(frame)
    expected = KEYS + [f"p_{name}" for name in (classes or found)]
    if missing := [name for name in expected if name not in frame.columns]:
        refuse(f"column {missing[0]!r} is missing, expected {', '.join(expected)}")
    if unknown := [name for name in frame.columns if name not in (*expected, "group", "clip")]:
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
    chances = frame[expected[len(KEYS) :]].apply(pd.to_numeric, errors="coerce").to_numpy(float)  # [n, C]
    stop(~np.isfinite(chances).all(1), "a probability is no finite number")
    stop(((chances < 0) | (chances > 1)).any(1), "a probability lies outside 0 to 1")
    stop(np.abs(chances.sum(1) - 1) > 1e-4, "probabilities do not sum to 1 (tolerance 1e-4)")
    stop(frame.duplicated(["seed", "image_id", "split"]), "same seed, image_id and split as an earlier row")
    image = frame.groupby(["image_id", "split"], sort=False, observed=True)
    other = image["label"].transform("first") != frame["label"]
    stop(other, "label differs from that of another run on the same image")
    seeds = frame.groupby("split", observed=True)["seed"].transform("nunique")
    stop(image["seed"].transform("size") != seeds, "image is not predicted by every seed of its split")
    return frame


def read_predictions(path: Path | str, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """The validated predictions in the Parquet file `path`; HarError names the file and the row."""
    return validate_predictions(read_parquet(path, PREDICTIONS), path, classes)


def write_predictions(path: Path | str, predictions: pd.DataFrame) -> None:
    """Validates, then writes atomically."""
    write_parquet(path, validate_predictions(predictions, path))


def collapsed_runs(predictions: pd.DataFrame) -> dict[int, str]:
    """Seed to class of the runs that predict one class for every image, though the images have several: such a run has
    learnt nothing, and a mean over runs hides it."""
    if predictions["label"].nunique() < 2:
        return {}
    runs = predicted_classes(predictions).groupby(predictions["seed"])
    return {int(seed): run.iloc[0] for seed, run in runs if run.nunique() == 1}


def log_loss(predictions: pd.DataFrame) -> dict:
    """n, accuracy and log_loss of one run of predictions, and the standard errors of the two over images."""
    chances = predictions.filter(regex="^p_").to_numpy()
    truth = pd.Index(classes_of(predictions)).get_indexer(predictions["label"])
    hits, losses = chances.argmax(1) == truth, -np.log(chances[np.arange(len(truth)), truth].clip(min=FLOOR))
    found = {"accuracy": hits, "log_loss": losses}
    errors = {f"{name}_se": float(each.std() / len(truth) ** 0.5) for name, each in found.items()}
    return {"n": len(truth)} | {name: float(each.mean()) for name, each in found.items()} | errors


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
    similarities: np.ndarray, logit_scale: float, images: pd.DataFrame, classes: Sequence[str]
) -> pd.DataFrame:
    """Softmax over classes of `logit_scale` (the factor itself, not its logarithm) times the cosines [n, C] of `images`
    (image_id, label, split) and label-text embeddings (Radford et al. 2021, §3.1). SigLIP's bias would cancel here."""
    from scipy.special import softmax

    chances = softmax(logit_scale * np.asarray(similarities, dtype=float), axis=1)
    return predictions_frame(images["image_id"], images["label"], images["split"], chances, classes)
