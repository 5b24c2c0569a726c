"""The paper's tables, ours beside its printed values where the images are the paper's.

Everything derives from predictions. A figure that does not exist is an empty cell in the CSV and – for people, with a
footnote; never NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import pandas as pd

from har.core.errors import HarError
from har.evaluation.bootstrap import RESAMPLES
from har.evaluation.ensemble import is_blind, is_reference
from har.evaluation.metrics import cells
from har.evaluation.paired import difference
from har.evaluation.predictions import HELD_OUT, collapsed_runs, in_split
from har.evaluation.scored import HEADLINE
from har.evaluation.summary import summarise, tolerance
from har.reporting import paper
from har.reporting.names import class_name, model_name, needs_boxes, policy_name, split_name
from har.reporting.table import (
    Column,
    Table,
    count,
    estimate,
    interval,
    number,
    pivoted,
    printed_score,
    signed,
)
from har.reporting.tables.columns import MODEL, RUNS, SPLIT, N, class_mix

BASELINE = "cnn_base"
SPLITS = ("test", HELD_OUT)  # the paper's first
Predictions = Mapping[tuple[str, str], pd.DataFrame]
Summaries = Mapping[str, Mapping]  # model or policy to `summarise`


class Plan(NamedTuple):
    """One of the paper's tables of scores.

    Attributes:
        name, title: of the table.
        keys: the paper's rows, in its order.
        others: which rows follow those: the "majority" class, every "reference", or "all" other models.
        ranked: by balanced accuracy instead.
        note: what there is to say of the paper's own figures.
    """

    name: str
    title: str
    keys: tuple[str, ...]
    others: str
    note: str = ""
    ranked: bool = False
    splits: tuple[str, ...] = SPLITS


PLANS = (
    Plan("table2", "The baselines, {classes} classes", ("cnn_base", "fnn_base"), "majority"),
    Plan(
        "table3",
        "Augmentation of CNN_base, {classes} classes",
        tuple(paper.TABLE3),
        "majority",
        "The paper's accuracies of perspective, all combined, colour jitter and rotation do not fit their own "
        "precision, recall and F1.",
        ranked=True,
        splits=("validation",),
    ),
    Plan(
        "table4",
        "The generalising CNN, {classes} classes",
        ("cnn_gen", "cnn_base"),
        "majority",
        "The paper prints .3862 (Table 2) and .3793 (here) for CNN_base.",
    ),
    Plan(
        "table5",
        "Sitting or standing",
        ("vit", "clip", "siglip2"),
        "all",
        "The paper's figures are 13, 11 and 10 of 20 images; its majority class has 12.",
    ),
    Plan(
        "table6",
        "On CLIP's embeddings, {classes} classes",
        ("multimodal", "feature"),
        "reference",
        "The paper's second row is exactly what a constant prediction scores.",
    ),
    Plan(
        "table7",
        "All models, {classes} classes",
        tuple(paper.TABLE7),
        "all",
        "The paper's cells of this table are lost but for CLIP's; (its T…) is the same model's row there.",
        ranked=True,
    ),
)


def build_tables(
    predictions: Predictions,
    augment: Mapping[str, pd.DataFrame],
    parameters: Mapping[str, int],
    classes: Sequence[str],
    header: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
    papers: bool = True,
    processor: str = "",
    out_of_fold: Mapping[str, Mapping] | None = None,
    protocol: str = "",
    seen: Mapping[str, int] | None = None,
    unit: str = "images",
) -> dict[str, Table]:
    """Every table by name: table2 to table7, differences, summary. A table of which no row was trained is left out, a
    row that is missing is named below its table.

    Args:
        predictions: (task, model) to its frame, with "majority" and "zero_shot" among the models where they were made.
        augment: policy to CNN_base's frame under it.
        parameters: counts of a model's parameters.
        classes: of the activities.
        header: what made the tables.
        resamples, seed, level: of the intervals.
        papers: whether the images are the paper's, so that its values stand beside ours.
        processor: on which the predictions were made, said below the summary; empty: not said.
        out_of_fold: as in `summary_table`.
        protocol: whether the settings are those of docs/protocol.md, in words.
        seen: scenes that each miniature saw in pre-training.
        unit: what predictions are of (har.config.data.Data.unit).
    """
    options = {"resamples": resamples, "seed": seed, "level": level}
    every = {key: summarise(frame, SPLITS, **options) for key, frame in predictions.items()}
    activity = {model: summary for (task, model), summary in every.items() if task == "activity"}
    posture = {model: summary for (task, model), summary in every.items() if task == "posture"}
    policies = {name: summarise(frame, ("validation",), **options) for name, frame in augment.items()}
    if ("activity", "majority") in predictions:
        policies["majority"] = summarise(predictions["activity", "majority"], ("validation",), **options)
    runs, tables = {key: _collapsed(frame) for key, frame in predictions.items() if not is_blind(key[1])}, []
    for plan in PLANS:
        summaries = {"table3": policies, "table5": posture}.get(plan.name, activity)
        if any(split in summaries.get(key, {}) for key in plan.keys for split in plan.splits):
            title = f"Table {plan.name.removeprefix('table')}. {plan.title.format(classes=len(classes))}"
            counts = parameters if plan.name == "table2" else None
            table = score_table(plan, title, header, summaries, papers, level, counts)
            task = "posture" if plan.name == "table5" else "activity"
            shown = {model: seeds for (of, model), seeds in runs.items() if of == task and plan.name != "table3"}
            tables.append(replace(table, notes=[*table.notes, _collapse_note(shown, table.rows)]))
    if gaps := differences(predictions, level, resamples, seed):
        tables.append(differences_table(gaps, header, level))
    found = {table.name: table for table in tables}
    if "table7" in found:
        rows = found["table7"].rows
        frame = next(frame for (task, _), frame in predictions.items() if task == "activity")
        notes = [
            _held_out_note(frame, unit),
            OUT_OF_FOLD.format(unit) if out_of_fold else "",
            BOXES if any(needs_boxes(row["model"]) for row in rows) else "",
            found["table7"].notes[-1],
            _seen_note(seen or {}),
            _processor_note(processor, rows) if processor else "",
            protocol,
        ]
        found["summary"] = summary_table(rows, gaps, header, papers, out_of_fold, notes)
    return found


OUT_OF_FOLD = (
    "Out of fold: all drawn {}, test among them, each predicted by models that were fitted without it (stage "
    "cross_validation); the interval holds no variance of training sets."
)
BOXES = "Person boxes: such a row sees the largest annotated person of an image as well; a new image has no boxes."


def _seen_note(seen: Mapping[str, int]) -> str:
    """What pre-training showed each miniature (har.training.pretrain), so that nobody takes them for alike."""
    texts = [f"{model_name(name)} {count / 1e6:.2f} million" for name, count in seen.items() if name != "vit"]
    said = [f"{' and '.join(texts)} scenes with captions, which often name the activity"] if texts else []
    if "vit" in seen:
        said.append(
            f"ViT {seen['vit'] / 1e6:.2f} million scenes with the place, light, things and animals in them, never an "
            "activity"
        )
    return f"Pre-training saw unequal things: {'; '.join(said)}." if said else ""


def _held_out_note(predictions: pd.DataFrame, unit: str) -> str:
    one = cells(predictions, HELD_OUT)
    return f"Held-out {unit}: {class_mix(one.truth, one.classes)}."


def _collapsed(predictions: pd.DataFrame) -> dict[int, str]:
    """The collapsed runs on the held-out images."""
    held_out = predictions[in_split(predictions, HELD_OUT)]
    return collapsed_runs(held_out if len(held_out) else predictions)


def _collapse_note(runs: Mapping[str, Mapping[int, str]], rows: Sequence[Mapping]) -> str:
    """Which runs of the models in `rows` predict one class for all images; empty where none does."""
    shown = {row.get("model") for row in rows}
    told = [
        f"{model_name(model)} seed {seed} ({class_name(label)})"
        for model, seeds in runs.items()
        for seed, label in seeds.items()
        if model in shown
    ]
    return f"Collapsed runs, which predict one class for every image: {', '.join(told)}." if told else ""


def _processor_note(processor: str, rows: Sequence[Mapping]) -> str:
    """What made the predictions, and how far those of another processor may lie from them."""
    parts = []
    for split in SPLITS:
        limits = {r["model"]: tolerance(r["n"], r["runs"], r["accuracy_sd"]) for r in rows if r["split"] == split}
        if limits:
            most, where = max(limits, key=limits.get), split_name(split)
            parts.append(
                f"{number(min(limits.values()), 2)} to {number(limits[most], 2)} ({model_name(most)}) on {where}"
            )
    return (
        f"Made on {processor}. Another processor rounds sums differently, and a mean over runs may then move by "
        f"{', '.join(parts)}; make gate allows that much."
    )


def score_table(
    plan: Plan,
    title: str,
    header: str,
    summaries: Summaries,
    papers: bool = True,
    level: float = 0.95,
    parameters: Mapping[str, int] | None = None,
) -> Table:
    """A row for each of the plan's splits and keys.

    Args:
        plan: which rows, in which order.
        title, header: of the table.
        summaries: model or policy to its scores.
        papers: whether the paper's values stand beside ours, on the split that it reports, the first one.
        level: of the intervals.
        parameters: how many each model has, for a column of them.

    Raises:
        HarError: there is no row at all.
    """
    by = "policy" if plan.name == "table3" else "model"
    rows = []
    for split in plan.splits:
        present = [key for key in _keys(plan, summaries) if split in summaries.get(key, {})]
        if plan.ranked:
            present.sort(key=lambda key: -summaries[key][split]["balanced_accuracy"]["mean"])
        for key in present:
            row = {by: key, "parameters": (parameters or {}).get(key), "split": split, **_scores(summaries[key][split])}
            if papers:
                row |= _printed(plan.name, key if split == plan.splits[0] else "", row["accuracy"])
            rows.append(row)
    if not rows:
        raise HarError(f"{plan.name}: none of {', '.join(plan.keys)} has predictions on {' or '.join(plan.splits)}")
    naming = _policy_or_reference if by == "policy" else model_name
    columns = [
        Column(by, by.capitalize(), naming),
        *([Column("parameters", "Parameters", count)] if parameters is not None else []),
        SPLIT,
        N,
        RUNS,
        Column(("accuracy", "accuracy_sd"), "Accuracy", _with_sd),
        Column(("ci_low", "ci_high"), f"{level:.0%} interval", interval),
        Column(("balanced_accuracy", "balanced_low", "balanced_high"), "Balanced accuracy", estimate),
        Column("precision", "Precision", number),
        Column("recall", "Recall", number),
        Column("f1", "F1", number),
        *map(Column, ("f1_ci_low", "f1_ci_high")),
    ]
    notes = [
        f"Accuracy: mean ± sd over runs. {level:.0%} interval: over images, of the mean of these runs (bootstrap "
        "of images, each with all its runs; Wilson for a single run). Balanced accuracy: mean recall of the classes, "
        "with its interval. Held out: test and extended images together. Precision, recall, F1: macro, 0 where "
        "undefined."
    ]
    if papers:
        names = tuple(f"paper_{metric}" for metric in PRINTED)
        columns += [
            *map(Column, names),
            Column("paper", "Paper: acc. / prec. / rec. / F1", csv=False),
            Column("difference", "Ours − paper", signed),
        ]
        notes.append(plan.note)
    if lacking := [naming(key) for key in plan.keys if key not in summaries]:
        notes.append(f"Not in this run: {', '.join(lacking)}.")
    return Table(plan.name, title, header, rows, columns, notes)


def _keys(plan: Plan, summaries: Summaries) -> list[str]:
    if plan.others == "majority":
        return [*plan.keys, "majority"]
    others = [key for key in summaries if key not in plan.keys]
    if plan.others == "reference":
        return [*plan.keys, *filter(is_reference, others)]
    return [*plan.keys, *sorted(others, key=is_reference)]


def _scores(found: Mapping) -> dict:
    metrics = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")
    row = {"n": found["n"], "runs": found["runs"], "accuracy_sd": found["accuracy"].get("sd")}
    row |= {metric: found[metric]["mean"] for metric in metrics}
    intervals = {"ci": "accuracy", "balanced": "balanced_accuracy", "f1_ci": "f1"}
    return row | {f"{name}_{end}": found[of][f"ci_{end}"] for name, of in intervals.items() for end in ("low", "high")}


PRINTED = ("accuracy", "precision", "recall", "f1")


def _printed(table: str, key: str, ours: float) -> dict:
    """The paper's figures for `key`; none for ""."""
    score, where = paper.score(table, key), ""
    if table == "table7":
        score, source = paper.activity_score(key)
        where = "" if source in ("", "table7") else f" (its T{source[-1]})"
    cells = [getattr(score, metric) for metric in PRINTED]
    text = score.text or (None if cells[0] is None else " / ".join(map(printed_score, cells)))
    gap = None if score.accuracy is None else round(ours - score.accuracy, 6)
    shown = {"paper": text and text + where, "difference": gap}
    return {f"paper_{metric}": value for metric, value in zip(PRINTED, cells, strict=True)} | shown


def _with_sd(mean: float, sd: float | None) -> str:
    return number(mean) + ("" if sd is None else f" ± {number(sd)}")


def _policy_or_reference(key: str) -> str:
    return model_name(key) if is_reference(key) else policy_name(key)


def differences(predictions: Predictions, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0) -> list[dict]:
    """Each model minus CNN_base on the same images, largest first; empty if nothing can be compared."""
    rows = []
    for split in SPLITS:
        for task in dict.fromkeys(task for task, _ in predictions):
            base = predictions.get((task, BASELINE))
            block = []
            for (of, model), frame in predictions.items():
                both = base is not None and all(in_split(one, split).any() for one in (base, frame))
                if of == task and model != BASELINE and both:
                    gap = difference(frame, base, split, HEADLINE, resamples, seed, level)
                    block.append({"task": task, "model": model, "split": split, **gap})
            rows += sorted(block, key=lambda row: -row["difference"])
    return rows


def differences_table(rows: Sequence[Mapping], header: str, level: float = 0.95) -> Table:
    """The rows of `differences`."""
    columns = [
        MODEL,
        Column("task", "Task"),
        SPLIT,
        N,
        Column("difference", "Minus CNN_base", signed),
        Column(("ci_low", "ci_high"), f"{level:.0%} interval", lambda low, high: interval(low, high, sign=True)),
        *map(Column, ("share_below_zero", "runs_a", "runs_b", "note")),
    ]
    notes = (
        "Balanced accuracy, mean over runs, on the same images; interval over images (paired bootstrap: images are "
        "drawn within each class, with all runs of both). The intervals are not widened for the number of comparisons.",
        *sorted({row["note"] for row in rows if row["note"]}),
    )
    return Table("differences", "How far is each model from CNN_base?", header, rows, columns, notes)


def summary_table(
    scores: Sequence[Mapping],
    gaps: Sequence[Mapping],
    header: str,
    papers: bool = True,
    out_of_fold: Mapping[str, Mapping] | None = None,
    notes: Sequence[str] = (),
) -> Table:
    """The result table of the README: all models on all activities, best first on the held-out images.

    Args:
        scores: rows of table 7.
        gaps: rows of `differences`.
        header: what made the table.
        papers: whether the paper's values stand beside ours.
        out_of_fold: model to fold_images, fold_balanced, fold_low, fold_high of its cross-validation, where it has one.
        notes: further ones.
    """
    rows, out_of_fold = {}, out_of_fold or {}
    for line in pivoted(scores, ["model"], "split"):
        row = rows[line["model"]] = line | out_of_fold.get(line["model"], {}) | {"paper": None}
        if papers:
            printed, _ = paper.activity_score(line["model"])
            row["paper"] = printed.text or (printed.accuracy and printed_score(printed.accuracy))
    for gap in gaps:
        if (gap["task"], gap["split"]) == ("activity", HELD_OUT) and gap["model"] in rows:
            rows[gap["model"]] |= {f"minus_{key}": gap[key] for key in ("difference", "ci_low", "ci_high")}

    def column(title: str, *names: str, **options) -> Column:
        return Column(names, title, partial(estimate, digits=2, **options))

    images = {split: max((row["n"] for row in scores if row["split"] == split), default=0) for split in SPLITS}
    columns = [
        MODEL,
        column(
            f"Balanced accuracy, held out (n = {images[HELD_OUT]:,})",
            *(f"balanced_{key}_{HELD_OUT}" for key in ("accuracy", "low", "high")),
        ),
        column("Minus CNN_base", "minus_difference", "minus_ci_low", "minus_ci_high", sign=True),
    ]
    if out_of_fold:
        drawn = next(iter(out_of_fold.values()))["fold_images"]
        columns.append(column(f"Out of fold (n = {drawn:,})", "fold_balanced", "fold_low", "fold_high"))
    columns.append(Column(f"accuracy_{HELD_OUT}", "Accuracy, held out", partial(number, digits=2)))
    if images["test"]:
        names = (f"{key}_test" for key in ("accuracy", "ci_low", "ci_high"))
        columns.append(column(f"Accuracy, test (n = {images['test']:,})", *names))
    if papers:
        columns.append(Column("paper", f"Paper ({paper.TEST_IMAGES} images)"))
    note = (
        "Mean over runs [interval over images]. Balanced accuracy: mean recall of the classes, each of which counts "
        "the same however many images it has. Held out: test and extended images together."
    )
    ordered = sorted(rows.values(), key=lambda row: -row.get(f"balanced_accuracy_{HELD_OUT}", -1))
    return Table("summary", "All models", header, ordered, columns, [note, *notes])
