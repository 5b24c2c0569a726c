"""Tables of the masking study."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from har.evaluation.predictions import classes_of
from har.reporting.names import class_name, model_name
from har.reporting.table import NONE as DASH
from har.reporting.table import Table, interval, number, plain_frame
from har.studies.masking.conditions import NONE
from har.studies.masking.scores import (
    area_under_curve,
    by_share,
    condition_rows,
    difference,
    mean_with_interval,
    of_condition,
    per_image,
    said_shares,
)

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
    predictions: Mapping[str, pd.DataFrame], kinds: Sequence[str], shares: Sequence[float], header: str, **options
) -> dict[str, Table]:
    """masking (accuracy against share), conditions (everything), context and cues (hidden and isolated regions),
    classes; models by accuracy. `options` as in har.studies.masking.scores.mean_with_interval."""
    images = ranked({model: per_image(frame) for model, frame in predictions.items()})
    classes = classes_of(next(iter(predictions.values())))
    tables = [
        share_table(images, kinds, shares, header, **options),
        kind_table(images, kinds, shares, header, **options),
        region_table(images, header, **options),
        cue_table(images, header, **options),
        class_table(images, classes, kinds, shares, header),
        conditions_table(images, header, **options),
    ]
    return {table.name: table for table in tables}


def ranked(images: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Most accurate first, with nothing hidden."""
    scores = {model: of_condition(found, NONE).mean() for model, found in images.items()}
    return {model: images[model] for model in sorted(scores, key=lambda model: -scores[model])}


def _text(figures: Mapping | None, sign: bool = False) -> str:
    if figures is None:
        return DASH
    return f"{number(figures['mean'], sign=sign)} {interval(figures['ci_low'], figures['ci_high'], sign=sign)}"


def _flat(name: str, figures: Mapping | None) -> dict:
    keys = {"mean": name, "ci_low": f"{name}_low", "ci_high": f"{name}_high"}
    return {key: None if figures is None else figures[of] for of, key in keys.items()}


def _note(n: int, options: Mapping) -> str:
    return (
        f"{n:,} test and extended images, one run a model (the kept one). [{options.get('level', 0.95):.0%} interval] "
        "over images; differences are paired. Black is pixel value 0 of the network's own input, after cropping and "
        "scaling and before normalisation."
    )


def share_table(images, kinds, shares, header: str, **options) -> Table:
    """Accuracy against the share hidden, mean over kinds of masks, with the area under it."""
    rows, text = [], []
    for model, found in images.items():
        row = {"model": model, "n": len(of_condition(found, NONE))}
        cells = {"Model": model_name(model)}
        for share in (0.0, *shares):
            figures = mean_with_interval(by_share(found, kinds, share), **options)
            row |= _flat(f"accuracy_{100 * share:g}", figures)
            cells[f"{share:.0%} hidden" if share else "Nothing hidden"] = number(figures["mean"])
        area = area_under_curve(found, kinds, shares)
        whole = of_condition(found, NONE)
        figures, lost = mean_with_interval(area, **options), difference(area, whole, **options)
        row |= _flat("area", figures) | _flat("area_minus_whole", lost)
        confidence = by_share(found, kinds, shares[-1], "confidence")
        flips = by_share(found, kinds, shares[-1], "flips")
        row |= {"confidence": float(of_condition(found, NONE, "confidence").mean())}
        row |= {"confidence_most_hidden": float(confidence.mean()), "flips_most_hidden": float(flips.mean())}
        rows.append(row)
        text.append(
            cells
            | {
                "Area under the curve": _text(figures),
                "Minus nothing hidden": _text(lost, sign=True),
                "Confidence, nothing hidden": number(row["confidence"]),
                f"Confidence, {shares[-1]:.0%} hidden": number(row["confidence_most_hidden"]),
                f"Flips, {shares[-1]:.0%} hidden": number(row["flips_most_hidden"]),
            }
        )
    notes = (
        f"Mean over masks drawn as {', '.join(kinds)}; each covers its share exactly, and every model sees the same.",
        f"Area: under accuracy against share, 0 to {shares[-1]:.0%}, divided by {number(shares[-1], 2)}. "
        "Confidence: the largest probability. Flips: images that are told another class than with nothing hidden.",
        _note(rows[0]["n"], options),
    )
    title = "Accuracy as more of the image is black"
    return Table("masking", title, header, plain_frame(rows), pd.DataFrame(text), notes)


def kind_table(images, kinds, shares, header: str, **options) -> Table:
    """The area under the curve of each kind of mask."""
    rows, text = [], []
    for model, found in images.items():
        row, cells = {"model": model}, {"Model": model_name(model)}
        for kind in kinds:
            figures = mean_with_interval(area_under_curve(found, [kind], shares), **options)
            row |= _flat(kind, figures)
            cells[kind.capitalize()] = _text(figures)
        rows.append(row)
        text.append(cells)
    notes = (
        "Normalised area under accuracy against the share hidden.",
        _note(len(found[found.condition == NONE]), options),
    )
    return Table("kinds", "Which shape hides most?", header, plain_frame(rows), pd.DataFrame(text), notes)


def region_table(images, header: str, **options) -> Table:
    """Persons hidden, persons only, and as much elsewhere: what the context gives, what the person."""
    rows, text, shown = (
        [],
        [],
        ("hide_person", "hide_box", "hide_elsewhere", "keep_person", "keep_box", "keep_elsewhere"),
    )
    for model, found in images.items():
        at = {name: of_condition(found, name) for name in (NONE, *shown)}
        whole = at[NONE][at[NONE].index.isin(at["hide_box"].index)]
        row = {"model": model, "n": len(whole), "whole": float(whole.mean()) if len(whole) else None}
        row |= {name: float(at[name].mean()) if len(at[name]) else None for name in shown}
        pairs = {
            "person_minus_context": ("keep_box", "hide_box"),
            "context_minus_elsewhere": ("hide_box", "hide_elsewhere"),
            "person_minus_elsewhere": ("keep_box", "keep_elsewhere"),
        }
        gaps = {
            name: difference(at[a], at[b], **options) if len(at[a]) and len(at[b]) else None
            for name, (a, b) in pairs.items()
        }
        for name, gap in gaps.items():
            row |= _flat(name, gap)
        rows.append(row)
        text.append(
            {
                "Model": model_name(model),
                "n": f"{row['n']:,}",
                "Nothing hidden": number(row["whole"]),
                "Context only (outline / box)": f"{number(row['hide_person'])} / {number(row['hide_box'])}",
                "Person only (outline / box)": f"{number(row['keep_person'])} / {number(row['keep_box'])}",
                "Person − context": _text(gaps["person_minus_context"], sign=True),
                "Person hidden − as much elsewhere": _text(gaps["context_minus_elsewhere"], sign=True),
                "Person only − as much elsewhere": _text(gaps["person_minus_elsewhere"], sign=True),
            }
        )
    covered = _covered(images, "hide_box")
    notes = (
        "Context only: all persons and crowds black. Person only: all else black. By outline a black figure still "
        "shows how it holds itself, by box it does not; the differences are by box. Where no outline is annotated the "
        "box stands in.",
        "Person − context: below 0 the surroundings alone tell more than the person alone, the measure of context "
        "bias. As much elsewhere: black (or kept) are the boxes of another image's persons, so the same area and "
        "shapes.",
        f'Person boxes cover {covered} of the input (mean), so "only" leaves little of an image, in a form that no '
        "model was trained on.",
        _note(rows[0]["n"], options),
    )
    title = "The person or the context?"
    return Table("context", title, header, plain_frame(rows), pd.DataFrame(text), notes)


def _covered(images: Mapping[str, pd.DataFrame], condition: str) -> str:
    parts = [found.loc[found.condition == condition, "covered"] for found in images.values()]
    every = pd.concat(parts)
    return DASH if every.empty else f"{every.mean():.0%}"


def cue_table(images, header: str, **options) -> Table:
    """Things that go with a class hidden or alone, and the model's own most relevant pixels."""
    rows, text = [], []
    for model, found in images.items():
        whole = of_condition(found, NONE)
        for hidden in ("hide_cues", "keep_cues", "hide_things", "hide_relevant", "keep_relevant"):
            values = of_condition(found, hidden)
            if values.empty:
                continue
            lost = difference(values, whole, **options)
            flips = float(of_condition(found, hidden, "flips").mean())
            row = {"model": model, "condition": hidden, "n": len(values), "accuracy": float(values.mean())}
            rows.append(row | {"whole": float(whole[values.index].mean()), "flips": flips} | _flat("change", lost))
            text.append(
                {
                    "Model": model_name(model),
                    "Condition": LABELS[hidden],
                    "n": f"{len(values):,}",
                    "Nothing hidden": number(rows[-1]["whole"]),
                    "Accuracy": number(row["accuracy"]),
                    "Change": _text(lost, sign=True),
                    "Flips": number(flips),
                }
            )
    notes = [
        "Of the images that hold such a thing; the lists are params.yaml's masking.cues. Which things are the own "
        "class's follows from the true label, so \"own class's things only\" tells how far they alone give it away.",
    ]
    if not rows:
        notes = ["No image of the study has an annotated thing of masking.cues, and no explanation was asked for."]
        text = [{"Model": DASH}]
    title = "Things that go with a class, and what the model itself looks at"
    return Table("cues", title, header, plain_frame(rows), pd.DataFrame(text), tuple(notes))


def class_table(images, classes: Sequence[str], kinds, shares, header: str) -> Table:
    """Recall of each class and how often it is said, as images go black."""
    rows, text = [], []
    for model, found in images.items():
        for name in classes:
            mine = found[found["label"] == name]
            if mine.empty:
                continue
            row = {"model": model, "class": name, "n": int((mine["condition"] == NONE).sum())}
            for share in (0.0, *shares):
                row[f"recall_{100 * share:g}"] = float(by_share(mine, kinds, share).mean())
            for hidden in ("hide_box", "keep_box"):
                values = of_condition(mine, hidden)
                row[f"recall_{hidden}"] = float(values.mean()) if len(values) else None
            row["said_0"] = said_shares(found, NONE, classes)[name]
            conditions = [f"{kind}-{100 * shares[-1]:g}" for kind in kinds]
            row["said_most_hidden"] = float(np.mean([said_shares(found, c, classes)[name] for c in conditions]))
            rows.append(row)
            cells = {"Model": model_name(model), "Class": class_name(name), "n": f"{row['n']:,}"}
            cells |= {f"Recall, {s:.0%} hidden": number(row[f"recall_{100 * s:g}"]) for s in (0.0, *shares)}
            cells |= {
                "Recall, context only": number(row["recall_hide_box"]),
                "Recall, person only": number(row["recall_keep_box"]),
                "Said, nothing hidden": f"{row['said_0']:.0%}",
                f"Said, {shares[-1]:.0%} hidden": f"{row['said_most_hidden']:.0%}",
            }
            text.append(cells)
    notes = ("Mean over kinds of drawn masks. Said: share of all images that are told this class.",)
    return Table("classes", "Each class as images go black", header, plain_frame(rows), pd.DataFrame(text), notes)


def conditions_table(images, header: str, **options) -> Table:
    """Every model under every condition; in the page only the CSV is of use."""
    rows = condition_rows(images, **options)
    text = [
        {
            "Model": model_name(row["model"]),
            "Condition": LABELS.get(row["condition"], row["condition"].replace("-", " ") + " %"),
            "n": f"{row['n']:,}",
            "Hidden": f"{row['covered']:.0%}",
            "Accuracy": f"{number(row['accuracy'])} {interval(row['accuracy_low'], row['accuracy_high'])}",
            "Confidence": number(row["confidence"]),
            "Probability of the true class": number(row["true_class"]),
            "Flips": number(row["flips"]),
        }
        for row in rows
    ]
    title = "Every model under every mask"
    notes = (_note(rows[0]["n"], options),)
    return Table("conditions", title, header, plain_frame(rows), pd.DataFrame(text), notes)
