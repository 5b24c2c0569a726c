"""From own labels to the images of a run: which class each belongs to, and which are drawn."""

from collections.abc import Mapping

import pandas as pd

from har.config.data import Curate
from har.core.errors import HarError
from har.data.coco.curate import Curation, funnel, ranked
from har.data.manifest import EVIDENCE_COLUMNS, MANIFEST_COLUMNS, OWN, OWN_COLUMNS


def choose(images: pd.DataFrame, settings: Curate) -> Curation:
    """Label images by what their folder or table says, then draw `count` of each class.

    images: har.data.folder.inspect.COLUMNS. settings: the block `curate` of params.yaml; keywords are the names that
    make up a class (none: its own), an empty count draws all. A class is drawn from as many groups as it has, one image
    of each group in turn, so that it is as varied as can be. The others are `extended`, at most so many, but none of a
    group that was drawn from: a second test set must not show the clips of train. Where images came with a split,
    those of 'extended' are the second test set, and `count` draws among the rest.

    Raises HarError where a class has no image or fewer than `count`.
    """
    names = {label: entry.keywords or [label] for label, entry in settings.classes.items()}
    known = {name: label for label, some in names.items() for name in some}
    if len(known) < sum(map(len, names.values())):
        raise HarError("curate.classes: a name stands in the keywords of two classes")
    of = dict(zip(images["image_id"], images["label"].map(known), strict=True))
    chosen = {i: label for i, label in of.items() if isinstance(label, str)}
    for label, some in names.items():
        if label not in set(chosen.values()):
            found = ", ".join(sorted(set(images["label"])))
            raise HarError(f"curate.classes.{label}: no image is labelled {' or '.join(some)}; there are {found[:300]}")
    group = dict(zip(images["image_id"], images["group"], strict=True))
    given = dict(zip(images["image_id"], images["split"], strict=True))
    drawn, short = set(), []
    for label, entry in settings.classes.items():
        ids = [i for i, other in chosen.items() if other == label and given[i] != "extended"]
        count = len(ids) if entry.count is None else entry.count
        if len(ids) < max(count, 1):
            short.append(f"{label} has {len(ids)} of {max(count, 1)}")
        drawn.update(_in_turn(ids, group, settings.seed, label)[:count])
    if short:
        raise HarError(f"curate.classes: too few images: {'; '.join(short)}; lower count or leave it empty")
    seen = {group[i] for i in drawn} - {""}
    if any(given.values()):
        left = [i for i in chosen if given[i] == "extended"]
    else:
        left = [i for i in chosen if i not in drawn and group[i] not in seen]
    extra = set(ranked(left, settings.seed, "extended")[: settings.extended])
    kept = {"readable images": dict.fromkeys(of, ())}
    for rule, ids in (("the label is one of the classes", chosen), ("drawn", drawn), ("extended", extra)):
        kept[rule] = {i: [chosen[i]] for i in ids}
    rows = images[images["image_id"].isin(drawn | extra)].sort_values("image_id", ignore_index=True)
    rows = rows.assign(
        rule="label " + rows["label"],
        label=rows["image_id"].map(chosen),
        part=["drawn" if i in drawn else "extended" for i in rows["image_id"]],
        url=OWN + rows["name"],
        flickr_url="",
        evidence="[]",
        person_area=0.0,
        **dict.fromkeys(("license", "persons", "captions_for_label", "captions_total"), 0),
    )
    columns = MANIFEST_COLUMNS | {name: kind for name, kind in OWN_COLUMNS.items() if name in rows.columns}
    manifest, evidence = rows[list(columns)].astype(columns), pd.DataFrame(columns=list(EVIDENCE_COLUMNS))
    return Curation(manifest, evidence, funnel(kept, list(names)))


def _in_turn(ids: list[int], group: Mapping[int, str], seed: int, label: str) -> list[int]:
    """Ids in random order, the first image of each group before the second of any."""
    order = pd.Series(ranked(ids, seed, label), dtype=object)
    turn = order.groupby([group[i] or i for i in order]).cumcount()
    return order[turn.sort_values(kind="stable").index].tolist()
