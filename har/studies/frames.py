"""What are several frames of a clip worth? The same readers' clips made of ever more of their frames' predictions, and
how often the frames of a clip disagree. Where images are photographs there is nothing to tell."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from har.config.report import Report
from har.evaluation.clips import of_clips
from har.evaluation.ensemble import is_blind
from har.evaluation.metrics import cells
from har.evaluation.predictions import HELD_OUT, in_split, predicted_classes
from har.evaluation.scored import HEADLINE
from har.evaluation.summary import Estimate, estimates
from har.reporting.names import model_name
from har.reporting.style import add_curve, drawing
from har.reporting.table import Column, Table, count, number, write_tables
from har.reporting.tables.columns import MODEL, RUNS, N, estimated, estimated_gap, figure_column, figures

COUNTS = (1, 2, 4, 8, 16)  # of frames, as far as clips have them; then all


def chosen(frame: pd.DataFrame, seconds: pd.Series, most: int) -> pd.DataFrame:
    """The frames at the centres of `most` equal segments of each clip, all of a clip that has no more.

    frame: predictions of frames; seconds: when each is shown, by image_id.
    """
    runs = frame.assign(second=frame["image_id"].map(seconds)).groupby(["seed", "split", "clip"])["second"]
    place, size = runs.rank(method="first").to_numpy(int) - 1, runs.transform("size").to_numpy(int)
    segment = -((size - 2 * place * most) // (2 * size))  # the first whose centre is not before the frame
    return frame[(2 * segment + 1) * size < 2 * (place + 1) * most]  # and not after it


def study(
    predictions: Mapping[tuple[str, str], pd.DataFrame], seconds: pd.Series, report: Report
) -> tuple[list[dict], list[dict]]:
    """Rows of `frames_table` and of `disagreement_table`, of the held-out clips of every model that sees them.

    predictions: of frames, by task and model; seconds: as in `chosen`.
    """
    worth, disagreement, level = [], [], report.confidence
    for (task, model), frame in predictions.items():
        frame = frame[in_split(frame, HELD_OUT) & (frame["clip"] != "")]  # a table may name photographs too
        if is_blind(model) or frame.empty:
            continue
        sizes = frame.groupby(["seed", "split", "clip"])["image_id"].transform("size")
        # under one id, whichever frames are chosen
        named = frame.assign(image_id=frame.groupby("clip")["image_id"].transform("min"))
        most, about = int(sizes.max()), {"task": task, "model": model}
        first = None
        for frames in [*(some for some in COUNTS if some < most), most]:
            rows = named.loc[chosen(frame, seconds, frames).index]
            one = cells(of_clips(rows, report.clips), HELD_OUT)
            score = estimates(one, report.resamples, report.seed)[HEADLINE]
            first = first or score
            row = about | {"frames": frames, "n": score.n, "runs": len(score.runs)}
            row |= estimated_gap("gain", score, first, level) if frames > 1 else figures("gain", None)
            worth.append(row | estimated("score", score, level))
        guess = predicted_classes(named)
        several = guess.groupby([named["image_id"], named["seed"]]).nunique().gt(1).unstack().to_numpy()  # [n, S]
        of_frames, hits = guess == named["label"], one.guess == one.truth[:, None]
        shares = one.sums(several.astype(float), report.resamples, report.seed)
        shares /= one.sums(np.ones((len(hits), 1)), report.resamples, report.seed)
        share = Estimate("disagreement", len(hits), shares[0], shares[1:].mean(1), one.units())
        row = about | {"n": share.n, "runs": len(share.runs), "frames": most}
        row |= {"frame_accuracy": float(of_frames.mean()), "accuracy": float(hits.mean())}
        for key, some in (("agree", ~several), ("disagree", several)):
            row[f"accuracy_{key}"] = float(hits[some].mean()) if some.any() else None
        disagreement.append(row | estimated("disagree", share, level))
    return worth, disagreement


def write(
    predictions: Mapping[tuple[str, str], pd.DataFrame],
    seconds: pd.Series,
    report: Report,
    out: Path,
    header: str,
    title: str,
) -> None:
    """Write both tables and the figure, under `title`, to `out`. predictions, seconds: as of `study`."""
    level, (worth, disagreement) = report.confidence, study(predictions, seconds, report)
    tables = [frames_table(worth, header, level), disagreement_table(disagreement, header, level)]
    write_tables({table.name: table for table in tables}, out)
    draw(worth, out / "frames.svg", title, level)


def frames_table(rows: Sequence[Mapping], header: str, level: float) -> Table:
    """Balanced accuracy by frames of a clip."""
    columns = [
        MODEL,
        Column("task", "Task"),
        Column("frames", "Frames of a clip", count),
        N,
        RUNS,
        figure_column("score", "Balanced accuracy"),
        figure_column("gain", "Minus one frame", sign=True),
    ]
    notes = [
        "Held-out clips; the same predictions of frames, of which ever more are averaged: those at the centres of "
        f"equal segments of the clip, one frame being the middle one. [{level:.0%} interval: bootstrap of groups of "
        "clips, each with all its runs]; minus one frame: paired. No reader sees an order of frames, so this is what "
        "several views are worth, not what a model of motion could make of them.",
    ]
    return Table("frames", "What are several frames worth?", header, list(rows), columns, notes)


def disagreement_table(rows: Sequence[Mapping], header: str, level: float) -> Table:
    """How often the frames of a clip are taken for several classes."""
    columns = [
        MODEL,
        Column("task", "Task"),
        N,
        RUNS,
        Column("frames", "Frames of a clip", count),
        figure_column("disagree", "Clips whose frames disagree"),
        Column("frame_accuracy", "Accuracy of a frame", number),
        Column("accuracy", "Accuracy of a clip", number),
        Column("accuracy_agree", "Of clips whose frames agree", number),
        Column("accuracy_disagree", "Of those whose frames disagree", number),
    ]
    notes = [
        "Held-out clips. Disagree: not all frames of a clip are taken for one class by the same run; mean over runs "
        f"[{level:.0%} interval: bootstrap of groups of clips, each with all its runs].",
    ]
    return Table("disagreement", "Do the frames of a clip agree?", header, list(rows), columns, notes)


def draw(rows: Sequence[Mapping], path: Path, title: str, level: float, most: int = 6) -> None:
    """Balanced accuracy against frames of a clip, a line for each of the `most` best models of the first task."""
    frame = pd.DataFrame([row for row in rows if row["task"] == rows[0]["task"]])
    last = frame[frame["frames"] == frame["frames"].max()]
    best = last.sort_values("score", ascending=False, kind="stable")["model"].head(most)
    counts = sorted(frame["frames"].unique())
    with drawing(path, title, 7.2, 4.2) as figure:
        axis = figure.subplots()
        for place, model in enumerate(best):
            line = frame[frame["model"] == model]
            ends = line["score_low"], line["score_high"]
            add_curve(axis, line["frames"], line["score"], ends, model_name(model), place, len(best))
        axis.set_xscale("log", base=2)
        axis.set_xticks(counts, counts)
        axis.minorticks_off()
        axis.set_xlabel(f"frames of a clip (mean over runs; bars: {level:.0%} interval over groups of clips)")
        axis.set_ylabel(f"balanced accuracy (higher is better)\n{rows[0]['n']:,} held-out clips")
        axis.grid(axis="y")
        figure.legend(loc="outside lower center", ncols=3)
