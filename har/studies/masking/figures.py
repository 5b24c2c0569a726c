"""Figures of the masking study: accuracy against the share hidden, and person against context."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd

from har.config.studies import Masking
from har.evaluation.bootstrap import mean_with_interval
from har.evaluation.predictions import classes_of
from har.reporting.figures import rows_of
from har.reporting.names import model_name
from har.reporting.style import CLASS_MARKERS, GREY, INK, SERIES, drawing
from har.studies.masking.conditions import BOX, CROP, NONE, filled_name
from har.studies.masking.report import ranked
from har.studies.masking.scores import by_share, of_condition, per_image


def draw(predictions: Mapping[str, pd.DataFrame], config: Masking, out: Path, profile: str, level: float) -> None:
    """curves.svg and context.svg in `out`; `profile`: what their titles end with."""
    images = ranked({model: per_image(frame) for model, frame in predictions.items()})
    chance = 1 / len(classes_of(next(iter(predictions.values()))))
    draw_curves(images, config, out / "curves.svg", f"Accuracy as more is black{profile}", chance, level)
    draw_context(images, config.fills, out / "context.svg", f"The person or the context{profile}", chance, level)


def draw_curves(images, config: Masking, path: Path, title: str, chance: float, level: float) -> None:
    """A panel for each model: accuracy against share, a line for each kind of mask, the mean with its interval."""
    kinds, points, columns = config.kinds, [0.0, *config.shares], 4
    rows = -(-len(images) // columns)
    with drawing(path, title, 2.2 * columns + 0.4, 1.9 * rows + 1.5) as figure:
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axis, (model, found) in zip(axes, images.items(), strict=False):
            several = [mean_with_interval(by_share(found, kinds, share), level=level) for share in points]
            mean, low, high = zip(*several, strict=True)
            axis.fill_between(points, low, high, color=GREY, alpha=0.25, linewidth=0)
            axis.plot(points, mean, color=INK, linewidth=2, label="mean of all")
            for kind, colour, marker in zip(kinds, cycle(SERIES), cycle(CLASS_MARKERS), strict=False):
                values = [by_share(found, [kind], share).mean() for share in points]
                axis.plot(points, values, color=colour, marker=marker, markersize=3.5, linewidth=1, label=kind)
            axis.axhline(chance, color=GREY, linestyle=":", label=f"chance, 1/{1 / chance:.0f}")
            axis.set_title(model_name(model))
            axis.set_xticks(points, [f"{share:.0%}" for share in points])
            axis.tick_params(labelbottom=True)
            axis.grid(axis="y")
        for axis in axes[len(images) :]:
            axis.set_visible(False)
        figure.supylabel("accuracy (higher is better)")
        n = len(of_condition(next(iter(images.values())), NONE))
        under = f"share that is black (band: {level:.0%} interval over {n:,} images)"
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, title=under)


def draw_context(images, fills: Sequence[str], path: Path, title: str, chance: float, level: float) -> None:
    """Accuracy on whole images, on the largest person alone and on the context alone, a row for each model."""
    shown = {NONE: (INK, "nothing hidden"), CROP: (SERIES[1], "person only")}
    for fill, colour in zip(fills, (GREY, SERIES[0], SERIES[2], SERIES[3]), strict=False):
        shown[filled_name(BOX, fill)] = colour, f"context only, {fill}"
    offsets, ends = np.linspace(-0.32, 0.32, len(shown)), [chance]
    with drawing(path, title, 7.2, 0.42 * len(images) + 1.8) as figure:
        axis = figure.subplots()
        for offset, (condition, (colour, label)), marker in zip(
            offsets, shown.items(), cycle(CLASS_MARKERS), strict=False
        ):
            for place, found in enumerate(images.values()):
                mean, low, high = mean_with_interval(of_condition(found, condition), level=level)
                if mean is None:
                    continue
                ends += [low, high]
                axis.plot([low, high], [place + offset] * 2, color=colour, linewidth=1.4)
                axis.plot(mean, place + offset, marker, color=colour, markersize=4.5, label=label)
                label = None
        axis.axvline(chance, color=GREY, linestyle=":", label=f"chance, 1/{1 / chance:.0f}")
        rows_of(axis, [model_name(model) for model in images])
        axis.set_xlim(max(0, min(ends) - 0.03), min(1, max(ends) + 0.03))
        axis.set_xlabel(f"accuracy (higher is better; line: {level:.0%} interval over images)")
        figure.legend(loc="outside lower center", ncols=4)
