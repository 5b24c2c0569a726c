"""What the tables of evidence share: the order of models, and how a row and its intervals are written."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from har.evaluation.scored import Key, Scored
from har.evaluation.summary import Estimate
from har.reporting.names import model_name
from har.reporting.table import NONE, Table, interval, number, plain_frame


def figure_columns(name: str, value: float | None, low: float | None = None, high: float | None = None) -> dict:
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def estimate_columns(name: str, estimate: Estimate, level: float) -> dict:
    return figure_columns(name, estimate.mean, *estimate.interval(level))


def with_interval(row: Mapping, name: str, sign: bool = False) -> str:
    """0.612 [0.580, 0.644]"""
    if row[name] is None:
        return NONE
    return f"{number(row[name], sign=sign)} {interval(row[f'{name}_low'], row[f'{name}_high'], sign)}"


def make_table(
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


def first_columns(key: Key, split: str, one: Scored) -> dict:
    task, model = key
    return {"task": task, "model": model, "split": split, "n": len(one.truth), "runs": len(one.seeds)}


def first_text(row: Mapping) -> dict:
    return {
        "Model": model_name(row["model"]),
        "Task": row["task"],
        "Split": row["split"],
        "n": f"{row['n']:,}",
    }


FIRST = ("task", "model", "split", "n", "runs")
FIRST_SHOWN = ("Model", "Task", "Split", "n")


def triples(names: Iterable[str]) -> list[str]:
    return [column for name in names for column in (name, f"{name}_low", f"{name}_high")]


def tasks_in(scored: Mapping[str, Mapping[Key, Scored]]) -> list[str]:
    return list(dict.fromkeys(task for found in scored.values() for task, _ in found))


def ranked(found: Mapping[Key, Scored], task: str) -> dict[Key, Scored]:
    """The models of `task`, the most accurate first."""
    mine = [key for key in found if key[0] == task]
    return {key: found[key] for key in sorted(mine, key=lambda key: -found[key].estimates["accuracy"].mean)}


def every_scored(scored: Mapping[str, Mapping[Key, Scored]]) -> Iterable[tuple[str, Key, Scored]]:
    """Split, key and model: task by task, split by split, the most accurate first."""
    for task in tasks_in(scored):
        for split, found in scored.items():
            for key, one in ranked(found, task).items():
                yield split, key, one


def over_images(level: float) -> str:
    return (
        f"Mean over runs [{level:.0%} interval over images of the mean of these runs: bootstrap of images, each with "
        "all its runs]."
    )
