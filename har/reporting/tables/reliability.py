"""Do probabilities mean what they say? Calibration error, temperature, reliability."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd

from har.config.report import Report
from har.core.errors import HarError
from har.evaluation import calibration
from har.evaluation.metrics import cells, metrics_from_confusion
from har.evaluation.predictions import HELD_OUT, in_split
from har.evaluation.scored import Key
from har.reporting.names import model_name
from har.reporting.table import Column, Table, number
from har.reporting.tables.columns import FIRST, Evidence, every_scored, figures, first_values, triple

PANELS = 8  # of the figure; the table has all models


def calibration_table(of: Evidence) -> Table:
    """Expected calibration error, and what a temperature fitted on the images of `validated` makes of it."""
    rows, notes = [], []
    for split, key, one in every_scored(of.scored):
        what = f"{model_name(key[1])}, {key[0]}"
        row, found = first_values(key, split, one), one.calibration
        row |= {
            "bins": calibration.bin_count(row["n"]),
            "ece": found.ece,
            "ece_of_calibrated": found.ece_of_calibrated,
            "nll": one.estimates["nll"].mean,
            "validation_n": of.validated[key].n if key in of.validated else None,
            "scaled_nll": found.scaled_nll,
            "scaled_ece": found.scaled_ece,
        }
        if (mine := found.temperatures) is None:
            notes.append(f"{what}: a run has no validation images, so no temperature was fitted.")
        else:
            row |= figures("temperature", float(np.mean(mine)), min(mine), max(mine))
        rows.append(row)
    sizes = sorted({one.n for one in of.validated.values()})
    fixed = [
        "ECE: expected calibration error of the predicted class's probability, in bins of equally many images, mean "
        "over runs. It is biased upwards, the more so the fewer images: “if calibrated” is what it would be on average "
        f"with these confidences all true ({calibration.DRAWS} draws); only what clearly exceeds that is a sign of "
        "miscalibration. So it has no bootstrap interval, which would be biased likewise.",
        f"Temperature: each run's own, by NLL on {' or '.join(map(str, sizes)) or 'no'} images of train and validation "
        "that its fit did not see, drawn towards 1 the more the fewer they are; mean (least to largest run). Above 1 "
        "the model was overconfident. Scaled: after it; accuracy stays as it is.",
    ]

    def temperature(mean: float, low: float, high: float, runs: int) -> str:
        """1.56 (0.76 to 3.86)"""
        return number(mean, 2) + (f" ({number(low, 2)} to {number(high, 2)})" if runs > 1 else "")

    columns = [
        *FIRST,
        Column("bins", "Bins"),
        Column("ece", "ECE", number),
        Column("ece_of_calibrated", "ECE if calibrated", number),
        Column("nll", "NLL", number),
        Column("validation_n"),
        Column((*triple("temperature"), "runs"), "Temperature", temperature),
        Column("scaled_ece", "ECE, scaled", number),
        Column("scaled_nll", "NLL, scaled", number),
    ]
    return Table("calibration", "Calibration", of.header, rows, columns, [*fixed, *notes])


def reliability_figure(predictions: Mapping[Key, pd.DataFrame], path: Path | str, title: str, report: Report) -> None:
    """Accuracy against confidence on the held-out images: the PANELS models of the first task with the highest
    balanced accuracy, best first; HarError if no model has any."""
    from har.reporting.style import GREY, INK, drawing

    first = next(iter(predictions), ("", ""))[0]
    every = {}
    for (task, model), frame in predictions.items():
        if task == first and in_split(frame, HELD_OUT).any():
            one = cells(frame, HELD_OUT)
            every[model] = one, metrics_from_confusion(one.confusions())["balanced_accuracy"].mean()
    if not every:
        raise HarError("reliability: no model has predictions on test or extended")
    shown = sorted(every, key=lambda model: -every[model][1])[:PANELS]
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    with drawing(path, title, max(2.1 * columns + 0.5, 4.2), 2.6 * rows + 1.4) as figure:
        figure.get_layout_engine().set(h_pad=0.1)  # inches: titles of three lines between the rows
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axis, model in zip(axes, shown, strict=False):
            one, score = every[model]
            found = calibration.reliability(one, report.resamples, report.seed)
            ends = (1 - report.confidence) / 2, (1 + report.confidence) / 2
            low, high = np.nanquantile(found["resampled"], ends, axis=0)
            axis.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
            axis.vlines(found["confidence"], low, high, color=INK, linewidth=1.2, clip_on=False)
            axis.plot(found["confidence"], found["accuracy"], "o", color=INK, markersize=4, clip_on=False)
            axis.set_title(f"{fill(model_name(model), 24)}\n{number(score, 2)}, n = {len(one.truth):,}")
            axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
            axis.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
            axis.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
        for axis in axes[len(shown) :]:
            axis.set_visible(False)
        for axis in axes[: len(shown)][-columns:]:  # the lowest of each column
            axis.tick_params(labelbottom=True)
        figure.supylabel("accuracy")
        figure.supxlabel(
            f"confidence (bins of equally many images; line: {report.confidence:.0%} interval over images)\n"
            "Dotted: as right as it is sure. Above a panel: balanced accuracy, held-out images"
        )
