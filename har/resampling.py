"""Repeated stratified k-fold over the drawn images: scores that do not hang on one test set of 29 images.

A frame of resampled predictions has one row for each repeat, run and image, predicted by a model that was fitted
without that image's fold: `repeat, fold, seed, image_id, label, p_<class>...`. Everything else derives from it.

The scores of J = folds x repeats test folds are no independent sample: their training sets overlap. Nadeau &
Bengio (2003, "Inference for the generalization error", §5) correct the variance of their mean, s² / J, to
s² (1/J + n_test/n_train), with J - 1 degrees of freedom; Bouckaert & Frank (2004) found the test with repeated
k-fold the most replicable.
"""

import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from har import paper
from har.errors import HarError
from har.evaluate import classes_of, majority_predictions, per_seed, require, validate_predictions
from har.files import write_csv
from har.groups import assign_folds as whole_folds
from har.groups import group_codes
from har.markdown import Table, interval, number, p_value, plain_frame, significant
from har.params.schema import Augmentation, Resampling, Training
from har.refit import Fit, Recipe, fit_all
from har.statistics import holm

KEYS = ["repeat", "fold", "seed"]
MAJORITY = "majority"


# --- predictions -------------------------------------------------------------------------------------------


def as_predictions(frame: pd.DataFrame) -> pd.DataFrame:
    """Resampled predictions in the contract of har.evaluate: a "seed" for each repeat and run, all "test".

    The folds of one repeat hold every image once, so each such seed covers all images.
    """
    run = frame.groupby(["repeat", "fold"])["seed"].rank("dense").astype(int) - 1
    runs = int(run.max()) + 1 if len(run) else 1
    rest = frame.drop(columns=KEYS)
    return rest.assign(seed=frame["repeat"] * runs + run, split="test")


def validate_resampled(frame: pd.DataFrame, source: str | Path = "resampled predictions") -> pd.DataFrame:
    """`frame` itself if it keeps the contract, otherwise HarError that names `source` and what is wrong: in each
    repeat the folds partition the images, and every fold has as many runs."""
    require(frame, KEYS, source)
    if frame.empty:
        raise HarError(f"{source}: no prediction")
    validate_predictions(as_predictions(frame), source)
    folds = frame.groupby("repeat")["fold"].nunique()
    if folds.min() < 2 or folds.min() < folds.max():
        raise HarError(f"{source}: expected two or more folds, as many in each repeat")
    if (twice := frame.groupby(["repeat", "image_id"])["fold"].nunique() > 1).any():
        repeat, image = twice.idxmax()
        raise HarError(f"{source}: image {image} is in two folds of repeat {repeat}")
    return frame


def write_resampled(path: Path | str, frame: pd.DataFrame) -> None:
    """Validates, then writes atomically."""
    write_csv(path, validate_resampled(frame, path))


def assign_folds(
    labels: Sequence[str], folds: int, repeats: int, seed: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """The fold in which each image is tested, int [repeats, n]: stratified by label, drawn anew in each repeat, the
    images of one of `groups` [n] in one fold.

    A class with fewer images than folds is missing from some test folds. HarError where that holds for all.
    """
    from sklearn.model_selection import RepeatedStratifiedKFold

    labels = np.asarray(labels)
    most = pd.Series(labels).value_counts().max() if len(labels) else 0
    if most < folds:
        raise HarError(f"resampling.folds: {folds} folds, but no class has more than {most} images")
    if groups is not None:
        try:
            return np.stack([whole_folds(labels, groups, folds, seed + repeat) for repeat in range(repeats)])
        except HarError as error:
            raise HarError(f"resampling.folds: {error}") from None
    out = np.empty((repeats, len(labels)), int)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")  # stands in the table's notes
        drawn = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
        for drawn_before, (_, test) in enumerate(drawn.split(labels, labels)):
            out[drawn_before // folds, test] = drawn_before % folds
    return out


def hold_out(
    rows: np.ndarray, labels: np.ndarray, folds: int, seed: int, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Training rows cut into (train, validation), stratified; validation as large as a test fold, as in the
    paper's split. labels, groups: of all rows."""
    from sklearn.model_selection import StratifiedKFold

    if groups is not None:
        inner = whole_folds(labels[rows], groups[rows], max(2, folds - 1), seed)
        return rows[inner != 0], rows[inner == 0]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        cut = StratifiedKFold(max(2, folds - 1), shuffle=True, random_state=seed)
        train, validation = next(cut.split(rows, labels[rows]))
    return rows[train], rows[validation]


def plan(
    images: pd.DataFrame, recipes: Mapping[str, Recipe], settings: Resampling
) -> tuple[list[tuple[int, int, Fit]], np.ndarray]:
    """(repeat, fold, fit) of all that is to be fitted, and the folds [repeats, n] of `images`."""
    labels = images["label"].to_numpy()
    groups = group_codes(images)
    folds = assign_folds(labels, settings.folds, settings.repeats, settings.seed, groups)
    planned = []
    for model, recipe in recipes.items():
        for repeat, fold in np.ndindex(settings.repeats, settings.folds):
            told = np.flatnonzero(folds[repeat] == fold)
            rest = np.flatnonzero(folds[repeat] != fold)
            for run in range(settings.runs if recipe.random else 1):
                # another seed in every fold: how a model starts is no property that folds share
                seed = settings.seed + (repeat * settings.folds + fold) * settings.runs + run
                train, validation = rest, rest[:0]
                if recipe.random and recipe.config.patience:
                    train, validation = hold_out(rest, labels, settings.folds, seed, groups)
                planned.append((repeat, fold, Fit(model, train, validation, told, seed if recipe.random else 0)))
    return planned, folds


def resample(
    recipes: Mapping[str, Recipe],
    images: pd.DataFrame,
    classes: Sequence[str],
    settings: Resampling,
    *,
    training: Training,
    strength: Augmentation,
    keep: Path | None = None,
) -> dict[str, pd.DataFrame]:
    """Resampled predictions of each of `recipes` and of the majority class.

    images: image_id and label (and group where there are any) of the rows of each recipe's `x`, in order of image_id
    so that the folds do not depend on anything else. keep: see har.refit.fit_all.
    """
    classes = list(classes)
    if not images["image_id"].is_monotonic_increasing:
        raise HarError("resampling: images must stand in order of image_id")
    planned, folds = plan(images, recipes, settings)
    parts: dict[str, list[pd.DataFrame]] = {MAJORITY: [], **{name: [] for name in recipes}}

    def add(model: str, repeat: int, fold: int, seed: int, told: np.ndarray, probabilities: np.ndarray) -> None:
        part = images.iloc[told][["image_id", "label"]].reset_index(drop=True)
        part.insert(0, "repeat", repeat)
        part.insert(1, "fold", fold)
        part.insert(2, "seed", seed)
        part[[f"p_{name}" for name in classes]] = probabilities
        parts[model].append(part)

    for repeat, fold in np.ndindex(folds.shape[0], settings.folds):
        test = folds[repeat] == fold
        told = majority_predictions(images.assign(split=np.where(test, "test", "train")), classes)
        probabilities = told.loc[told["split"] == "test", [f"p_{name}" for name in classes]].to_numpy()
        add(MAJORITY, repeat, fold, 0, np.flatnonzero(test), probabilities)
    y = pd.Index(classes).get_indexer(images["label"])
    fits = [fit for _, _, fit in planned]
    found = fit_all(fits, recipes, y, classes, training=training, strength=strength, name="resampling", keep=keep)
    for (repeat, fold, fit), fitted in zip(planned, found, strict=True):
        add(fit.model, repeat, fold, fit.seed, fit.told, fitted.probabilities)
    return {name: validate_resampled(pd.concat(each, ignore_index=True), name) for name, each in parts.items()}


# --- statistics --------------------------------------------------------------------------------------------


def fold_scores(frame: pd.DataFrame) -> np.ndarray:
    """Accuracy on each test fold, [repeats, folds, runs]."""
    guess = frame[[f"p_{name}" for name in classes_of(frame)]].to_numpy().argmax(1)
    truth = pd.Index(classes_of(frame)).get_indexer(frame["label"])
    hits = frame[KEYS].assign(hit=guess == truth)
    scores = hits.groupby(KEYS)["hit"].mean()  # sorted by repeat, fold, seed
    return scores.to_numpy().reshape(frame["repeat"].nunique(), frame["fold"].nunique(), -1)


def held_out_ratio(frame: pd.DataFrame) -> float:
    """n_test / n_train of the mean fold: 1 / (folds - 1)."""
    return 1 / (frame["fold"].nunique() - 1)


def corrected_t(scores: np.ndarray, ratio: float, level: float = 0.95) -> dict:
    """Nadeau & Bengio's corrected resampled t statistic of fold scores [J]: mean, se, ci_low, ci_high, t, p (two
    sided, of the mean being 0), df, note. ratio: n_test / n_train. An undefined figure is None."""
    from scipy import stats

    scores = np.asarray(scores, dtype=float)
    count = len(scores)
    result = {"mean": float(scores.mean()), "se": None, "ci_low": None, "ci_high": None, "t": None, "p": None}
    result |= {"df": count - 1, "note": ""}
    if count < 2:
        return result | {"note": "A single fold: no spread, so no interval and no test."}
    if np.ptp(scores) < 1e-12:  # equal but for rounding
        same = {"se": 0.0, "ci_low": result["mean"], "ci_high": result["mean"]}
        return result | same | {"note": "Every fold shows the same: the interval is a point, t is not defined."}
    se = math.sqrt(scores.var(ddof=1) * (1 / count + ratio))
    half = stats.t.ppf((1 + level) / 2, count - 1) * se
    t = result["mean"] / se
    return result | {
        "se": se,
        "ci_low": result["mean"] - half,
        "ci_high": result["mean"] + half,
        "t": t,
        "p": float(2 * stats.t.sf(abs(t), count - 1)),
    }


def variance_components(scores: np.ndarray, random: bool = True) -> dict:
    """Variance of a single fit's score between seeds and between folds: seed_variance, split_variance, note.

    scores [J, m], m runs on each of J folds, as a one-way layout with folds as random groups. Method of moments
    (Searle, Casella & McCulloch 1992, §3.6): the mean squares within folds estimate the seed variance; those
    between folds estimate it plus m times the split variance, so the split variance is their difference over m,
    0 where that is negative. `random` False: training draws nothing, so the seed variance is 0.
    """
    scores = np.asarray(scores, dtype=float)
    folds, runs = scores.shape
    result = {"seed_variance": None, "split_variance": None, "note": ""}
    if folds < 2:
        return result | {"note": "Variances are not defined: a single fold."}
    between = runs * scores.mean(1).var(ddof=1)
    if not random:
        return result | {"seed_variance": 0.0, "split_variance": float(between / runs)}
    if runs < 2:
        return result | {"note": "One run a fold: seed and split variance cannot be told apart."}
    within = scores.var(axis=1, ddof=1).mean()
    result |= {"seed_variance": float(within), "split_variance": float(max(0.0, between - within) / runs)}
    if between < within:
        result["note"] = "The estimate of the split variance is negative and set to 0: seeds differ more than folds."
    return result


def summarise_resampled(frame: pd.DataFrame, random: bool, level: float = 0.95) -> dict:
    """What `resampling.csv` tells of one model."""
    scores = fold_scores(frame)
    repeats, folds, runs = scores.shape
    found = corrected_t(scores.mean(2).ravel(), held_out_ratio(frame), level)
    parts = variance_components(scores.reshape(-1, runs), random)
    notes = [found["note"], parts.pop("note")]
    if repeats == 1:
        notes.append("One repeat: its deviation over repeats is not defined.")
    small = frame[frame["repeat"] == frame["repeat"].min()].drop_duplicates("image_id")["label"].value_counts()
    notes += [
        f"{paper.class_name(label)} has {count} images for {folds} folds: some folds test none of it."
        for label, count in small.items()
        if count < folds
    ]
    return {
        "images": int(frame["image_id"].nunique()),
        "folds": folds,
        "repeats": repeats,
        "runs": runs,
        "accuracy": found["mean"],
        "sd_repeats": float(scores.mean((1, 2)).std(ddof=1)) if repeats > 1 else None,
        # an accuracy lies between 0 and 1, whatever t says
        "ci_low": None if found["ci_low"] is None else max(0.0, found["ci_low"]),
        "ci_high": None if found["ci_high"] is None else min(1.0, found["ci_high"]),
        # over all folds of a repeat at once: a mean of folds' F1 is biased (Forman & Scholz 2010)
        "f1": float(per_seed(as_predictions(frame))["f1"].mean()),
        **parts,
        "note": " ".join(note for note in notes if note),
    }


def compare_pairs(frames: Mapping[str, pd.DataFrame], level: float = 0.95) -> list[dict]:
    """Corrected resampled paired t-test of each pair of models on the same folds, p also after Holm (1979) over
    all pairs that have one. HarError where two models were not resampled on the same folds."""
    where = {
        name: frame.drop_duplicates(["repeat", "image_id"]).set_index(["repeat", "image_id"])[["fold", "label"]]
        for name, frame in frames.items()
    }
    rows = []
    for a, b in combinations(frames, 2):
        if not where[a].sort_index().equals(where[b].sort_index()):
            raise HarError(f"resampling: {a} and {b} were not resampled on the same folds")
        gaps = (fold_scores(frames[a]).mean(2) - fold_scores(frames[b]).mean(2)).ravel()
        found = corrected_t(gaps, held_out_ratio(frames[a]), level)
        rows.append({"model_a": a, "model_b": b, "difference": found.pop("mean"), **found})
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return rows


# --- tables ------------------------------------------------------------------------------------------------


def _row_notes(rows: Sequence[Mapping], name: str) -> list[str]:
    """Each row's note once, with the rows that it is true of."""
    notes: dict[str, list[str]] = {}
    for row in rows:
        if row["note"]:
            notes.setdefault(row["note"], []).append(row[name])
    return [f"{', '.join(names)}: {note}" for note, names in notes.items()]


def _rounded(rows: Sequence[Mapping]) -> pd.DataFrame:
    return plain_frame({k: significant(v) if isinstance(v, float) else v for k, v in row.items()} for row in rows)


def resampling_tables(
    frames: Mapping[str, pd.DataFrame], random: Collection[str], header: str, level: float = 0.95
) -> dict[str, Table]:
    """ "resampling", a row for each model, best first, and "resampling_pairs", a row for each pair.

    random: the models whose training draws something.
    """
    rows = [{"model": name, **summarise_resampled(frame, name in random, level)} for name, frame in frames.items()]
    rows.sort(key=lambda row: -row["accuracy"])
    text = [
        {
            "Model": paper.model_name(row["model"]),
            "Runs": str(row["runs"]),
            "Accuracy": number(row["accuracy"]),
            f"{level:.0%} interval": interval(row["ci_low"], row["ci_high"]),
            "Sd over repeats": number(row["sd_repeats"]),
            "F1": number(row["f1"]),
            "Seed sd": number(None if row["seed_variance"] is None else math.sqrt(row["seed_variance"])),
            "Split sd": number(None if row["split_variance"] is None else math.sqrt(row["split_variance"])),
        }
        for row in rows
    ]
    one = rows[0]
    notes = [
        f"{one['images']} drawn images, {one['repeats']} times cut into {one['folds']} stratified folds; each fold is "
        "predicted by models fitted on the others. Accuracy: mean over folds and repeats (and runs).",
        f"{level:.0%} interval: Nadeau & Bengio's corrected resampled t, since folds share training images. It speaks "
        "of training sets of this size, drawn as these images were.",
        "F1: macro, over all folds of a repeat at once.",
        "Seed sd and split sd: of one fit's accuracy on one fold, between runs on the same fold and between folds "
        "(one-way random effects, method of moments). The split's part holds the luck of a small test fold too.",
        *_row_notes([{**row, "model": paper.model_name(row["model"])} for row in rows], "model"),
    ]
    title = "The drawn images resampled: repeated stratified k-fold"
    table = Table("resampling", title, header, _rounded(rows), pd.DataFrame(text), tuple(notes))
    ranked = {row["model"]: frames[row["model"]] for row in rows}
    return {"resampling": table, "resampling_pairs": _pairs_table(compare_pairs(ranked, level), header, level)}


def _pairs_table(rows: Sequence[Mapping], header: str, level: float) -> Table:
    named = [
        {**row, "pair": f"{paper.model_name(row['model_a'])} − {paper.model_name(row['model_b'])}"} for row in rows
    ]
    text = [
        {
            "Pair": row["pair"],
            "Difference": number(row["difference"], sign=True),
            f"{level:.0%} interval": interval(row["ci_low"], row["ci_high"], sign=True),
            "t": number(row["t"], 2),
            "df": str(row["df"]),
            "p": p_value(row["p"]),
            "p (Holm)": p_value(row["p_holm"]),
        }
        for row in named
    ]
    tested = sum(row["p"] is not None for row in rows)
    notes = [
        "Accuracy on the same folds, paired; Nadeau & Bengio's corrected resampled t-test. "
        f"Holm's correction is over the {tested} tested pairs; the intervals are not widened for their number.",
        *_row_notes(named, "pair"),
    ]
    title = "Which models differ? Pairs on the resampled images"
    columns = ["Pair", "Difference", f"{level:.0%} interval", "t", "df", "p", "p (Holm)"]
    frame = _rounded(rows)
    return Table("resampling_pairs", title, header, frame, pd.DataFrame(text, columns=columns), tuple(notes))
