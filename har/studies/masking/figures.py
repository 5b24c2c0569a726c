"""Figures of the masking study: accuracy against the share hidden, and person against context."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd

from har.evaluation.predictions import classes_of
from har.reporting.names import model_name
from har.reporting.style import CLASS_COLOURS, CLASS_MARKERS, GREY, INK, drawing
from har.studies.masking.conditions import BOX, CROP, NONE, Drawing, filled_name
from har.studies.masking.report import LABELS, ranked
from har.studies.masking.scores import by_share, mean_with_interval, of_condition, per_image


def draw(predictions: Mapping[str, pd.DataFrame], drawn: Drawing, out: Path, profile: str, **options) -> None:
    """curves.png and context.png in `out`."""
    images = ranked({model: per_image(frame) for model, frame in predictions.items()})
    classes = len(classes_of(next(iter(predictions.values()))))
    title = f"Accuracy as more is black, profile {profile}"
    draw_curves(images, drawn.kinds, drawn.shares, out / "curves.png", title, classes, **options)
    title = f"The person or the context, profile {profile}"
    draw_context(images, drawn.fills, out / "context.png", title, classes, **options)


def draw_curves(images, kinds, shares, path: Path, title: str, classes: int, columns: int = 5, **options) -> None:
    """A panel for each model: accuracy against share, a line for each kind of mask, the mean with its interval."""
    points = [0.0, *shares]
    rows = -(-len(images) // columns)
    with drawing(path, 2.3 * columns + 0.4, 1.9 * rows + 0.9) as figure:
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for place, (axis, (model, found)) in enumerate(zip(axes.ravel(), images.items(), strict=False)):
            every = [mean_with_interval(by_share(found, kinds, share), **options) for share in points]
            low, high = [f["ci_low"] for f in every], [f["ci_high"] for f in every]
            axis.fill_between(points, low, high, color=GREY, alpha=0.25, linewidth=0)
            axis.plot(
                points, [f["mean"] for f in every], color=INK, linewidth=2, label="mean of all" if not place else None
            )
            for kind, colour, marker in zip(kinds, cycle(CLASS_COLOURS), cycle(CLASS_MARKERS), strict=False):
                values = [by_share(found, [kind], share).mean() for share in points]
                axis.plot(points, values, color=colour, marker=marker, markersize=3.5, linewidth=1,
                          label=kind if not place else None)  # fmt: skip
            axis.axhline(1 / classes, color=GREY, linestyle=":", label=f"chance, 1/{classes}" if not place else None)
            axis.set_title(model_name(model), fontsize=9)
            axis.set_xticks(points, [f"{share:.0%}" for share in points], fontsize=7.5)
            axis.tick_params(labelbottom=True)
            axis.grid(axis="y")
        for axis in axes.ravel()[len(images) :]:
            axis.set_visible(False)
        figure.supxlabel(f"share that is black (band: {options.get('level', 0.95):.0%} interval over images)",
                         fontsize=8.5)  # fmt: skip
        figure.supylabel("accuracy", fontsize=8.5)
        figure.legend(loc="outside upper right", ncols=4, fontsize=8)
        figure.suptitle(title, x=0.01, ha="left")


def draw_context(images, fills: Sequence[str], path: Path, title: str, classes: int, **options) -> None:
    """Accuracy on whole images, on the largest person alone and on the context alone, a row for each model."""
    shown = {NONE: (INK, LABELS[NONE]), CROP: (CLASS_COLOURS[1], "person only")}
    shown |= {
        filled_name(BOX, fill): (colour, f"context only, {fill}")
        for fill, colour in zip(fills, (GREY, CLASS_COLOURS[0], CLASS_COLOURS[2], "#8c6bb1"), strict=False)
    }
    offsets = np.linspace(-0.32, 0.32, len(shown))
    with drawing(path, 7.2, 0.42 * len(images) + 1.7) as figure:
        axis = figure.subplots()
        for offset, (condition, (colour, label)), marker in zip(
            offsets, shown.items(), cycle(CLASS_MARKERS), strict=False
        ):
            for place, found in enumerate(images.values()):
                values = of_condition(found, condition)
                if values.empty:
                    continue
                figures = mean_with_interval(values, **options)
                axis.plot([figures["ci_low"], figures["ci_high"]], [place + offset] * 2, color=colour, linewidth=1.4)
                axis.plot(figures["mean"], place + offset, marker, color=colour, markersize=4.5, label=label)
                label = None
        axis.axvline(1 / classes, color=GREY, linestyle=":", label=f"chance, 1/{classes}")
        axis.set_yticks(range(len(images)), [model_name(model) for model in images])
        axis.set_ylim(len(images) - 0.4, -0.6)
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        axis.grid(axis="x")
        axis.set_xlim(0, 1)
        axis.set_xlabel(f"accuracy (line: {options.get('level', 0.95):.0%} interval over images)")
        figure.legend(loc="outside lower center", ncols=4, fontsize=8)
        figure.suptitle(title, x=0.01, ha="left")
