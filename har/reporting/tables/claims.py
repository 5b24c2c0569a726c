"""The comparisons that docs/protocol.md fixes beforehand."""

import numpy as np

from har.evaluation.predictions import HELD_OUT
from har.evaluation.scored import HEADLINE
from har.reporting.names import model_name
from har.reporting.table import Column, Table, number, p_value
from har.reporting.tables.columns import Evidence, class_mix, estimated, figure_column
from har.reporting.tables.pairs import ALIKE, ALIKE_HERE, BETTER, POWER, compared

# a minus b; "recommended" and "scratch" stand for the models that are chosen on train and validation
QUESTIONS = {
    ("clip", "probe_clip"): "Does fine-tuning add to its own frozen features?",
    ("clip", "zero_shot"): "Do labelled images add to captions alone?",
    ("clip", "scratch"): "Does pre-training add to the labelled images?",
    ("recommended", "probe_clip"): "Does the recommended row add to frozen features of the whole image?",
    ("recommended", "zero_shot"): "Does the recommended row add to captions alone?",
}
SCRATCH = ("cnn_base", "fnn_base", "cnn_gen")  # of which the best on validation is compared


def claims_table(of: Evidence) -> Table | None:
    """The pairs of QUESTIONS; None where there is none of these to compare."""
    found = {model: one for (task, model), one in of.scored[HELD_OUT].items() if task == "activity"}
    scratch = [name for name in SCRATCH if name in found and ("activity", name) in of.validated]
    best = max(scratch, key=lambda name: of.validated["activity", name].mean, default="")
    chosen = {"scratch": best, "recommended": of.recommended}
    asked = {(chosen.get(a, a), chosen.get(b, b)): question for (a, b), question in QUESTIONS.items()}
    asked = {(a, b): question for (a, b), question in asked.items() if a != b and {a, b} <= found.keys()}
    if not asked:
        return None
    rows = compared(of, "activity", HELD_OUT, list(asked))
    for question, row in zip(asked.values(), rows, strict=True):
        row["question"] = question
        for side in "ab":
            row |= estimated(f"score_{side}", found[row[side]].estimates[HEADLINE], of.level)
    one = found[rows[0]["a"]]
    notes = [
        f"Balanced accuracy on test and extended images together ({class_mix(one.cells)}), mean over runs "
        f"[{of.level:.0%} interval over images]. Difference: paired, over images and training runs; its intervals hold "
        "for these comparisons together, and p, of no difference, is adjusted for them (max-t).",
        f"{BETTER.capitalize()}: the interval leaves out 0; {ALIKE}: it lies within ± {of.margin:g}. Detectable: the "
        f"least difference found with power {POWER:.0%}.",
        f"From scratch: {model_name(best)}, the best of {', '.join(map(model_name, scratch))} on validation."
        if best
        else "",
        f"Recommended: {model_name(of.recommended)}, of the rows that need no person boxes the one with the lowest log "
        "loss out of fold on train and validation. Its two comparisons were declared after the sample's held-out "
        "scenes had been read; for COCO before any run."
        if of.recommended in found
        else "",
        ALIKE_HERE if any(np.isnan(row["difference_low"]) for row in rows) else "",
        of.protocol,
    ]
    columns = [
        Column("question", "Question"),
        Column(("a", "b"), "Difference of", lambda a, b: f"{model_name(a)} − {model_name(b)}"),
        Column("n", "n"),
        figure_column("score_a", "First"),
        figure_column("score_b", "Second"),
        figure_column("difference", "Difference", sign=True),
        Column("p", "p", p_value),
        Column("verdict", "Verdict"),
        Column("detectable", "Detectable", number),
    ]
    return Table("claims", "The comparisons that the protocol fixes", of.header, rows, columns, notes)
