"""Scores over repeated folds, with Nadeau and Bengio's correction, as tables."""

import math
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd

from har.evaluation.anova import with_holm
from har.evaluation.metrics import cells
from har.evaluation.predictions import predicted_classes
from har.evaluation.scored import HEADLINE
from har.evaluation.summary import estimates
from har.reporting.names import class_name, model_name
from har.reporting.table import Column, Table, estimate, interval, number, p_value, signed
from har.reporting.tables.columns import MODEL, RUNS
from har.studies.cross_validation.fit import KEYS, as_predictions


def fold_scores(frame: pd.DataFrame) -> np.ndarray:
    """Accuracy on each test fold, [repeats, folds, runs]."""
    hits = predicted_classes(frame) == frame["label"]
    scores = hits.groupby([frame[key] for key in KEYS]).mean()  # sorted by repeat, fold, seed
    return scores.to_numpy().reshape(frame["repeat"].nunique(), frame["fold"].nunique(), -1)


def corrected_t(scores: np.ndarray, folds: int, level: float = 0.95) -> dict:
    """Nadeau & Bengio's corrected resampled t of fold scores [J], `folds` a repeat: mean, se, ci_low, ci_high, t, p
    (two sided, of the mean being 0), df, note. An undefined figure is None."""
    from scipy import stats

    count, mean = len(scores), float(scores.mean())
    found = {"mean": mean, "se": 0.0, "ci_low": mean, "ci_high": mean, "t": None, "p": None, "df": count - 1}
    if np.ptp(scores) < 1e-12:  # equal but for rounding
        return found | {"note": "Every fold shows the same: the interval is a point, t is not defined."}
    se = math.sqrt(scores.var(ddof=1) * (1 / count + 1 / (folds - 1)))  # n_test / n_train of the mean fold
    half, t = stats.t.ppf((1 + level) / 2, count - 1) * se, mean / se
    p = float(2 * stats.t.sf(abs(t), count - 1))
    return found | {"se": se, "ci_low": mean - half, "ci_high": mean + half, "t": t, "p": p, "note": ""}


def variance_components(scores: np.ndarray, random: bool = True) -> dict:
    """Variance of a single fit's score between seeds and between folds: seed_variance, split_variance, note.

    scores [J, m], m runs on each of J folds, as a one-way layout with folds as random groups. Method of moments
    (Searle, Casella & McCulloch 1992, §3.6): the mean squares within folds estimate the seed variance; those
    between folds estimate it plus m times the split variance, so the split variance is their difference over m,
    0 where that is negative. `random` False: training draws nothing, so the seed variance is 0.
    """
    runs = scores.shape[1]
    between = scores.mean(1).var(ddof=1)
    if not random:
        return {"seed_variance": 0.0, "split_variance": float(between), "note": ""}
    if runs < 2:
        note = "One run a fold: seed and split variance cannot be told apart."
        return {"seed_variance": None, "split_variance": None, "note": note}
    within = scores.var(axis=1, ddof=1).mean()
    split = between - within / runs
    note = "The estimate of the split variance is negative and set to 0: seeds differ more than folds."
    found = {"seed_variance": float(within), "split_variance": float(max(0.0, split))}
    return found | {"note": note if split < 0 else ""}


def summarise_resampled(frame: pd.DataFrame, random: bool, level: float = 0.95) -> dict:
    """What `cross_validation.csv` tells of one model."""
    scores = fold_scores(frame)
    repeats, folds, runs = scores.shape
    found = corrected_t(scores.mean(2).ravel(), folds, level)
    parts = variance_components(scores.reshape(-1, runs), random)
    notes = [found["note"], parts.pop("note")]
    if repeats == 1:
        notes.append("One repeat: its deviation over repeats is not defined.")
    sizes = frame.drop_duplicates("image_id")["label"].value_counts()
    notes += [
        f"{class_name(label)} has {count} images for {folds} folds: some folds test none of it."
        for label, count in sizes[sizes < folds].items()
    ]
    # over all folds of a repeat at once, as F1: a mean of folds' figures is biased (Forman & Scholz 2010)
    whole = estimates(cells(as_predictions(frame), "test"))
    low, high = whole[HEADLINE].interval(level)
    return {
        "images": int(frame["image_id"].nunique()),
        "folds": folds,
        "repeats": repeats,
        "runs": runs,
        "accuracy": found["mean"],
        "sd_repeats": float(scores.mean((1, 2)).std(ddof=1)) if repeats > 1 else None,
        "ci_low": max(0.0, found["ci_low"]),  # an accuracy lies between 0 and 1, whatever t says
        "ci_high": min(1.0, found["ci_high"]),
        "balanced_accuracy": whole[HEADLINE].mean,
        "balanced_low": low,
        "balanced_high": high,
        "f1": whole["f1"].mean,
        **parts,
        "note": " ".join(note for note in notes if note),
    }


def compare_pairs(frames: Mapping[str, pd.DataFrame], level: float = 0.95) -> list[dict]:
    """Corrected resampled paired t-test of each pair of models on the same folds, p also after Holm over all pairs that
    have one."""
    scores, rows = {name: fold_scores(frame).mean(2) for name, frame in frames.items()}, []
    for a, b in combinations(frames, 2):
        found = corrected_t((scores[a] - scores[b]).ravel(), scores[a].shape[1], level)
        rows.append({"model_a": a, "model_b": b, "difference": found.pop("mean"), **found})
    return with_holm(rows)


def _row_notes(notes: Mapping[str, str]) -> list[str]:
    """Each row's note once, with the rows that it is true of."""
    return [
        f"{', '.join(k for k in notes if notes[k] == note)}: {note}" for note in dict.fromkeys(notes.values()) if note
    ]


def cross_validation_tables(
    frames: Mapping[str, pd.DataFrame], random: Collection[str], header: str, level: float = 0.95
) -> dict[str, Table]:
    """ "cross_validation", a row for each model, best first, and "pairs", a row for each pair.

    random: the models whose training draws something.
    """
    rows = [{"model": name, **summarise_resampled(frame, name in random, level)} for name, frame in frames.items()]
    rows.sort(key=lambda row: -row["accuracy"])
    one = rows[0]
    notes = [
        f"{one['images']} drawn images, {one['repeats']} times cut into {one['folds']} stratified folds; each fold is "
        "predicted by models fitted on the others. Accuracy: mean over folds and repeats (and runs).",
        f"{level:.0%} interval: Nadeau & Bengio's corrected resampled t, since folds share training images. It speaks "
        "of training sets of this size, drawn as these images were.",
        "Balanced accuracy, mean recall of the classes, and macro F1: over all folds of a repeat at once; its interval "
        "is over images, drawn within classes, each with all its predictions, and holds no variance of training sets.",
        "Seed sd and split sd: of one fit's accuracy on one fold, between runs on the same fold and between folds "
        "(one-way random effects, method of moments). The split's part holds the luck of a small test fold too.",
        *_row_notes({model_name(row["model"]): row["note"] for row in rows}),
    ]
    columns = [
        MODEL,
        *map(Column, ("images", "folds", "repeats")),
        RUNS,
        Column("accuracy", "Accuracy", number),
        Column(("ci_low", "ci_high"), f"{level:.0%} interval", interval),
        Column("sd_repeats", "Sd over repeats", number),
        Column(("balanced_accuracy", "balanced_low", "balanced_high"), "Balanced accuracy", estimate),
        Column("f1", "F1", number),
        Column("seed_variance", "Seed sd", lambda variance: number(math.sqrt(variance))),
        Column("split_variance", "Split sd", lambda variance: number(math.sqrt(variance))),
        Column("note"),
    ]
    title = "The drawn images resampled: repeated stratified k-fold"
    table = Table("cross_validation", title, header, rows, columns, notes)
    ranked = {row["model"]: frames[row["model"]] for row in rows}
    return {"cross_validation": table, "pairs": _pairs_table(compare_pairs(ranked, level), header, level)}


def _pairs_table(rows: Sequence[Mapping], header: str, level: float) -> Table:
    columns = [
        Column(("model_a", "model_b"), "Pair", _pair),
        Column("difference", "Difference", signed),
        Column("se"),
        Column(("ci_low", "ci_high"), f"{level:.0%} interval", partial(interval, sign=True)),
        Column("t", "t", partial(number, digits=2)),
        Column("df", "df"),
        Column("p", "p", p_value),
        Column("p_holm", "p (Holm)", p_value),
        Column("note"),
    ]
    tested = sum(row["p"] is not None for row in rows)
    notes = [
        "Accuracy on the same folds, paired; Nadeau & Bengio's corrected resampled t-test. "
        f"Holm's correction is over the {tested} tested pairs; the intervals are not widened for their number.",
        *_row_notes({_pair(row["model_a"], row["model_b"]): row["note"] for row in rows}),
    ]
    return Table("pairs", "Which models differ? Pairs on the resampled images", header, rows, columns, notes)


def _pair(a: str, b: str) -> str:
    return f"{model_name(a)} − {model_name(b)}"
