"""The ablation as a table and as a figure: every variant beside the reference, on the same images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from har.config.report import Report
from har.evaluation.metrics import cells
from har.evaluation.predictions import HELD_OUT, OUT_OF_FOLD, in_split
from har.evaluation.scored import HEADLINE
from har.evaluation.summary import estimates
from har.reporting.names import split_name
from har.reporting.style import GREY, INK, PAPER, drawing
from har.reporting.table import Column, Table, count, estimate, number, pivoted, signed_estimate
from har.reporting.tables.columns import estimated_gap, figures, triple


def scores(
    predictions: Mapping[str, pd.DataFrame],
    parameters: Mapping[str, int | None],
    changed: Mapping[str, str],
    reference: str,
    report: Report,
) -> list[dict]:
    """A row for each of OUT_OF_FOLD and HELD_OUT (where there are such images) and variant: n, runs,
    balanced_accuracy (mean over runs), sd, ci_low, ci_high, f1, and its paired difference from `reference`."""
    rows = []
    for split in (OUT_OF_FOLD, HELD_OUT):
        if not in_split(predictions[reference], split).any():
            continue
        found = {
            name: estimates(cells(frame, split), report.resamples, report.seed) for name, frame in predictions.items()
        }
        for name, mine in found.items():
            one = mine[HEADLINE]
            row = {"variant": name, "changed": changed[name], "parameters": parameters[name], "split": split}
            row |= {"n": one.n, "runs": len(one.runs), HEADLINE: one.mean, "sd": one.sd, "f1": mine["f1"].mean}
            row |= dict(zip(("ci_low", "ci_high"), one.interval(report.confidence), strict=True))
            gap = figures("difference", None)
            if name != reference:
                gap = estimated_gap("difference", one, found[reference][HEADLINE], report.confidence)
            rows.append(row | gap)
    return rows


def ablation_table(
    rows: Sequence[Mapping],
    reference: str,
    header: str,
    level: float = 0.95,
    left_out: Mapping[str, str] | None = None,
) -> Table:
    """The rows of `scores`; for people a line for each variant. left_out: variants without a row, each with the
    reason."""
    sizes = {row["split"]: row["n"] for row in rows}
    runs = max(row["runs"] for row in rows)
    notes = [
        f"Each variant is trained {runs} times, each time without another part of train and validation, so on fewer "
        f"images than the models' own rows. Out of fold: each of these images as the run without it predicts it; held "
        f"out: mean over the {runs} runs [{level:.0%} interval over images].",
        f"Minus {shown(reference)}: difference of balanced accuracies [{level:.0%} interval over images, paired: "
        "images are drawn within classes, each with all runs of both; not widened for the number of variants, and "
        "without the variance of training].",
        "What a variant does not name is as in its model; none was tuned for itself but a model of its own.",
    ]
    if any("texts of the classes" in row["changed"] for row in rows):
        notes.append(
            "Texts of the classes as head: the embeddings of their prompts as a linear head on the image embedding, "
            "before training the zero-shot classifier exactly (no label is used)."
        )
    if any("largest person" in row["changed"] for row in rows):
        notes.append("The largest person: by its annotated box, which is given, not detected.")
    notes += [f"Left out: {shown(name)} ({reason})." for name, reason in (left_out or {}).items()]
    scored, gaps = (HEADLINE, "ci_low", "ci_high"), triple("difference")
    columns = [
        Column("variant", "Variant", shown),
        Column("changed", "Changed"),
        Column("parameters", "Parameters trained", count),
        *map(Column, ("split", "n", "runs", *scored, "sd", "f1", *gaps)),
    ]
    for split, n in sizes.items():
        values = tuple(f"{name}_{split}" for name in scored)
        columns.append(Column(values, f"Balanced accuracy, {split_name(split)} (n = {n:,})", estimate, csv=False))
        columns.append(
            Column(
                ("variant", *(f"{name}_{split}" for name in gaps)),
                f"Minus {shown(reference)}, {split_name(split)}",
                lambda name, *gap: "reference" if name == reference else signed_estimate(*gap),
                csv=False,
            )
        )
    title = "Ablations: one setting, or a group of settings, replaced"
    return Table("ablation", title, header, rows, columns, notes, pivoted(rows, ["variant"], "split"))


def shown(name: str) -> str:
    return name.replace("_", " ")


def forest(rows: Sequence[Mapping], reference: str, path: Path | str, title: str, level: float = 0.95) -> None:
    """Each variant's difference from the reference with its interval, in the order of the rows."""
    frame = pd.DataFrame(rows).set_index(["variant", "split"])
    names = [name for name in frame.index.unique("variant") if name != reference]
    styles = zip(frame.index.unique("split"), (INK, GREY), ("o", "s"), (INK, PAPER), (-0.13, 0.13), strict=False)
    with drawing(path, title, 7.2, 0.42 * max(1, len(names)) + 1.9) as figure:
        axis = figure.subplots()
        for split, colour, marker, inside, offset in styles:
            mine, whole = frame.xs(split, level="split").loc[names], frame.loc[reference, split]
            label = f"{split_name(split)}, {whole['n']:,} images; {shown(reference)} {number(whole[HEADLINE])}"
            gaps, *ends = mine[list(triple("difference"))].to_numpy(float).T
            axis.errorbar(
                gaps,
                np.arange(len(names)) + offset,
                xerr=np.abs(ends - gaps),
                color=colour,
                marker=marker,
                markerfacecolor=inside,
                markersize=5,
                linestyle="",
                elinewidth=1.4,
                label=label,
            )
        axis.axvline(0, color=INK, linewidth=1, linestyle="--")
        axis.set_yticks(range(len(names)), [shown(name) for name in names])
        axis.set_ylim(max(1, len(names)) - 0.5, -0.5)
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="x")
        axis.spines["left"].set_color(GREY)
        told = f"above 0: better; mean over runs; line: {level:.0%} interval, paired"
        axis.set_xlabel(f"balanced accuracy minus {shown(reference)}\n{told}")
        figure.legend(loc="outside lower center", ncols=1)
