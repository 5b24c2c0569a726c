"""The comparisons that docs/protocol.md fixes beforehand."""

from collections.abc import Mapping

from har.evaluation.predictions import HELD_OUT
from har.evaluation.scored import HEADLINE, Key, Scored
from har.evaluation.summary import Estimate
from har.reporting.names import model_name
from har.reporting.table import Column, Table, number, p_value
from har.reporting.tables.columns import class_mix, estimated, figure_column
from har.reporting.tables.pairs import ALIKE, BETTER, POWER, compared

# a minus b; "recommended" and "scratch" stand for the models that are chosen on train and validation
QUESTIONS = {
    ("clip", "probe_clip"): "Does fine-tuning add to its own frozen features?",
    ("clip", "zero_shot"): "Do labelled images add to captions alone?",
    ("clip", "scratch"): "Does pre-training add to the labelled images?",
    ("recommended", "probe_clip"): "Does the recommended row add to frozen features of the whole image?",
    ("recommended", "zero_shot"): "Does the recommended row add to captions alone?",
}
SCRATCH = ("cnn_base", "fnn_base", "cnn_gen")  # of which the best on validation is compared


def claims_table(
    scored: Mapping[str, Mapping[Key, Scored]],
    validated: Mapping[Key, Estimate],
    header: str,
    level: float,
    margin: float,
    seed: int,
    protocol: str = "",
    recommended: str = "",
) -> Table | None:
    """The pairs of QUESTIONS; None where there is none of these to compare.

    Args:
        scored: models on each split.
        validated: each model's HEADLINE on validation.
        header: what made the table.
        level: of confidence.
        margin: a difference below it is of no importance.
        seed: of the noise of runs.
        protocol: whether the settings are those of docs/protocol.md, in words.
        recommended: the row that `har predict` takes.
    """
    found = {model: one for (task, model), one in scored[HELD_OUT].items() if task == "activity"}
    scratch = [name for name in SCRATCH if name in found and ("activity", name) in validated]
    best = max(scratch, key=lambda name: validated["activity", name].mean, default="")
    chosen = {"scratch": best, "recommended": recommended}
    asked = {(chosen.get(a, a), chosen.get(b, b)): question for (a, b), question in QUESTIONS.items()}
    asked = {(a, b): question for (a, b), question in asked.items() if a != b and {a, b} <= found.keys()}
    if not asked:
        return None
    rows = compared(scored[HELD_OUT], "activity", HELD_OUT, list(asked), level, margin, seed)
    for question, row in zip(asked.values(), rows, strict=True):
        row["question"] = question
        for side in "ab":
            row |= estimated(f"score_{side}", found[row[side]].estimates[HEADLINE], level)
    one = found[rows[0]["a"]]
    notes = [
        f"Balanced accuracy on test and extended images together ({class_mix(one.truth, one.classes)}), mean over runs "
        f"[{level:.0%} interval over images]. Difference: paired, over images and training runs; its intervals hold "
        "for these comparisons together, and p, of no difference, is adjusted for them (max-t).",
        f"{BETTER.capitalize()}: the interval leaves out 0; {ALIKE}: it lies within ± {margin:g}. Detectable: the "
        f"least difference found with power {POWER:.0%}.",
        f"From scratch: {model_name(best)}, the best of {', '.join(map(model_name, scratch))} on validation."
        if best
        else "",
        f"Recommended: {model_name(recommended)}, of the rows that need no person boxes the one with the lowest log "
        "loss out of fold on train and validation. Its two comparisons were declared after the sample's held-out "
        "scenes had been read; for COCO before any run."
        if recommended in found
        else "",
        protocol,
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
    return Table("claims", "The comparisons that the protocol fixes", header, rows, columns, notes)
