"""The comparisons that docs/protocol.md fixes beforehand."""

from collections.abc import Mapping

from har.evaluation.mcnemar import estimated_difference
from har.evaluation.multiple import holm
from har.evaluation.predictions import HELD_OUT
from har.evaluation.scored import HEADLINE, Key, Scored
from har.evaluation.summary import Estimate
from har.reporting.names import model_name
from har.reporting.table import Column, Table, p_value
from har.reporting.tables.columns import class_mix, estimated, figure_column, figures

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
    protocol: str = "",
) -> Table | None:
    """Fine-tuned CLIP minus its own probe, minus captions alone, minus the best network from scratch; None where there
    is none of these to compare.

    Args:
        scored: models on each split.
        validated: each model's HEADLINE on validation.
        header: what made the table.
        level: of confidence.
        protocol: whether the settings are those of docs/protocol.md, in words.
    """
    found = {model: one for (task, model), one in scored[HELD_OUT].items() if task == "activity"}
    scratch = [name for name in SCRATCH if name in found and ("activity", name) in validated]
    best = max(scratch, key=lambda name: validated["activity", name].mean, default="")
    rows = []
    for key, question in QUESTIONS.items():
        other = best if key == "scratch" else key
        if MODEL in found and other in found:
            a, b = (found[name].estimates[HEADLINE] for name in (MODEL, other))
            gap = estimated_difference(a, b, level)
            row = {"question": question, "a": MODEL, "b": other, "n": gap["n"], "p": gap["p"]}
            row |= estimated("score_a", a, level) | estimated("score_b", b, level)
            rows.append(row | figures("difference", gap["difference"], gap["ci_low"], gap["ci_high"]))
    if not rows:
        return None
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    one = found[MODEL]
    notes = [
        f"Balanced accuracy on test and extended images together ({class_mix(one.truth, one.classes)}), mean over runs "
        f"[{level:.0%} interval over images]. The difference is paired: images are drawn within each class, with all "
        "runs of both. p: of no difference, from the same samples; Holm: for these comparisons together.",
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
        Column("p_holm", "p (Holm)", p_value),
    ]
    return Table("claims", "The comparisons that the protocol fixes", header, rows, columns, notes)
