"""Every metric of every model with its interval over images, each class, and how far the small test set lies from the
larger one."""

from har.evaluation.metrics import EPSILON, TOP5
from har.evaluation.predictions import HELD_OUT
from har.evaluation.scored import HEADLINE, PARTS
from har.reporting.names import model_name, split_name
from har.reporting.table import Column, Table, count
from har.reporting.tables.columns import (
    FIRST,
    MODEL,
    RUNS,
    Evidence,
    class_mix,
    class_text,
    counts,
    estimated,
    estimated_gap,
    every_scored,
    figure_column,
    figures,
    first_values,
    over_images,
    ranked,
    tasks_in,
)

SCORES = {
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    TOP5: "Top-5 accuracy",
    "f1": "Macro F1",
    "nll": "NLL",
    "brier": "Brier",
}


def scores_table(of: Evidence) -> Table:
    """Balanced accuracy, accuracy, macro F1, and the two proper scores of the probabilities."""
    rows, absences = [], []
    measured = {name for *_, one in every_scored(of.scored) for name in one.estimates}
    shown = {name: title for name, title in SCORES.items() if name in measured}
    for split, key, one in every_scored(of.scored):
        row = first_values(key, split, one)
        for metric in shown:
            found = one.estimates.get(metric)
            row |= estimated(metric, found, of.level) if found else figures(metric, None)
        rows.append(row)
        absences += [
            f"{key[0]}, {split_name(split)}: no image of {name}; balanced accuracy is over the other classes, macro "
            "F1 counts it as 0."
            for place, name in enumerate(one.cells.classes)
            if place not in one.cells.truth
        ]
    notes = [
        f"{over_images(of.level)} Wilson's for the accuracy of a single run.",
        f"Held out: test and extended images together ({counts(of.scored[HELD_OUT])}).",
        "Balanced accuracy: mean recall of the classes, each of which counts the same however many images it has; its "
        "samples are drawn within classes. Macro F1: 0 for a class without hits.",
        f"NLL: mean −ln of the true class's probability, clipped to {EPSILON:.1e}. Brier: sum of squared errors over "
        "classes, 0 to 2. Of both less is better.",
    ]
    ends = [(row[f"{metric}_low"], row[f"{metric}_high"]) for row in rows for metric in shown]
    if any(low == high and low is not None for low, high in ends):
        notes.append(
            "An interval that is a point: every resample gives the same figure; it says nothing about other images."
        )
    columns = [*FIRST, RUNS, *(figure_column(metric, title) for metric, title in shown.items())]
    return Table("scores", "Scores of all models", of.header, rows, columns, notes + absences)


def per_class_table(of: Evidence) -> Table:
    """Precision, recall and F1 of each class, with how many images show it."""
    notes = [f"{over_images(of.level)} Support: images. A run that never predicts a class enters its precision as 0."]
    rows = []
    for split, key, one in every_scored(of.scored):
        for found in one.per_class:
            rows.append(first_values(key, split, one) | found)
            what = f"{model_name(key[1])}, {key[0]}, {split_name(split)}"
            if not found["support"]:
                where = f"{key[0]}, {split_name(split)}"
                notes.append(f"{where}: no image of {found['class']}; its recall and F1 are not defined.")
            if not found["runs_predicting"]:
                notes.append(f"{what}: {found['class']} is never predicted; its precision is not defined.")
    columns = [
        *FIRST,
        Column("runs"),
        Column("class", "Class", class_text),
        Column("support", "Support", count),
        Column("runs_predicting"),
        *(figure_column(name, name.capitalize()) for name in ("precision", "recall", "f1")),
    ]
    return Table("per_class", "Each class", of.header, rows, columns, notes)


def small_test_table(of: Evidence) -> Table:
    """How far each model's accuracy on the small test set lies from that on the larger one."""
    rows, mixes = [], {}
    for task in tasks_in(of.scored):
        for key, one in ranked(of.scored[HELD_OUT], task).items():
            if len(one.parts) < len(PARTS):
                continue
            row = {"task": task, "model": key[1], "runs": len(one.cells.seeds)}
            for split, part in one.parts.items():
                row |= {f"{split}_n": len(part.cells.truth), f"{split}_classes": class_mix(part.cells)}
                row |= estimated(f"{split}_accuracy", part.estimates["accuracy"], of.level)
                mixes.setdefault((task, split), row[f"{split}_classes"])
            small, large = (one.parts[split].estimates for split in PARTS)
            for name, metric in (("difference", "accuracy"), ("balanced_difference", HEADLINE)):
                row |= estimated_gap(name, small[metric], large[metric], of.level)
            rows.append(row)
    notes = [
        f"Accuracy, mean over runs [{of.level:.0%} interval over images]. The two sets are independent, so the "
        "interval of the difference comes from two independent bootstraps of images. The same runs: it holds no "
        "variance of training.",
        "Same class mix: the difference of the balanced accuracies, in which each class of either set counts the same.",
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
        figure_column("balanced_difference", "Same class mix", sign=True),
    ]
    title = "How far does the small test set lie from the larger one?"
    return Table("small_test", title, of.header, rows, columns, notes)
