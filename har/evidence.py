"""What the predictions support: scores with intervals, each class, calibration, tests, pairs of models, and how
far the small test set lies from the larger one. Each is a `har.markdown.Table`, and one figure.

Everything derives from predictions frames. Where a figure is not defined its cell is empty and a note says why.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from har import calibration, paper
from har.errors import HarError
from har.evaluate import (
    EPSILON,
    RESAMPLES,
    Cells,
    Estimate,
    cells,
    class_shares,
    classes_of,
    estimates,
    per_class,
    resample_counts,
)
from har.markdown import NONE, Table, interval, number, p_value, plain_frame
from har.statistics import (
    ANOVA_CAVEAT,
    T_TEST_CAVEAT,
    anova,
    estimated_difference,
    friedman,
    holm,
    levene,
    mcnemar,
    minimum_detectable_difference,
    paired_t_test,
    repeated_measures_anova,
    same_images,
    shapiro,
    tukey,
)

SPLITS = ("extended", "test")  # the larger one first: it carries the claims
POWER = 0.8
SCORES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced",
    "weighted_accuracy": "Weighted",
    "f1": "Macro F1",
    "nll": "NLL",
    "brier": "Brier",
}


class Scored(NamedTuple):
    """A model on one split: outcomes and the metrics with their bootstrap."""

    cells: Cells
    estimates: dict[str, Estimate]


Key = tuple[str, str]  # task and model
Shares = Mapping[str, Mapping[str, float]]  # task to the class shares of the population


def score(
    predictions: Mapping[Key, pd.DataFrame], split: str, shares: Shares, resamples: int = RESAMPLES, seed: int = 0
) -> dict[Key, Scored]:
    """Every model that has predictions on `split`, in their order."""
    found = {}
    for (task, model), frame in predictions.items():
        if (frame["split"] == split).any():
            one = cells(frame, split)
            found[task, model] = Scored(one, estimates(one, resamples, seed, shares[task]))
    return found


def population(labels: Sequence[str], predictions: Mapping[Key, pd.DataFrame]) -> Shares:
    """Each task's class shares among `labels`, those of all images that satisfy the caption rule."""
    return {task: class_shares(labels, classes_of(frame)) for (task, _), frame in predictions.items()}


# --- cells, rows and tables ----------------------------------------------------------------------------------


def _figures(name: str, value: float | None, low: float | None = None, high: float | None = None) -> dict:
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _estimated(name: str, estimate: Estimate, level: float) -> dict:
    return _figures(name, estimate.mean, *estimate.interval(level))


def _with_interval(row: Mapping, name: str, sign: bool = False) -> str:
    """0.612 [0.580, 0.644]"""
    if row[name] is None:
        return NONE
    return f"{number(row[name], sign=sign)} {interval(row[f'{name}_low'], row[f'{name}_high'], sign)}"


def _table(
    name: str,
    title: str,
    header: str,
    rows: Iterable[Mapping],
    text: Iterable[Mapping],
    columns: Sequence[str],
    shown: Sequence[str],
    notes: Iterable[str],
    significant_digits: Sequence[str] = (),
) -> Table:
    """Six decimals in the CSV, or six digits where a value may be tiny; with columns even if there is no row."""
    plain = [
        {
            # not `significant`, which takes what is tiny for rounding: a p-value may be tiny
            key: (float(f"{value:.6g}") if key in significant_digits else round(value, 6))
            if isinstance(value, float)
            else value
            for key, value in row.items()
        }
        for row in rows
    ]
    frame = plain_frame(plain).reindex(columns=list(columns)) if plain else pd.DataFrame(columns=list(columns))
    shown_frame = pd.DataFrame(list(text), columns=list(shown))
    return Table(name, title, header, frame, shown_frame, tuple(dict.fromkeys(note for note in notes if note)))


def _first_columns(key: Key, split: str, one: Cells) -> dict:
    task, model = key
    return {"task": task, "model": model, "split": split, "n": len(one.truth), "runs": len(one.seeds)}


def _first_text(row: Mapping) -> dict:
    return {
        "Model": paper.model_name(row["model"]),
        "Task": row["task"],
        "Split": row["split"],
        "n": f"{row['n']:,}",
    }


FIRST = ("task", "model", "split", "n", "runs")
FIRST_SHOWN = ("Model", "Task", "Split", "n")


def _triples(names: Iterable[str]) -> list[str]:
    return [column for name in names for column in (name, f"{name}_low", f"{name}_high")]


def _tasks(scored: Mapping[str, Mapping[Key, Scored]]) -> list[str]:
    return list(dict.fromkeys(task for found in scored.values() for task, _ in found))


def _ranked(found: Mapping[Key, Scored], task: str) -> dict[Key, Scored]:
    """The models of `task`, the most accurate first."""
    mine = [key for key in found if key[0] == task]
    return {key: found[key] for key in sorted(mine, key=lambda key: -found[key].estimates["accuracy"].mean)}


def _each(scored: Mapping[str, Mapping[Key, Scored]]) -> Iterable[tuple[str, Key, Scored]]:
    """Split, key and model: task by task, split by split, the most accurate first."""
    for task in _tasks(scored):
        for split, found in scored.items():
            for key, one in _ranked(found, task).items():
                yield split, key, one


def _over_images(level: float) -> str:
    return (
        f"Mean over runs [{level:.0%} interval over images of the mean of these runs: bootstrap of images, each with "
        "all its runs]."
    )


# --- scores --------------------------------------------------------------------------------------------------


def scores_table(scored: Mapping[str, Mapping[Key, Scored]], shares: Shares, header: str, level: float) -> Table:
    """Accuracy three ways, macro F1, and the two proper scores of the probabilities."""
    rows, notes, point = [], [], False
    for split, key, one in _each(scored):
        row = _first_columns(key, split, one.cells)
        for metric in SCORES:
            row |= _estimated(metric, one.estimates[metric], level)
            point |= row[f"{metric}_low"] == row[f"{metric}_high"]
        rows.append(row)
        absent = set(range(len(one.cells.classes))) - set(one.cells.truth)
        for name in (one.cells.classes[place] for place in sorted(absent)):
            notes.append(
                f"{key[0]}, {split}: no image of {name}; balanced and weighted accuracy are over the other classes, "
                "macro F1 counts it as 0."
            )
    text = [
        _first_text(row)
        | {"Runs": str(row["runs"])}
        | {shown: _with_interval(row, metric) for metric, shown in SCORES.items()}
        for row in rows
    ]
    weights = "; ".join(
        f"{task}: " + ", ".join(f"{paper.class_name(name)} {share:.3f}" for name, share in mine.items())
        for task, mine in shares.items()
    )
    fixed = [
        f"{_over_images(level)} Wilson's for the accuracy of a single run.",
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
    columns, shown = [*FIRST, *_triples(SCORES)], [*FIRST_SHOWN, "Runs", *SCORES.values()]
    return _table("scores", "Scores of all models", header, rows, text, columns, shown, [*fixed, *notes])


def per_class_table(
    scored: Mapping[str, Mapping[Key, Scored]], header: str, level: float, resamples: int, seed: int
) -> Table:
    """Precision, recall and F1 of each class, with how many images show it."""
    rows, notes = [], []
    for split, key, one in _each(scored):
        for found in per_class(one.cells, resamples, seed, level):
            rows.append(_first_columns(key, split, one.cells) | found)
            what = f"{paper.model_name(key[1])}, {key[0]}, {split}"
            if not found["support"]:
                notes.append(f"{key[0]}, {split}: no image of {found['class']}; its recall and F1 are not defined.")
            if not found["runs_predicting"]:
                notes.append(f"{what}: {found['class']} is never predicted; its precision is not defined.")
    text = [
        _first_text(row)
        | {"Class": paper.class_name(row["class"]), "Support": f"{row['support']:,}"}
        | {name.capitalize(): _with_interval(row, name) for name in ("precision", "recall", "f1")}
        for row in rows
    ]
    fixed = [f"{_over_images(level)} Support: images. A run that never predicts a class enters its precision as 0."]
    columns = [*FIRST, "class", "support", "runs_predicting", *_triples(("precision", "recall", "f1"))]
    shown = [*FIRST_SHOWN, "Class", "Support", "Precision", "Recall", "F1"]
    return _table("per_class", "Each class", header, rows, text, columns, shown, [*fixed, *notes])


# --- calibration ---------------------------------------------------------------------------------------------


def calibration_table(
    predictions: Mapping[Key, pd.DataFrame], scored: Mapping[str, Mapping[Key, Scored]], header: str, seed: int
) -> Table:
    """Expected calibration error, and what a temperature fitted on validation makes of it."""
    fitted, validated, notes = {}, {}, []
    for key, frame in predictions.items():
        if (frame["split"] == "validation").any():
            validation = cells(frame, "validation")
            fitted[key], validated[key] = calibration.fit_temperatures(validation), len(validation.truth)
    rows = []
    for split, key, one in _each(scored):
        what = f"{paper.model_name(key[1])}, {key[0]}"
        row = _first_columns(key, split, one.cells)
        bins = calibration.bin_count(row["n"])
        row |= {
            "bins": bins,
            "ece": float(calibration.ece(one.cells).mean()),
            "ece_of_calibrated": float(calibration.ece_of_calibrated(one.cells, seed).mean()),
            "nll": one.estimates["nll"].mean,
            "validation_n": validated.get(key),
        }
        temperatures = fitted.get(key, {})
        if set(map(int, one.cells.seeds)) <= set(temperatures):
            mine = [temperatures[int(run)] for run in one.cells.seeds]
            scaled = calibration.rescaled(one.cells, temperatures)
            row |= _figures("temperature", float(np.mean(mine)), min(mine), max(mine))
            row["scaled_nll"] = float(scaled.losses()["nll"].mean())
            row["scaled_ece"] = float(calibration.ece(scaled).mean())
            if any(map(calibration.at_limit, mine)):
                low, high = calibration.TEMPERATURES
                notes.append(f"{what}: the best temperature lies beyond {low:g} to {high:g}, the limit is taken.")
        else:
            row |= {**_figures("temperature", None), "scaled_nll": None, "scaled_ece": None}
            notes.append(f"{what}: a run has no validation images, so no temperature was fitted.")
        rows.append(row)
    text = [
        _first_text(row)
        | {
            "Bins": str(row["bins"]),
            "ECE": number(row["ece"]),
            "ECE if calibrated": number(row["ece_of_calibrated"]),
            "NLL": number(row["nll"]),
            "Temperature": _temperature_text(row),
            "ECE, scaled": number(row["scaled_ece"]),
            "NLL, scaled": number(row["scaled_nll"]),
        }
        for row in rows
    ]
    sizes = sorted(set(validated.values()))
    fixed = [
        "ECE: expected calibration error of the predicted class's probability, in bins of equally many images, mean "
        "over runs. It is biased upwards, the more so the fewer images: “if calibrated” is what it would be on average "
        f"with these confidences all true ({calibration.DRAWS} draws); only what exceeds that is miscalibration. "
        "So it has no bootstrap interval, which would be biased likewise.",
        "Temperature: each run's own, by least NLL on "
        f"{' or '.join(map(str, sizes)) or 'no'} validation images; mean (least to largest run). Above 1 the model was "
        "too sure. So few images leave a temperature uncertain. Scaled: after it; accuracy stays as it is.",
    ]
    columns = [*FIRST, "bins", "ece", "ece_of_calibrated", "nll", "validation_n", *_triples(["temperature"])]
    columns += ["scaled_ece", "scaled_nll"]
    shown = [*FIRST_SHOWN, "Bins", "ECE", "ECE if calibrated", "NLL", "Temperature", "ECE, scaled", "NLL, scaled"]
    return _table("calibration", "Calibration", header, rows, text, columns, shown, [*fixed, *notes])


def _temperature_text(row: Mapping) -> str:
    """1.56 (0.76 to 3.86)"""
    if row["temperature"] is None or row["runs"] == 1:
        return number(row["temperature"], 2)
    mean, low, high = (number(row[name], 2) for name in _triples(["temperature"]))
    return f"{mean} ({low} to {high})"


def reliability_figure(
    predictions: Mapping[Key, pd.DataFrame],
    path: Path | str,
    title: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> None:
    """Accuracy against confidence, a panel for each model on its larger test set; HarError if no model has
    one."""
    from har.figures import BLUE, GREY, drawing

    shown = {}
    for key, frame in sorted(predictions.items(), key=lambda item: item[0][0]):  # task by task
        split = next((split for split in SPLITS if (frame["split"] == split).any()), None)
        if split:
            shown[key] = split, cells(frame, split)
    if not shown:
        raise HarError(f"reliability: no model has predictions on {' or '.join(SPLITS)}")
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    with drawing(path, 1.9 * columns + 0.5, 1.95 * rows + 0.7) as figure:
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for place, (axis, ((task, model), (split, one))) in enumerate(zip(axes, shown.items(), strict=False)):
            found = calibration.reliability(one, resample_counts(len(one.truth), resamples, seed))
            low, high = np.nanquantile(found["resampled"], [(1 - level) / 2, (1 + level) / 2], axis=0)
            axis.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
            axis.vlines(found["confidence"], low, high, color=BLUE, linewidth=1.2, clip_on=False)
            axis.plot(found["confidence"], found["accuracy"], "o", color=BLUE, markersize=3, clip_on=False)
            axis.set_title(f"{paper.model_name(model)}\n{task}, {split}, n = {len(one.truth):,}", fontsize=7.5)
            axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
            axis.set_xticks([0, 0.5, 1], ["0", ".5", "1"], fontsize=8)
            axis.set_yticks([0, 0.5, 1], ["0", ".5", "1"], fontsize=8)
            if place % columns == 0:
                axis.set_ylabel("accuracy", fontsize=8)
        for axis in axes[len(shown) :]:
            axis.set_visible(False)
        figure.supxlabel(
            f"confidence (bins of equally many images; line: {level:.0%} interval over images)", fontsize=8
        )
        figure.suptitle(title, x=0.01, ha="left")


# --- tests over runs -----------------------------------------------------------------------------------------


def _test(
    name: str,
    compares: str,
    statistic: tuple[str, float | None],
    df: str,
    p: float | None,
    note: str,
    effect: tuple[str, float | None] = ("", None),
    p_corrected: float | None = None,
    printed: paper.Test | None = None,
) -> dict:
    return {
        "test": name,
        "compares": compares,
        "statistic_name": statistic[0],
        "statistic": statistic[1],
        "df": df,
        "p": p,
        "p_corrected": p_corrected,
        "effect_name": effect[0],
        "effect": effect[1],
        "paper_statistic": printed.statistic if printed else None,
        "paper_p": printed.p_text if printed else None,
        "note": note,
    }


def run_scores(found: Mapping[Key, Scored], task: str) -> dict[str, pd.Series]:
    """Each model's accuracy in each run, indexed by seed."""
    return {
        model: pd.Series(one.estimates["accuracy"].runs, index=one.cells.seeds)
        for (_, model), one in _ranked(found, task).items()
    }


def honest_differences(scored: Mapping[str, Mapping[Key, Scored]]) -> dict[tuple[str, str], dict]:
    """`tukey` of each task and split; made once, since its integrals are slow and two tables show them."""
    return {(task, split): tukey(run_scores(found, task)) for task in _tasks(scored) for split, found in scored.items()}


def _tests_of(scores: Mapping[str, pd.Series], honest: Mapping, alpha: float, printed: bool) -> list[dict]:
    """All tests over runs of one task on one split; `printed`: the paper's values stand beside them."""
    over, within, ranks = anova(scores), repeated_measures_anova(scores), friedman(scores)
    spread, normal = levene(scores), shapiro(scores)
    models, shared = (
        f"{over['groups']} models, {over['runs']} runs",
        f"{within['models']} models, {within['runs']} seeds",
    )
    between = f"{over['df_between']}, {over['df_within']}"
    found = sum(p < alpha for p in honest["p"].values())
    pairs = f"{len(honest['p'])} pairs of models"
    rows = [
        _test(
            paper.ANOVA.name,
            models,
            ("F", over["F"]),
            between,
            over["p"],
            over["note"],
            ("partial η²", over["partial_eta_squared"]),
            printed=paper.ANOVA if printed else None,
        ),
        _test(
            "repeated-measures ANOVA",
            shared,
            ("F", within["F"]),
            f"{within['df_model']}, {within['df_error']}",
            within["p"],
            within["note"],
            ("partial η²", within["partial_eta_squared"]),
            p_corrected=within["p_corrected"],
        ),
        _test(
            "Friedman",
            shared,
            ("χ²", ranks["chi_squared"]),
            str(ranks["df"]),
            ranks["p"],
            ranks["note"],
            ("Kendall's W", ranks["kendalls_w"]),
        ),
        _test(
            "Tukey HSD",
            pairs,
            (f"pairs with p < {alpha:.2g}", float(found) if honest["p"] else None),
            between,
            min(honest["p"].values(), default=None),
            honest["note"],
        ),
        _test(
            "Levene (medians)",
            models,
            ("W", spread["W"]),
            f"{spread['df_between']}, {spread['df_within']}",
            spread["p"],
            spread["note"],
        ),
        _test("Shapiro–Wilk", f"{normal['n']} residuals", ("W", normal["W"]), "", normal["p"], normal["note"]),
    ]
    if {"cnn_base", "fnn_base"} & set(scores):
        empty = pd.Series(dtype=float)
        pair = paired_t_test(scores.get("cnn_base", empty), scores.get("fnn_base", empty))
        effect = None if pair["t"] is None else pair["t"] / pair["runs"] ** 0.5
        names = " − ".join(map(paper.model_name, ("cnn_base", "fnn_base")))
        t_test = _test(
            paper.PAIRED_T.name,
            f"{names}, {pair['runs']} runs",
            ("t", pair["t"]),
            str(pair["df"]),
            pair["p"],
            pair["note"],
            ("Cohen's d of the differences", effect),
            printed=paper.PAIRED_T if printed else None,
        )
        rows.insert(1, t_test)
    return rows


def _failed_assumptions(rows: Sequence[Mapping], alpha: float, where: str) -> list[str]:
    sentences = {
        "Levene (medians)": "the runs of some models spread more than those of others (Levene)",
        "Shapiro–Wilk": "the residuals are not normal (Shapiro–Wilk)",
    }
    failed = [row for row in rows if row["test"] in sentences and row["p"] is not None and row["p"] < alpha]
    return [
        f"{where}: {sentences[row['test']]}, {_equals('p', row['p'])}: an assumption of the one-way ANOVA and of "
        "Tukey's test fails; Friedman's test does not need it."
        for row in failed
    ]


def _equals(name: str, p: float | None) -> str:
    """p = 0.032, p < 0.001"""
    text = p_value(p)
    return f"{name} {text}" if text.startswith("<") else f"{name} = {text}"


def tests_table(
    scored: Mapping[str, Mapping[Key, Scored]], honest: Mapping[tuple[str, str], Mapping], header: str, level: float
) -> Table:
    """The paper's two tests on the accuracies of runs, and those that suit runs which share seeds."""
    rows, notes, alpha = [], [], 1 - level
    for task in _tasks(scored):
        for split, found in reversed(scored.items()):  # the paper's split first
            scores = run_scores(found, task)
            if not scores:
                continue
            block = _tests_of(scores, honest[task, split], alpha, printed=(task, split) == ("activity", "test"))
            rows += [{"task": task, "split": split, **row} for row in block]
            notes += _failed_assumptions(block, alpha, f"{task}, {split}")
            notes += [f"{task}, {split}, {row['test']}: {row['note']}" for row in block if row["note"]]
    text = [
        {
            "Test": row["test"],
            "Task": row["task"],
            "Split": row["split"],
            "Compares": row["compares"],
            "Statistic": _statistic_text(row),
            "df": row["df"] or NONE,
            "p": p_value(row["p"]),
            "p (GG)": p_value(row["p_corrected"]),
            "Effect": NONE if row["effect"] is None else f"{row['effect_name']} = {number(row['effect'])}",
            "Paper": NONE
            if row["paper_statistic"] is None
            else f"{row['statistic_name']} = {row['paper_statistic']}, p = {row['paper_p']}".replace("= <", "<"),
        }
        for row in rows
    ]
    fixed = [
        "Of the runs' accuracies; models with a single run have no spread and take no part.",
        f"One-way ANOVA: {ANOVA_CAVEAT}",
        f"Paired t-test: {T_TEST_CAVEAT}",
        "Repeated-measures ANOVA and Friedman's test compare models within seeds; GG: Greenhouse and Geisser's "
        "correction for differences that do not spread alike. They too speak of training on these images, not of "
        "other images: for those see the pairs. With few seeds the χ² of Friedman's test is an approximation.",
        "Tukey: how many pairs differ, and the least p, adjusted for all pairs. Levene, Shapiro–Wilk: equal spread and "
        "normal residuals, which the one-way ANOVA and Tukey's test assume; few runs seldom disprove them.",
    ]
    columns = ["task", "split", *_test("", "", ("", None), "", None, "")]
    shown = ["Test", "Task", "Split", "Compares", "Statistic", "df", "p", "p (GG)", "Effect", "Paper"]
    digits = ("statistic", "p", "p_corrected", "effect")
    title = "Tests over runs: the paper's two and those that fit its design"
    return _table("tests", title, header, rows, text, columns, shown, [*fixed, *notes], digits)


def _statistic_text(row: Mapping) -> str:
    if row["statistic"] is None:
        return NONE
    if row["test"] == "Tukey HSD":
        return f"{row['statistic']:.0f} {row['statistic_name']}"
    return f"{row['statistic_name']} = {number(row['statistic'])}"


# --- pairs of models -----------------------------------------------------------------------------------------


def pairs(found: Mapping[Key, Scored], honest: Mapping, task: str, split: str, level: float) -> list[dict]:
    """Every pair of models of `task`, a the more accurate, largest difference first; Holm over all of them.
    `honest`: `tukey`'s p-values."""
    mine = {model: one for (_, model), one in _ranked(found, task).items()}
    hits = {model: one.cells.ensemble_hits() for model, one in mine.items()}
    rows = []
    for a, b in combinations(mine, 2):
        same_images(mine[a].cells, mine[b].cells, split)
        gap = estimated_difference(mine[a].estimates["accuracy"], mine[b].estimates["accuracy"], level)
        exact, n = mcnemar(hits[a], hits[b]), gap["n"]
        discordant = exact["only_a"] + exact["only_b"]
        least, note = minimum_detectable_difference(n, discordant / n, 1 - level, POWER)
        rows.append(
            {
                "task": task,
                "split": split,
                "a": a,
                "b": b,
                "n": n,
                "difference": gap["difference"],
                "difference_low": gap["ci_low"],
                "difference_high": gap["ci_high"],
                "ensemble_difference": (exact["only_a"] - exact["only_b"]) / n,
                "only_a": exact["only_a"],
                "only_b": exact["only_b"],
                "p": exact["p"],
                "p_holm": None,
                "cohens_g": exact["cohens_g"],
                "odds_ratio": exact["odds_ratio"],
                "minimum_detectable": least,
                "p_tukey": honest.get((a, b)),
                "note": " ".join(filter(None, (gap["note"], exact["note"], note))),
            }
        )
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return sorted(rows, key=lambda row: -row["difference"])


PAIR_COLUMNS = (
    "task", "split", "a", "b", "n", "difference", "difference_low", "difference_high", "ensemble_difference",
    "only_a", "only_b", "p", "p_holm", "cohens_g", "odds_ratio", "minimum_detectable", "p_tukey", "note",
)  # fmt: skip


def pairs_table(
    scored: Mapping[str, Mapping[Key, Scored]], honest: Mapping[tuple[str, str], Mapping], header: str, level: float
) -> Table:
    """Every pair of models on the same images. All in the CSV; for people the first task's pairs, a row each with
    both splits, by the difference on the larger one."""
    tasks = _tasks(scored)
    rows = []
    for task in tasks:
        for split, found in scored.items():
            rows += pairs(found, honest[task, split]["p"], task, split, level)
    first = [row for row in rows if row["task"] == tasks[0]] if tasks else []
    splits = [split for split in scored if any(row["split"] == split for row in first)]
    by_pair = {split: {frozenset((r["a"], r["b"])): r for r in first if r["split"] == split} for split in splits}
    order = {frozenset((row["a"], row["b"])): row for row in reversed(first)}  # the larger split has the last word
    leading = [row for row in first if order[frozenset((row["a"], row["b"]))] is row]
    text = []
    for row in leading:
        line = {"Pair": f"{paper.model_name(row['a'])} − {paper.model_name(row['b'])}"}
        for split in splits:
            line |= _pair_text(by_pair[split].get(frozenset((row["a"], row["b"]))), row["a"], split)
        text.append(line)
    shown = ["Pair", *(column for split in splits for column in _pair_text(None, "", split))]
    fixed = [
        f"Shown: {tasks[0] if tasks else 'nothing'}; pairs.csv has all tasks, odds ratios, unadjusted and Tukey's p.",
        f"Difference: of accuracies, mean over runs [{level:.0%} interval over images, paired: images are drawn, each "
        "with all runs of both; not widened for the number of pairs].",
        "Only A, only B: images that one model's ensemble (mean probability over runs) gets right and the other's "
        "wrong. p: exact McNemar test on them, adjusted for all pairs of the task and split (Holm). g: Cohen's g, the "
        "share of these images that A gets right minus 1/2. Ensembles can differ otherwise than the means of runs do.",
        f"Detectable: the least difference in accuracy that this test (unadjusted, α = {1 - level:.2g}) finds with "
        f"power {POWER:.0%} at this n and share of discordant images, by exact binomial sums (Connor 1987 "
        f"approximates it); {NONE}: none, even if every discordant image favoured one model.",
    ]
    if len({model for row in first for model in (row["a"], row["b"])}) < 2:
        fixed = ["A single model: there is no pair to compare."]
    if any(row["difference_low"] == row["difference_high"] for row in first):
        fixed.append("An interval that is a point: every resample shows the same difference.")
    if any(row["cohens_g"] is None for row in first):
        fixed.append(f"g is {NONE} where both ensembles get the same images right; p is 1 then.")
    title = "Every pair of models"
    digits = ("p", "p_holm", "p_tukey")
    return _table("pairs", title, header, rows, text, PAIR_COLUMNS, shown or ["Pair"], fixed, digits)


def _pair_text(row: Mapping | None, first: str, split: str) -> dict:
    """The cells of a pair on `split`, `first` minus the other."""
    columns = (f"{split.capitalize()}: difference", "Only A / only B", "p (Holm)", "g", "Detectable")
    names = [columns[0], *(f"{column}, {split}" for column in columns[1:])]
    if row is None:
        return dict.fromkeys(names, NONE)
    turned = row["a"] != first
    gap, low, high = (row[name] for name in ("difference", "difference_low", "difference_high"))
    counts, g = (row["only_a"], row["only_b"]), row["cohens_g"]
    if turned:
        gap, low, high, counts, g = -gap, -high, -low, counts[::-1], None if g is None else -g
    text = (
        f"{number(gap, sign=True)} {interval(low, high, sign=True)}",
        f"{counts[0]} / {counts[1]}",
        p_value(row["p_holm"]),
        number(g, 2, sign=True),
        number(row["minimum_detectable"]),
    )
    return dict(zip(names, text, strict=True))


# --- the small test set --------------------------------------------------------------------------------------


def small_test_table(
    predictions: Mapping[Key, pd.DataFrame],
    scored: Mapping[str, Mapping[Key, Scored]],
    shares: Shares,
    header: str,
    level: float,
    resamples: int,
    seed: int,
) -> Table:
    """How far each model's accuracy on the small test set lies from that on the larger one."""
    # another seed: the two sets are independent, so the draws behind their difference must be
    redrawn = score(predictions, "test", shares, resamples, seed + 1)
    rows, mixes = [], {}
    for task in _tasks(scored):
        for key, small in _ranked(scored["test"], task).items():
            if key not in scored["extended"]:
                continue
            large, row = scored["extended"][key], {"task": task, "model": key[1], "runs": len(small.cells.seeds)}
            for split, of in (("test", small), ("extended", large)):
                row |= {f"{split}_n": len(of.cells.truth), f"{split}_classes": _class_mix(of.cells)}
                row |= _estimated(f"{split}_accuracy", of.estimates["accuracy"], level)
                mixes.setdefault((task, split), row[f"{split}_classes"])
            for name, metric in (("difference", "accuracy"), ("weighted_difference", "weighted_accuracy")):
                gap = estimated_difference(redrawn[key].estimates[metric], large.estimates[metric], level)
                row |= _figures(name, gap["difference"], gap["ci_low"], gap["ci_high"])
            rows.append(row)
    text = [
        {
            "Model": paper.model_name(row["model"]),
            "Task": row["task"],
            "n": f"{row['test_n']:,} and {row['extended_n']:,}",
            "Test": _with_interval(row, "test_accuracy"),
            "Extended": _with_interval(row, "extended_accuracy"),
            "Test − extended": _with_interval(row, "difference", sign=True),
            "Same class mix": _with_interval(row, "weighted_difference", sign=True),
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
    columns = ["task", "model", "runs", "test_n", "test_classes", *_triples(["test_accuracy"]), "extended_n"]
    columns += ["extended_classes", *_triples(["extended_accuracy", "difference", "weighted_difference"])]
    shown = ["Model", "Task", "n", "Test", "Extended", "Test − extended", "Same class mix"]
    title = "How far does the small test set lie from the larger one?"
    return _table("small_test", title, header, rows, text, columns, shown, notes)


def _class_mix(one: Cells) -> str:
    """walking_running 10, sitting 10, standing 9"""
    counts = np.bincount(one.truth, minlength=len(one.classes))
    return ", ".join(f"{name} {count}" for name, count in zip(one.classes, counts, strict=True))


# --- all of them ---------------------------------------------------------------------------------------------


def build_evidence(
    predictions: Mapping[Key, pd.DataFrame],
    labels: Sequence[str],
    header: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Table]:
    """Every table by name: scores, per_class, calibration, tests, pairs, small_test.

    `predictions` maps (task, model) to its frame; `labels` are those of all images that satisfy the caption
    rule, drawn or not. HarError if no model has predictions on test or extended.
    """
    shares = population(labels, predictions)
    scored = {split: score(predictions, split, shares, resamples, seed) for split in SPLITS}
    if not any(scored.values()):
        raise HarError(f"statistics: no model has predictions on {' or '.join(SPLITS)}")
    honest = honest_differences(scored)
    return {
        "scores": scores_table(scored, shares, header, level),
        "per_class": per_class_table(scored, header, level, resamples, seed),
        "calibration": calibration_table(predictions, scored, header, seed),
        "tests": tests_table(scored, honest, header, level),
        "pairs": pairs_table(scored, honest, header, level),
        "small_test": small_test_table(predictions, scored, shares, header, level, resamples, seed),
    }
