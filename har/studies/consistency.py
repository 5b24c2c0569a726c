"""Do accuracy, precision, recall and F1 of one row belong to one confusion matrix?

Macro precision, recall and F1 of C classes depend on three things only: how many images a class has, how many
of them were hit, and how often the class was predicted. All such counts of a small test set can be enumerated,
so a printed row either has a confusion matrix or it has none.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from har.core.errors import HarError
from har.evaluation.predictions import classes_of, in_split, predicted_classes
from har.reporting import paper
from har.reporting.names import model_name, policy_name
from har.reporting.table import NONE, Column, Table, number

PRINTED = 5e-5  # half a unit of the fourth printed digit
RECOMPUTED = 2e-6  # tables carry six digits
METRICS = ("accuracy", "precision", "recall", "f1")


def compositions(n: int, classes: int, least: int = 1) -> list[tuple[int, ...]]:
    """All ways to share n images among `classes` classes, each with `least` or more, in ascending order."""
    if classes == 1:
        return [(n,)] if n >= least else []
    return [
        (first, *rest)
        for first in range(least, n // classes + 1)
        for rest in compositions(n - first, classes - 1, first)
    ]


def has_matrix(score: paper.Score, counts: Sequence[int], tolerance: float = PRINTED, *, accuracy: bool = True) -> bool:
    """Whether some confusion matrix over classes of `counts` images has the printed macro scores (and, unless
    `accuracy` is off, the printed accuracy), each within `tolerance`."""
    counts = np.asarray(counts)
    n = int(counts.sum())
    hits = np.indices(counts + 1).reshape(len(counts), -1).T
    near = np.abs((hits / counts).mean(1) - score.recall) <= tolerance
    if accuracy:
        near &= np.abs(hits.sum(1) / n - score.accuracy) <= tolerance
    predicted = np.indices([n + 1] * (len(counts) - 1)).reshape(len(counts) - 1, -1).T
    predicted = np.column_stack([predicted, n - predicted.sum(1)])
    predicted = predicted[predicted[:, -1] >= 0]
    for hit in hits[near]:
        wrong = predicted - hit  # images of other classes taken for this one
        missed = counts - hit
        # rows `missed` and columns `wrong` around an empty diagonal: a matrix exists if no class would have to
        # confuse images with itself
        possible = (wrong >= 0).all(1) & (wrong + missed <= missed.sum()).all(1)
        chosen = predicted[possible]
        precision = np.divide(hit, chosen, out=np.zeros(chosen.shape), where=chosen > 0).mean(1)
        f1 = (2 * hit / (counts + chosen)).mean(1)
        if ((np.abs(precision - score.precision) <= tolerance) & (np.abs(f1 - score.f1) <= tolerance)).any():
            return True
    return False


class Finding(NamedTuple):
    """One printed row: `correct` of the images if its accuracy is such a share; the class sizes with which all
    four figures have a confusion matrix; class sizes with which precision, recall and F1 have one; whether it is
    exactly what predicting one class for every image scores."""

    row: str
    score: paper.Score
    correct: int | None
    fits: list[tuple[int, ...]]
    fits_without_accuracy: list[tuple[int, ...]]
    constant: bool


# Rows of one run; those of Table 2 are means of five and those of Table 7 are lost.
SINGLE_RUNS = {
    "table3": (paper.TEST_IMAGES, 3),
    "table4": (paper.TEST_IMAGES, 3),
    "table5": (paper.POSTURE_TEST_IMAGES, 2),
    "table6": (paper.TEST_IMAGES, 3),
}


def examine(table: str) -> list[Finding]:
    """Each row of one of the paper's tables of single runs."""
    n, classes = SINGLE_RUNS[table]
    found = []
    for row, score in paper.TABLES[table].items():
        share, correct = score.accuracy, round(score.accuracy * n)
        fits = [c for c in compositions(n, classes) if has_matrix(score, c)]
        loose = [] if fits else [c for c in compositions(n, classes) if has_matrix(score, c, accuracy=False)]
        exact = abs(correct / n - share) <= PRINTED
        constant = np.array([share / classes, 1 / classes, 2 * share / (1 + share) / classes])
        same = np.abs(constant - [score.precision, score.recall, score.f1]) <= 2 * PRINTED
        found.append(Finding(row, score, correct if exact else None, fits, loose, bool(same.all())))
    return found


def shared(findings: Sequence[Finding]) -> list[tuple[int, ...]]:
    """The class sizes that all consistent rows of a table allow: they were measured on the same images."""
    allowed = [set(f.fits) for f in findings if f.fits]
    return sorted(set.intersection(*allowed)) if allowed else []


def paper_table(header: str) -> Table:
    """The paper's rows under the same check as ours, as a table of the report."""
    rows, notes = [], []
    for table, (n, _) in SINGLE_RUNS.items():
        findings, label = examine(table), f"Table {table[-1]}"
        name = policy_name if table == "table3" else model_name
        if common := shared(findings):
            most = [max(sizes) / sum(sizes) for sizes in common]
            below = [name(f.row) for f in findings if f.score.accuracy < most[0] - PRINTED]
            notes.append(
                f"{label}: its consistent rows share the class sizes {_sizes(common, ' or ')} only; always predicting "
                f"the largest class would score {' or '.join(number(share, 4) for share in most)}"
                + (f", more than {', '.join(below)}." if below else ".")
            )
        for f in findings:
            verdict = "consistent" if f.fits else "accuracy disagrees" if f.fits_without_accuracy else "no matrix"
            row = {"table": table, "row": f.row, "name": name(f.row), "accuracy": f.score.accuracy, "n": n}
            row |= {"correct": f.correct, "verdict": verdict + "; a constant prediction" * f.constant}
            row |= {"class_sizes": _sizes(f.fits), "class_sizes_without_accuracy": _sizes(f.fits_without_accuracy)}
            rows.append(row)
    for row, score in paper.TABLES["table2"].items():
        whole = round(score.accuracy * 5 * paper.TEST_IMAGES)
        notes.append(
            f"Table 2, {model_name(row)}: {number(score.accuracy, 4)} is {whole}/{5 * paper.TEST_IMAGES}, a mean "
            f"of five runs on {paper.TEST_IMAGES} images; its other figures are means and can't be decoded."
        )
    whole = {name: size for name, size in paper.TABLE1.items() if name != "all"}
    drawn = "/".join(str(size.count) for size in whole.values())
    stratified = "/".join(str(round(size.share * paper.TEST_IMAGES)) for size in whole.values())
    notes.append(f"A stratified split of {drawn} images would put {stratified} into a test set of {paper.TEST_IMAGES}.")
    title = "The paper's own rows: is there a confusion matrix with these four figures?"
    columns = [
        Column("name", "Row", csv=False),
        Column("row"),
        Column("table", "Table", lambda table: table.removeprefix("table")),
        Column(("accuracy", "correct", "n"), "Accuracy", _accuracy),
        Column("class_sizes", "Class sizes that fit", _few),
        Column("class_sizes_without_accuracy", "… that fit without its accuracy", _few),
        Column("verdict", "Verdict"),
    ]
    return Table("paper_consistency", title, header, rows, columns, notes)


def _accuracy(accuracy: float, correct: int | None, n: int) -> str:
    return number(accuracy, 4) + ("" if correct is None else f" = {correct}/{n}")


def _sizes(found: Sequence[tuple[int, ...]], between: str = "; ") -> str:
    return between.join("/".join(map(str, c)) for c in found)


def _few(sizes: str, most: int = 3) -> str:
    found = sizes.split("; ")
    said = ", ".join(found[:most]) or NONE
    return said if len(found) <= most else f"{said} and {len(found) - most} more"


def recompute(predictions: pd.DataFrame, split: str) -> dict[str, float]:
    """METRICS of the mean over runs, by scikit-learn from one confusion matrix a run: an independent path."""
    from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

    classes, runs = classes_of(predictions), []
    for _, run in predictions[in_split(predictions, split)].groupby("seed"):
        matrix = confusion_matrix(run["label"], predicted_classes(run), labels=classes)
        truth, told = (places.ravel().repeat(matrix.ravel()) for places in np.indices(matrix.shape))
        macro = precision_recall_fscore_support(
            truth, told, labels=range(len(classes)), average="macro", zero_division=0
        )
        runs.append((accuracy_score(truth, told), *macro[:3]))
    return dict(zip(METRICS, np.mean(runs, axis=0).tolist(), strict=True))


def rows_table(checked: Mapping[str, list[float]], header: str) -> Table:
    """`checked`: for each file of results the distances that `check` returned, one a row."""
    rows = [{"file": file, "rows": len(gaps), "largest_distance": max(gaps)} for file, gaps in checked.items()]
    columns = [
        Column("file", "File"),
        Column("rows", "Rows"),
        Column("largest_distance", "Largest distance", "{:.1e}".format),
    ]
    notes = (
        "Each row's accuracy and macro precision, recall and F1 were computed again from its predictions by "
        "scikit-learn, from one confusion matrix a run; a distance above rounding stops the pipeline.",
    )
    title = "Our own rows, recomputed from their predictions"
    return Table("rows", title, header, rows, columns, notes)


def check(reported: Mapping[str, float | None], again: Mapping[str, float], where: str) -> float:
    """The largest distance of a reported row's METRICS from those of `recompute`; HarError above RECOMPUTED."""
    worst = 0.0
    for metric, value in again.items():
        if reported.get(metric) is None:
            continue
        gap = abs(float(reported[metric]) - value)
        if not gap <= RECOMPUTED:
            raise HarError(f"{where}: {metric} is {reported[metric]}, its predictions give {value:.6f}")
        worst = max(worst, gap)
    return worst
