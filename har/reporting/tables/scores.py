"""Every metric of every model with its interval over images, and each class."""

from collections.abc import Mapping

from har.evaluation.metrics import EPSILON
from har.evaluation.scored import Key, Scored, Shares
from har.reporting.names import class_name, model_name
from har.reporting.table import Table
from har.reporting.tables.columns import (
    FIRST,
    FIRST_SHOWN,
    estimate_columns,
    every_scored,
    first_columns,
    first_text,
    make_table,
    over_images,
    triples,
    with_interval,
)

SCORES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced",
    "weighted_accuracy": "Weighted",
    "f1": "Macro F1",
    "nll": "NLL",
    "brier": "Brier",
}


def scores_table(scored: Mapping[str, Mapping[Key, Scored]], shares: Shares, header: str, level: float) -> Table:
    """Accuracy three ways, macro F1, and the two proper scores of the probabilities."""
    rows, notes, point = [], [], False
    for split, key, one in every_scored(scored):
        row = first_columns(key, split, one)
        for metric in SCORES:
            row |= estimate_columns(metric, one.estimates[metric], level)
            point |= row[f"{metric}_low"] == row[f"{metric}_high"]
        rows.append(row)
        absent = set(range(len(one.classes))) - set(one.truth)
        for name in (one.classes[place] for place in sorted(absent)):
            notes.append(
                f"{key[0]}, {split}: no image of {name}; balanced and weighted accuracy are over the other classes, "
                "macro F1 counts it as 0."
            )
    text = [
        first_text(row)
        | {"Runs": str(row["runs"])}
        | {shown: with_interval(row, metric) for metric, shown in SCORES.items()}
        for row in rows
    ]
    weights = "; ".join(
        f"{task}: " + ", ".join(f"{class_name(name)} {share:.3f}" for name, share in mine.items())
        for task, mine in shares.items()
    )
    fixed = [
        f"{over_images(level)} Wilson's for the accuracy of a single run.",
        "Balanced accuracy: mean recall of the classes. Weighted: recalls weighted by the classes' shares among all "
        f"images that satisfy the caption rule ({weights}). Macro F1: 0 for a class without hits.",
        f"NLL: mean −ln of the true class's probability, clipped to {EPSILON:.1e}. Brier: sum of squared errors over "
        "classes, 0 to 2. Of both less is better.",
    ]
    if point:
        fixed.append(
            "An interval that is a point: every resample gives the same figure, as of the balanced accuracy of a "
            "constant prediction; it says nothing about other images."
        )
    columns, shown = [*FIRST, *triples(SCORES)], [*FIRST_SHOWN, "Runs", *SCORES.values()]
    return make_table("scores", "Scores of all models", header, rows, text, columns, shown, [*fixed, *notes])


def per_class_table(scored: Mapping[str, Mapping[Key, Scored]], header: str, level: float) -> Table:
    """Precision, recall and F1 of each class, with how many images show it."""
    rows, notes = [], []
    for split, key, one in every_scored(scored):
        for found in one.per_class:
            rows.append(first_columns(key, split, one) | found)
            what = f"{model_name(key[1])}, {key[0]}, {split}"
            if not found["support"]:
                notes.append(f"{key[0]}, {split}: no image of {found['class']}; its recall and F1 are not defined.")
            if not found["runs_predicting"]:
                notes.append(f"{what}: {found['class']} is never predicted; its precision is not defined.")
    text = [
        first_text(row)
        | {"Class": class_name(row["class"]), "Support": f"{row['support']:,}"}
        | {name.capitalize(): with_interval(row, name) for name in ("precision", "recall", "f1")}
        for row in rows
    ]
    fixed = [f"{over_images(level)} Support: images. A run that never predicts a class enters its precision as 0."]
    columns = [*FIRST, "class", "support", "runs_predicting", *triples(("precision", "recall", "f1"))]
    shown = [*FIRST_SHOWN, "Class", "Support", "Precision", "Recall", "F1"]
    return make_table("per_class", "Each class", header, rows, text, columns, shown, [*fixed, *notes])
