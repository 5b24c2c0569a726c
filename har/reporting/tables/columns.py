"""What tables share: their columns, the order of models, and notes."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from har.evaluation.metrics import Cells
from har.evaluation.paired import estimated_difference
from har.evaluation.scored import HEADLINE, Key, Scored
from har.evaluation.summary import Estimate
from har.reporting.names import class_name, model_name, split_name
from har.reporting.table import Column, count, estimate, quote, signed_estimate

MODEL, N, RUNS = Column("model", "Model", model_name), Column("n", "n", count), Column("runs", "Runs")
SPLIT = Column("split", "Split", split_name)
FIRST = (MODEL, Column("task", "Task"), SPLIT, N)


class Evidence(NamedTuple):
    """What each table of har.reporting.tables.TABLES is made from.

    Attributes:
        scored: the models on each split.
        validated: each model's HEADLINE on images of train and validation that its fit did not see.
        header: what made the tables.
        level: of the intervals.
        margin: a difference below it is of no importance.
        seed: of the noise of runs.
        papers: whether the paper's values stand beside its tests.
        protocol: whether the settings are those of docs/protocol.md, in words.
        recommended: the row that `har predict` takes.
    """

    scored: Mapping[str, Mapping[Key, Scored]]
    validated: Mapping[Key, Estimate]
    header: str = ""
    level: float = 0.95
    margin: float = 0.05
    seed: int = 0
    papers: bool = True
    protocol: str = ""
    recommended: str = ""


def class_text(name: str) -> str:
    return quote(class_name(name))


def triple(name: str) -> tuple[str, str, str]:
    return name, f"{name}_low", f"{name}_high"


def figure_column(name: str, title: str, sign: bool = False) -> Column:
    """A figure with its interval, from <name>, <name>_low and <name>_high."""
    return Column(triple(name), title, signed_estimate if sign else estimate)


def figures(name: str, value: float | None, low: float | None = None, high: float | None = None) -> dict:
    """The values of a `figure_column`."""
    return dict(zip(triple(name), (value, low, high), strict=True))


def estimated(name: str, found: Estimate, level: float) -> dict:
    return figures(name, found.mean, *found.interval(level))


def estimated_gap(name: str, a: Estimate, b: Estimate, level: float) -> dict:
    """a minus b."""
    gap = estimated_difference(a, b, level)
    return figures(name, gap["difference"], gap["ci_low"], gap["ci_high"])


def first_values(key: Key, split: str, one: Scored) -> dict:
    task, model = key
    return {"task": task, "model": model, "split": split, "n": len(one.cells.truth), "runs": len(one.cells.seeds)}


def tasks_in(scored: Mapping[str, Mapping[Key, Scored]]) -> list[str]:
    return list(dict.fromkeys(task for found in scored.values() for task, _ in found))


def ranked(found: Mapping[Key, Scored], task: str) -> dict[Key, Scored]:
    """The models of `task`, best first by HEADLINE."""
    mine = [key for key in found if key[0] == task]
    return {key: found[key] for key in sorted(mine, key=lambda key: -found[key].estimates[HEADLINE].mean)}


def every_scored(scored: Mapping[str, Mapping[Key, Scored]]) -> Iterable[tuple[str, Key, Scored]]:
    """Split, key and model: task by task, split by split, the best first."""
    for task in tasks_in(scored):
        for split, found in scored.items():
            for key, one in ranked(found, task).items():
                yield split, key, one


def counts(found: Mapping[Key, Scored]) -> str:
    """activity: walking / running 22, sitting 158, standing 185"""
    mixes = {task: class_mix(one.cells) for (task, _), one in found.items()}
    return "; ".join(f"{task}: {mix}" for task, mix in mixes.items())


def class_mix(one: Cells) -> str:
    """walking / running 10, sitting 10, standing 9"""
    sizes = np.bincount(one.truth, minlength=len(one.classes))
    return ", ".join(f"{class_name(name)} {size:,}" for name, size in zip(one.classes, sizes, strict=True))


def over_images(level: float) -> str:
    return (
        f"Mean over runs [{level:.0%} interval over images of the mean of these runs: bootstrap of images, each with "
        "all its runs]."
    )


def equals(name: str, text: str) -> str:
    """p = 0.032, p < 0.001"""
    return f"{name} {text}" if text.startswith("<") else f"{name} = {text}"
