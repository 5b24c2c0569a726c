"""The paper's tables, ours beside its printed values where the images are the paper's.

Everything derives from predictions. A figure that does not exist is an empty cell in the CSV and – for people, with a
footnote; never NaN.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import pandas as pd

from har.config.report import Report
from har.evaluation.ensemble import is_blind, is_reference
from har.evaluation.metrics import cells
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

SPLITS = ("test", HELD_OUT)  # the paper's first
PRINTED = ("accuracy", "precision", "recall", "f1")
Predictions = Mapping[tuple[str, str], pd.DataFrame]
Summaries = Mapping[str, Mapping]  # model or policy to `summarise`
OUT_OF_FOLD = (
    "Out of fold: all drawn {}, test among them, each predicted by models that were fitted without it (stage "
    "cross_validation); the interval holds no variance of training sets."
)
BOXES = "Person boxes: such a row sees the largest annotated person of an image as well; a new image has no boxes."


class Plan(NamedTuple):
    """One of the paper's tables of scores.

    Attributes:
        name, title: of the table.
        keys: the paper's rows, in its order.
        others: which rows follow those: the "majority" class, every "reference", or "all" other models.
        note: what there is to say of the paper's own figures.
        of: what rows are: models of a task, or each "policy" of augmentation.
        ranked: by balanced accuracy instead.
    """

    name: str
    title: str
    keys: tuple[str, ...]
    others: str
    note: str = ""
    of: str = "activity"
    ranked: bool = False

    @property
    def splits(self) -> tuple[str, ...]:
        return ("validation",) if self.of == "policy" else SPLITS


PLANS = (
    Plan("table2", "Table 2. The baselines, {} classes", ("cnn_base", "fnn_base"), "majority"),
    Plan(
        "table3",
        "Table 3. Augmentation of CNN_base, {} classes",
        tuple(paper.TABLES["table3"]),
        "majority",
        "The paper's accuracies of perspective, all combined, colour jitter and rotation do not fit their own "
        "precision, recall and F1.",
        of="policy",
        ranked=True,
    ),
    Plan(
        "table4",
        "Table 4. The generalising CNN, {} classes",
        ("cnn_gen", "cnn_base"),
        "majority",
        "The paper prints .3862 (Table 2) and .3793 (here) for CNN_base.",
    ),
    Plan(
        "table5",
        "Table 5. Sitting or standing",
        ("vit", "clip", "siglip2"),
        "all",
        "The paper's figures are 13, 11 and 10 of 20 images; its majority class has 12.",
        of="posture",
    ),
    Plan(
        "table6",
        "Table 6. On CLIP's embeddings, {} classes",
        ("multimodal", "feature"),
        "reference",
        "The paper's second row is exactly what a constant prediction scores.",
    ),
    Plan(
        "table7",
        "Table 7. All models, {} classes",
        tuple(paper.TABLES["table7"]),
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
    report: Report,
    papers: bool = True,
    processor: str = "",
    out_of_fold: Mapping[str, Mapping] | None = None,
    protocol: str = "",
    seen: Mapping[str, int] | None = None,
    unit: str = "images",
) -> dict[str, Table]:
    """Every table by name: table2 to table7, summary. A table of which no row was trained is left out, a
    row that is missing is named below its table.

    Args:
        predictions: (task, model) to its frame, with "majority" and "zero_shot" among the models where they were made.
        augment: policy to CNN_base's frame under it.
        parameters: counts of a model's parameters.
        classes: of the activities.
        header: what made the tables.
        report: how intervals are made.
        papers: whether the images are the paper's, so that its values stand beside ours.
        processor: on which the predictions were made, said below the summary; empty: not said.
        out_of_fold: model to fold_images, fold_balanced, fold_low, fold_high of its cross-validation, where it has one.
        protocol: whether the settings are those of docs/protocol.md, in words.
        seen: scenes that each miniature saw in pre-training.
        unit: what predictions are of (har.config.data.Data.unit).
    """

    def summarised(frame: pd.DataFrame, splits: Sequence[str]) -> dict:
        return summarise(frame, splits, report.resamples, report.seed, report.confidence)

    summaries, collapsed = defaultdict(dict), defaultdict(dict)
    for (task, model), frame in predictions.items():
        summaries[task][model] = summarised(frame, SPLITS)
        if not is_blind(model):
            held_out = frame[in_split(frame, HELD_OUT)]
            collapsed[task][model] = collapsed_runs(held_out if len(held_out) else frame)
    policies = dict(augment)
    if ("activity", "majority") in predictions:
        policies["majority"] = predictions["activity", "majority"]
    summaries["policy"] = {name: summarised(frame, ("validation",)) for name, frame in policies.items()}
    found = {}
    for plan in PLANS:
        mine = summaries[plan.of]
        if any(split in mine.get(key, {}) for key in plan.keys for split in plan.splits):
            counts = parameters if plan.name == "table2" else None
            table = score_table(plan, len(classes), header, mine, papers, report.confidence, counts)
            found[plan.name] = replace(table, notes=[*table.notes, _collapse_note(collapsed[plan.of], table.rows)])
    if "table7" in found:
        rows, out_of_fold = found["table7"].rows, out_of_fold or {}
        one = cells(next(frame for (task, _), frame in predictions.items() if task == "activity"), HELD_OUT)
        notes = [
            "Mean over runs [interval over images]. Balanced accuracy: mean recall of the classes, each of which "
            "counts the same however many images it has. Held out: test and extended images together.",
            f"Held-out {unit}: {class_mix(one)}.",
            OUT_OF_FOLD.format(unit) if out_of_fold else "",
            BOXES if any(needs_boxes(row["model"]) for row in rows) else "",
            _collapse_note(collapsed["activity"], rows),
            _seen_note(seen or {}),
            _processor_note(processor, rows) if processor else "",
            protocol,
        ]
        found["summary"] = summary_table(rows, header, papers, out_of_fold, notes)
    return found


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
    classes: int,
    header: str,
    summaries: Summaries,
    papers: bool = True,
    level: float = 0.95,
    parameters: Mapping[str, int] | None = None,
) -> Table:
    """A row for each of the plan's splits and keys.

    Args:
        plan: which rows, in which order.
        classes: how many the title tells.
        header: of the table.
        summaries: model or policy to its scores.
        papers: whether the paper's values stand beside ours, on the split that it reports, the first one.
        level: of the intervals.
        parameters: how many each model has, for a column of them.
    """
    by, rows = "policy" if plan.of == "policy" else "model", []
    for split in plan.splits:
        present = [key for key in _keys(plan, summaries) if split in summaries.get(key, {})]
        if plan.ranked:
            present.sort(key=lambda key: -summaries[key][split][HEADLINE]["mean"])
        for key in present:
            row = {by: key, "parameters": (parameters or {}).get(key), "split": split, **_scores(summaries[key][split])}
            if papers:
                row |= _printed(plan.name, key if split == plan.splits[0] else "", row["accuracy"])
            rows.append(row)

    def naming(key: str) -> str:
        return policy_name(key) if by == "policy" and not is_reference(key) else model_name(key)

    def with_sd(mean: float, sd: float | None) -> str:
        return number(mean) + ("" if sd is None else f" ± {number(sd)}")

    columns = [
        Column(by, by.capitalize(), naming),
        *([Column("parameters", "Parameters", count)] if parameters is not None else []),
        SPLIT,
        N,
        RUNS,
        Column(("accuracy", "accuracy_sd"), "Accuracy", with_sd),
        Column(("ci_low", "ci_high"), f"{level:.0%} interval", interval),
        Column((HEADLINE, "balanced_low", "balanced_high"), "Balanced accuracy", estimate),
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
        columns += [
            *(Column(f"paper_{metric}") for metric in PRINTED),
            Column("paper", "Paper: acc. / prec. / rec. / F1", csv=False),
            Column("difference", "Ours − paper", signed),
        ]
        notes.append(plan.note)
    if lacking := [naming(key) for key in plan.keys if key not in summaries]:
        notes.append(f"Not in this run: {', '.join(lacking)}.")
    return Table(plan.name, plan.title.format(classes), header, rows, columns, notes)


def _keys(plan: Plan, summaries: Summaries) -> list[str]:
    others = sorted((key for key in summaries if key not in plan.keys), key=is_reference)
    if plan.others == "majority":
        others = ["majority"]
    elif plan.others == "reference":
        others = [key for key in others if is_reference(key)]
    return [*plan.keys, *others]


def _scores(found: Mapping) -> dict:
    row = {"n": found["n"], "runs": found["runs"], "accuracy_sd": found["accuracy"].get("sd")}
    row |= {metric: found[metric]["mean"] for metric in (*PRINTED, HEADLINE)}
    intervals = {"ci": "accuracy", "balanced": HEADLINE, "f1_ci": "f1"}
    return row | {f"{name}_{end}": found[of][f"ci_{end}"] for name, of in intervals.items() for end in ("low", "high")}


def _printed(table: str, key: str, ours: float) -> dict:
    """The paper's figures for `key`; none for ""."""
    score, where = paper.score(table, key), ""
    if table == "table7":
        score, source = paper.activity_score(key)
        where = "" if source in ("", "table7") else f" (its T{source[-1]})"
    values = [getattr(score, metric) for metric in PRINTED]
    text = score.text or (None if values[0] is None else " / ".join(map(printed_score, values)))
    gap = None if score.accuracy is None else round(ours - score.accuracy, 6)
    shown = {"paper": text and text + where, "difference": gap}
    return {f"paper_{metric}": value for metric, value in zip(PRINTED, values, strict=True)} | shown


def summary_table(
    scores: Sequence[Mapping],
    header: str,
    papers: bool,
    out_of_fold: Mapping[str, Mapping],
    notes: Sequence[str],
) -> Table:
    """The result table of the README: all models on all activities, best first on the held-out images. scores: rows of
    table 7."""
    rows = {}
    for line in pivoted(scores, ["model"], "split"):
        row = rows[line["model"]] = line | out_of_fold.get(line["model"], {}) | {"paper": None}
        if papers:
            printed, _ = paper.activity_score(line["model"])
            row["paper"] = printed.text or (printed.accuracy and printed_score(printed.accuracy))

    def column(title: str, *names: str) -> Column:
        return Column(names, title, partial(estimate, digits=2))

    held_out, test = (max((row["n"] for row in scores if row["split"] == s), default=0) for s in (HELD_OUT, "test"))
    columns = [
        MODEL,
        column(
            f"Balanced accuracy, held out (n = {held_out:,})",
            *(f"balanced_{key}_{HELD_OUT}" for key in ("accuracy", "low", "high")),
        ),
    ]
    if out_of_fold:
        drawn = next(iter(out_of_fold.values()))["fold_images"]
        columns.append(column(f"Out of fold (n = {drawn:,})", "fold_balanced", "fold_low", "fold_high"))
    columns.append(Column(f"accuracy_{HELD_OUT}", "Accuracy, held out", partial(number, digits=2)))
    if test:
        columns.append(column(f"Accuracy, test (n = {test:,})", "accuracy_test", "ci_low_test", "ci_high_test"))
    if papers:
        columns.append(Column("paper", f"Paper ({paper.TEST_IMAGES} images)"))
    ordered = sorted(rows.values(), key=lambda row: -row.get(f"{HEADLINE}_{HELD_OUT}", -1))
    return Table("summary", "All models", header, ordered, columns, notes)
