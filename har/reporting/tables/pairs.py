"""Pairs of models on the same images."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from har.evaluation.paired import same_images, simultaneous
from har.evaluation.scored import HEADLINE
from har.reporting.names import model_name, needs_boxes, split_name
from har.reporting.table import Column, Table, number, p_value, pivoted, signed_estimate
from har.reporting.tables.columns import Evidence, figures, ranked, tasks_in, triple

POWER = 0.8
ALIKE_HERE = (
    "No interval: no image tells these two apart, or all do by the same, so these images say nothing of how they "
    "differ on others."
)
BETTER, WORSE, ALIKE, OPEN = "better", "worse", "as good", "not shown"


def verdict(low: float, high: float, margin: float) -> str:
    """What the interval of a difference says of the first model; NaN: there is none."""
    if low > 0 or high < 0:
        return BETTER if low > 0 else WORSE
    return ALIKE if -margin < low and high < margin else OPEN


def compared(of: Evidence, task: str, split: str, pairs: Sequence[tuple[str, str]]) -> list[dict]:
    """A row for each of `pairs`, models of `task`: the difference of their balanced accuracies, with intervals that
    hold for all of these pairs at once (har.evaluation.paired.simultaneous)."""
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    mine = {name: of.scored[split][task, name] for name in names}
    for one in mine.values():
        same_images(mine[names[0]].cells, one.cells, split)
    places = [(names.index(a), names.index(b)) for a, b in pairs]
    told = simultaneous([one.estimates[HEADLINE] for one in mine.values()], places, of.level, of.seed, POWER)
    rows = []
    for (a, b), difference, low, high, p, detectable in zip(pairs, *map(np.ndarray.tolist, told), strict=True):
        right = mine[a].cells.ensemble_hits(), mine[b].cells.ensemble_hits()
        row = {"task": task, "split": split, "a": a, "b": b, "n": len(right[0])}
        if low == high:
            low = high = p = detectable = np.nan
        row |= figures("difference", difference, low, high)
        row |= {"p": p, "verdict": verdict(low, high, of.margin), "detectable": detectable}
        rows.append(row | {"only_a": int((right[0] & ~right[1]).sum()), "only_b": int((right[1] & ~right[0]).sum())})
    return rows


def pairs_table(of: Evidence) -> Table:
    """Every pair of models on the same images. All in the CSV, a the better one, those of the leader first; for people
    the best model of the first task, on the larger split, against every other."""
    tasks, rows, lines, best = tasks_in(of.scored), [], [], ""
    for task in tasks:
        for split, found in of.scored.items():
            names = [model for _, model in ranked(found, task)]
            if len(names) < 2:
                continue
            some = compared(of, task, split, list(combinations(names, 2)))
            lead = next((name for name in names if not needs_boxes(name)), names[0])
            rows += sorted(some, key=lambda row: (lead not in (row["a"], row["b"]), -row["difference"]))
            if task == tasks[0]:
                best = best or lead
                lines += [turned(row) if row["b"] == best else row for row in some if best in (row["a"], row["b"])]
    notes = ["A single model: there is no pair to compare."]
    splits = list(dict.fromkeys(row["split"] for row in lines))
    if lines:
        notes = [
            f"Shown: {model_name(best)}, the best on {split_name(splits[0])} images without person boxes, against each "
            f"other row of {tasks[0]}; pairs.csv has all pairs of all tasks.",
            f"Difference of balanced accuracies [{of.level:.0%} intervals, which hold for all pairs of the task and "
            "split at once, so that the leader may be chosen after looking]. p: of no difference, from the same "
            "samples as the interval and adjusted to match (max-t). Both count how scores vary over images, drawn "
            "within each class with all runs of both, and over training runs.",
            f"Verdict: {BETTER} or {WORSE} where the interval leaves out 0, {ALIKE} where it lies within "
            f"± {of.margin:g}, else {OPEN}. Detectable: the least difference that this comparison finds with power "
            f"{POWER:.0%}.",
            "Only first, only second: images that one model's ensemble (mean probability over runs) gets right and the "
            "other's wrong.",
            ALIKE_HERE if any(np.isnan(row["difference_low"]) for row in lines) else "",
        ]
    columns = [
        Column(("a", "b"), "Pair", lambda a, b: f"{model_name(a)} − {model_name(b)}"),
        *map(Column, ("task", "split", "n", *triple("difference"))),
        Column("p", format=p_value),
        *map(Column, ("verdict", "detectable", "only_a", "only_b")),
        *(column for split in splits for column in _shown(split)),
    ]
    return Table("pairs", "The best model against every other", of.header, rows, columns, notes,
                 pivoted(lines, ("a", "b"), "split"))  # fmt: skip


def _shown(split: str) -> list[Column]:
    """What people read of a pair on `split`."""
    name = split_name(split)
    difference = tuple(f"{key}_{split}" for key in triple("difference"))
    return [
        Column(difference, f"{name.capitalize()}: difference", signed_estimate, csv=False),
        Column(f"p_{split}", f"p, {name}", p_value, csv=False),
        Column(f"verdict_{split}", f"Verdict, {name}", csv=False),
        Column(f"detectable_{split}", f"Detectable, {name}", number, csv=False),
        Column((f"only_a_{split}", f"only_b_{split}"), f"Only first / second, {name}", "{} / {}".format, csv=False),
    ]


def turned(row: Mapping) -> dict:
    """The same pair as b minus a: on another split the best model may be the worse one."""
    ends = figures("difference", -row["difference"], -row["difference_high"], -row["difference_low"])
    ends |= {"verdict": {BETTER: WORSE, WORSE: BETTER}.get(row["verdict"], row["verdict"])}
    return {**row, **ends, "a": row["b"], "b": row["a"], "only_a": row["only_b"], "only_b": row["only_a"]}
