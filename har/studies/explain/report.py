"""Tables of how well relevance maps score, and whether LeGrad beats a map that knows only the centre."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from har.evaluation.bootstrap import RESAMPLES, resample_counts
from har.evaluation.mcnemar import estimated_difference
from har.evaluation.summary import Estimate
from har.reporting.names import model_name
from har.reporting.table import NONE, Table, interval, number, plain_frame
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
                row |= _figures(score, found and (found.mean, *found.interval(level)))
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
                figures = None
                if len(both):
                    gap = estimated_difference(*pair, level)
                    figures = (gap["difference"], gap["ci_low"], gap["ci_high"])
                row |= _figures(score, figures) | {f"{score}_n": len(both)}
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
    sentence = f"{name}: inside the person boxes, LeGrad − centre bias = {_cell(row, 'inside', sign=True)}, so {said}."
    if row["deletion"] is None:
        return sentence
    if row["deletion_high"] < 0:
        said = "the prediction hangs on LeGrad's patches more than on those in the centre"
    elif row["deletion_low"] > 0:
        said = "the prediction hangs on the patches in the centre more than on LeGrad's"
    else:
        said = "it is open whether the prediction hangs on LeGrad's patches more than on those in the centre"
    gap = f"{_cell(row, 'deletion', sign=True)}, n = {row['deletion_n']:,}"
    return f"{sentence} Deletion: {said} ({gap})."


def _parts(explanations: Mapping[Key, Explanation]):
    """Model, split and the scores there; the larger split first: it carries the claims."""
    for key, one in explanations.items():
        for split in reversed(TOLD):
            frame = one.scores[one.scores["split"] == split]
            if len(frame):
                yield key, split, frame


def _figures(name: str, figures: Sequence[float] | None) -> dict:
    value, low, high = figures or (None, None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _cell(row: Mapping, name: str, sign: bool = False) -> str:
    if row[name] is None:
        return NONE
    return f"{number(row[name], sign=sign)} {interval(row[f'{name}_low'], row[f'{name}_high'], sign)}"


def _plain(rows: Sequence[Mapping], columns: Sequence[str]) -> pd.DataFrame:
    rounded = [{k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()} for row in rows]
    return plain_frame(rounded) if rows else pd.DataFrame(columns=list(columns))


def _scores_table(rows: Sequence[Mapping], header: str, level: float) -> Table:
    shown = ["Model", "Task", "Split", "Map", "n", "Box area", *list(SHOWN.values())[:2], "n (curves)"]
    shown += list(SHOWN.values())[2:]
    text = [
        {
            "Model": model_name(row["model"]),
            "Task": row["task"],
            "Split": row["split"],
            "Map": METHODS[row["method"]],
            "n": f"{row['n']:,}",
            "Box area": number(row["area"]),
            "n (curves)": f"{row['curves_n']:,}",
            **{SHOWN[score]: _cell(row, score) for score in SCORES},
        }
        for row in rows
    ]
    notes = [
        f"Mean over images [{level:.0%} interval over images, bootstrap]. The kept run of each model, so no variance "
        "of training. LeGrad: the map of the predicted class, every map scaled from 0 to 1 as it is shown.",
        "Inside the boxes: share of a map's relevance that lies inside the boxes of annotated persons and crowds, as "
        "the network sees them after crop and scaling. Box area: what a map that says the same everywhere gets.",
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
    columns = ["task", "model", "split", "method", "n", "without_person", "area", "curves_n"]
    columns += [column for score in SCORES for column in _figures(score, None)]
    title = "Do relevance maps lie on the people, and do predictions hang on what they name?"
    frame = pd.DataFrame(text, columns=shown)
    return Table("scores", title, header, _plain(rows, columns), frame, tuple(notes))


def _differences_table(rows: Sequence[Mapping], header: str, level: float) -> Table:
    text = [
        {
            "Model": model_name(row["model"]),
            "Task": row["task"],
            "Split": row["split"],
            "LeGrad minus": METHODS[row["rival"]],
            "n": f"{row['inside_n']:,}",
            **{SHOWN[score]: _cell(row, score, sign=True) for score in SCORES},
        }
        for row in rows
    ]
    notes = [
        *verdicts(rows),
        f"Difference of means on the same images [{level:.0%} interval over images, paired bootstrap; not corrected "
        "for the number of comparisons]. Good are differences above 0, for deletion below 0. n: of the boxes' figures.",
    ]
    columns = ["task", "model", "split", "rival"]
    columns += [column for score in SCORES for column in [*_figures(score, None), f"{score}_n"]]
    title = "Is LeGrad better than maps that do not know the class, or nothing at all?"
    shown = ["Model", "Task", "Split", "LeGrad minus", "n", *SHOWN.values()]
    return Table("differences", title, header, _plain(rows, columns), pd.DataFrame(text, columns=shown), tuple(notes))
