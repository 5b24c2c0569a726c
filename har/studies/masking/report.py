"""Tables of the masking study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from har.config.studies import Masking
from har.evaluation.bootstrap import mean_with_interval
from har.evaluation.predictions import classes_of
from har.reporting.names import model_name
from har.reporting.table import NONE as DASH
from har.reporting.table import Column, Table, number, percent, signed_estimate
from har.reporting.tables.columns import MODEL, N, class_text, figure_column, figures, triple
from har.studies.masking.conditions import BOX, CROP, ELSEWHERE, NONE, drawn_name, filled_name
from har.studies.masking.scores import area_under_curve, by_share, corrected, difference, of_condition, per_image

FLIPS = "Flips: share of images whose predicted class changes from that with nothing hidden."
MASKED = "_masked"  # ends the name of a probe that learnt from masked images
LEARNT = "Probes called masked learnt from black masks on training images too, the others never saw one."
CUES = {
    "hide_cues": "own class's things hidden",
    "keep_cues": "own class's things only",
    "hide_things": "all classes' things hidden",
    "hide_relevant": "most relevant hidden",
    "keep_relevant": "most relevant only",
}


@dataclass(frozen=True)
class Masked:
    """What the tables are made from. images: `per_image` of each model, the most accurate first."""

    images: Mapping[str, pd.DataFrame]
    classes: Sequence[str]
    config: Masking
    header: str
    level: float

    def mean(self, name: str, values: pd.Series) -> dict:
        """The values of a `figure_column`."""
        return figures(name, *mean_with_interval(values, level=self.level))

    def gap(self, name: str, a: pd.Series, b: pd.Series) -> dict:
        """As `mean`, of the paired difference."""
        return figures(name, *difference(a, b, self.level))

    @property
    def note(self) -> str:
        n = max(len(of_condition(found, NONE)) for found in self.images.values())
        return (
            f"{n:,} test and extended images, one run a model (the kept one). [{self.level:.0%} interval] over images; "
            "differences are paired. Black is pixel value 0 of the network's own input, after cropping and scaling and "
            "before normalisation."
        )


def build_tables(
    predictions: Mapping[str, pd.DataFrame], config: Masking, header: str, level: float = 0.95
) -> dict[str, Table]:
    """masking (accuracy against share), kinds (its shapes), context, elsewhere and cues (hidden and isolated regions),
    classes; models by accuracy."""
    images = ranked({model: per_image(frame) for model, frame in predictions.items()})
    of = Masked(images, classes_of(next(iter(predictions.values()))), config, header, level)
    makers = share_table, shape_table, region_table, elsewhere_table, cue_table, class_table
    return {table.name: table for table in (make(of) for make in makers)}


def ranked(images: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Most accurate first, with nothing hidden."""
    return dict(sorted(images.items(), key=lambda one: -of_condition(one[1], NONE).mean()))


def share_table(of: Masked) -> Table:
    """Accuracy against the share hidden, mean over shapes of masks, with the area under it."""
    shapes, shares = of.config.kinds, of.config.shares
    points = {f"accuracy_{100 * share:g}": share for share in (0.0, *shares)}
    rows, areas = [], {model: area_under_curve(found, shapes, shares) for model, found in of.images.items()}
    for model, found in of.images.items():
        whole, area = of_condition(found, NONE), areas[model]
        row = {"model": model, "n": len(whole)}
        for name, share in points.items():
            row |= of.mean(name, by_share(found, shapes, share))
        row |= of.mean("area", area) | of.gap("area_minus_whole", area, whole)
        row |= figures("area_corrected", *corrected(area, found, of.level))
        row |= {"confidence": of_condition(found, NONE, "confidence").mean()}
        for measure in ("confidence", "flips"):
            row[f"{measure}_most_hidden"] = by_share(found, shapes, shares[-1], measure).mean()
        rows.append(row)
    most = f"{shares[-1]:.0%} hidden"
    told = ", ".join(
        f"{model_name(model)} {signed_estimate(*difference(areas[f'{model}{MASKED}'], areas[model], of.level))}"
        for model in areas
        if f"{model}{MASKED}" in areas
    )
    notes = (
        *([f"{LEARNT} Area under the curve that this adds: {told}."] if told else []),
        f"Mean over masks drawn as {', '.join(shapes)}; each covers its share exactly, the same for every model.",
        f"Area: under accuracy against share, 0 to {shares[-1]:.0%}, divided by {number(shares[-1], 2)}. "
        f"Chance-corrected: of balanced accuracy, scaled so that chance is 0 and always right 1; what says the same of "
        f"all images has 0. Confidence: the largest probability. {FLIPS}",
        of.note,
    )
    columns = [
        MODEL,
        Column("n"),
        *(
            Column(triple(name), f"{share:.0%} hidden" if share else "Nothing hidden", lambda mean, *_: number(mean))
            for name, share in points.items()
        ),
        figure_column("area", "Area under the curve"),
        figure_column("area_minus_whole", "Minus nothing hidden", sign=True),
        figure_column("area_corrected", "Area, chance-corrected", sign=True),
        Column("confidence", "Confidence, nothing hidden", number),
        Column("confidence_most_hidden", f"Confidence, {most}", number),
        Column("flips_most_hidden", f"Flips, {most}", number),
    ]
    return Table("masking", "Accuracy as more of the image is black", of.header, rows, columns, notes)


def shape_table(of: Masked) -> Table:
    """The area under the curve of each shape of mask."""
    rows = []
    for model, found in of.images.items():
        rows.append({"model": model})
        for shape in of.config.kinds:
            rows[-1] |= of.mean(shape, area_under_curve(found, [shape], of.config.shares))
    notes = ("Normalised area under accuracy against the share hidden.", of.note)
    columns = [MODEL, *(figure_column(shape, shape.capitalize()) for shape in of.config.kinds)]
    return Table("kinds", "Which shape of mask lowers accuracy most?", of.header, rows, columns, notes)


def region_table(of: Masked) -> Table:
    """The person alone against the context alone, with each of the fills in the persons' place."""
    hidden, rows = {fill: filled_name(BOX, fill) for fill in of.config.fills}, []
    for model, found in of.images.items():
        at = {name: of_condition(found, name) for name in (NONE, CROP, "keep_box", *hidden.values())}
        at[NONE] = at[NONE][at[NONE].index.isin(at["hide_box"].index)]
        row = {"model": model, "n": len(at[NONE])} | {name: values.mean() for name, values in at.items()}
        for fill, name in hidden.items():
            # black is the paper's: the person, too, stands in black
            row |= of.gap(f"person_minus_context_{fill}", at["keep_box" if fill == "black" else CROP], at[name])
        rows.append(row)
    covered = pd.concat([of_condition(found, "hide_box", "covered") for found in of.images.values()])
    notes = (
        *verdict(rows, of.config.fills),
        *([LEARNT] if any(model.endswith(MASKED) for model in of.images) else []),
        "Person only: the largest person with a margin, scaled to the input, as the images that models know. "
        "Context only: the boxes of all persons and crowds filled with black, the image's mean colour, what a strong "
        "blur leaves of them, or what surrounds them (inpainting). Person − context: above 0 the person alone tells "
        "more. By black, the paper's fill, the person is not cropped: all else is black, in a form that no model was "
        f"trained on. Person boxes cover {DASH if covered.empty else f'{covered.mean():.0%}'} of the input (mean).",
        of.note,
    )
    columns = [
        MODEL,
        N,
        Column(NONE, "Nothing hidden", number),
        Column(CROP, "Person only", number),
        Column("keep_box", "Person only, rest black", number),
        *(Column(name, f"Context only, {fill}", number) for fill, name in hidden.items()),
        *(figure_column(f"person_minus_context_{fill}", f"Person − context, {fill}", sign=True) for fill in hidden),
    ]
    return Table("context", "The person or the context?", of.header, rows, columns, notes)


def verdict(rows: Sequence[Mapping], fills: Sequence[str]) -> list[str]:
    """In words, which of person and context tells more, by the fills that leave an image like those that models know
    (all but black), and whether black says otherwise."""

    def sign(row: Mapping, fill: str) -> int:
        low, high = (row.get(f"person_minus_context_{fill}_{end}") for end in ("low", "high"))
        return 0 if low is None or low <= 0 <= high else 1 if low > 0 else -1

    def names(models: Sequence[str]) -> str:
        return ", ".join(map(model_name, models))

    rows = [row for row in rows if row["n"]]  # without persons' boxes there is nothing to tell
    natural = [fill for fill in fills if fill != "black"]
    black = {row["model"]: sign(row, "black") for row in rows}
    signs = {row["model"]: {sign(row, fill) for fill in natural} for row in rows}
    said = []
    for one, words in (
        (1, "The person alone tells more than the context alone"),
        (-1, "The context alone tells more than the person alone"),
    ):
        if models := [model for model, found in signs.items() if found == {one}]:
            said.append(f"{words}, by {', '.join(natural)} alike: {names(models)}.")
        if other := [model for model in models if black[model] == -one]:
            said.append(f"Black boxes say the opposite of {names(other)}: they measure how black is taken.")
    if mixed := [model for model, found in signs.items() if {1, -1} <= found]:
        said.append(f"The fills disagree: {names(mixed)}.")
    if undecided := [model for model, found in signs.items() if 0 in found and model not in mixed]:
        said.append(f"Not decided by every fill: {names(undecided)}.")
    return [" ".join(said)] if said else []


def elsewhere_table(of: Masked) -> Table:
    """Persons hidden against as much hidden elsewhere: whether it is the person that counts, or the area."""
    rows = []
    for model, found in of.images.items():
        row = {"model": model} | {name: of_condition(found, name).mean() for name in ("hide_person", "keep_person")}
        for fill in of.config.fills:
            pair = [of_condition(found, filled_name(region, fill)) for region in (BOX, ELSEWHERE)]
            row |= of.gap(f"change_{fill}", *pair)
        rows.append(row)
    notes = (
        "Below 0: hiding the person costs more than hiding the boxes of another image's persons, so the same area and "
        "shapes. By outline a black figure still shows how it holds itself, by box it does not; where no outline is "
        "annotated the box stands in.",
    )
    title = "Person hidden − as much elsewhere"
    columns = [
        MODEL,
        Column("hide_person", "Persons black, by outline", number),
        Column("keep_person", "Persons only, by outline", number),
        *(figure_column(f"change_{fill}", f"{title}, {fill}", sign=True) for fill in of.config.fills),
    ]
    return Table("elsewhere", "Does it matter that it is the person?", of.header, rows, columns, notes)


def cue_table(of: Masked) -> Table:
    """Things that go with a class hidden or alone, and the model's own most relevant pixels."""
    rows = []
    for model, found in of.images.items():
        whole = of_condition(found, NONE)
        for hidden in CUES:
            values = of_condition(found, hidden)
            if values.empty:
                continue
            row = {"model": model, "condition": hidden, "n": len(values), "accuracy": values.mean()}
            row |= {"whole": whole[values.index].mean(), "flips": of_condition(found, hidden, "flips").mean()}
            rows.append(row | of.gap("change", values, whole))
    notes = [
        "Of the images that hold such a thing; the lists are params.yaml's masking.cues. Which things are the own "
        "class's follows from the true label, so \"own class's things only\" tells how far they alone give it away.",
        FLIPS,
    ]
    if not rows:
        notes = ["No image of the study has an annotated thing of masking.cues, and no explanation was asked for."]
    columns = [
        MODEL,
        Column("condition", "Condition", CUES.get),
        N,
        Column("whole", "Nothing hidden", number),
        Column("accuracy", "Accuracy", number),
        figure_column("change", "Change", sign=True),
        Column("flips", "Flips", number),
    ]
    relevant = any("relevant" in row["condition"] for row in rows)
    title = f"Hiding the cues of a class{', or the pixels most relevant to the model' if relevant else ''}"
    return Table("cues", title, of.header, rows, columns, notes)


def class_table(of: Masked) -> Table:
    """Recall of each class and how often it is predicted, as images go black."""
    shapes, shares, rows = of.config.kinds, of.config.shares, []
    recalls = {f"recall_{100 * share:g}": share for share in (0.0, *shares)}
    for model, found in of.images.items():
        # under each condition, the share of images for which each class is predicted
        guesses = found.groupby("condition", observed=True)["guess"].value_counts(normalize=True)
        for name in of.classes:
            mine = found[found["label"] == name]
            if mine.empty:
                continue
            row = {"model": model, "class": name, "n": len(of_condition(mine, NONE))}
            row |= {recall: by_share(mine, shapes, share).mean() for recall, share in recalls.items()}
            row |= {f"recall_{hidden}": of_condition(mine, hidden).mean() for hidden in ("hide_box", "keep_box")}
            after = [guesses.get((drawn_name(shape, shares[-1]), name), 0.0) for shape in shapes]
            row |= {"predicted_0": guesses.get((NONE, name), 0.0), "predicted_most_hidden": np.mean(after)}
            rows.append(row)
    columns = [
        MODEL,
        Column("class", "Class", class_text),
        N,
        *(Column(recall, f"Recall, {share:.0%} hidden", number) for recall, share in recalls.items()),
        Column("recall_hide_box", "Recall, context only, black", number),
        Column("recall_keep_box", "Recall, person only, rest black", number),
        Column("predicted_0", "Predicted, nothing hidden", percent),
        Column("predicted_most_hidden", f"Predicted, {shares[-1]:.0%} hidden", percent),
    ]
    notes = ("Mean over shapes of drawn masks. Predicted: share of all images that the model takes for this class.",)
    return Table("classes", "Each class as images go black", of.header, rows, columns, notes)
