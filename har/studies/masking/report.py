"""Tables of the masking study."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from har.evaluation.predictions import classes_of
from har.reporting.table import NONE as DASH
from har.reporting.table import Column, Table, number, percent
from har.reporting.tables.columns import MODEL, N, class_text, figure_column, figures, triple
from har.studies.masking.conditions import NONE
from har.studies.masking.scores import (
    area_under_curve,
    by_share,
    condition_rows,
    difference,
    mean_with_interval,
    of_condition,
    per_image,
    predicted_shares,
)

Images = Mapping[str, pd.DataFrame]  # model to per_image
FLIPS = "Flips: share of images whose predicted class changes from that with nothing hidden."
LABELS = {
    NONE: "nothing hidden",
    "hide_person": "persons hidden, by outline",
    "hide_box": "persons hidden, by box",
    "hide_elsewhere": "as much hidden elsewhere",
    "keep_person": "persons only, by outline",
    "keep_box": "persons only, by box",
    "keep_elsewhere": "as much kept elsewhere",
    "hide_cues": "own class's things hidden",
    "keep_cues": "own class's things only",
    "hide_things": "all classes' things hidden",
    "hide_relevant": "most relevant hidden",
    "keep_relevant": "most relevant only",
}


def build_tables(
    predictions: Mapping[str, pd.DataFrame], shapes: Sequence[str], shares: Sequence[float], header: str, **options
) -> dict[str, Table]:
    """masking (accuracy against share), conditions (everything), context and cues (hidden and isolated regions),
    classes; models by accuracy. `options` as in har.studies.masking.scores.mean_with_interval."""
    images = ranked({model: per_image(frame) for model, frame in predictions.items()})
    classes = classes_of(next(iter(predictions.values())))
    tables = [
        share_table(images, shapes, shares, header, **options),
        shape_table(images, shapes, shares, header, **options),
        region_table(images, header, **options),
        cue_table(images, header, **options),
        class_table(images, classes, shapes, shares, header),
        conditions_table(images, header, **options),
    ]
    return {table.name: table for table in tables}


def ranked(images: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Most accurate first, with nothing hidden."""
    scores = {model: of_condition(found, NONE).mean() for model, found in images.items()}
    return {model: images[model] for model in sorted(scores, key=lambda model: -scores[model])}


def _figures(name: str, found: Mapping | None) -> dict:
    """The values of a `figure_column`, from a mean with its interval."""
    return figures(name, *((found["mean"], found["ci_low"], found["ci_high"]) if found else (None,)))


def _mean(mean: float, *_: float) -> str:
    return number(mean)


def _note(n: int, options: Mapping) -> str:
    return (
        f"{n:,} test and extended images, one run a model (the kept one). [{options.get('level', 0.95):.0%} interval] "
        "over images; differences are paired. Black is pixel value 0 of the network's own input, after cropping and "
        "scaling and before normalisation."
    )


def share_table(images: Images, shapes: Sequence[str], shares: Sequence[float], header: str, **options: float) -> Table:
    """Accuracy against the share hidden, mean over shapes of masks, with the area under it."""
    rows = []
    for model, found in images.items():
        whole = of_condition(found, NONE)
        row = {"model": model, "n": len(whole)}
        for share in (0.0, *shares):
            row |= _figures(f"accuracy_{100 * share:g}", mean_with_interval(by_share(found, shapes, share), **options))
        area = area_under_curve(found, shapes, shares)
        row |= _figures("area", mean_with_interval(area, **options))
        row |= _figures("area_minus_whole", difference(area, whole, **options))
        row |= {"confidence": float(of_condition(found, NONE, "confidence").mean())}
        for measure in ("confidence", "flips"):
            row[f"{measure}_most_hidden"] = float(by_share(found, shapes, shares[-1], measure).mean())
        rows.append(row)
    most = f"{shares[-1]:.0%} hidden"
    notes = (
        f"Mean over masks drawn as {', '.join(shapes)}; each covers its share exactly, and every model sees the same.",
        f"Area: under accuracy against share, 0 to {shares[-1]:.0%}, divided by {number(shares[-1], 2)}. "
        f"Confidence: the largest probability. {FLIPS}",
        _note(rows[0]["n"], options),
    )
    columns = [
        MODEL,
        Column("n"),
        *(
            Column(
                triple(f"accuracy_{100 * share:g}"),
                f"{share:.0%} hidden" if share else "Nothing hidden",
                _mean,
            )
            for share in (0.0, *shares)
        ),
        figure_column("area", "Area under the curve"),
        figure_column("area_minus_whole", "Minus nothing hidden", sign=True),
        Column("confidence", "Confidence, nothing hidden", number),
        Column("confidence_most_hidden", f"Confidence, {most}", number),
        Column("flips_most_hidden", f"Flips, {most}", number),
    ]
    return Table("masking", "Accuracy as more of the image is black", header, rows, columns, notes)


def shape_table(images: Images, shapes: Sequence[str], shares: Sequence[float], header: str, **options: float) -> Table:
    """The area under the curve of each shape of mask."""
    rows = []
    for model, found in images.items():
        row = {"model": model}
        for shape in shapes:
            row |= _figures(shape, mean_with_interval(area_under_curve(found, [shape], shares), **options))
        rows.append(row)
    notes = (
        "Normalised area under accuracy against the share hidden.",
        _note(max(int((found.condition == NONE).sum()) for found in images.values()), options),
    )
    columns = [MODEL, *(figure_column(shape, shape.capitalize()) for shape in shapes)]
    return Table("kinds", "Which shape of mask lowers accuracy most?", header, rows, columns, notes)


REGIONS = ("hide_person", "hide_box", "hide_elsewhere", "keep_person", "keep_box", "keep_elsewhere")
GAPS = {
    "person_minus_context": ("keep_box", "hide_box", "Person − context"),
    "context_minus_elsewhere": ("hide_box", "hide_elsewhere", "Person hidden − as much elsewhere"),
    "person_minus_elsewhere": ("keep_box", "keep_elsewhere", "Person only − as much elsewhere"),
}


def region_table(images: Images, header: str, **options: float) -> Table:
    """Persons hidden, persons only, and as much elsewhere: what the context gives, what the person."""
    rows = []
    for model, found in images.items():
        at = {name: of_condition(found, name) for name in (NONE, *REGIONS)}
        whole = at[NONE][at[NONE].index.isin(at["hide_box"].index)]
        row = {"model": model, "n": len(whole), "whole": float(whole.mean()) if len(whole) else None}
        row |= {name: float(at[name].mean()) if len(at[name]) else None for name in REGIONS}
        for name, (a, b, _) in GAPS.items():
            both = len(at[a]) and len(at[b])
            row |= _figures(name, difference(at[a], at[b], **options) if both else None)
        rows.append(row)
    covered = pd.concat([found.loc[found.condition == "hide_box", "covered"] for found in images.values()])
    notes = (
        "Context only: all persons and crowds black. Person only: all else black. By outline a black figure still "
        "shows how it holds itself, by box it does not; the differences are by box. Where no outline is annotated the "
        "box stands in.",
        "Person − context: below 0 the surroundings alone tell more than the person alone, the measure of context "
        "bias. As much elsewhere: black (or kept) are the boxes of another image's persons, so the same area and "
        "shapes.",
        f'Person boxes cover {DASH if covered.empty else f"{covered.mean():.0%}"} of the input (mean), so "only" '
        "leaves little of an image, in a form that no model was trained on.",
        _note(rows[0]["n"], options),
    )

    def both_ways(outline: float | None, box: float | None) -> str:
        return f"{number(outline)} / {number(box)}"

    columns = [
        MODEL,
        N,
        Column("whole", "Nothing hidden", number),
        Column(("hide_person", "hide_box"), "Context only (outline / box)", both_ways),
        Column("hide_elsewhere"),
        Column(("keep_person", "keep_box"), "Person only (outline / box)", both_ways),
        Column("keep_elsewhere"),
        *(figure_column(name, title, sign=True) for name, (_, _, title) in GAPS.items()),
    ]
    return Table("context", "The person or the context?", header, rows, columns, notes)


def cue_table(images: Images, header: str, **options: float) -> Table:
    """Things that go with a class hidden or alone, and the model's own most relevant pixels."""
    rows = []
    for model, found in images.items():
        whole = of_condition(found, NONE)
        for hidden in ("hide_cues", "keep_cues", "hide_things", "hide_relevant", "keep_relevant"):
            values = of_condition(found, hidden)
            if values.empty:
                continue
            row = {"model": model, "condition": hidden, "n": len(values), "accuracy": float(values.mean())}
            row |= {"whole": float(whole[values.index].mean())}
            row |= {"flips": float(of_condition(found, hidden, "flips").mean())}
            rows.append(row | _figures("change", difference(values, whole, **options)))
    notes = [
        "Of the images that hold such a thing; the lists are params.yaml's masking.cues. Which things are the own "
        "class's follows from the true label, so \"own class's things only\" tells how far they alone give it away.",
        FLIPS,
    ]
    if not rows:
        notes = ["No image of the study has an annotated thing of masking.cues, and no explanation was asked for."]
    columns = [
        MODEL,
        Column("condition", "Condition", LABELS.get),
        N,
        Column("whole", "Nothing hidden", number),
        Column("accuracy", "Accuracy", number),
        figure_column("change", "Change", sign=True),
        Column("flips", "Flips", number),
    ]
    title = "Hiding the cues of a class, or the pixels most relevant to the model"
    return Table("cues", title, header, rows, columns, notes)


def class_table(
    images: Images, classes: Sequence[str], shapes: Sequence[str], shares: Sequence[float], header: str
) -> Table:
    """Recall of each class and how often it is predicted, as images go black."""
    rows = []
    for model, found in images.items():
        conditions = [f"{shape}-{100 * shares[-1]:g}" for shape in shapes]
        before = predicted_shares(found, NONE, classes)
        after = [predicted_shares(found, condition, classes) for condition in conditions]
        for name in classes:
            mine = found[found["label"] == name]
            if mine.empty:
                continue
            row = {"model": model, "class": name, "n": int((mine["condition"] == NONE).sum())}
            for share in (0.0, *shares):
                row[f"recall_{100 * share:g}"] = float(by_share(mine, shapes, share).mean())
            for hidden in ("hide_box", "keep_box"):
                values = of_condition(mine, hidden)
                row[f"recall_{hidden}"] = float(values.mean()) if len(values) else None
            row |= {"predicted_0": before[name], "predicted_most_hidden": float(np.mean([one[name] for one in after]))}
            rows.append(row)
    columns = [
        MODEL,
        Column("class", "Class", class_text),
        N,
        *(Column(f"recall_{100 * share:g}", f"Recall, {share:.0%} hidden", number) for share in (0.0, *shares)),
        Column("recall_hide_box", "Recall, context only", number),
        Column("recall_keep_box", "Recall, person only", number),
        Column("predicted_0", "Predicted, nothing hidden", percent),
        Column("predicted_most_hidden", f"Predicted, {shares[-1]:.0%} hidden", percent),
    ]
    notes = ("Mean over shapes of drawn masks. Predicted: share of all images that the model takes for this class.",)
    return Table("classes", "Each class as images go black", header, rows, columns, notes)


def conditions_table(images: Images, header: str, **options: float) -> Table:
    """Every model under every condition; in the page only the CSV is of use."""
    rows = condition_rows(images, **options)
    columns = [
        MODEL,
        Column("condition", "Condition", lambda key: LABELS.get(key, key.replace("-", " ") + " %")),
        N,
        Column("covered", "Hidden", percent),
        figure_column("accuracy", "Accuracy"),
        Column(triple("confidence"), "Confidence", _mean),
        Column(triple("true_class"), "Probability of the true class", _mean),
        Column(triple("flips"), "Flips", _mean),
    ]
    notes = (_note(rows[0]["n"], options), FLIPS)
    return Table("conditions", "Every model under every mask", header, rows, columns, notes)
