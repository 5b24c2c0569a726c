"""Figures, all in one style (har.reporting.style): no display, no state between figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from har.core.errors import HarError
from har.evaluation.metrics import confusion
from har.evaluation.predictions import HELD_OUT, classes_of, in_split
from har.evaluation.scored import HEADLINE
from har.reporting import paper
from har.reporting.names import class_name, model_name, policy_name, split_name
from har.reporting.style import GREY, INK, PAPER, RIGHT, WRONG, drawing, tints

MOST_WRITTEN = 18  # classes of a confusion matrix whose cells hold numbers


def confusion_matrices(
    predictions: Mapping[str, pd.DataFrame],
    split: str,
    path: Path | str,
    title: str,
    unit: str = "images",
) -> None:
    """One matrix for each named predictions frame: how many of `unit` (mean over runs) in the cells, the share of the
    true class as colour, green where it is right. Frames without `split` are left out; HarError if none has it."""
    shown = {name: frame for name, frame in predictions.items() if in_split(frame, split).any()}
    if not shown:
        raise HarError(f"confusion matrices: no predictions in split {split!r}")
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    classes = len(classes_of(next(iter(shown.values()))))
    side = max(2.1, min(0.5 * classes, 9.0))  # inches of a panel; many classes fit by colour alone
    with drawing(path, title, max(5.4, side * columns + 0.7), side * rows + 1.2) as figure:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for place, (axis, (name, frame)) in enumerate(zip(axes, shown.items(), strict=False)):
            matrix = confusion(frame, split)
            counts = matrix.to_numpy()
            total = counts.sum(1, keepdims=True)
            share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
            signed = np.where(np.eye(classes, dtype=bool), share, -share)
            axis.pcolormesh(signed, cmap=tints(RIGHT, WRONG), vmin=-1, vmax=1)
            axis.invert_yaxis()
            axis.set_aspect("equal")
            runs = frame.loc[in_split(frame, split), "seed"].nunique()
            for (row, column), count in np.ndenumerate(counts if classes <= MOST_WRITTEN else counts[:0]):
                text = f"{count:.1f}" if runs > 1 and count < 100 else f"{count:.0f}"
                text += f"\n{share[row, column]:.0%}"
                axis.text(column + 0.5, row + 0.5, text, ha="center", va="center")
            labels = [class_name(label).replace(" / ", "/\n") for label in matrix.index]
            places = np.arange(classes) + 0.5
            # the class names once a row and once a column of panels are enough
            axis.set_xticks(places, labels if place + columns >= len(shown) else [], rotation=90 if classes > 2 else 0)
            axis.set_yticks(places, labels if place % columns == 0 else [])
            axis.tick_params(length=0)
            axis.spines[:].set_visible(False)
            axis.set_title(f"{fill(name, 22)}\n{runs} run{'s' if runs > 1 else ''}" if name else "")
        for axis in axes[len(shown) :]:
            axis.set_visible(False)
        figure.supxlabel(f"predicted\n({unit}, mean over runs;\nshare of the true class)")
        figure.supylabel("true")


def learning_curves(curves: pd.DataFrame, path: Path | str, title: str) -> None:
    """Losses and validation accuracy against epochs: a thin line for each run, a thick one for the mean as
    far as all runs go (after the first early stop a mean would jump as runs leave it).

    `curves`: seed, epoch, train_loss, validation_loss, validation_accuracy.
    """
    if curves.empty:
        raise HarError("learning curves: no epoch to draw")
    runs = curves["seed"].nunique()
    validation = ("validation", INK, "-")
    panels = {
        "cross-entropy (nats, lower is better)": {"train_loss": ("train", GREY, "--"), "validation_loss": validation},
        "accuracy (higher is better)": {"validation_accuracy": validation},
    }
    with drawing(path, title, 7.2, 3.3) as figure:
        for axis, (label, lines) in zip(figure.subplots(1, 2), panels.items(), strict=True):
            for column, (name, colour, dash) in lines.items():
                wide = curves.pivot(index="epoch", columns="seed", values=column).sort_index()
                if runs > 1:
                    axis.plot(wide.index, wide, color=colour, linestyle=dash, linewidth=0.7, alpha=0.4)
                mean = wide.dropna().mean(axis=1)
                told = f"{name}, mean of {runs} runs" if runs > 1 else name
                look = {"color": colour, "linestyle": dash, "linewidth": 2}
                axis.plot(mean.index, mean, marker="o" if len(mean) == 1 else "", label=told, **look)
            axis.set(xlabel="epoch", ylabel=label)
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.grid(axis="y")
            axis.legend()
        axis.set_ylim(0, 1)


def rows_of(axis: Axes, names: Sequence[str]) -> None:
    """A row for each name, the first on top."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.grid(axis="x")


def _dots(
    axis: Axes,
    names: Sequence[str],
    scores: Mapping[str, Mapping],
    label: str,
    marker: str = "o",
    colour: str = INK,
    filling: str = INK,
    offset: float = 0,
) -> None:
    """In the row of each name that has a score its dot and the line of its interval, `offset` below the middle."""
    for place, name in enumerate(names):
        if name in scores:
            score, y = scores[name], place + offset
            axis.plot([score["ci_low"], score["ci_high"]], [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
            look = {"color": colour, "markerfacecolor": filling, "markersize": 6, "markeredgewidth": 1.4}
            axis.plot(score["mean"], y, marker, label=label, **look)
            label = ""  # the legend has it once
    axis.set_xlim(0, 1)


def accuracy_overview(
    summaries: Mapping[str, Mapping],
    path: Path | str,
    title: str,
    classes: int,
    level: float = 0.95,
    unit: str = "images",
) -> None:
    """Balanced accuracy with its interval over images for each model on the held-out images and on test alone, best
    first by the former.

    `summaries` maps a model to what har.evaluation.summary.summarise tells of it; `classes` gives the chance line.
    "majority" becomes a line and a row.
    """
    looks = {HELD_OUT: ("o", INK, INK, -0.14), "test": ("s", GREY, PAPER, 0.14)}
    splits = [split for split in looks if any(split in summary for summary in summaries.values())]
    if not splits:
        raise HarError("accuracy overview: no model has a test or an extended split")
    first = splits[0]
    # a model without the larger set goes last
    ranked = sorted(summaries, key=lambda name: -summaries[name].get(first, {}).get(HEADLINE, {}).get("mean", -1))
    with drawing(path, title, 7.2, 0.42 * len(ranked) + 1.8) as figure:
        axis = figure.subplots()
        for split in splits:
            mine = {name: summary[split] for name, summary in summaries.items() if split in summary}
            sizes = " or ".join(f"{n:,}" for n in sorted({one["n"] for one in mine.values()}))
            scores = {name: one[HEADLINE] for name, one in mine.items()}
            _dots(axis, ranked, scores, f"{split_name(split)}, {sizes} {unit}", *looks[split])
        axis.axvline(1 / classes, color=GREY, linestyle=":", label=f"chance, 1/{classes}")
        if first in summaries.get("majority", {}):
            majority = summaries["majority"][first][HEADLINE]["mean"]
            axis.axvline(majority, color=INK, linestyle="--", linewidth=1, label=f"majority class, {split_name(first)}")
        rows_of(axis, [model_name(name) for name in ranked])
        axis.set_xlabel(f"balanced accuracy (higher is better)\nmean over runs; line: {level:.0%} interval over {unit}")
        figure.legend(loc="outside lower center", ncols=2)


def augmentation_study(
    summaries: Mapping[str, Mapping],
    path: Path | str,
    title: str,
    level: float = 0.95,
    papers: bool = True,
    unit: str = "images",
) -> None:
    """Validation accuracy of each policy with its interval over images, best first, beside the paper's Table
    3 (unless `papers` is off: another task).

    `summaries` maps a policy to what har.evaluation.summary.summarise tells of it; policy "none" becomes a line.
    """
    found = {name: summary["validation"] for name, summary in summaries.items() if "validation" in summary}
    if not found:
        raise HarError("augmentation study: no policy has a validation split")
    scores = {name: one["accuracy"] for name, one in found.items()}
    ranked = sorted(scores, key=lambda name: -scores[name]["mean"])
    with drawing(path, title, 7.2, 0.34 * len(ranked) + 1.8) as figure:
        axis, images = figure.subplots(), max(one["n"] for one in found.values())
        _dots(axis, ranked, scores, f"this project, {images} {unit}")
        printed = {place: paper.score("table3", name).accuracy for place, name in enumerate(ranked)} if papers else {}
        if printed := {place: accuracy for place, accuracy in printed.items() if accuracy is not None}:
            label, look = f"paper, {paper.TEST_IMAGES} images", {"markerfacecolor": PAPER, "markersize": 5.5}
            axis.plot(printed.values(), printed.keys(), "D", color=INK, label=label, **look)
        if "none" in scores:
            axis.axvline(scores["none"]["mean"], color=INK, linestyle="--", linewidth=1, label="no augmentation")
        rows_of(axis, [policy_name(name) for name in ranked])
        axis.set_xlabel(
            f"validation accuracy (higher is better)\nmean over runs; line: {level:.0%} interval over {unit}"
        )
        figure.legend(loc="outside lower center", ncols=3)
