"""Labels that people would contradict: captions name what caught an annotator's eye.

Where it is known what each person in an image does (V-COCO's human verbs; the generated world's own scenes), the
caption labels are held against it.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from har.config.report import Report
from har.core.errors import HarError
from har.evaluation.bootstrap import percentile_interval
from har.evaluation.predictions import SPLITS
from har.reporting.names import class_name
from har.reporting.table import Column, Table, count, estimate
from har.reporting.tables.columns import class_text, figures, triple
from har.studies.audit.visible import of, share, tried, visible_table

SEVERAL, NOBODY = "several", "none"


class Reference(NamedTuple):
    """What people are known to do: image_id, person, activity ('' for none of `activities`), main (bool).

    An image that nobody looked at has no row, one without people a row without activity. `reason`: why there is no
    row, where it could not be downloaded. `judged`: other images of the same kind in which somebody looked for the
    label: label, seen (`har.studies.audit.visible`).
    """

    source: str
    activities: tuple[str, ...]
    people: pd.DataFrame
    note: str
    reason: str = ""
    judged: pd.DataFrame | None = None


PERSON = ["image_id", "person", "activity", "main"]


def world_reference(seed: int, image_ids: Iterable[int], hard: float) -> Reference:
    """The truth of generated scenes, and which of them were judged by eye (`hard`: as the profile's data.world)."""
    from har.synthetic import ACTIVITIES, sample_scene

    rows = []
    for image_id in image_ids:
        people = sample_scene(seed, int(image_id)).people
        rows += [(int(image_id), i, person.activity, person.main) for i, person in enumerate(people)]
        if not people:
            rows.append((int(image_id), -1, "", True))
    note = "Generated world: bystanders do something too, but only the main people decide what the image shows."
    return Reference("generated world", ACTIVITIES, pd.DataFrame(rows, columns=PERSON), note, judged=tried(hard))


def vcoco_reference(fetch: Callable[[], Path]) -> Reference:
    """V-COCO's human verbs from the file that `fetch` gets; HarError there: it could not be downloaded."""
    from har.data.coco.vcoco import ACTIVITY_OF, read_people

    activities = tuple(dict.fromkeys(ACTIVITY_OF.values()))
    note = (
        "V-COCO: verbs that people gave to each person; walk and run take precedence over stand, which it says of "
        "nearly everyone upright. It covers a part of the images only, and not at random."
    )
    try:
        return Reference("V-COCO", activities, read_people(fetch()), note)
    except HarError as error:
        nobody = pd.DataFrame(columns=PERSON).astype({"main": bool})
        return Reference("V-COCO", activities, nobody, "", " ".join(str(error).split()))


def compare(labels: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """One row for each image of `labels` (image_id, label, split) that `people` (`Reference`) covers.

    Adds shows: the one activity of the main people, SEVERAL or NOBODY; among: the label is one of their activities;
    majority: the activity of most of them, '' at a tie; contradicted: no person at all does what the label says,
    though somebody does something.
    """
    frame = labels[labels["image_id"].isin(people["image_id"])].sort_values("image_id", ignore_index=True)
    active = people[people["activity"] != ""]
    everyone, main = (
        some.groupby("image_id")["activity"].agg(list).to_dict() for some in (active, active[active["main"]])
    )
    rows = []
    for image_id, label in zip(frame["image_id"], frame["label"], strict=True):
        doings = main.get(image_id, [])
        modes = pd.Series(doings, dtype="str").mode().tolist()
        shows = NOBODY if not doings else doings[0] if len(set(doings)) == 1 else SEVERAL
        contradicted = label not in everyone.get(image_id, [label])
        rows.append((shows, label in doings, modes[0] if len(modes) == 1 else "", contradicted))
    return frame.join(pd.DataFrame(rows, columns=["shows", "among", "majority", "contradicted"]))


def kappa(confusion: np.ndarray) -> np.ndarray:
    """Cohen's kappa (1960) of confusion matrices [..., C, C]; nan where chance alone agrees always."""
    confusion = np.asarray(confusion, dtype=float)
    total = confusion.sum((-2, -1))
    observed = np.trace(confusion, axis1=-2, axis2=-1) / total
    chance = (confusion.sum(-1) * confusion.sum(-2)).sum(-1) / total**2
    return np.divide(observed - chance, 1 - chance, out=np.full(np.shape(chance), np.nan), where=chance < 1 - 1e-12)


def kappa_interval(confusion: np.ndarray, report: Report) -> tuple[float, ...]:
    """Kappa of one confusion matrix with a bootstrap interval over its images; none where undefined.

    Images of one cell are alike, so drawing cells by their shares draws images with replacement.
    """
    n = int(confusion.sum())
    estimate = float(kappa(confusion)) if n else np.nan
    if np.isnan(estimate):
        return (None,)
    drawn = np.random.default_rng(report.seed).multinomial(n, confusion.ravel() / n, size=report.resamples)
    values = kappa(drawn.reshape(-1, *confusion.shape))
    return estimate, *percentile_interval(estimate, values[np.isfinite(values)], report.confidence)


def agreement(found: pd.DataFrame, classes: Sequence[str], report: Report) -> dict:
    """The figures of one group of images (`compare`).

    agree: of the images whose main people do one thing, the label is it; among, contradicted: of those whose people
    do anything; majority: of those where one activity has the most of them. Each with _n (of how many), _share,
    _low, _high. kappa, kappa_low, kappa_high: over the same images as agree.
    """
    one = found[~found["shows"].isin([SEVERAL, NOBODY])]
    some = found[found["shows"] != NOBODY]
    most, level = found[found["majority"] != ""], report.confidence
    confusion = pd.crosstab(one["label"], one["shows"]).reindex(index=classes, columns=classes, fill_value=0)
    return {
        "images": len(found),
        "several": int((found["shows"] == SEVERAL).sum()),
        "none": int((found["shows"] == NOBODY).sum()),
        **share("agree", one["label"] == one["shows"], level),
        **figures("kappa", *kappa_interval(confusion.to_numpy(), report)),
        **share("among", some["among"], level),
        **share("majority", most["label"] == most["majority"], level),
        **share("contradicted", found["contradicted"], level),
    }


def label_tables(
    images: pd.DataFrame, reference: Reference, classes: Sequence[str], header: str, report: Report
) -> dict[str, Table]:
    """Tables `labels` (a row for all images, each split and each class of the caption label), `label_confusion`
    (caption labels against what people do) and, where scenes were judged, `visible`.

    `images` has image_id, label, split."""
    classes = [name for name in classes if name in reference.activities]
    known = images[images["label"].isin(classes)]
    found = compare(known, reference.people)
    source, reason, judged, level = reference.source, reference.reason, reference.judged, report.confidence
    status = "skipped" if reason else "done" if len(found) else "no overlap"
    notes = [reference.note, f"{source}: skipped, as {reason}" if reason else ""]
    if status == "no overlap":
        notes.append(f"{source} covers none of the images.")
    if left := len(images) - len(known):
        notes.append(f"{left:,} images have a label that {source} does not know; they are left out.")
    groups = [("all", "all"), *(("split", name) for name in SPLITS if (known["split"] == name).any())]
    rows = []
    for by, name in [*groups, *(("label", name) for name in classes)]:
        values = agreement(found if by == "all" else found[found[by] == name], classes, report)
        if by == "label":  # one of the two labels does not vary
            values |= figures("kappa", None)
        if judged is not None and by != "split":
            some = judged if by == "all" else judged[judged["label"] == name]
            values |= share("visible", some["label"] == some["seen"], level)
        if reason:
            values = {}
        rows.append({"source": source, "by": by, "group": name, "status": status, "note": reason, **values})
    # what the figures of this table mean does not belong to the other one, but why there are none does
    meaning = f"{SEVERAL}: the (main) people do more than one thing; {NOBODY}: nobody does any of these."
    others = notes if status != "done" else [reference.note, meaning]
    if status == "done":
        notes += [
            f"Agreement, with Wilson's {level:.0%} interval: of the images whose people do one thing only, the caption "
            "label is it: the ceiling of a classifier that always names what people do and is scored against caption "
            "labels; one that learns the captions' habits can score higher.",
            "κ (Cohen), with a bootstrap interval over images: agreement beyond chance, over the same images. It needs "
            "two labels that vary, so a single class has none. At full agreement its interval is a point: "
            "Wilson's says more.",
            "Among: the label is one of the activities shown; majority: it is that of most people, ties left out; "
            "contradicted: nobody in the image does it.",
        ]
    columns = [
        Column(
            ("group", "by"),
            "Images, by split and caption label",
            lambda group, by: class_text(group) if by == "label" else group,
        ),
        Column(("source", "status"), "Source", lambda source, how: source + " (skipped)" * (how == "skipped")),
        Column("images", "n", count),
        Column("agree_n", "One activity", count),
        Column("several", "Several", count),
        Column("none", "None", count),
        Column("agree"),
        Column(of("agree"), f"Agreement [{level:.0%}]", estimate),
        Column(triple("kappa"), "κ", estimate),
    ]
    titles = {name: name.capitalize() for name in ("among", "majority", "contradicted")}
    if judged is not None:
        titles = {"visible": f"Visible [{level:.0%}]"} | titles
        notes.append(
            "Visible: of other scenes judged by eye, those in which the label could be seen (table visible): the "
            "ceiling of anyone who has the picture alone."
        )
    for name, title in titles.items():
        columns += [Column(f"{name}_n"), Column(name), Column(of(name), title, estimate)]
    title = "Do caption labels say what people do?"
    labels = Table("labels", title, header, rows, [*columns, Column("note")], notes)
    tables = {"labels": labels, "label_confusion": _confusion_table(found, reference, status, classes, header, others)}
    return tables if judged is None else tables | {"visible": visible_table(classes, header, level)}


def _confusion_table(
    found: pd.DataFrame, reference: Reference, status: str, classes: Sequence[str], header: str, notes: Sequence[str]
) -> Table:
    shown = [*classes, SEVERAL, NOBODY]
    counts = pd.crosstab(found["label"], found["shows"]).reindex(index=classes, columns=shown, fill_value=0)
    rows = [
        {"source": reference.source, "status": status, "caption_label": label}
        | ({} if reference.reason else counts.loc[label].to_dict())
        for label in classes
    ]
    columns = [
        Column("caption_label", "Caption label", class_text),
        Column("source", "Source"),
        Column("status"),
        *(Column(name, class_name(name), count) for name in shown),
    ]
    title = "Caption labels (rows) and what people do (columns), in images"
    return Table("label_confusion", title, header, rows, columns, notes)
