"""Charts as HTML with small inline drawings: they need no script, scale to a phone, and each row tells its numbers."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from har.evaluation.predictions import HELD_OUT
from har.evaluation.scored import HEADLINE
from har.reporting.answers import SCORES, read_table
from har.reporting.names import model_name, split_name
from har.reporting.page.html import render
from har.reporting.table import estimate, number

TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def accuracy(path: Path, task: str, classes: int, caption: str, unit: str = "images") -> Markup:
    """Balanced accuracy of each model with its interval over images, from Table 5 or 7 as CSV (SCORES, and
    where the images are the paper's paper_accuracy), best first by the held-out images; a row leads to the images the
    model gets wrong. unit: what predictions are of (har.config.data.Data.unit)."""
    frame = read_table(path, SCORES)
    if "paper_accuracy" not in frame.columns:
        frame["paper_accuracy"] = None
    splits = [split for split in (HELD_OUT, "test") if (frame.split == split).any()]
    frame["height"] = "50%" if len(splits) < 2 else frame.split.map(dict(zip(splits, ("32%", "70%"), strict=True)))
    scores = {key: part.set_index("model").to_dict("index") for key, part in frame.groupby("split")}
    best = scores.get(splits[0] if splits else "", {})
    ranked = sorted(dict.fromkeys(frame.model), key=lambda m: -best[m][HEADLINE] if m in best else 1)
    keys = [(split, f"{split_name(split)}, {frame.n[frame.split == split].max():,} {unit}") for split in splits]
    if frame.paper_accuracy.notna().any():
        keys.append(("paper", "the paper's accuracy"))
    rows = []
    for model in ranked:
        mine = [scores[split][model] | {"split": split} for split in splits if model in scores[split]]
        printed = next((one["paper_accuracy"] for one in mine if pd.notna(one["paper_accuracy"])), None)
        told = [_told(one, unit) for one in mine] + ([] if printed is None else [f"paper {number(printed)}"])
        rows.append(
            {
                "model": model,
                "name": model_name(model),
                "about": f"{model_name(model)}: {'; '.join(told)}",
                "printed": printed,
                "scores": mine[::-1],  # the first split last, on top
                "value": number(best[model][HEADLINE]) if model in best else "",
            }
        )
    shown = {"task": task, "classes": classes, "caption": caption, "unit": unit}
    return render("accuracy.html.jinja", **shown, keys=keys, rows=rows, ticks=TICKS)


def _told(score: Mapping, unit: str) -> str:
    figures = estimate(score[HEADLINE], score["balanced_low"], score["balanced_high"])
    runs = f"{score['runs']} run{'s' if score['runs'] > 1 else ''}"
    return f"{figures} on {score['n']:,} {split_name(score['split'])} {unit}, {runs}"


def funnel(path: Path, title: str, names: Mapping[str, str], table: Markup, own: bool = False) -> Markup:
    """The rules of curation as bars of images, `funnel.csv` (rule, images, images_<class>), and `table` folded
    below; `names`: how a reader knows the classes; `own`: the images are the user's own, whose labels come from no
    caption. The last rows, from "drawn" on, divide what the rule before them kept."""
    frame = read_table(path, ("rule", "images"))
    classes = [name.removeprefix("images_") for name in frame.columns if name.startswith("images_")]
    rows = [
        {
            "rule": str(row["rule"]),
            "images": int(row["images"]),
            "told": ", ".join(f"{names.get(c, c)} {int(n):,}" for c in classes if pd.notna(n := row[f"images_{c}"])),
        }
        for row in frame.to_dict("records")
    ]
    shown = {"title": title, "own": own, "rows": rows, "most": max(int(frame.images.max()), 1), "table": table}
    return render("funnel.html.jinja", **shown)
