"""Accuracy against the number of training images: what each model would gain from more labels.

Each run draws nested stratified subsets of train, so that a larger one only adds images; all sizes and runs stop
early on the same validation images. The epochs are those of params.yaml at every size: fewer images are fewer
steps, as for a reader who has only these images. A frame of predictions has one row for each model, size, run and
image: `model, size, run, image_id, split, label, p_<class>...`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from har import paper
from har.errors import HarError
from har.evaluate import RESAMPLES, summarise, validate_predictions
from har.figures import CLASS_COLOURS, CLASS_MARKERS, GREY, INK, drawing
from har.files import write_csv
from har.markdown import Table, interval, number, plain_frame
from har.params.schema import Augmentation, LearningCurve, Training
from har.refit import Fit, Recipe, fit_all, require

KEYS = ["model", "size", "run"]
DIGITS = 6  # of a probability: shorter ones halve the file, and every figure derives from the file


# --- predictions -------------------------------------------------------------------------------------------


def as_predictions(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame in the contract of har.evaluate: a "seed" for each model, size and run."""
    return frame.drop(columns=KEYS).assign(seed=frame.groupby(KEYS, sort=False).ngroup())


def validate_curve(frame: pd.DataFrame, source: str | Path = "learning curve") -> pd.DataFrame:
    """`frame` itself if it keeps the contract, otherwise HarError that names `source` and what is wrong: every
    model, size and run predicts the same images."""
    require(frame, KEYS, source)
    if frame.empty:
        raise HarError(f"{source}: no prediction")
    if frame["model"].isna().any():
        raise HarError(f"{source}: line {int(frame['model'].isna().argmax()) + 2}: model is empty")
    validate_predictions(as_predictions(frame), source)
    return frame


def write_curve(path: Path | str, frame: pd.DataFrame) -> None:
    """Validates, then writes atomically."""
    write_csv(path, validate_curve(frame, path))


def told_splits(split: pd.DataFrame) -> tuple[str, str]:
    """The splits that are predicted: the larger test set first, then validation."""
    return "extended" if (split["split"] == "extended").any() else "test", "validation"


def nested_order(labels: Sequence[str], seed: int) -> np.ndarray:
    """Row numbers in an order of which every start is a stratified subset, within one image a class; any start at
    least as long as the classes are many holds each class."""
    labels = np.asarray(labels)
    rng = np.random.default_rng(seed)
    place, of = np.empty(len(labels)), pd.factorize(labels, sort=True)[0]
    for label in range(of.max() + 1):
        rows = rng.permutation(np.flatnonzero(of == label))
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
        place[rows[0]] = 0  # a rare class comes first too: no model learns a class that it never saw
    return np.lexsort((of, place))


def check_sizes(sizes: Sequence[int], labels: Sequence[str]) -> list[int]:
    """The sizes in ascending order, each once; HarError where one is more than train or fewer than the classes."""
    for size in sizes:
        if size > len(labels):
            raise HarError(f"learning_curve.sizes: {size} is more than the {len(labels)} training images")
        if size < (classes := len(set(labels))):
            raise HarError(f"learning_curve.sizes: {size} is fewer than the {classes} classes")
    return sorted(set(sizes))


def plan(split: pd.DataFrame, recipes: Mapping[str, Recipe], settings: LearningCurve) -> list[tuple[int, int, Fit]]:
    """(size, run, fit) of all that is to be fitted, the largest first, so that none is left over at the end."""
    rows = {name: np.flatnonzero(split["split"] == name) for name in ("train", *told_splits(split))}
    labels = split["label"].to_numpy()[rows["train"]]
    told = np.sort(np.concatenate([rows[name] for name in told_splits(split)]))
    seeds = [settings.seed + run for run in range(settings.runs)]
    orders = [nested_order(labels, seed) for seed in seeds]
    return [
        # in order of the rows, so that the whole of train is the same training set in every run
        (size, run, Fit(model, rows["train"][np.sort(orders[run][:size])], rows["validation"], told, seeds[run]))
        for size in reversed(check_sizes(settings.sizes, labels))
        for model in recipes
        for run in range(settings.runs)
    ]


def learn(
    recipes: Mapping[str, Recipe],
    split: pd.DataFrame,
    classes: Sequence[str],
    settings: LearningCurve,
    *,
    training: Training,
    strength: Augmentation,
) -> pd.DataFrame:
    """Predictions of each of `recipes` after each number of training images, on validation and the larger test
    set, in order of model, size, run and image.

    split: image_id, label and split of the rows of each recipe's `x`, in order of image_id.
    """
    classes = list(classes)
    if not split["image_id"].is_monotonic_increasing:
        raise HarError("learning curve: images must stand in order of image_id")
    for part in ("train", "validation"):
        if missing := set(classes) - set(split["label"][split["split"] == part]):
            raise HarError(f"learning curve: no {part} image of class {min(missing)}; change split or curate.classes")
    planned = plan(split, recipes, settings)
    y = pd.Index(classes).get_indexer(split["label"])
    fits = [fit for _, _, fit in planned]
    parts = {}
    found = fit_all(fits, recipes, y, classes, training=training, strength=strength, name="learning curve")
    for (size, run, fit), probabilities in zip(planned, found, strict=True):
        part = split.iloc[fit.told][["image_id", "split", "label"]].reset_index(drop=True)
        for place, (key, value) in enumerate(zip(KEYS, (fit.model, size, run), strict=True)):
            part.insert(place, key, value)
        part[[f"p_{name}" for name in classes]] = probabilities.round(DIGITS)
        parts[list(recipes).index(fit.model), size, run] = part
    return validate_curve(pd.concat([parts[key] for key in sorted(parts)], ignore_index=True))


# --- table and figure --------------------------------------------------------------------------------------


def scores(
    frame: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95
) -> list[dict[str, object]]:
    """A row for each split, model and size: n, runs, accuracy (mean over runs), sd, ci_low, ci_high, f1."""
    rows = []
    splits = [name for name in ("extended", "test", "validation") if (frame["split"] == name).any()]
    for split in splits:
        part = frame[frame["split"] == split]
        for (model, size), one in part.groupby(["model", "size"], sort=False):
            predictions = one.rename(columns={"run": "seed"}).drop(columns=["model", "size"])
            found = summarise(predictions, (split,), resamples, seed, level)[split]
            accuracy = found["accuracy"]
            rows.append(
                {
                    "split": split,
                    "model": model,
                    "size": int(size),
                    "n": found["n"],
                    "runs": found["runs"],
                    "accuracy": accuracy["mean"],
                    "sd": accuracy.get("sd"),
                    "ci_low": accuracy["ci_low"],
                    "ci_high": accuracy["ci_high"],
                    "f1": found["f1"]["mean"],
                }
            )
    return rows


def curve_table(rows: Sequence[Mapping], header: str, level: float = 0.95) -> Table:
    """The rows of `scores` as a table."""
    text = [
        {
            "Model": paper.model_name(row["model"]),
            "Split": row["split"],
            "Training images": f"{row['size']:,}",
            "n": f"{row['n']:,}",
            "Runs": str(row["runs"]),
            "Accuracy": number(row["accuracy"]),
            "Sd over runs": number(row["sd"]),
            f"{level:.0%} interval": interval(row["ci_low"], row["ci_high"]),
            "F1": number(row["f1"]),
        }
        for row in rows
    ]
    notes = [
        "Nested stratified subsets of train, another subset and seed in each run; the last size may be all of train, "
        "where runs differ by seed only. Early stopping looks at all validation images at every size.",
        f"Sd: over runs, so of subset and seed. {level:.0%} interval: over the images predicted (bootstrap of images, "
        "each with all its runs; Wilson for a single run).",
    ]
    if any(row["runs"] == 1 for row in rows):
        notes.append("One run: its deviation over runs is not defined.")
    title = "Accuracy against the number of training images"
    return Table("learning_curve", title, header, plain_frame(rows), pd.DataFrame(text), tuple(notes))


def draw_curve(rows: Sequence[Mapping], path: Path | str, title: str, classes: int, level: float = 0.95) -> None:
    """Accuracy on the first split of `rows` against training images, a line for each model."""
    shown = [row for row in rows if row["split"] == rows[0]["split"]]
    sizes = sorted({row["size"] for row in shown})
    models = list(dict.fromkeys(row["model"] for row in shown))
    with drawing(path, 6.2, 3.8) as figure:
        axis = figure.subplots()
        for place, model in enumerate(models):
            mine = sorted((row for row in shown if row["model"] == model), key=lambda row: row["size"])
            mean = np.array([row["accuracy"] for row in mine])
            ends = np.array([[row["ci_low"], row["ci_high"]] for row in mine])
            # aside by a few per cent, so that intervals at one size do not hide each other
            x = np.array([row["size"] for row in mine]) * 1.03 ** (place - (len(models) - 1) / 2)
            axis.errorbar(
                x,
                mean,
                yerr=np.abs(ends.T - mean),
                color=CLASS_COLOURS[place % len(CLASS_COLOURS)],
                marker=CLASS_MARKERS[place % len(CLASS_MARKERS)],
                markersize=5,
                linewidth=1.6,
                elinewidth=1,
                label=paper.model_name(model),
            )
        axis.axhline(1 / classes, color=GREY, linestyle=":", label=f"chance, 1/{classes}")
        axis.set_xscale("log")
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes], color=INK)
        axis.minorticks_off()
        axis.set_xlabel("training images")
        axis.set_ylabel(f"accuracy, {shown[0]['n']:,} {shown[0]['split']} images")
        axis.grid(axis="y")
        axis.legend(fontsize=8)
        runs = shown[0]["runs"]
        told = f"mean of {runs} runs" if runs > 1 else "one run"
        axis.set_title(f"{told}; bars: {level:.0%} interval over images", fontsize=8, color=INK)
        figure.suptitle(title, x=0.01, ha="left")
