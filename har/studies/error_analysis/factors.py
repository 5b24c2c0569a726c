"""Errors against what an image is like: rates in bins, and one test for each factor and model."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from har.data.groups import by_image
from har.evaluation.anova import with_holm
from har.evaluation.bootstrap import Mean, mean_with_interval, wilson
from har.reporting.names import model_name
from har.reporting.table import NONE, Bold, Column, Linked, Table, estimate, number, p_value, pivoted
from har.reporting.tables.columns import MODEL, equals, figures, triple
from har.studies.error_analysis.outcomes import FACTORS, SPLITS

Bins = Mapping[str, float | None]  # name to upper bound, ascending; the last is open
UNKNOWN = "not annotated"


# --- bins --------------------------------------------------------------------------------------------------


def binned(values: np.ndarray, bins: Bins) -> np.ndarray:
    """The bin of each of `values` [n], by its place in `bins`; len(bins) for what is not annotated (NaN). A bin
    holds what lies above the bound before and not above its own."""
    bounds = [bound for bound in bins.values() if bound is not None]
    return np.where(pd.isna(values), len(bins), np.searchsorted(bounds, values, side="left"))


def bounds_text(factor: str, bins: Bins) -> dict[str, str]:
    """Each bin with its bounds, as people read it: small (5–15 %)."""
    unit, texts, low = FACTORS[factor].unit, {}, None
    shown = {"share": lambda v: f"{100 * v:g}", "count": lambda v: f"{v:g}", "pixels": lambda v: f"{v:,.0f}"}[unit]
    suffix = {"share": " %", "count": "", "pixels": " px"}[unit]
    for name, high in bins.items():
        if high is None:
            span = f"> {shown(low)}"
        elif unit == "count":
            span = f"{shown(low + 1)}–{shown(high)}" if low is not None and high > low + 1 else shown(high)
        elif low is not None:
            span = f"{shown(low)}–{shown(high)}"
        else:
            span = f"≤ {shown(high)}" if high else shown(high)
        texts[name] = f"{name.replace('_', ' ')} ({span}{suffix})"
        low = high
    return texts


def image_bins(factors: pd.DataFrame, bins: Mapping[str, Bins]) -> list[dict]:
    """Each factor that any image of `factors` (outcomes.factor_frame) tells: name, title, bins (name to text), of (by
    image_id, the place of each image's bin, len(bins) where not annotated)."""
    values = factors.set_index("image_id")
    return [
        {
            "name": name,
            "title": FACTORS[name].title,
            "bins": bounds_text(name, mine),
            "of": pd.Series(binned(values[name], mine), index=values.index),
        }
        for name, mine in bins.items()
        if values[name].notna().any()
    ]


# --- rates -------------------------------------------------------------------------------------------------


def error_rate(errors: pd.Series, runs: int, level: float = 0.95) -> Mean:
    """Mean of `errors` (share of `runs` wrong on each image, by har.data.groups.by_image) and its `level` interval over
    images or groups: plain Wilson for a single run on images that stand alone."""
    if runs == 1 and len(errors) and errors.index.nlevels == 1:
        return Mean(float(errors.mean()), *wilson(round(float(errors.sum())), len(errors), level))
    return mean_with_interval(errors, level=level)


def rates(outcomes: pd.DataFrame, factor: str, bins: Bins, level: float = 0.95) -> list[dict]:
    """A row for each task, model and bin, empty ones too: task, model, bin, above, up_to, n, runs, error, error_low,
    error_high. What is not annotated is the last bin."""
    bounds = [None, *bins.values(), None]
    rows = []
    for (task, model), part in outcomes.groupby(["task", "model"], sort=False):
        places, runs = binned(part[factor].to_numpy(), bins), int(part["runs"].iloc[0])
        for place, name in enumerate([*bins, UNKNOWN]):
            errors = part["error"].set_axis(by_image(part))[places == place]
            row = {"task": task, "model": model, "bin": name, "n": len(errors), "runs": runs}
            row |= {"above": bounds[place], "up_to": bounds[place + 1]}
            rows.append(row | figures("error", *error_rate(errors, runs, level)))
    return rows


# --- tests -------------------------------------------------------------------------------------------------


def trend(values: np.ndarray, errors: np.ndarray, labels: np.ndarray) -> dict:
    """Whether `errors` [n] rise or fall with `values` [n] among images of the same class: rho, p, n, note.

    The generalised Cochran-Mantel-Haenszel test of correlation (Mantel 1963; Landis, Heyman & Koch 1978), strata
    are the classes (`labels`), scores the ranks of `values` over all images: T, the sum over classes of the
    covariances, against its exact permutation variance; T² / variance is, with many images, chi-squared with one
    degree of freedom. It asks only that images could change places within their class, so errors may be shares of
    any number of runs, and a class that a model favours does not pass for an effect of what is common in that
    class. It needs no bin and no draw. rho: the pooled correlation within classes, -1 to 1. Values that are not
    annotated (NaN) are left out.
    """
    from scipy import stats

    known = ~np.isnan(np.asarray(values, float))
    values, errors, labels = (np.asarray(each)[known] for each in (values, errors, labels))
    ranks = stats.rankdata(values) if len(values) else values
    total = variance = value_squares = error_squares = 0.0
    for label in np.unique(labels):
        x, y = (_centred(each[labels == label]) for each in (ranks, errors))
        xx, yy = float(x @ x), float(y @ y)
        value_squares, error_squares = value_squares + xx, error_squares + yy
        total, variance = total + float(x @ y), variance + xx * yy / max(len(x) - 1, 1)
    reasons = {
        "no image is annotated": not len(values),
        "images of a class do not differ in it": not value_squares,
        "the model errs alike on all images of a class": not error_squares,
        "no class differs both in it and in errors": not variance,
    }
    if note := next((why for why, holds in reasons.items() if holds), ""):
        return {"rho": None, "p": None, "n": len(values), "note": note}
    rho = max(-1.0, min(1.0, total / math.sqrt(value_squares * error_squares)))
    return {"rho": rho, "p": float(stats.chi2.sf(total**2 / variance, 1)), "n": len(values), "note": ""}


def _centred(values: np.ndarray) -> np.ndarray:
    # what is constant must give zeros, not the rounding of its mean
    return values - values.mean() if np.ptp(values) else np.zeros(len(values))


def trends(outcomes: pd.DataFrame) -> list[dict]:
    """`trend` for each task, model and factor: task, model, factor, n, rho, p, p_holm, note. Holm over all models and
    factors of a task."""
    rows = []
    for _, every in outcomes.groupby("task", sort=False):
        found = [
            {"task": task, "model": model, "factor": factor}
            | trend(part[factor].to_numpy(), part["error"].to_numpy(), part["label"].to_numpy())
            for (task, model), part in every.groupby(["task", "model"], sort=False)
            for factor in FACTORS
        ]
        rows += with_holm(found)
    return rows


# --- tables ------------------------------------------------------------------------------------------------


def images_text(outcomes: pd.DataFrame, task: str, unit: str) -> str:
    """What a table is about: 29 test and 1,000 extended images. unit: what predictions are of
    (har.config.data.Data.unit)."""
    splits = outcomes[outcomes["task"] == task].drop_duplicates("image_id")["split"]
    parts = [f"{n:,} {split}" for split in SPLITS if (n := int((splits == split).sum()))]
    return " and ".join(parts) + f" {unit[:-1] if len(splits) == 1 else unit}"


def rate_table(
    outcomes: pd.DataFrame, factor: str, bins: Bins, header: str, level: float = 0.95, unit: str = "images"
) -> Table:
    """Error rates in the bins of `factor`: every task in the CSV, the first one for people."""
    rows = rates(outcomes, factor, bins, level)
    task = outcomes["task"].iloc[0]
    first = [row for row in rows if row["task"] == task]
    titles = bounds_text(factor, bins) | {UNKNOWN: UNKNOWN}
    counts = {row["bin"]: row["n"] for row in first}
    what = FACTORS[factor]
    empty = [titles[name] for name in bins if not counts[name]]
    notes = [
        f"{what.title}: {what.what}.",
        f"Error rate, mean over runs [{level:.0%} interval over images], task {task}, "
        f"{images_text(outcomes, task, unit)} together. A bin holds what lies above its lower bound and up to its "
        "upper one.",
        "The majority class shows what the mix of classes in a bin alone does."
        if any(row["model"] == "majority" for row in first)
        else "",
        f"No image: {', '.join(empty)}." if empty else "",
        f"by_{factor}.csv has every task." if outcomes["task"].nunique() > 1 else "",
    ]

    def shown(name: str, error: float, low: float | None, high: float | None, model: str) -> str:
        """A rate that leads to the images of its bin that the model misses."""
        text = estimate(error, low, high, digits=2)
        filters = {"model": f"{task}-{model}", "split": "held_out", "verdict": "wrong", factor: name}
        return text if name == UNKNOWN else Linked.to(text, **filters)

    columns = [MODEL, *map(Column, ("task", "bin", "above", "up_to", "n", "runs", *triple("error")))]
    for name, text in titles.items():
        if counts[name]:
            values = (*(f"{key}_{name}" for key in triple("error")), "model")
            columns.append(Column(values, f"{text}, n = {counts[name]:,}", partial(shown, name), csv=False))
    title = f"Errors by {what.title.lower()}"
    return Table(f"by_{factor}", title, header, rows, columns, notes, pivoted(first, ["model"], "bin"))


def trend_table(
    rows: Sequence[Mapping], outcomes: pd.DataFrame, header: str, level: float = 0.95, unit: str = "images"
) -> Table:
    """`trends`: every task in the CSV, the first one for people."""
    task = outcomes["task"].iloc[0]
    first = [row for row in rows if row["task"] == task]
    notes = [
        f"Task {task}, {images_text(outcomes, task, unit)} together. Correlation within classes of a model's errors "
        "(share of its runs wrong on an image) with the rank of what the image is like: above 0 there are more errors "
        f"where it is larger. Bold: Holm's p < {1 - level:.2g} in the family of all models and factors of the task.",
        "Test: generalised Cochran-Mantel-Haenszel (Mantel 1963) with the classes as strata, so that neither the "
        "classes' own mix nor a class that a model favours counts as an effect of the factor; it sees trends only. "
        "What goes along with a factor (people and overlap, say) is not taken out.",
    ]
    images = outcomes.loc[outcomes["task"] == task, "image_id"].nunique()
    lacking, reasons = {}, {}
    for row in first:
        factor = FACTORS[row["factor"]].title
        if row["n"] < images:
            lacking.setdefault(row["n"], {})[factor] = None
        if row["note"] and row["n"]:
            reasons.setdefault((model_name(row["model"]), row["note"]), []).append(factor)
    notes += [f"{', '.join(factors)}: annotated for {n:,} of {images:,} {unit}." for n, factors in lacking.items()]
    for (model, note), factors in reasons.items():
        which = "every factor" if len(factors) == len(FACTORS) else ", ".join(factors)
        notes.append(f"{NONE} for {model}, {which}: {note}.")

    def shown(rho: float, p: float) -> str:
        text = f"{number(rho, 2, sign=True)} ({equals('p', p_value(p))})"
        return Bold(text) if p < 1 - level else text

    columns = [
        MODEL,
        *map(Column, ("task", "factor", "n", "rho")),
        *(Column(name, format=p_value) for name in ("p", "p_holm")),
        Column("note"),
        *(Column((f"rho_{name}", f"p_holm_{name}"), FACTORS[name].title, shown, csv=False) for name in FACTORS),
    ]
    title = "Which images are hard? A test for each factor"
    return Table("factors", title, header, rows, columns, notes, pivoted(first, ["model"], "factor"))
