"""Tables of how well relevance maps score, and whether LeGrad beats a map that knows only the centre."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from har.config.report import Report
from har.data.groups import by_image
from har.evaluation.bootstrap import resample_counts
from har.evaluation.paired import estimated_difference
from har.evaluation.summary import Estimate
from har.reporting.names import model_name
from har.reporting.table import Column, Table, count, signed_estimate
from har.reporting.table import estimate as estimate_text
from har.reporting.tables.columns import FIRST, N, estimated, figure_column, figures, triple
from har.studies.explain.explain import PERSON, SCORES, TOLD, Explanation
from har.studies.explain.legrad import CENTRE_WIDTH, METHODS

SHOWN = {"auc": "Patch AUC", "deletion": "Deletion", "insertion": "Insertion"}
HEADS = {"own": "its own", "text": "the prompts"}
RIVALS = tuple(method for method in METHODS if method != "legrad")
Key = tuple[str, str]  # task and model


def estimate(values: pd.Series, report: Report) -> Estimate | None:
    """The mean over images of what was measured on each (by har.data.groups.by_image), with the bootstrap of these or
    of their groups; None where no image has it."""
    found = values.dropna().astype(float)
    if found.empty:
        return None
    units = found.groupby(level=0)
    sums, sizes = units.sum().to_numpy(), units.size().to_numpy()
    counts = resample_counts(len(sums), report.resamples, report.seed)
    resampled = counts @ sums / (counts @ sizes)
    return Estimate(str(values.name), len(found), np.array([found.mean()]), resampled, len(sums))


def _mean(values: pd.Series, report: Report) -> dict:
    """The values of a `figure_column`."""
    found = estimate(values, report)
    return estimated(values.name, found, report.confidence) if found else figures(values.name, None)


def build_tables(explanations: Mapping[Key, Explanation], header: str, report: Report) -> dict[str, Table]:
    """The tables "scores", "differences" and "candidates"."""
    rows, gaps = measured(explanations, report), compared(explanations, report)
    return {
        "scores": _scores_table(rows, header, report.confidence),
        "differences": _differences_table(rows, gaps, header, report.confidence),
        "candidates": _candidates_table(explanations, header, report),
    }


def _parts(explanations: Mapping[Key, Explanation]):
    """Model and split, and the scores there; the larger split first: it carries the claims."""
    for (task, model), one in explanations.items():
        for split in reversed(TOLD):
            frame = one.scores[one.scores["split"] == split]
            if len(frame):
                yield {"task": task, "model": model, "split": split}, frame.set_axis(by_image(frame))


def measured(explanations: Mapping[Key, Explanation], report: Report) -> list[dict]:
    """A row for each model, split and method: n (images with patches of persons and others), curves_n and for each
    of SCORES mean, <score>_low and <score>_high over images."""
    rows = []
    for about, frame in _parts(explanations):
        for method in METHODS:
            mine = frame[frame["method"] == method]
            row = about | {"method": method, "n": mine["auc"].count(), "curves_n": mine["deletion"].count()}
            for score in SCORES:
                row |= _mean(mine[score], report)
            rows.append(row)
    return rows


def compared(explanations: Mapping[Key, Explanation], report: Report) -> list[dict]:
    """A row for each model, split and rival of LeGrad: LeGrad minus rival for each of SCORES, paired over images, with
    <score>_low, <score>_high and <score>_n."""
    rows = []
    for about, frame in _parts(explanations):
        for rival in RIVALS:
            row = about | {"rival": rival}
            for score in SCORES:
                both = frame.set_index("method", append=True)[score].unstack()[["legrad", rival]].dropna()
                pair = [estimate(both[method], report) for method in both]
                gap = estimated_difference(*pair, report.confidence) if len(both) else {}
                row |= figures(score, *(gap.get(key) for key in ("difference", "ci_low", "ci_high")))
                row |= {f"{score}_n": len(both)}
            rows.append(row)
    return rows


def verdicts(rows: Sequence[Mapping], gaps: Sequence[Mapping]) -> list[str]:
    """For each model, on the split with most images, what the intervals allow to say of LeGrad beside attention
    rollout, a map that knows only the centre and a random one: whether it ranks persons better, and whether predictions
    depend more on what it ranks first. rows: of `measured`; gaps: of `compared`."""
    largest: dict[Key, Mapping] = {}
    for row in rows:
        key = row["task"], row["model"]
        if row["method"] == "legrad" and row["n"] > largest.get(key, {"n": 0})["n"]:
            largest[key] = row

    def beside(row: Mapping, score: str, more: str, less: str, undecided: str) -> str:
        """LeGrad against each rival, in the words for more, less and not decided."""
        said = []
        for gap in gaps:
            if all(gap[key] == row[key] for key in ("task", "model", "split")):
                value, low, high = (gap[key] for key in triple(score))
                word = more if low > 0 else less if high < 0 else undecided
                said.append(f"{word} {METHODS[gap['rival']].lower()} ({signed_estimate(value, low, high)})")
        return " and ".join(said)

    said = []
    for (task, model), row in largest.items():
        auc = estimate_text(*(row[key] for key in triple("auc")))
        ranks = beside(row, "auc", "above", "below", "not shown to differ from")
        said.append(
            f"{model_name(model)} ({task}, {row['split']}, n = {row['n']:,}): LeGrad ranks persons with patch AUC "
            f"{auc}, {ranks}."
        )
        if row["deletion"] is not None:
            falls = beside(row, "deletion", "slower than", "faster than", "not shown to be faster or slower than")
            said[-1] += f" With its patches deleted the prediction falls, {falls}."
    return said


def _scores_table(rows: Sequence[Mapping], header: str, level: float) -> Table:
    columns = [
        *FIRST[:3],
        Column("method", "Map", METHODS.get),
        N,
        figure_column("auc", SHOWN["auc"]),
        Column("curves_n", "n (curves)", count),
        *(figure_column(score, SHOWN[score]) for score in ("deletion", "insertion")),
    ]
    notes = [
        f"Mean over images [{level:.0%} interval over images, bootstrap]. The kept run of each model, so no variance "
        "of training. LeGrad: the map of the predicted class, from the head and blocks that table candidates names.",
        "Patch AUC: area under the ROC curve of a map as a ranking of an image's patches, those that boxes of "
        f"annotated persons and crowds cover by {PERSON:.0%} or more against the others, as the network sees them "
        "after crop and scaling; 0.5 is chance. Images that have both count.",
        "Deletion and insertion (Petsiuk et al. 2018): mean probability of the predicted class while patches, the most "
        "relevant first, are replaced by the image's mean colour (lower is better), or return onto it (higher is "
        "better).",
        f"Centre bias: a Gaussian whose standard deviation is {CENTRE_WIDTH:g} of each side. Random map: noise.",
    ]
    title = "Do relevance maps find the people, and do predictions depend on what they highlight?"
    return Table("scores", title, header, rows, columns, notes)


def _differences_table(rows: Sequence[Mapping], gaps: Sequence[Mapping], header: str, level: float) -> Table:
    columns = [
        *FIRST[:3],
        Column("rival", "LeGrad minus", METHODS.get),
        Column("auc_n", "n", count),
        *(figure_column(score, SHOWN[score], sign=True) for score in SCORES),
        *(Column(f"{score}_n") for score in SCORES if score != "auc"),
    ]
    notes = [
        *verdicts(rows, gaps),
        f"Difference of means on the same images [{level:.0%} interval over images, paired bootstrap; not corrected "
        "for the number of comparisons]. Good are differences above 0, for deletion below 0. n: of the patch AUC.",
    ]
    title = "LeGrad compared with maps that ignore the class, or the image"
    return Table("differences", title, header, gaps, columns, notes)


def _candidates_table(explanations: Mapping[Key, Explanation], header: str, report: Report) -> Table:
    """What LeGrad's map could come from, and what it comes from."""
    rows = []
    for (task, model), one in explanations.items():
        for (head, blocks), part in one.candidates.groupby(["head", "blocks"], sort=False):
            row = {"model": model, "task": task, "head": head, "blocks": blocks, "n": part["auc"].count()}
            chosen = (head, blocks) == (one.about["head"], one.about["blocks"])
            rows.append(row | _mean(part["auc"], report) | {"chosen": chosen})
    columns = [
        *FIRST[:2],
        Column("head", "Head", HEADS.get),
        Column("blocks", "Last blocks"),
        N,
        figure_column("auc", SHOWN["auc"]),
        Column("chosen", "Chosen", lambda chosen: "yes" if chosen else ""),
    ]
    notes = (
        "Train and validation images alone; the tables scores and differences are of others. The best mean is chosen.",
        "Its own head tells the classes apart: what they have in common, as that there are people, cancels. The "
        "prompts: the score of a class is the embedding's similarity with its prompts, as in zero-shot classification: "
        "what all prompts name counts too, and the maps of the classes are more alike.",
    )
    return Table("candidates", "Which head and blocks give the maps?", header, rows, columns, notes)
