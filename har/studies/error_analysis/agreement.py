"""Do models fail on the same images? Images that all miss, and every pair of models."""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from har.reporting.names import class_name, model_name
from har.reporting.table import Table, number, plain_frame
from har.studies.error_analysis.factors import images_text
from har.studies.error_analysis.outcomes import DIGITS, missed, wide

BLIND = ("majority", "metadata")  # they see no pixel: what they miss says nothing about a picture
ENSEMBLE = "A model misses an image where its ensemble (mean probability over runs) is wrong."


def seeing(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The outcomes of the models that look at the picture."""
    return outcomes[~outcomes["model"].isin(BLIND)]


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
        {"task": task, "models": size, "missed_by": k, "images": int(found[k]), "share": found[k] / len(misses),
         "expected": float(expected[k])}
        for k in range(size + 1)
    ]  # fmt: skip


def count_table(outcomes: pd.DataFrame, header: str) -> Table:
    """How many images are missed by 0, 1, ... models, for every task."""
    tasks = list(seeing(outcomes)["task"].unique())
    counted = {task: miss_counts(outcomes, task) for task in tasks}
    text = []
    for k in range(max((len(rows) for rows in counted.values()), default=0)):
        line = {"Models that miss it": str(k)}
        for task, rows in counted.items():
            row = rows[k] if k < len(rows) else None
            name = f"{task}, {rows[0]['models']} models"
            line |= {
                f"Images: {name}": f"{row['images']:,}" if row else "",
                f"If independent: {task}": number(row["expected"], 1) if row else "",
            }
        text.append(line)
    notes = [
        f"{ENSEMBLE} {_which(outcomes, tasks)} Without the majority class and metadata, which see no picture.",
        "If independent: images to expect if each model missed as many as it does, whatever the others do. Models that "
        "favour the same classes share errors for that reason too.",
    ]
    if not tasks:
        notes.append("No model here sees the picture.")
    rows = [
        row | {name: round(row[name], DIGITS) for name in ("share", "expected")}
        for found in counted.values()
        for row in found
    ]
    body = pd.DataFrame(text) if text else pd.DataFrame(columns=["Models that miss it"])
    return Table("miss_counts", "How many models miss an image", header, plain_frame(rows), body, tuple(notes))


def _which(outcomes: pd.DataFrame, tasks: Sequence[str]) -> str:
    return " ".join(f"{task.capitalize()}: {images_text(outcomes, task)}." for task in tasks)


# --- images that all miss ----------------------------------------------------------------------------------


def missed_by_all(outcomes: pd.DataFrame, manifest: pd.DataFrame, evidence: pd.DataFrame) -> list[dict]:
    """Images that every model which sees them misses, the lowest mean probability of the true class first: task,
    image_id, split, label, votes (JSON: class to number of models), models, p_true (mean over models),
    captions_fired, captions_total, captions (JSON: each with the classes it fires for)."""
    rows = []
    outcomes = seeing(outcomes)
    told = {k: list(zip(part["caption"], part["fires"], strict=True)) for k, part in evidence.groupby("image_id")}
    images = manifest.set_index("image_id")
    for task in outcomes["task"].unique():
        misses, guesses = missed(outcomes, task), wide(outcomes, task, "predicted")
        chances = wide(outcomes, task, "p_true").mean(axis=1)
        splits = outcomes[outcomes["task"] == task].groupby("image_id")["split"].first()
        ids = misses.index[misses.all(axis=1)]
        for image_id in sorted(ids, key=lambda i: (round(chances[i], DIGITS), i)):
            votes = guesses.loc[image_id].value_counts()
            image = images.loc[image_id]
            rows.append(
                {
                    "task": task,
                    "image_id": int(image_id),
                    "split": splits[image_id],
                    "label": image["label"],
                    "votes": json.dumps({k: int(votes[k]) for k in sorted(votes.index, key=lambda k: (-votes[k], k))}),
                    "models": misses.shape[1],
                    "p_true": round(float(chances[image_id]), DIGITS),
                    "captions_fired": int(image["captions_fired"]),
                    "captions_total": int(image["captions_total"]),
                    "captions": json.dumps(told.get(image_id, []), ensure_ascii=False),
                }
            )
    return rows


MISSED = (
    "task", "image_id", "split", "label", "votes", "models", "p_true", "captions_fired", "captions_total", "captions",
)  # fmt: skip
MISSED_SHOWN = ("Image", "Split", "Label", "Votes", "Mean p of the label", "Captions for it", "Captions")


def missed_table(
    outcomes: pd.DataFrame, manifest: pd.DataFrame, evidence: pd.DataFrame, header: str, listed: int
) -> Table:
    """`missed_by_all`: all in the CSV, for people at most `listed` of the first task."""
    rows = missed_by_all(outcomes, manifest, evidence)
    seen = seeing(outcomes)
    tasks = list(seen["task"].unique())
    text, notes = [], []
    if tasks:
        task = tasks[0]
        misses = missed(seen, task)
        mine = [row for row in rows if row["task"] == task]
        for row in mine[:listed]:
            votes = json.loads(row["votes"])
            captions = [caption_text(caption, fires, row["label"]) for caption, fires in json.loads(row["captions"])]
            cells = (
                str(row["image_id"]),
                row["split"],
                class_name(row["label"]),
                ", ".join(f"{class_name(name)} {n}" for name, n in votes.items()),
                number(row["p_true"]),
                f"{row['captions_fired']} of {row['captions_total']}",
                " · ".join(captions),
            )
            text.append(dict(zip(MISSED_SHOWN, cells, strict=True)))
        right = int((~misses.any(axis=1)).sum())
        notes = [
            f"Task {task}, {images_text(outcomes, task)}: every model that sees the picture "
            f"({misses.shape[1]} of them) misses {len(mine):,}, every one gets {right:,} right. {ENSEMBLE}",
            f"Shown: {len(text):,} of {len(mine):,}, least probable label first; missed_by_all.csv has all.",
            "Votes: models that say so. ✓: the caption fires for the label; ✗: for another class.",
        ]
        for other in tasks[1:]:
            misses = missed(seen, other)
            both = int(misses.all(axis=1).sum()), int((~misses.any(axis=1)).sum())
            notes.append(
                f"Task {other}, {images_text(outcomes, other)}: every model ({misses.shape[1]}) misses {both[0]:,}, "
                f"every one gets {both[1]:,} right (missed_by_all.csv)."
            )
    if not text:
        notes.append("There is no such image." if tasks else "No model here sees the picture.")
    frame = plain_frame(rows) if rows else pd.DataFrame(columns=list(MISSED))
    shown = pd.DataFrame(text, columns=list(MISSED_SHOWN))
    return Table("missed_by_all", "Images that every model misses", header, frame, shown, tuple(notes))


def caption_text(caption: str, fires: str, label: str) -> str:
    """A caption, a stranger's words, so that no character of it is Markdown, after the mark of what it fires for."""
    plain = "".join(f"\\{c}" if c in "\\`*_[]<>#~&" else c for c in " ".join(caption.split()))
    classes = [name for name in fires.split("+") if name]
    return f"{'✓ ' if label in classes else '✗ ' if classes else ''}{plain}"


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


OVERLAP = (
    "task", "a", "b", "n", "missed_a", "missed_b", "both", "both_expected", "jaccard", "jaccard_expected", "kappa",
    "note",
)  # fmt: skip
OVERLAP_SHOWN = ("Pair", "Missed by each", "Both miss", "If independent", "Jaccard", "Jaccard, independent", "κ")


def overlap_table(
    rows: Sequence[Mapping], outcomes: pd.DataFrame, trained: Sequence[tuple[str, str]], header: str
) -> Table:
    """`overlaps`: all in the CSV; for people the first task's pairs of `trained` models ((task, model))."""
    task = outcomes["task"].iloc[0]
    shown = [row for row in rows if row["task"] == task and all((task, row[k]) in trained for k in "ab")]
    text = []
    for row in shown:
        cells = (
            f"{model_name(row['a'])} and {model_name(row['b'])}",
            f"{number(row['missed_a'], 2)} / {number(row['missed_b'], 2)}",
            number(row["both"]),
            number(row["both_expected"]),
            number(row["jaccard"]),
            number(row["jaccard_expected"]),
            number(row["kappa"], 2, sign=True),
        )
        text.append(dict(zip(OVERLAP_SHOWN, cells, strict=True)))
    notes = [
        f"Task {task}, {images_text(outcomes, task)}, pairs of trained models; error_overlap.csv has every task and "
        f"every model that sees the picture. {ENSEMBLE}",
        "Shares of images. If independent: the share to expect if each missed as many, whatever the other does. "
        "Jaccard: of the images that either misses, the share that both miss. κ: Cohen's, 1 if they miss the same "
        "images, 0 if they agree as often as independent models do; models that favour the same classes share "
        "errors for that reason too.",
        *dict.fromkeys(row["note"] for row in shown if row["note"]),
    ]
    if not shown:
        notes.append("There is no pair of trained models to compare.")
    plain = [{k: round(v, DIGITS) if isinstance(v, float) else v for k, v in row.items()} for row in rows]
    frame = plain_frame(plain)[list(OVERLAP)] if plain else pd.DataFrame(columns=list(OVERLAP))
    body = pd.DataFrame(text, columns=list(OVERLAP_SHOWN))
    return Table("error_overlap", "Do models miss the same images?", header, frame, body, tuple(notes))
