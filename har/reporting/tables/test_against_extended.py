"""How far the small test set lies from the larger one."""

from collections.abc import Mapping

from har.evaluation.paired import estimated_difference
from har.evaluation.predictions import HELD_OUT
from har.evaluation.scored import PARTS, Key, Scored
from har.reporting.table import Column, Table
from har.reporting.tables.columns import MODEL, class_mix, estimated, figure_column, figures, ranked, tasks_in


def small_test_table(scored: Mapping[str, Mapping[Key, Scored]], header: str, level: float) -> Table:
    """How far each model's accuracy on the small test set lies from that on the larger one."""
    rows, mixes = [], {}
    for task in tasks_in(scored):
        for key, one in ranked(scored[HELD_OUT], task).items():
            if len(one.parts) < len(PARTS):
                continue
            row = {"task": task, "model": key[1], "runs": len(one.seeds)}
            for split, part in one.parts.items():
                row |= {f"{split}_n": len(part.truth), f"{split}_classes": class_mix(part.truth, one.classes)}
                row |= estimated(f"{split}_accuracy", part.estimates["accuracy"], level)
                mixes.setdefault((task, split), row[f"{split}_classes"])
            small, large = (one.parts[split].estimates for split in PARTS)
            for name, metric in (("difference", "accuracy"), ("weighted_difference", "weighted_accuracy")):
                gap = estimated_difference(small[metric], large[metric], level)
                row |= figures(name, gap["difference"], gap["ci_low"], gap["ci_high"])
            rows.append(row)
    notes = [
        f"Accuracy, mean over runs [{level:.0%} interval over images]. The two sets are independent, so the interval "
        "of the difference comes from two independent bootstraps of images. The same runs: it holds no variance of "
        "training.",
        "Same class mix: the difference of the weighted accuracies, in which both sets have the classes' shares among "
        "all images that satisfy the caption rule.",
        *(f"Images of {task}, {split}: {mix}." for (task, split), mix in mixes.items()),
    ]
    if not rows:
        notes = ["No model has predictions on both test and extended, so there is nothing to compare."]
    columns = [
        MODEL,
        Column("task", "Task"),
        Column("runs"),
        Column(("test_n", "extended_n"), "n", "{:,} and {:,}".format),
        Column("test_classes"),
        Column("extended_classes"),
        figure_column("test_accuracy", "Test"),
        figure_column("extended_accuracy", "Extended"),
        figure_column("difference", "Test − extended", sign=True),
        figure_column("weighted_difference", "Same class mix", sign=True),
    ]
    title = "How far does the small test set lie from the larger one?"
    return Table("small_test", title, header, rows, columns, notes)
