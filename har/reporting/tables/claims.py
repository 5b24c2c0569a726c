"""The comparisons that docs/protocol.md fixes beforehand."""

from collections.abc import Mapping

from har.evaluation.predictions import HELD_OUT
from har.evaluation.scored import HEADLINE, Key, Scored
from har.evaluation.summary import Estimate
from har.reporting.names import model_name
from har.reporting.table import Column, Table, number, p_value
from har.reporting.tables.columns import class_mix, estimated, figure_column
from har.reporting.tables.pairs import ALIKE, BETTER, POWER, compared

MODEL = "clip"
QUESTIONS = {
    "probe_clip": "Does fine-tuning add to its own frozen features?",
    "zero_shot": "Do labelled photographs add to captions alone?",
    "scratch": "Does pre-training add to the labelled photographs?",
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
) -> Table | None:
    """Fine-tuned CLIP minus its own probe, minus captions alone, minus the best network from scratch; None where there
    is none of these to compare.

    Args:
        scored: models on each split.
        validated: each model's HEADLINE on validation.
        header: what made the table.
        level: of confidence.
        margin: a difference below it is of no importance.
        seed: of the noise of runs.
        protocol: whether the settings are those of docs/protocol.md, in words.
    """
    found = {model: one for (task, model), one in scored[HELD_OUT].items() if task == "activity"}
    scratch = [name for name in SCRATCH if name in found and ("activity", name) in validated]
    best = max(scratch, key=lambda name: validated["activity", name].mean, default="")
    asked = {key: best if key == "scratch" else key for key in QUESTIONS}
    asked = {key: other for key, other in asked.items() if MODEL in found and other in found}
    if not asked:
        return None
    pairs = [(MODEL, other) for other in asked.values()]
    rows = compared(scored[HELD_OUT], "activity", HELD_OUT, pairs, level, margin, seed)
    for key, row in zip(asked, rows, strict=True):
        row["question"] = QUESTIONS[key]
        for side in "ab":
            row |= estimated(f"score_{side}", found[row[side]].estimates[HEADLINE], level)
    one = found[MODEL]
    notes = [
        f"Balanced accuracy on test and extended images together ({class_mix(one.truth, one.classes)}), mean over runs "
        f"[{level:.0%} interval over images]. Difference: paired, over images and training runs; its intervals hold "
        "for these comparisons together, and p, of no difference, is adjusted for them (max-t).",
        f"{BETTER.capitalize()}: the interval leaves out 0; {ALIKE}: it lies within ± {margin:g}. Detectable: the "
        f"least difference found with power {POWER:.0%}.",
        f"From scratch: {model_name(best)}, the best of {', '.join(map(model_name, scratch))} on validation."
        if best
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
