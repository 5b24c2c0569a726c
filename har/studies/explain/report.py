"""Tables of how well relevance maps score, and whether LeGrad beats a map that knows only the centre."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from har.evaluation.bootstrap import RESAMPLES, resample_counts
from har.evaluation.mcnemar import estimated_difference
from har.evaluation.summary import Estimate
from har.reporting.names import model_name
from har.reporting.table import Column, Table, count, number, signed_estimate
from har.reporting.tables.columns import FIRST, N, figure_column, figures, triple
from har.studies.explain.explain import SCORES, TOLD, Explanation
from har.studies.explain.legrad import CENTRE_WIDTH, METHODS

SHOWN = {"inside": "Inside the boxes", "pointing": "Pointing game", "deletion": "Deletion", "insertion": "Insertion"}
RIVALS = tuple(method for method in METHODS if method != "legrad")
Key = tuple[str, str]  # task and model


def estimate(values: pd.Series, name: str, resamples: int = RESAMPLES, seed: int = 0) -> Estimate | None:
    """The mean over images of what was measured on each, with its bootstrap; None where no image has it."""
    found = values.dropna().to_numpy(float)
    if not len(found):
        return None
    counts = resample_counts(len(found), resamples, seed)
    return Estimate(name, len(found), np.array([found.mean()]), counts @ found / len(found))


def measured(explanations: Mapping[Key, Explanation], resamples: int, seed: int, level: float) -> list[dict]:
    """A row for each model, split and method: n (images with a person in view), area, curves_n and for each of
    SCORES mean, <score>_low and <score>_high over images."""
    rows = []
    for (task, model), split, frame in _parts(explanations):
        for method in METHODS:
            mine = frame[frame["method"] == method]
            row = {"task": task, "model": model, "split": split, "method": method}
            seen = mine[mine["area"] > 0]
            row |= {"n": len(seen), "without_person": len(mine) - len(seen)}
            row |= {"area": float(seen["area"].mean()) if len(seen) else None, "curves_n": mine["deletion"].count()}
            for score in SCORES:
                found = estimate(mine[score], score, resamples, seed)
                row |= figures(score, *((found.mean, *found.interval(level)) if found else (None,)))
            rows.append(row)
    return rows


def compared(explanations: Mapping[Key, Explanation], resamples: int, seed: int, level: float) -> list[dict]:
    """A row for each model, split and rival of LeGrad: LeGrad minus rival for each of SCORES, paired over images, with
    <score>_low, <score>_high and <score>_n."""
    rows = []
    for (task, model), split, frame in _parts(explanations):
        for rival in RIVALS:
            row = {"task": task, "model": model, "split": split, "rival": rival}
            for score in SCORES:
                table = frame.pivot(index="image_id", columns="method", values=score).astype(float)
                both = table[["legrad", rival]].dropna()
                pair = [estimate(both[method], score, resamples, seed) for method in ("legrad", rival)]
                gap = estimated_difference(*pair, level) if len(both) else {"difference": None}
                row |= figures(score, *(gap.get(key) for key in ("difference", "ci_low", "ci_high")))
                row |= {f"{score}_n": len(both)}
            rows.append(row)
    return rows


def build_tables(
    explanations: Mapping[Key, Explanation],
    header: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Table]:
    """The tables "scores" and "differences"."""
    rows, gaps = measured(explanations, resamples, seed, level), compared(explanations, resamples, seed, level)
    return {"scores": _scores_table(rows, header, level), "differences": _differences_table(gaps, header, level)}


def verdicts(gaps: Sequence[Mapping]) -> list[str]:
    """For each model, on the split with most images, what the intervals of LeGrad minus centre bias allow to say:
    whether it lies on people more than a map that knows only the centre, and whether predictions hang on it more."""
    chosen: dict[Key, Mapping] = {}
    for row in gaps:
        key = row["task"], row["model"]
        measured = row["rival"] == "centre" and row["inside"] is not None
        if measured and (key not in chosen or row["inside_n"] > chosen[key]["inside_n"]):
            chosen[key] = row
    return [_verdict(row) for row in chosen.values()]


def _verdict(row: Mapping) -> str:
    if row["inside_low"] > 0:
        said = "it beats the centre bias"
    elif row["inside_high"] < 0:
        said = "it does not beat the centre bias, it stays below it"
    else:
        said = "it does not beat the centre bias: the interval holds 0"
    name = f"{model_name(row['model'])} ({row['task']}, {row['split']}, n = {row['inside_n']:,})"
    sentence = f"{name}: inside the person boxes, LeGrad − centre bias = {_cell(row, 'inside')}, so {said}."
    if row["deletion"] is None:
        return sentence
    if row["deletion_high"] < 0:
        said = "the prediction depends on LeGrad's patches more than on those in the centre"
    elif row["deletion_low"] > 0:
        said = "the prediction depends on the patches in the centre more than on LeGrad's"
    else:
        said = "it is open whether the prediction depends on LeGrad's patches more than on those in the centre"
    gap = f"{_cell(row, 'deletion')}, n = {row['deletion_n']:,}"
    return f"{sentence} Deletion: {said} ({gap})."


def _cell(row: Mapping, name: str) -> str:
    return signed_estimate(*(row[key] for key in triple(name)))


def _parts(explanations: Mapping[Key, Explanation]):
    """Model, split and the scores there; the larger split first: it carries the claims."""
    for key, one in explanations.items():
        for split in reversed(TOLD):
            frame = one.scores[one.scores["split"] == split]
            if len(frame):
                yield key, split, frame


def _scores_table(rows: Sequence[Mapping], header: str, level: float) -> Table:
    columns = [
        *FIRST[:3],
        Column("method", "Map", METHODS.get),
        N,
        Column("without_person"),
        Column("area", "Box area", number),
        *(figure_column(score, SHOWN[score]) for score in ("inside", "pointing")),
        Column("curves_n", "n (curves)", count),
        *(figure_column(score, SHOWN[score]) for score in ("deletion", "insertion")),
    ]
    notes = [
        f"Mean over images [{level:.0%} interval over images, bootstrap]. The kept run of each model, so no variance "
        "of training. LeGrad: the map of the predicted class, every map scaled from 0 to 1 as it is shown.",
        "Inside the boxes: share of a map's relevance that lies inside the boxes of annotated persons and crowds, as "
        "the network sees them after crop and scaling. Box area: what a uniform map gets.",
        "Pointing game: share of images whose most relevant patch has its centre in a person box (Zhang et al. 2018).",
        "Deletion and insertion (Petsiuk et al. 2018): mean probability of the predicted class while patches, the most "
        "relevant first, are replaced by the image's mean colour (lower is better), or return onto it (higher is "
        "better).",
        f"Centre bias: a Gaussian whose standard deviation is {CENTRE_WIDTH:g} of each side. Random map: noise.",
    ]
    lost = max((row["without_person"] for row in rows), default=0)
    if lost:
        notes.append(
            f"Up to {lost} image{'s' if lost > 1 else ''} of a model and split show no person within its crop; they "
            "have no place in the boxes' figures and are not counted in n."
        )
    title = "Do relevance maps lie on the people, and do predictions depend on what they highlight?"
    return Table("scores", title, header, rows, columns, notes)


def _differences_table(rows: Sequence[Mapping], header: str, level: float) -> Table:
    columns = [
        *FIRST[:3],
        Column("rival", "LeGrad minus", METHODS.get),
        Column("inside_n", "n", count),
        *(figure_column(score, SHOWN[score], sign=True) for score in SCORES),
        *(Column(f"{score}_n") for score in SCORES if score != "inside"),
    ]
    notes = [
        *verdicts(rows),
        f"Difference of means on the same images [{level:.0%} interval over images, paired bootstrap; not corrected "
        "for the number of comparisons]. Good are differences above 0, for deletion below 0. n: of the boxes' figures.",
    ]
    title = "LeGrad compared with maps that ignore the class, or the image"
    return Table("differences", title, header, rows, columns, notes)
