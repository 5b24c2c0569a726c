"""Every metric of every model with its interval over images, and each class."""

from collections.abc import Mapping

from har.evaluation.metrics import EPSILON, TOP5
from har.evaluation.predictions import HELD_OUT
from har.evaluation.scored import Key, Scored, Shares
from har.reporting.names import class_name, model_name, split_name
from har.reporting.table import Column, Table, count
from har.reporting.tables.columns import (
    FIRST,
    RUNS,
    class_text,
    counts,
    estimated,
    every_scored,
    figure_column,
    figures,
    first_values,
    over_images,
)

SCORES = {
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    TOP5: "Top-5 accuracy",
    "weighted_accuracy": "Weighted",
    "f1": "Macro F1",
    "nll": "NLL",
    "brier": "Brier",
}


def scores_table(scored: Mapping[str, Mapping[Key, Scored]], shares: Shares, header: str, level: float) -> Table:
    """Accuracy three ways, macro F1, and the two proper scores of the probabilities."""
    rows, absences = [], []
    shown = {
        name: title for name, title in SCORES.items() if any(name in one.estimates for *_, one in every_scored(scored))
    }
    for split, key, one in every_scored(scored):
        row = first_values(key, split, one)
        for metric in shown:
            found = one.estimates.get(metric)
            row |= estimated(metric, found, level) if found else figures(metric, None)
        rows.append(row)
        absent = set(range(len(one.classes))) - set(one.truth)
        absences += [
            f"{key[0]}, {split_name(split)}: no image of {one.classes[place]}; balanced and weighted accuracy are "
            "over the other classes, macro F1 counts it as 0."
            for place in sorted(absent)
        ]
    weights = "; ".join(
        f"{task}: " + ", ".join(f"{class_name(name)} {share:.3f}" for name, share in mine.items())
        for task, mine in shares.items()
    )
    notes = [
        f"{over_images(level)} Wilson's for the accuracy of a single run.",
        f"Held out: test and extended images together ({counts(scored[HELD_OUT])}).",
        "Balanced accuracy: mean recall of the classes, each of which counts the same however many images it has; its "
        "samples are drawn within classes. Weighted: recalls weighted by the classes' shares among all "
        f"images that satisfy the caption rule ({weights}). Macro F1: 0 for a class without hits.",
        f"NLL: mean −ln of the true class's probability, clipped to {EPSILON:.1e}. Brier: sum of squared errors over "
        "classes, 0 to 2. Of both less is better.",
    ]
    ends = [(row[f"{metric}_low"], row[f"{metric}_high"]) for row in rows for metric in shown]
    if any(low == high and low is not None for low, high in ends):
        notes.append(
            "An interval that is a point: every resample gives the same figure; it says nothing about other images."
        )
    columns = [*FIRST, RUNS, *(figure_column(metric, title) for metric, title in shown.items())]
    return Table("scores", "Scores of all models", header, rows, columns, notes + absences)


def per_class_table(scored: Mapping[str, Mapping[Key, Scored]], header: str, level: float) -> Table:
    """Precision, recall and F1 of each class, with how many images show it."""
    notes = [f"{over_images(level)} Support: images. A run that never predicts a class enters its precision as 0."]
    rows = []
    for split, key, one in every_scored(scored):
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
    return Table("per_class", "Each class", header, rows, columns, notes)
