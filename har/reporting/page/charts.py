"""Charts as HTML with small inline drawings: they need no script, scale to a phone, and each row tells its numbers."""

import html
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from har.core.errors import HarError
from har.core.readers import read_csv
from har.reporting.names import model_name
from har.reporting.table import interval, number

TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table of the reports as CSV; HarError names a column that is missing."""
    frame = read_csv(path, "a table of the reports", text=False)
    if missing := [name for name in columns if name not in frame.columns]:
        raise HarError(f"{path}: column {missing[0]!r} is missing, expected {', '.join(columns)}")
    return frame


def accuracy(path: Path, task: str, classes: int, caption: str) -> str:
    """Accuracy of each model with its interval over images, from Table 5 or 7 as CSV (model, split, n, runs, accuracy,
    ci_low, ci_high, and paper_accuracy where the classes are the paper's), best first by the larger test set; a row
    leads to the images the model gets wrong."""
    frame = read_table(path, ("model", "split", "n", "runs", "accuracy", "ci_low", "ci_high"))
    if "paper_accuracy" not in frame.columns:
        frame["paper_accuracy"] = None
    splits = [split for split in ("extended", "test") if (frame.split == split).any()]
    scores = {(row.model, row.split): row._asdict() for row in frame.itertuples()}
    first = splits[0] if splits else "test"
    ranked = sorted(dict.fromkeys(frame.model), key=lambda m: -scores.get((m, first), {"accuracy": -1})["accuracy"])
    sizes = {split: int(frame.n[frame.split == split].max()) for split in splits}
    keys = "".join(
        f'<li><svg width="16" height="16" class="{split}" aria-hidden="true">{_mark(split, "50%", "50%")}</svg>'
        f"{split}, {sizes[split]:,} images</li>"
        for split in splits
    )
    if frame.paper_accuracy.notna().any():
        keys += (
            f'<li><svg width="16" height="16" class="paper" aria-hidden="true">{_mark("paper", "50%", "50%")}</svg>'
            "the paper</li>"
        )
    rows = "\n".join(_accuracy_row(model, task, splits, scores, 1 / classes) for model in ranked)
    ticks = "".join(f'<text x="{tick:.0%}" y="14" text-anchor="{_towards(tick)}">{tick:g}</text>' for tick in TICKS)
    return (
        f'<figure class="chart" id="chart-{task}">\n<figcaption>{html.escape(caption)}'
        f"<small>Mean over runs; the line is the interval over images; dotted: chance, 1/{classes}. A row leads to the "
        f"images that the model gets wrong.</small></figcaption>\n"
        f'<ul class="keys">{keys}</ul>\n<ol>\n{rows}\n</ol>\n'
        f'<div class="axis" aria-hidden="true"><svg height="18">{ticks}</svg></div>\n'
        f'<p class="readout" data-rest="Point at a row, or tab to it, for all of its numbers.">Point at a row, or tab '
        f"to it, for all of its numbers.</p>\n</figure>"
    )


def _towards(share: float) -> str:
    return "start" if share == 0 else "end" if share == 1 else "middle"


def _mark(kind: str, x: str, y: str) -> str:
    if kind == "extended":
        return f'<circle cx="{x}" cy="{y}" r="5"/>'
    shape = "M-4-4H4V4H-4Z" if kind == "test" else "M0-5.5 5.5 0 0 5.5-5.5 0Z"
    return f'<svg x="{x}" y="{y}" overflow="visible"><path d="{shape}"/></svg>'


def _accuracy_row(model: str, task: str, splits: list[str], scores: Mapping, chance: float) -> str:
    drawn = "".join(f'<line class="grid" x1="{t:.0%}" x2="{t:.0%}" y1="0" y2="100%"/>' for t in TICKS)
    drawn += f'<line class="chance" x1="{chance:.2%}" x2="{chance:.2%}" y1="0" y2="100%"/>'
    told, name = [], html.escape(model_name(model))
    printed = [
        s["paper_accuracy"] for split in splits if (s := scores.get((model, split))) and pd.notna(s["paper_accuracy"])
    ]
    if printed:
        drawn += f'<g class="paper">{_mark("paper", f"{printed[0]:.2%}", "50%")}</g>'
        told.append(f"paper {number(printed[0])}")
    for split in reversed(splits):  # the first split last, on top
        score = scores.get((model, split))
        if score is None:
            continue
        height = "50%" if len(splits) == 1 else "32%" if split == splits[0] else "70%"
        low, high, mean = (f"{score[key]:.2%}" for key in ("ci_low", "ci_high", "accuracy"))
        line = f'<line x1="{low}" x2="{high}" y1="{height}" y2="{height}"/>'
        drawn += f'<g class="{split}">{line}{_mark(split, mean, height)}</g>'
        runs = f"{score['runs']} run{'s' if score['runs'] > 1 else ''}"
        told.insert(
            0,
            f"{number(score['accuracy'])} {interval(score['ci_low'], score['ci_high'])} on {score['n']:,} {split} "
            f"images, {runs}",
        )
    shown = scores.get((model, splits[0]))
    value = number(shown["accuracy"]) if shown else ""
    about = f"{name}: {'; '.join(told)}"
    link = f"#images?model={html.escape(f'{task}-{model}')}&amp;verdict=wrong"
    return (
        f'<li><a href="{link}" data-told="{about}"><span class="name" aria-hidden="true">{name}</span>'
        f'<svg role="img" aria-label="{about}">{drawn}</svg>'
        f'<span class="value" aria-hidden="true">{value}</span></a></li>'
    )


def funnel(path: Path, names: Mapping[str, str]) -> str:
    """The rules of curation as bars of images, `funnel.csv` (rule, images, images_<class>); `names`: how a
    reader knows the classes. The last rows, from "drawn" on, divide what the rule before them kept."""
    frame = read_table(path, ("rule", "images"))
    most = max(int(frame.images.max()), 1)
    classes = [name.removeprefix("images_") for name in frame.columns if name.startswith("images_")]
    rows = []
    for row in frame.to_dict("records"):
        counts = [(c, int(row[f"images_{c}"])) for c in classes if pd.notna(row[f"images_{c}"])]
        told = ", ".join(f"{html.escape(names.get(c, c))} {count:,}" for c, count in counts)
        part = ' class="part"' if row["rule"] in ("drawn", "extended") else ""
        rows.append(
            f'<li{part}><span class="name">{html.escape(str(row["rule"]))}</span>'
            f'<svg height="14" aria-hidden="true"><rect width="{row["images"] / most:.2%}" height="14" rx="2"/></svg>'
            f'<span class="value">{int(row["images"]):,}</span>'
            f"<small>{told or 'not labelled yet'}</small></li>"
        )
    return (
        '<figure class="funnel"><figcaption>From captions to images<small>How many images each rule keeps. A class '
        "counts where its captions fire, so classes overlap until the rule that forbids it.</small></figcaption>\n"
        f"<ol>\n{chr(10).join(rows)}\n</ol></figure>"
    )
