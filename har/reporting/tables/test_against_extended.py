"""How far the small test set lies from the larger one."""

from collections.abc import Mapping

import numpy as np

from har.evaluation.mcnemar import estimated_difference
from har.evaluation.scored import Key, Scored
from har.reporting.names import model_name
from har.reporting.table import Table
from har.reporting.tables.columns import (
    estimate_columns,
    figure_columns,
    make_table,
    ranked,
    tasks_in,
    triples,
    with_interval,
)


def small_test_table(scored: Mapping[str, Mapping[Key, Scored]], header: str, level: float) -> Table:
    """How far each model's accuracy on the small test set lies from that on the larger one."""
    rows, mixes = [], {}
    for task in tasks_in(scored):
        for key, small in ranked(scored["test"], task).items():
            if key not in scored["extended"]:
                continue
            large, row = scored["extended"][key], {"task": task, "model": key[1], "runs": len(small.seeds)}
            for split, of in (("test", small), ("extended", large)):
                row |= {f"{split}_n": len(of.truth), f"{split}_classes": _class_mix(of)}
                row |= estimate_columns(f"{split}_accuracy", of.estimates["accuracy"], level)
                mixes.setdefault((task, split), row[f"{split}_classes"])
            for name, metric in (("difference", "accuracy"), ("weighted_difference", "weighted_accuracy")):
                gap = estimated_difference(small.redrawn[metric], large.estimates[metric], level)
                row |= figure_columns(name, gap["difference"], gap["ci_low"], gap["ci_high"])
            rows.append(row)
    text = [
        {
            "Model": model_name(row["model"]),
            "Task": row["task"],
            "n": f"{row['test_n']:,} and {row['extended_n']:,}",
            "Test": with_interval(row, "test_accuracy"),
            "Extended": with_interval(row, "extended_accuracy"),
            "Test − extended": with_interval(row, "difference", sign=True),
            "Same class mix": with_interval(row, "weighted_difference", sign=True),
        }
        for row in rows
    ]
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
    columns = ["task", "model", "runs", "test_n", "test_classes", *triples(["test_accuracy"]), "extended_n"]
    columns += ["extended_classes", *triples(["extended_accuracy", "difference", "weighted_difference"])]
    shown = ["Model", "Task", "n", "Test", "Extended", "Test − extended", "Same class mix"]
    title = "How far does the small test set lie from the larger one?"
    return make_table("small_test", title, header, rows, text, columns, shown, notes)


def _class_mix(one: Scored) -> str:
    """walking_running 10, sitting 10, standing 9"""
    counts = np.bincount(one.truth, minlength=len(one.classes))
    return ", ".join(f"{name} {count}" for name, count in zip(one.classes, counts, strict=True))
