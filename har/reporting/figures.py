"""Figures as PNG files, all in one style. The same data give the same bytes.

Colours are those of Okabe & Ito (2008), which colour-blind readers can tell apart; shape or place always
tells the same. Written through matplotlib's Agg canvas without pyplot: no display, no state between figures.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from har.core.errors import HarError
from har.evaluation.metrics import confusion
from har.evaluation.predictions import HELD_OUT, classes_of, in_split
from har.evaluation.scored import HEADLINE
from har.reporting import paper
from har.reporting.names import class_name, model_name, policy_name, split_name
from har.reporting.style import BLUE, GREY, INK, ORANGE, RED, drawing

MOST_WRITTEN = 18  # classes of a confusion matrix whose cells hold numbers


def confusion_matrices(
    predictions: Mapping[str, pd.DataFrame], split: str, path: Path | str, title: str, columns: int = 3
) -> None:
    """One matrix for each named predictions frame: images (mean over runs) in the cells, the share of the
    true class as colour. Frames without `split` are left out; HarError if none has it."""
    shown = {name: frame for name, frame in predictions.items() if in_split(frame, split).any()}
    if not shown:
        raise HarError(f"confusion matrices: no predictions in split {split!r}")
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    classes = len(classes_of(next(iter(shown.values()))))
    side = max(2.4, min(0.5 * classes, 9.0))  # inches of a panel; many classes fit by colour alone
    with drawing(path, side * columns + 1.3, side * rows + 0.5) as figure:
        axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
        for place, (axis, (name, frame)) in enumerate(zip(axes, shown.items(), strict=False)):
            matrix = confusion(frame, split)
            counts = matrix.to_numpy()
            total = counts.sum(1, keepdims=True)
            share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
            image = axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
            runs = frame.loc[in_split(frame, split), "seed"].nunique()
            for (row, column), count in np.ndenumerate(counts):
                if classes > MOST_WRITTEN:
                    break
                axis.text(
                    column,
                    row,
                    f"{count:.1f}" if runs > 1 and count < 100 else f"{count:.0f}",
                    ha="center",
                    va="bottom",
                    color="white" if share[row, column] > 0.55 else INK,
                    fontsize=10,
                )
                axis.text(
                    column,
                    row + 0.05,
                    f"{share[row, column]:.0%}",
                    ha="center",
                    va="top",
                    color="white" if share[row, column] > 0.55 else INK,
                    fontsize=7.5,
                )
            labels = [class_name(label).replace(" / ", "/\n") for label in matrix.index]
            axis.set_xticks(range(len(labels)), labels, fontsize=8, rotation=90 if classes > 4 else 0)
            # the class names once a row of panels are enough
            axis.set_yticks(range(len(labels)), labels if place % columns == 0 else [], fontsize=8)
            axis.tick_params(length=0)
            axis.spines[:].set_visible(False)
            axis.set_title(f"{name} ({runs} run{'s' if runs > 1 else ''})" if name else "")
            axis.set_xlabel("predicted")
            if place % columns == 0:
                axis.set_ylabel("true")
        for axis in axes[len(shown) :]:
            axis.set_visible(False)
        bar = figure.colorbar(image, ax=list(axes), shrink=0.8 / rows**0.5, aspect=18, pad=0.02)
        bar.set_label("share of the true class")
        bar.outline.set_visible(False)
        figure.suptitle(title, x=0.01, ha="left")


def learning_curves(curves: pd.DataFrame, path: Path | str, title: str) -> None:
    """Losses and validation accuracy against epochs: a thin line for each run, a thick one for the mean as
    far as all runs go (after the first early stop a mean would jump as runs leave it).

    `curves`: seed, epoch, train_loss, validation_loss, validation_accuracy.
    """
    needed = ["seed", "epoch", "train_loss", "validation_loss", "validation_accuracy"]
    if missing := [name for name in needed if name not in curves.columns]:
        raise HarError(f"learning curves: column {missing[0]!r} is missing, expected {', '.join(needed)}")
    if curves.empty:
        raise HarError("learning curves: no epoch to draw")
    runs = curves["seed"].nunique()
    panels = [
        (
            "Cross-entropy",
            [("train_loss", "train", ORANGE, "--"), ("validation_loss", "validation", BLUE, "-")],
        ),
        ("validation accuracy", [("validation_accuracy", "validation", BLUE, "-")]),
    ]
    with drawing(path, 7.2, 3.1) as figure:
        for axis, (label, lines) in zip(figure.subplots(1, 2), panels, strict=True):
            for column, name, colour, dash in lines:
                wide = curves.pivot(index="epoch", columns="seed", values=column).sort_index()
                if runs > 1:
                    axis.plot(wide.index, wide, color=colour, linestyle=dash, linewidth=0.7, alpha=0.4)
                mean = wide.dropna().mean(axis=1)
                marker = "o" if len(mean) == 1 else ""
                axis.plot(
                    mean.index,
                    mean,
                    color=colour,
                    linestyle=dash,
                    linewidth=2,
                    marker=marker,
                    label=f"{name}, mean of {runs} runs" if runs > 1 else name,
                )
            axis.set(xlabel="epoch", ylabel=label)
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.grid(axis="y")
            axis.legend(fontsize=8)
        axis.set_ylim(0, 1)
        figure.suptitle(title, x=0.01, ha="left")


def _rows(axis: Axes, names: Sequence[str]) -> None:
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.grid(axis="x")


def _dot(
    axis: Axes, y: float, score: Mapping[str, float], colour: str, marker: str, fill: str, label: str | None
) -> None:
    axis.plot([score["ci_low"], score["ci_high"]], [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
    axis.plot(
        score["mean"],
        y,
        marker,
        color=colour,
        markerfacecolor=fill,
        markersize=6,
        markeredgewidth=1.4,
        label=label,
    )


def accuracy_overview(
    summaries: Mapping[str, Mapping], path: Path | str, title: str, classes: int, level: float = 0.95
) -> None:
    """Balanced accuracy with its interval over images for each model on the held-out images and on test alone, best
    first by the former.

    `summaries` maps a model to `evaluate.summarise(...)`; `classes` gives the chance line. "majority" becomes
    a line and a row.
    """
    splits = [(s, c, m, f) for s, c, m, f in ((HELD_OUT, BLUE, "o", BLUE), ("test", ORANGE, "s", "white"))]
    splits = [entry for entry in splits if any(entry[0] in summary for summary in summaries.values())]
    if not splits:
        raise HarError("accuracy overview: no model has a test or an extended split")
    first = splits[0][0]
    # a model without the larger set goes last
    ranked = sorted(summaries, key=lambda name: -summaries[name].get(first, {}).get(HEADLINE, {}).get("mean", -1))
    with drawing(path, 7.2, 0.42 * len(ranked) + 1.5) as figure:
        axis = figure.subplots()
        for offset, (split, colour, marker, fill) in zip((-0.14, 0.14), splits, strict=False):
            sizes = sorted({summaries[name][split]["n"] for name in ranked if split in summaries[name]})
            label = f"{split_name(split)}, {' or '.join(f'{n:,}' for n in sizes)} images"
            for place, name in enumerate(ranked):
                if split in summaries[name]:
                    _dot(axis, place + offset, summaries[name][split][HEADLINE], colour, marker, fill, label)
                    label = None
        axis.axvline(1 / classes, color=GREY, linestyle=":", label=f"chance, 1/{classes}")
        if first in summaries.get("majority", {}):
            majority = summaries["majority"][first][HEADLINE]["mean"]
            axis.axvline(majority, color=INK, linestyle="--", linewidth=1, label=f"majority class, {split_name(first)}")
        _rows(axis, [model_name(name) for name in ranked])
        axis.set_xlim(0, 1)
        axis.set_xlabel(f"balanced accuracy (mean over runs; line: {level:.0%} interval over images)")
        figure.legend(loc="outside lower center", ncols=4, fontsize=8)
        figure.suptitle(title, x=0.01, ha="left")


def augmentation_study(
    summaries: Mapping[str, Mapping], path: Path | str, title: str, level: float = 0.95, papers: bool = True
) -> None:
    """Validation accuracy of each policy with its interval over images, best first, beside the paper's Table
    3 (unless `papers` is off: another task).

    `summaries` maps a policy to `evaluate.summarise(...)`; policy "none" becomes a line.
    """
    scores = {name: summary["validation"]["accuracy"] for name, summary in summaries.items() if "validation" in summary}
    if not scores:
        raise HarError("augmentation study: no policy has a validation split")
    ranked = sorted(scores, key=lambda name: -scores[name]["mean"])
    images = max(summary["validation"]["n"] for summary in summaries.values() if "validation" in summary)
    with drawing(path, 7.2, 0.34 * len(ranked) + 1.5) as figure:
        axis = figure.subplots()
        ours, theirs = f"this project, {images} images", f"paper, {paper.TEST_IMAGES} images"
        for place, name in enumerate(ranked):
            _dot(axis, place, scores[name], BLUE, "o", BLUE, ours)
            printed = paper.score("table3", name).accuracy if papers else None
            if printed is not None:
                axis.plot(printed, place, "D", color=RED, markerfacecolor="white", markersize=5.5, label=theirs)
                theirs = None
            ours = None
        if "none" in scores:
            axis.axvline(scores["none"]["mean"], color=INK, linestyle="--", linewidth=1, label="no augmentation")
        _rows(axis, [policy_name(name) for name in ranked])
        axis.set_xlim(0, 1)
        axis.set_xlabel(f"validation accuracy (mean over runs; line: {level:.0%} interval over images)")
        figure.legend(loc="outside lower center", ncols=3, fontsize=8)
        figure.suptitle(title, x=0.01, ha="left")
