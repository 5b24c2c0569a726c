"""Accuracy against the number of training images: what each model would gain from more labels.

A frame of predictions has one row for each model, size, run and image: `model, size, run, image_id, split, label,
p_<class>...` (har.studies.learning_curve.fit fits them).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from har.config.report import Report
from har.core.errors import HarError
from har.core.readers import read_parquet
from har.evaluation.predictions import HELD_OUT, OUT_OF_FOLD, in_split, validate_predictions
from har.evaluation.scored import HEADLINE
from har.evaluation.summary import summarise
from har.reporting.names import model_name, split_name
from har.reporting.style import GREY, add_curve, drawing
from har.reporting.table import Column, Table, count, interval, number
from har.reporting.tables.columns import MODEL, RUNS, SPLIT, N

KEYS = ["model", "size", "run"]
TOLD = (OUT_OF_FOLD, HELD_OUT)
EXPECTED = "predictions of models on fewer training images, as stage learning_curve makes them"
DIGITS = 6  # of a probability: shorter ones halve the file, and every figure derives from the file


def read_curve(path: Path | str) -> pd.DataFrame:
    """The frame in the Parquet file `path`; HarError unless every model, size and run predicts the same images."""
    frame = read_parquet(path, EXPECTED)
    if frame.empty or not set(KEYS) <= set(frame.columns):
        raise HarError(f"{path}: no rows with {', '.join(KEYS)}; expected {EXPECTED}")
    seeds = frame.groupby(KEYS, sort=False).ngroup()
    validate_predictions(frame.drop(columns=KEYS).assign(seed=seeds), path)
    return frame


def scores(frame: pd.DataFrame, report: Report) -> list[dict]:
    """A row for each split, model and size: n, runs, balanced_accuracy (mean over runs), sd, ci_low,
    ci_high, f1."""
    rows = []
    for (model, size), part in frame.groupby(KEYS[:2], sort=False):
        part = part.rename(columns={"run": "seed"}).drop(columns=KEYS[:2])
        found = summarise(part, TOLD, report.resamples, report.seed, report.confidence)
        for split, one in found.items():
            row = {"split": split, "model": model, "size": int(size), "n": one["n"], "runs": one["runs"]}
            row |= {HEADLINE: one[HEADLINE]["mean"], "sd": one[HEADLINE].get("sd"), "f1": one["f1"]["mean"]}
            rows.append(row | {end: one[HEADLINE][end] for end in ("ci_low", "ci_high")})
    models = frame["model"].unique().tolist()
    return sorted(rows, key=lambda row: (TOLD.index(row["split"]), models.index(row["model"]), row["size"]))


def with_all_of_train(
    frame: pd.DataFrame, predictions: Mapping[tuple[str, str], pd.DataFrame], size: int
) -> pd.DataFrame:
    """`frame` and, for each of its models that lacks it, the point with all `size` training images: the trained
    model's own `predictions` ((task, model) to its frame) of held-out images."""
    parts = [frame]
    for model in sorted(set(frame["model"]) - set(frame.loc[frame["size"] == size, "model"])):
        if (own := predictions.get(("activity", model))) is not None:
            own = own[in_split(own, HELD_OUT)].rename(columns={"seed": "run"})
            parts.append(own.assign(model=model, size=size)[frame.columns])
    return pd.concat(parts, ignore_index=True)


def curve_table(rows: Sequence[Mapping], header: str, level: float = 0.95) -> Table:
    """The rows of `scores` as a table."""
    columns = [
        MODEL,
        SPLIT,
        Column("size", "Training images", count),
        N,
        RUNS,
        Column(HEADLINE, "Balanced accuracy", number),
        Column("sd", "Sd over runs", number),
        Column(("ci_low", "ci_high"), f"{level:.0%} interval", interval),
        Column("f1", "F1", number),
    ]
    notes = [
        "Nested stratified subsets of train and validation, without another fold in each run. Out of fold: each image "
        "as the run without its fold predicts it. Held out: mean over these runs; with all of train the trained "
        "model's own runs, which differ by seed.",
        f"Sd: over runs, so of subset. {level:.0%} interval: over the images predicted (bootstrap of images "
        "within classes, each with all its runs).",
    ]
    if any(row["runs"] == 1 for row in rows):
        notes.append("One run: its deviation over runs is not defined.")
    title = "Balanced accuracy against the number of training images"
    return Table("learning_curve", title, header, rows, columns, notes)


def draw_curve(rows: Sequence[Mapping], path: Path | str, title: str, classes: int, level: float = 0.95) -> None:
    """Balanced accuracy against training images, a panel for each split of `rows` and a line for each model."""
    frame = pd.DataFrame(rows)
    models = frame["model"].unique()
    with drawing(path, title, 7.2, 4.2) as figure:
        axes = figure.subplots(1, frame["split"].nunique(), sharey=True, squeeze=False)[0]
        for axis, (split, shown) in zip(axes, frame.groupby("split", sort=False), strict=True):
            for place, model in enumerate(models):
                mine = shown[shown["model"] == model].sort_values("size")
                ends = mine["ci_low"], mine["ci_high"]
                add_curve(axis, mine["size"], mine[HEADLINE], ends, model_name(model), place, len(models))
            sizes = sorted(shown["size"].unique())
            axis.axhline(1 / classes, color=GREY, linestyle=":", label=f"chance, 1/{classes}")
            axis.set_xscale("log")
            axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
            axis.minorticks_off()
            axis.set_title(f"{shown['n'].iloc[0]:,} {split_name(split)} images")
            axis.set_xlabel(f"training images\n(mean over runs; bars: {level:.0%} interval)")
            axis.grid(axis="y")
        axes[0].set_ylabel("balanced accuracy (higher is better)")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
