"""Can the labels of the generated world be seen? Scenes that were judged by eye, without a look at their labels."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from har.core.readers import read_table
from har.evaluation.bootstrap import wilson
from har.reporting.table import Column, Table, count, estimate
from har.reporting.tables.columns import class_text

JUDGED = Path(__file__).with_name("judged.csv")
UNCLEAR = "unclear"


def share(name: str, hits: pd.Series, level: float) -> dict:
    """How many of `hits`, the share and its Wilson interval; None where there is no image."""
    n, found = len(hits), int(hits.sum())
    values = (found / n, *wilson(found, n, level)) if n else (None, None, None)
    return {f"{name}_n": n, name: found, **dict(zip(of(name), values, strict=True))}


def of(name: str) -> tuple[str, str, str]:
    """The columns of a `share` with its interval."""
    return f"{name}_share", f"{name}_low", f"{name}_high"


def read_judged() -> pd.DataFrame:
    """One row a scene of seed 2017, drawn at random among those that the captions label.

    part: chosen (the rule's thresholds were chosen on it) or tried; label: of the captions; truth: what the main people
    do, or several; visible: what the rule says (har/synthetic/visible.py), 0 or 1; seen: a class, or unclear.
    """
    text = dict.fromkeys(("label", "truth", "seen"), "str")
    return read_table(JUDGED, {"part": "str", "image_id": "int64", **text, "visible": "int64"})


def tried(hard: float) -> pd.DataFrame:
    """The scenes judged that no threshold was chosen on; below hard = 1 those that the rule keeps."""
    judged = read_judged().query("part == 'tried'")
    return judged if hard >= 1 else judged[judged["visible"] == 1]


def visible_table(classes: Sequence[str], header: str, level: float) -> Table:
    """Table `visible`: what was seen in the scenes as drawn, in those that the rule keeps or leaves out, by class."""
    judged, kept = tried(1), tried(0)
    groups = {("rule", "all scenes"): judged, ("rule", "kept"): kept, ("rule", "left out"): judged.drop(kept.index)}
    groups |= {("label", name): kept[kept["label"] == name] for name in classes}
    rows = []
    for (by, name), part in groups.items():
        row = {"by": by, "group": name, **share("visible", part["label"] == part["seen"], level)}
        row["unclear"] = int((part["seen"] == UNCLEAR).sum())
        rows.append(row | {"another": len(part) - row["visible"] - row["unclear"]})
    columns = [
        Column(("group", "by"), "Scenes", lambda name, by: f"kept, {class_text(name)}" if by == "label" else name),
        Column("visible_n", "n", count),
        Column("visible", "The label", count),
        Column("another", "Another class", count),
        Column("unclear", "Cannot tell", count),
        Column(of("visible"), f"Share [{level:.0%}]", estimate),
    ]
    notes = [
        "Scenes drawn at random among those that captions label, none of the sample's, judged by one pair of eyes "
        "without a look at label or rule (har/studies/audit/judged.csv). The rule (har/synthetic/visible.py) was "
        "chosen on further ones. Of the scenes that it leaves out the sample keeps the share data.world.hard.",
        "Share: of labels that were seen, with Wilson's interval. A label that the captions get wrong counts as not "
        "seen, and so do most of those where the main people do different things.",
    ]
    return Table("visible", "Can the labels be seen?", header, rows, columns, notes)
