"""Do models fail on the same images? Images that all miss, and every pair of models."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd

from har.evaluation.ensemble import is_blind, missed_by_every
from har.reporting.names import class_name, model_name
from har.reporting.table import Column, ImageId, Table, count, number, pivoted, quote
from har.reporting.tables.columns import class_text
from har.studies.error_analysis.factors import images_text
from har.studies.error_analysis.outcomes import DIGITS, missed, wide

ENSEMBLE = "A model misses an image where its ensemble (mean probability over runs) is wrong."
BLIND_NOTE = "Without the majority class and metadata, which see no picture."


def seeing(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The outcomes of the models that look at the picture."""
    return outcomes[~outcomes["model"].map(is_blind)]


# --- how many models miss an image -------------------------------------------------------------------------


def independent_counts(shares: Sequence[float]) -> np.ndarray:
    """Probability that 0, 1, ... of the models miss an image if each misses a share of images independently of the
    others (Poisson's binomial distribution), [models + 1]."""
    distribution = np.ones(1)
    for share in shares:
        distribution = np.convolve(distribution, [1 - share, share])
    return distribution


def miss_counts(outcomes: pd.DataFrame, task: str) -> list[dict]:
    """A row for each number of models: task, models, missed_by, images, share, expected (images, if models erred
    independently of each other, each as often as it does)."""
    misses = missed(seeing(outcomes), task)
    size = misses.shape[1]
    found = np.bincount(misses.sum(axis=1), minlength=size + 1)
    expected = independent_counts(misses.mean().to_list()) * len(misses)
    return [
        {"task": task, "models": size, "missed_by": k, "images": int(n), "share": n / len(misses), "expected": float(e)}
        for k, (n, e) in enumerate(zip(found, expected, strict=True))
    ]


def count_table(outcomes: pd.DataFrame, header: str) -> Table:
    """How many images are missed by 0, 1, ... models, for every task."""
    tasks = list(seeing(outcomes)["task"].unique())
    rows = [row for task in tasks for row in miss_counts(outcomes, task)]
    models = {row["task"]: row["models"] for row in rows}
    notes = [
        f"{ENSEMBLE} {' '.join(f'{task.capitalize()}: {images_text(outcomes, task)}.' for task in tasks)} {BLIND_NOTE}",
        "If independent: images to expect if each model missed as many as it does, whatever the others do. Models that "
        "favour the same classes share errors for that reason too.",
    ]
    if not tasks:
        notes.append("No model here sees the picture.")
    columns = [
        Column("missed_by", "Models that miss it"),
        *map(Column, ("task", "models", "images", "share", "expected")),
    ]
    for task, size in models.items():
        columns += [
            Column(f"images_{task}", f"Images: {task}, {size} models", count, csv=False),
            Column(f"expected_{task}", f"If independent: {task}", partial(number, digits=1), csv=False),
        ]
    lines = sorted(pivoted(rows, ["missed_by"], "task"), key=lambda line: line["missed_by"])
    return Table("miss_counts", "How many models miss an image", header, rows, columns, notes, lines)


# --- images that all miss ----------------------------------------------------------------------------------


def missed_by_all(outcomes: pd.DataFrame, manifest: pd.DataFrame, evidence: pd.DataFrame) -> list[dict]:
    """Images that every model which sees them misses, the lowest mean probability of the true class first: task,
    image_id, split, label, votes (JSON: class to number of models), models, p_true (mean over models),
    captions_for_label, captions_total, captions (JSON: each with the classes it mentions)."""
    rows = []
    outcomes = seeing(outcomes)
    told = {k: part[["caption", "mentions"]].to_numpy().tolist() for k, part in evidence.groupby("image_id")}
    images = manifest.set_index("image_id")
    for task in outcomes["task"].unique():
        misses, guesses = missed(outcomes, task), wide(outcomes, task, "predicted")
        chances = wide(outcomes, task, "p_true").mean(axis=1)
        splits = outcomes[outcomes["task"] == task].groupby("image_id")["split"].first()
        ids = misses.index[missed_by_every(misses)]
        for image_id in sorted(ids, key=lambda i: (round(chances[i], DIGITS), i)):
            votes, image = guesses.loc[image_id].value_counts(), images.loc[image_id]
            rows.append(
                {
                    "task": task,
                    "image_id": int(image_id),
                    "split": splits[image_id],
                    "label": image["label"],
                    "votes": json.dumps({k: int(votes[k]) for k in sorted(votes.index, key=lambda k: (-votes[k], k))}),
                    "models": misses.shape[1],
                    "p_true": float(chances[image_id]),
                    "captions_for_label": int(image["captions_for_label"]),
                    "captions_total": int(image["captions_total"]),
                    "captions": json.dumps(told.get(image_id, []), ensure_ascii=False),
                }
            )
    return rows


def missed_table(
    outcomes: pd.DataFrame, manifest: pd.DataFrame, evidence: pd.DataFrame, header: str, listed: int
) -> Table:
    """`missed_by_all`: all in the CSV, for people at most `listed` of the first task."""
    rows = missed_by_all(outcomes, manifest, evidence)
    seen = seeing(outcomes)
    tasks, notes = list(seen["task"].unique()), []
    lines = [row for row in rows if row["task"] == tasks[0]][:listed] if tasks else []
    for task in tasks:
        misses = missed(seen, task)
        every, right = int(missed_by_every(misses).sum()), int((~misses.any(axis=1)).sum())
        notes.append(
            f"Task {task}, {images_text(outcomes, task)}: every model that sees the picture ({misses.shape[1]} of "
            f"them) misses {every:,}, every one gets {right:,} right."
        )
        if task == tasks[0]:
            notes += [
                f"{ENSEMBLE} {BLIND_NOTE}",
                f"Shown: {len(lines):,} of {every:,} of task {task}, least probable label first; missed_by_all.csv has "
                "all.",
                "Votes: how many models predict each class. ✓: the caption mentions the label's class; ✗: another's.",
            ]
    if not lines:
        notes.append("There is no such image." if tasks else "No model here sees the picture.")
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


def overlap(a: np.ndarray, b: np.ndarray) -> dict:
    """How far two models miss the same images, from whether each misses them, bool [n], n > 0: n, missed_a, missed_b,
    both (shares of the images), both_expected, jaccard (of the images that either misses, the share that both
    miss), jaccard_expected, kappa, note.

    Expected: if the models missed independently of each other, each as often as it does. kappa: agreement beyond
    that (Cohen 1960), 1 if both miss the same images, 0 if no more than expected, and then also if one misses
    none or all. Symmetric in a and b but for their own shares.
    """
    a, b = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    n, of_a, of_b = len(a), float(a.mean()), float(b.mean())
    both, either = int((a & b).sum()), int((a | b).sum())
    expected = of_a * of_b
    result = {"n": n, "missed_a": of_a, "missed_b": of_b, "both": both / n, "both_expected": expected}
    result |= {"jaccard": None, "jaccard_expected": None, "kappa": None, "note": ""}
    if not either:
        return result | {"note": "Neither misses an image: Jaccard's index and kappa are not defined."}
    result |= {"jaccard": both / either, "jaccard_expected": expected / (of_a + of_b - expected)}
    if a.all() and b.all():
        return result | {"note": "Both miss every image: kappa is not defined."}
    agree, chance = float((a == b).mean()), expected + (1 - of_a) * (1 - of_b)
    return result | {"kappa": (agree - chance) / (1 - chance)}


def overlaps(outcomes: pd.DataFrame) -> list[dict]:
    """`overlap` of every pair of models that see the picture: task, a, b and what it tells, closest pair first."""
    rows = []
    outcomes = seeing(outcomes)
    for task in outcomes["task"].unique():
        misses = missed(outcomes, task)
        pairs = [
            {"task": task, "a": a, "b": b, **overlap(misses[a].to_numpy(), misses[b].to_numpy())}
            for a, b in combinations(misses, 2)
        ]
        rows += sorted(pairs, key=lambda row: -2 if row["kappa"] is None else row["kappa"], reverse=True)
    return rows


def overlap_table(
    rows: Sequence[Mapping], outcomes: pd.DataFrame, trained: Sequence[tuple[str, str]], header: str
) -> Table:
    """`overlaps`: all in the CSV; for people the first task's pairs of `trained` models ((task, model))."""
    task = outcomes["task"].iloc[0]
    shown = [row for row in rows if row["task"] == task and all((task, row[k]) in trained for k in "ab")]
    notes = [
        f"Task {task}, {images_text(outcomes, task)}, pairs of trained models; error_overlap.csv has every task and "
        f"every model that sees the picture. {ENSEMBLE}",
        "Shares of images. If independent: the share to expect if each missed as many, whatever the other does. "
        "Jaccard: of the images that either misses, the share that both miss. κ: Cohen's, 1 if they miss the same "
        "images, 0 if they agree as often as independent models do; models that favour the same classes share "
        "errors for that reason too.",
        *(row["note"] for row in shown),
    ]
    if not shown:
        notes.append("There is no pair of trained models to compare.")
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
