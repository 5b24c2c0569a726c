"""Do models fail on the same images? Images that all miss, and every pair of models."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from har.evaluation.ensemble import is_blind
from har.reporting.names import class_name, model_name
from har.reporting.table import Column, ImageId, Table, count, number, pivoted, quote
from har.reporting.tables.columns import class_text
from har.studies.error_analysis.factors import images_text
from har.studies.error_analysis.outcomes import DIGITS

ENSEMBLE = "A model misses an image where its ensemble (mean probability over runs) is wrong."
BLIND_NOTE = "Without the majority class and metadata, which see no picture."
NOBODY = "No model here sees the picture."


def misses(outcomes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Of each task, whether the ensemble of each model that looks at the picture is wrong, bool [images, models]."""
    seeing = outcomes[~outcomes["model"].map(is_blind)]
    seeing = seeing.assign(wrong=seeing["predicted"] != seeing["label"])
    return {
        task: part.pivot(index="image_id", columns="model", values="wrong")[part["model"].unique()]
        for task, part in seeing.groupby("task", sort=False)
    }


# --- how many models miss an image -------------------------------------------------------------------------


def miss_counts(missed: Mapping[str, pd.DataFrame]) -> list[dict]:
    """A row for each task of `misses` and number of models: task, models, missed_by, images, share, expected (images,
    if models erred independently of each other, each as often as it does: Poisson's binomial distribution)."""
    from scipy.stats import poisson_binom

    rows = []
    for task, wrong in missed.items():
        size, n = wrong.shape[1], len(wrong)
        images = np.bincount(wrong.sum(axis=1), minlength=size + 1)
        expected = poisson_binom.pmf(np.arange(size + 1), wrong.mean().to_numpy()) * n
        for k, (found, chance) in enumerate(zip(images.tolist(), expected.tolist(), strict=True)):
            row = {"task": task, "models": size, "missed_by": k, "images": found}
            rows.append(row | {"share": found / n, "expected": chance})
    return rows


def count_table(outcomes: pd.DataFrame, header: str, unit: str = "images") -> Table:
    """How many images are missed by 0, 1, ... models, for every task."""
    missed = misses(outcomes)
    rows = miss_counts(missed)
    notes = [
        f"{ENSEMBLE} {' '.join(f'{task.capitalize()}: {images_text(outcomes, task, unit)}.' for task in missed)} "
        f"{BLIND_NOTE}",
        "If independent: images to expect if each model missed as many as it does, whatever the others do. Models that "
        "favour the same classes share errors for that reason too.",
        "" if missed else NOBODY,
    ]
    columns = [
        Column("missed_by", "Models that miss it"),
        *map(Column, ("task", "models", "images", "share", "expected")),
    ]
    for task, wrong in missed.items():
        columns += [
            Column(f"images_{task}", f"Images: {task}, {wrong.shape[1]} models", count, csv=False),
            Column(f"expected_{task}", f"If independent: {task}", partial(number, digits=1), csv=False),
        ]
    lines = sorted(pivoted(rows, ["missed_by"], "task"), key=lambda line: line["missed_by"])
    return Table("miss_counts", "How many models miss an image", header, rows, columns, notes, lines)


# --- images that all miss ----------------------------------------------------------------------------------


def missed_by_all(outcomes: pd.DataFrame, manifest: pd.DataFrame, evidence: pd.DataFrame) -> list[dict]:
    """Images that every model which sees them misses, the lowest mean probability of the true class first: task,
    image_id, split, label, votes (JSON: class to number of models), models, p_true (mean over models),
    captions_for_label, captions_total, captions (JSON: each with the classes it mentions)."""
    captions = {k: part[["caption", "mentions"]].to_numpy().tolist() for k, part in evidence.groupby("image_id")}
    images, rows = manifest.set_index("image_id"), []
    for task, wrong in misses(outcomes).items():
        every = wrong.index[wrong.all(axis=1)]
        mine = outcomes[outcomes["model"].isin(wrong.columns) & outcomes["image_id"].isin(every)]
        found = []
        for image_id, part in mine[mine["task"] == task].groupby("image_id"):
            votes = sorted(Counter(part["predicted"]).items(), key=lambda vote: (-vote[1], vote[0]))
            row = {"task": task, "image_id": int(image_id)} | part[["split", "label"]].iloc[0].to_dict()
            row |= {"votes": json.dumps(dict(votes)), "models": len(part), "p_true": float(part["p_true"].mean())}
            row |= images.loc[image_id, ["captions_for_label", "captions_total"]].to_dict()
            found.append(row | {"captions": json.dumps(captions.get(image_id, []), ensure_ascii=False)})
        rows += sorted(found, key=lambda row: round(row["p_true"], DIGITS))
    return rows


def missed_table(
    outcomes: pd.DataFrame,
    manifest: pd.DataFrame,
    evidence: pd.DataFrame,
    header: str,
    listed: int,
    unit: str = "images",
) -> Table:
    """`missed_by_all`: all in the CSV, for people at most `listed` of the first task."""
    rows, lines, notes = missed_by_all(outcomes, manifest, evidence), [], []
    for place, (task, wrong) in enumerate(misses(outcomes).items()):
        every, right = int(wrong.all(axis=1).sum()), int((~wrong.any(axis=1)).sum())
        notes.append(
            f"Task {task}, {images_text(outcomes, task, unit)}: every model that sees the picture ({wrong.shape[1]} of "
            f"them) misses {every:,}, every one gets {right:,} right."
        )
        if not place:
            lines = [row for row in rows if row["task"] == task][:listed]
            notes += [
                f"{ENSEMBLE} {BLIND_NOTE}",
                f"Shown: {len(lines):,} of {every:,} of task {task}, least probable label first; missed_by_all.csv has "
                "all.",
                "Votes: how many models predict each class. ✓: the caption mentions the label's class; ✗: another's.",
            ]
    if not lines:
        notes.append("There is no such image." if notes else NOBODY)
    columns = [
        Column("image_id", "Image", ImageId),
        Column("task"),
        Column("split", "Split"),
        Column("label", "Label", class_text),
        Column(
            "votes",
            "Votes",
            lambda votes: quote(", ".join(f"{class_name(k)} {n}" for k, n in json.loads(votes).items())),
        ),
        Column("models"),
        Column("p_true", "Mean p of the label", number),
        Column(("captions_for_label", "captions_total"), "Captions for it", "{} of {}".format),
        Column(("captions", "label"), "Captions", captions_text),
    ]
    return Table("missed_by_all", "Images that every model misses", header, rows, columns, notes, lines)


def captions_text(captions: str, label: str) -> str:
    """The captions, strangers' words, each after the mark of what it mentions."""
    texts = []
    for caption, mentions in json.loads(captions):
        classes = [name for name in mentions.split("+") if name]
        texts.append(f"{'✓ ' if label in classes else '✗ ' if classes else ''}{caption}")
    return quote(" · ".join(texts))


# --- pairs -------------------------------------------------------------------------------------------------


def overlaps(missed: Mapping[str, pd.DataFrame]) -> list[dict]:
    """How far every two models of a task of `misses` miss the same images, closest pair first: task, a, b, n, missed_a,
    missed_b, both (shares of the images), both_expected, jaccard (of the images that either misses, the share that both
    miss), jaccard_expected, kappa, note.

    Expected: if the models missed independently of each other, each as often as it does. kappa: agreement beyond
    that (Cohen 1960), 1 if both miss the same images, 0 if no more than expected, and then also if one misses
    none or all. NaN where undefined.
    """
    rows = []
    for task, wrong in missed.items():
        names, n, hits = wrong.columns, len(wrong), wrong.to_numpy(int)
        a, b = np.triu_indices(len(names), 1)
        of_a, of_b = hits.mean(0)[a], hits.mean(0)[b]
        both = (hits.T @ hits)[a, b] / n
        expected, either = of_a * of_b, of_a + of_b
        with np.errstate(invalid="ignore"):
            measures = {
                "jaccard": both / (either - both),
                "jaccard_expected": expected / (either - expected),
                "kappa": 2 * (both - expected) / (either - 2 * expected),
            }
        neither, every = either == 0, expected == 1
        note = np.where(neither, "Neither misses an image: Jaccard's index and kappa are not defined.", "")
        note = np.where(every, "Both miss every image: kappa is not defined.", note)
        found = {"task": task, "a": names[a], "b": names[b], "n": n, "missed_a": of_a, "missed_b": of_b}
        found |= {"both": both, "both_expected": expected, **measures, "note": note}
        closest = pd.DataFrame(found).sort_values("kappa", ascending=False, kind="stable")
        rows += closest.to_dict("records")
    return rows


def overlap_table(
    rows: Sequence[Mapping],
    outcomes: pd.DataFrame,
    trained: Collection[tuple[str, str]],
    header: str,
    unit: str = "images",
) -> Table:
    """`overlaps`: all in the CSV; for people the first task's pairs of `trained` models ((task, model))."""
    task = outcomes["task"].iloc[0]
    shown = [row for row in rows if row["task"] == task and all((task, row[k]) in trained for k in "ab")]
    notes = [
        f"Task {task}, {images_text(outcomes, task, unit)}, pairs of trained models; error_overlap.csv has every task "
        f"and every model that sees the picture. {ENSEMBLE}",
        "Shares of images. If independent: the share to expect if each missed as many, whatever the other does. "
        "Jaccard: of the images that either misses, the share that both miss. κ: Cohen's, 1 if they miss the same "
        "images, 0 if they agree as often as independent models do; models that favour the same classes share "
        "errors for that reason too.",
        *(row["note"] for row in shown),
        "" if shown else "There is no pair of trained models to compare.",
    ]
    columns = [
        Column(("a", "b"), "Pair", lambda a, b: f"{model_name(a)} and {model_name(b)}"),
        *map(Column, ("task", "n")),
        Column(("missed_a", "missed_b"), "Missed by each", lambda a, b: f"{number(a, 2)} / {number(b, 2)}"),
        Column("both", "Both miss", number),
        Column("both_expected", "If independent", number),
        Column("jaccard", "Jaccard", number),
        Column("jaccard_expected", "Jaccard, independent", number),
        Column("kappa", "κ", partial(number, digits=2, sign=True)),
        Column("note"),
    ]
    return Table("error_overlap", "Do models miss the same images?", header, rows, columns, notes, shown)
