"""Are the data what they claim? Pictures that occur twice, and labels that people would contradict.

Leakage: a test image that has a twin in train measures memory. Each check compares all pairs of images of all
splits and lists those that are closer than a bound.

Labels: captions name what caught an annotator's eye. Where it is known what each person in an image does (V-COCO's
human verbs; the generated world's own scenes), the caption labels are held against it.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import pandas as pd

from har import paper
from har.errors import HarError
from har.evaluate import SPLITS, percentile_interval, wilson
from har.markdown import NONE, Table, interval, number
from har.store import Store

BLOCK = 512  # rows of the pair matrix at a time: 5,000 images stay under 100 MB
LISTED = 100_000  # pairs a check lists at most, of all those it counts
SHOWN = 10  # of these, in Markdown
DISCRIMINATES = 0.10  # a bound that a larger share of all pairs satisfies tells nothing apart
HASH_BITS = 64
# Flickr numbers photographs as they arrive. Of val2017's 5,000 images 22 pairs lie no further apart than this (4 if
# numbers were unrelated), most of one scene, and none of them on one server: so the server is no part of the check.
FLICKR_NUMBERS = 1000
CONTROL = 100  # the bound of the control is so many times as wide
# http://farm7.staticflickr.com/6116/6255196340_da26cf2c9e_z.jpg is server/number_secret_size
_FLICKR = re.compile(r"https?://\w+\.static\.?flickr\.com/\d+/(\d{1,18})_[0-9a-f]+(?:_\w)?\.jpg", re.ASCII)

SEVERAL, NOBODY = "several", "none"


# --- leakage -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """One way to be the same picture: `distance` of two blocks of `features` [n, ...] is `bound` or less."""

    name: str
    title: str
    criterion: str
    rows: np.ndarray  # [n] which images have a feature, as positions in the frame of images
    features: np.ndarray  # [n, ...]
    distance: Callable[[np.ndarray, np.ndarray], np.ndarray]  # [a, ...], [b, ...] to [a, b]
    bound: float
    shown: str  # format of a value
    note: str
    sign: int = 1  # -1: the value is the negative distance, as of a similarity
    reason: str = ""  # why it can't be made; then there are no features


def _unequal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, None] != b[None, :]


def _gap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a[:, None] - b[None, :])


def _hamming(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a @ (1 - b).T + (1 - a) @ b.T


def _minus_cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return -np.clip(a @ b.T, -1, 1)


def file_check(sha256: Sequence[str]) -> Check:
    """Equal bytes, by the digests of the files in order of images."""
    note = "equal bytes, one file under two ids."
    return _equal("file", "Same file", "sha256 of the file is equal", sha256, note)


def pixel_check(store: Store, image_ids: Sequence[int]) -> Check:
    """Equal decoded pixels: also finds one picture in two files that differ in their metadata."""
    digests = []
    for image_id in image_ids:
        image = store.image(image_id)
        digests.append(hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest())
    note = "equal after decoding at the store's size."
    return _equal("pixels", "Same pixels", "decoded pixels are equal", digests, note)


def _equal(name: str, title: str, criterion: str, digests: Sequence[str], note: str) -> Check:
    codes, _ = pd.factorize(np.asarray(digests, dtype=object))
    return Check(name, title, criterion, np.arange(len(codes)), codes, _unequal, 0, "equal", note)


def hash_check(store: Store, image_ids: Sequence[int], bits: int) -> Check:
    """Perceptual hashes (low frequencies of the cosine transform, 64 bits) that differ in at most `bits`."""
    import imagehash
    from PIL import Image

    found = [imagehash.phash(Image.fromarray(store.image(image_id))).hash.ravel() for image_id in image_ids]
    return Check(
        "perceptual_hash",
        "Perceptual hash",
        f"at most {bits} of {HASH_BITS} bits differ",
        np.arange(len(found)),
        np.array(found, dtype=np.float32).reshape(-1, HASH_BITS),
        _hamming,
        bits,
        "{:.0f} bits",
        "finds copies that were scaled, recompressed or lightly retouched, not mirrored or cropped ones.",
    )


def embedding_check(vectors: np.ndarray, similarity: float, encoder: str) -> Check:
    """Frozen embeddings [n, width] of unit length whose cosine is `similarity` or more."""
    return Check(
        "embedding",
        f"Embedding ({encoder})",
        f"cosine of {encoder}'s frozen embeddings is {similarity:g} or more",
        np.arange(len(vectors)),
        np.asarray(vectors, dtype=np.float32),
        _minus_cosine,
        -similarity,
        "cosine {:.3f}",
        "alike to the encoder, which may be two pictures of one kind of scene as well as one picture twice; look at "
        "the pairs.",
        sign=-1,
    )


def date_check(dates: Sequence[str], seconds: int, reason: str = "") -> Check:
    """`date_captured` (YYYY-MM-DD hh:mm:ss, '' if unknown) no further apart than `seconds`."""
    times = pd.to_datetime(pd.Series(list(dates), dtype="str"), format="%Y-%m-%d %H:%M:%S", errors="coerce")
    rows = np.flatnonzero(times.notna())
    if not reason and len(rows) < 2:
        reason = "no two images have a date_captured"
    return Check(
        "date_captured",
        "Same minute",
        f"date_captured no further apart than {seconds} seconds",
        rows,
        times.iloc[rows].to_numpy("datetime64[s]").astype(np.int64),
        _gap,
        seconds,
        "{:.0f} s",
        "to all appearance COCO's date_captured is when a photograph was collected from Flickr (all of "
        "val2017 lies in twelve days of November 2013), not when it was taken. Such a pair was collected together, "
        "perhaps by one search; it need not show one scene.",
        reason=reason,
    )


def flickr_check(urls: Sequence[str]) -> Check:
    """Photo numbers in Flickr's URLs ('' if unknown) no further apart than FLICKR_NUMBERS."""
    matches = [_FLICKR.fullmatch(url) for url in urls]
    rows = np.flatnonzero([match is not None for match in matches])
    numbers = np.array([int(matches[row][1]) for row in rows], dtype=np.int64)
    reason = "no two images have a Flickr URL with a photo number" if len(rows) < 2 else ""
    note = (
        "COCO names no author, so this is a proxy. Flickr numbers photographs as they arrive: close "
        "numbers were uploaded at about the same time, often by one author, but not always; one author's uploads of "
        "other days are not found."
    )
    if not reason:
        nobody = np.zeros(len(numbers), dtype=np.int64)
        near, wide = (
            int(find_pairs(numbers, _gap, FLICKR_NUMBERS * factor, nobody, 0)[0].sum()) for factor in (1, CONTROL)
        )
        # if numbers were unrelated, the pairs of the wide band would be spread evenly over it
        note += f" About {(wide - near) / (CONTROL - 1):.1f} pairs would be so close by chance."
    return Check(
        "flickr_number",
        "Uploaded together",
        f"photo numbers in the Flickr URLs no further apart than {FLICKR_NUMBERS:,}",
        rows,
        numbers,
        _gap,
        FLICKR_NUMBERS,
        "{:,.0f} apart",
        note,
        reason=reason,
    )


def read_dates(captions_json: str | Path) -> dict[int, str]:
    """`date_captured` of the images in a COCO file that have one, by image id."""
    try:
        images = json.loads(Path(captions_json).read_text(encoding="utf-8"))["images"]
        dates = {image["id"]: image.get("date_captured") for image in images}
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise HarError(f"{captions_json}: not a COCO file with images") from None
    return {image_id: date for image_id, date in dates.items() if isinstance(date, str)}


def find_pairs(
    features: np.ndarray,
    distance: Callable[[np.ndarray, np.ndarray], np.ndarray],
    bound: float,
    part: np.ndarray,
    limit: int = LISTED,
) -> tuple[np.ndarray, pd.DataFrame]:
    """All pairs of `features` [n, ...] no further apart than `bound`.

    Returns how many there are by `part` [n] (small whole numbers), an upper triangular matrix, and the pairs: a, b
    (positions, a < b), distance; those of two parts first, then the closest, at most `limit`.
    """
    parts = int(part.max(initial=0)) + 1
    counts, kept = np.zeros(parts * parts, dtype=np.int64), []
    for start in range(0, max(len(features), 1), BLOCK):
        values = distance(features[start : start + BLOCK], features[start:])
        rows, columns = np.nonzero(np.triu(values <= bound, 1))
        a, b = rows + start, columns + start
        low, high = np.minimum(part[a], part[b]), np.maximum(part[a], part[b])
        counts += np.bincount(low * parts + high, minlength=parts * parts)
        near = values[rows, columns].astype(float)
        kept.append(pd.DataFrame({"a": a, "b": b, "distance": near, "same": low == high}))
        if sum(map(len, kept)) > 2 * limit:
            kept = [_closest(kept, limit)]
    return counts.reshape(parts, parts), _closest(kept, limit).drop(columns="same")


def _closest(kept: Sequence[pd.DataFrame], limit: int) -> pd.DataFrame:
    pairs = pd.concat(kept, ignore_index=True)
    return pairs.sort_values(["same", "distance", "a", "b"], ignore_index=True).head(limit)


PAIRS = list(combinations_with_replacement(SPLITS, 2))
PAIR_COLUMNS = ["image_id_a", "split_a", "image_id_b", "split_b", "check", "value", "same_label"]


def leakage_tables(images: pd.DataFrame, checks: Iterable[Check], header: str) -> dict[str, Table]:
    """Tables `leakage`, a row a check, and `pairs`, a row a pair found, across splits first.

    `images` has image_id, label, split; each check's `rows` are positions in it.
    """
    checks, images = list(checks), images.reset_index(drop=True)
    part = pd.Index(SPLITS).get_indexer(images["split"])
    rows, text, listed, shown, notes, pair_notes = [], [], [], [], [], []
    for check in checks:
        made = not check.reason
        n = len(check.rows) if made else 0
        row = {
            "check": check.name,
            "criterion": check.criterion,
            "status": "done" if made else "not applicable",
            "images": n if made else None,
            "pairs_compared": n * (n - 1) // 2 if made else None,
        }
        if made:
            counts, found = find_pairs(check.features, check.distance, check.bound, part[check.rows])
            counts = np.pad(counts, (0, len(SPLITS) - len(counts)))
            pairs = _pair_rows(images, check, found)
            listed += pairs
            shown += [_pair_text(pair, check) for pair in pairs[:SHOWN]]
            row |= {"pairs_found": int(counts.sum()), "across_splits": int(counts.sum() - counts.trace())}
            row |= {_pair_key(*p): int(counts[SPLITS.index(p[0]), SPLITS.index(p[1])]) for p in PAIRS}
            share = row["pairs_found"] / max(row["pairs_compared"], 1)
            note = check.note
            if share > DISCRIMINATES:
                note += (
                    f" {share:.0%} of all pairs satisfy it: the threshold does not discriminate for these images "
                    "(and this encoder, if it is one's embedding), so the pairs say nothing about leakage."
                )
            if len(pairs) < row["pairs_found"]:
                pair_notes.append(f"{check.title}: pairs.csv lists {len(pairs):,} of {row['pairs_found']:,}.")
            if len(pairs) > SHOWN:
                pair_notes.append(f"{check.title}: {SHOWN} of {len(pairs):,} shown; all are in pairs.csv.")
        else:
            row |= dict.fromkeys(["pairs_found", "across_splits", *(_pair_key(*p) for p in PAIRS)])
            note = f"not applicable, as {check.reason}."
        rows.append(row | {"note": note})
        notes.append(f"{check.title}: {note}")
        text.append(_leakage_text(row, check))
    notes.insert(0, "Pairs of images of all splits; test and extended are to share none with train or validation.")
    title = "Do the splits share pictures?"
    leakage = Table("leakage", title, header, _frame(rows), pd.DataFrame(text), tuple(notes))
    frame = pd.DataFrame(listed, columns=PAIR_COLUMNS)
    if not listed:
        pair_notes.append("No check found a pair.")
    columns = ["Image a", "Split a", "Image b", "Split b", "Check", "Value", "Same label", "Across splits"]
    title = "Pairs that may be one picture"
    pairs = Table("pairs", title, header, frame, pd.DataFrame(shown, columns=columns), tuple(pair_notes))
    return {"leakage": leakage, "pairs": pairs}


def _frame(rows: Sequence[Mapping]) -> pd.DataFrame:
    """Counts stay whole numbers beside None, which a column of another type would make floats."""
    return pd.DataFrame(rows, dtype=object)


def _pair_key(a: str, b: str) -> str:
    return f"within_{a}" if a == b else f"{a}_{b}"


def _pair_rows(images: pd.DataFrame, check: Check, found: pd.DataFrame) -> list[dict]:
    ends = [images.iloc[check.rows[found[end].to_numpy(int)]] for end in ("a", "b")]
    values = (check.sign * found["distance"]).round(6)
    cells = zip(
        *(column for end in ends for column in (end["image_id"].tolist(), end["split"], end["label"])),
        values,
        strict=True,
    )
    return [
        dict(zip(PAIR_COLUMNS, (id_a, split_a, id_b, split_b, check.name, value, label_a == label_b), strict=True))
        for id_a, split_a, label_a, id_b, split_b, label_b, value in cells
    ]


def _pair_text(pair: Mapping, check: Check) -> tuple:
    across = "yes" if pair["split_a"] != pair["split_b"] else "no"
    same = "yes" if pair["same_label"] else "no"
    value = check.shown.format(pair["value"])
    return (
        str(pair["image_id_a"]), pair["split_a"], str(pair["image_id_b"]), pair["split_b"], check.title, value, same,
        across,
    )  # fmt: skip


def _leakage_text(row: Mapping, check: Check) -> dict:
    def count(value: int | None) -> str:
        return NONE if value is None else f"{value:,}"

    across = {f"{a}–{b}".capitalize(): count(row[_pair_key(a, b)]) for a, b in PAIRS if a != b}
    within = {f"Within {a}": count(row[_pair_key(a, b)]) for a, b in PAIRS if a == b}
    return {
        "Check": f"{check.title}: {check.criterion}",
        "Pairs compared": count(row["pairs_compared"]),
        "Found": count(row["pairs_found"]),
        "Across splits": count(row["across_splits"]),
        **across,
        **within,
    }


# --- labels ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """What people are known to do: image_id, person, activity ('' for none of `activities`), main (bool).

    An image that nobody looked at has no row, one without people a row without activity. `people` is None where the
    reference can't be had, for `reason`.
    """

    source: str
    activities: tuple[str, ...]
    people: pd.DataFrame | None
    reason: str = ""
    notes: tuple[str, ...] = ()


def world_reference(seed: int, image_ids: Iterable[int]) -> Reference:
    """The truth of generated scenes."""
    from har.world import ACTIVITIES, sample_scene

    rows = []
    for image_id in image_ids:
        people = sample_scene(seed, int(image_id)).people
        rows += [(int(image_id), i, person.activity, person.main) for i, person in enumerate(people)]
        if not people:
            rows.append((int(image_id), -1, "", True))
    note = "Generated world: bystanders do something too, but only the main people decide what the image shows."
    frame = pd.DataFrame(rows, columns=["image_id", "person", "activity", "main"])
    return Reference("generated world", ACTIVITIES, frame, notes=(note,))


def vcoco_reference(fetch: Callable[[], Path]) -> Reference:
    """V-COCO's human verbs from the file that `fetch` gets; HarError there makes it a reference that can't be had."""
    from har.coco.vcoco import ACTIVITY_OF, read_people

    activities = tuple(dict.fromkeys(ACTIVITY_OF.values()))
    try:
        path = fetch()
    except HarError as error:
        return Reference("V-COCO", activities, None, " ".join(str(error).split()))
    note = (
        "V-COCO: verbs that people gave to each person; walk and run take precedence over stand, which it says of "
        "nearly everyone upright. It covers a part of the images only, and not at random."
    )
    return Reference("V-COCO", activities, read_people(path), notes=(note,))


def compare(labels: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """One row for each image of `labels` (image_id, label, split) that `people` (`Reference`) covers.

    Adds shows: the one activity of the main people, SEVERAL or NOBODY; among: the label is one of their activities;
    majority: the activity of most of them, '' at a tie; contradicted: no person at all does what the label says,
    though somebody does something.
    """
    frame = labels[labels["image_id"].isin(people["image_id"])].sort_values("image_id", ignore_index=True)
    active = people[people["activity"] != ""]
    everyone = active.groupby("image_id")["activity"].agg(set)
    main = active[active["main"]].groupby("image_id")["activity"].agg(list)
    rows = []
    for image_id, label in zip(frame["image_id"], frame["label"], strict=True):
        doings = main.get(image_id, [])
        modes = pd.Series(doings, dtype="str").mode().tolist()
        shows = NOBODY if not doings else doings[0] if len(set(doings)) == 1 else SEVERAL
        contradicted = image_id in everyone.index and label not in everyone[image_id]
        rows.append((shows, label in doings, modes[0] if len(modes) == 1 else "", contradicted))
    return frame.join(pd.DataFrame(rows, columns=["shows", "among", "majority", "contradicted"]))


def kappa(confusion: np.ndarray) -> np.ndarray:
    """Cohen's kappa (1960) of confusion matrices [..., C, C]; nan where chance alone agrees always."""
    confusion = np.asarray(confusion, dtype=float)
    total = confusion.sum((-2, -1))
    observed = np.trace(confusion, axis1=-2, axis2=-1) / total
    chance = (confusion.sum(-1) * confusion.sum(-2)).sum(-1) / total**2
    return np.divide(observed - chance, 1 - chance, out=np.full(np.shape(chance), np.nan), where=chance < 1 - 1e-12)


def kappa_interval(
    confusion: np.ndarray, resamples: int, seed: int, level: float
) -> tuple[float | None, float | None, float | None]:
    """Kappa of one confusion matrix with a bootstrap interval over its images; None thrice where undefined.

    Images of one cell are alike, so drawing cells by their shares draws images with replacement.
    """
    confusion = np.asarray(confusion)
    n = int(confusion.sum())
    estimate = float(kappa(confusion)) if n else np.nan
    if not np.isfinite(estimate):
        return None, None, None
    drawn = np.random.default_rng(seed).multinomial(n, confusion.ravel() / n, size=resamples)
    values = kappa(drawn.reshape(-1, *confusion.shape))
    return estimate, *percentile_interval(estimate, values[np.isfinite(values)], level)


def _share(name: str, hits: pd.Series, level: float) -> dict:
    """How many of `hits`, the share and its Wilson interval; None where there is no image."""
    n, count = len(hits), int(hits.sum())
    low, high = wilson(count, n, level) if n else (None, None)
    share = count / n if n else None
    return {f"{name}_n": n, name: count, f"{name}_share": share, f"{name}_low": low, f"{name}_high": high}


def agreement(found: pd.DataFrame, classes: Sequence[str], resamples: int, seed: int, level: float) -> dict:
    """The figures of one group of images (`compare`).

    agree: of the images whose main people do one thing, the label is it; among, contradicted: of those whose people
    do anything; majority: of those where one activity has the most of them. Each with _n (of how many), _share,
    _low, _high. kappa, kappa_low, kappa_high: over the same images as agree.
    """
    one = found[~found["shows"].isin([SEVERAL, NOBODY])]
    some = found[found["shows"] != NOBODY]
    most = found[found["majority"] != ""]
    confusion = pd.crosstab(one["label"], one["shows"]).reindex(index=classes, columns=classes, fill_value=0)
    value, low, high = kappa_interval(confusion.to_numpy(), resamples, seed, level)
    agree = _share("agree", one["label"] == one["shows"], level)
    return {
        "images": len(found),
        "several": int((found["shows"] == SEVERAL).sum()),
        "none": int((found["shows"] == NOBODY).sum()),
        **agree,
        "kappa": value,
        "kappa_low": low,
        "kappa_high": high,
        "ceiling": agree["agree_share"],
        **_share("among", some["among"], level),
        **_share("majority", most["label"] == most["majority"], level),
        **_share("contradicted", found["contradicted"], level),
    }


def label_tables(
    images: pd.DataFrame,
    reference: Reference,
    classes: Sequence[str],
    header: str,
    resamples: int,
    seed: int,
    level: float,
) -> dict[str, Table]:
    """Tables `labels` (a row for all images, each split and each class of the caption label) and `label_confusion`
    (caption labels against what people do). `images` has image_id, label, split."""
    classes = [name for name in classes if name in reference.activities]
    known = images[images["label"].isin(classes)]
    groups = {("all", "all"): slice(None)}
    groups |= {("split", split): known["split"] == split for split in SPLITS if (known["split"] == split).any()}
    groups |= {("label", name): known["label"] == name for name in classes}
    people, notes = reference.people, list(reference.notes)
    if people is None:
        notes.append(f"{reference.source}: skipped, as {reference.reason}")
        people = pd.DataFrame({"image_id": [], "person": [], "activity": [], "main": []}).astype({"main": bool})
    found = compare(known, people)
    status = "skipped" if reference.people is None else "done" if len(found) else "no overlap"
    if status == "no overlap":
        notes.append(f"{reference.source} covers none of the images.")
    if left := len(images) - len(known):
        notes.append(f"{left:,} images have a label that {reference.source} does not know; they are left out.")
    rows = []
    for (by, name), chosen in groups.items():
        part = found[found["image_id"].isin(known.loc[chosen, "image_id"])]
        figures = agreement(part, classes, resamples, seed, level)
        if by == "label":  # one of the two labels does not vary
            figures |= dict.fromkeys(("kappa", "kappa_low", "kappa_high"))
        if status == "skipped":
            figures = dict.fromkeys(figures)
        rounded = {key: round(value, 6) if isinstance(value, float) else value for key, value in figures.items()}
        note = reference.reason if status == "skipped" else ""
        rows.append({"source": reference.source, "by": by, "group": name, "status": status, **rounded, "note": note})
    if status == "done":
        notes += _label_notes(level)
    text = pd.DataFrame([_label_text(row, level) for row in rows])
    title = "Do caption labels say what people do?"
    labels = Table("labels", title, header, _frame(rows), text, tuple(notes))
    return {"labels": labels, "label_confusion": _confusion_table(found, reference, status, classes, header, notes)}


def _label_notes(level: float) -> list[str]:
    return [
        f"Agreement, with Wilson's {level:.0%} interval: of the images whose people do one thing only, the caption "
        "label is it. It is also the ceiling of a classifier that always names what people do and is scored against "
        "caption labels; one that learns the captions' habits can score higher.",
        "κ (Cohen), with a bootstrap interval over images: agreement beyond chance, over the same images. It needs "
        "two labels that vary, so a single class has none. At full agreement its interval is a point: "
        "Wilson's says more.",
        "Among: the label is one of the activities shown; majority: it is that of most people, ties left out; "
        "contradicted: nobody in the image does it.",
    ]


def _group_name(row: Mapping) -> str:
    return {"all": "all", "label": paper.class_name(row["group"])}.get(row["by"], row["group"])


def _label_text(row: Mapping, level: float) -> dict:
    def count(key: str) -> str:
        return NONE if row[key] is None else f"{row[key]:,}"

    def share(name: str, low: str, high: str) -> str:
        return NONE if row[name] is None else f"{number(row[name])} {interval(row[low], row[high])}"

    def of(name: str) -> str:
        return share(f"{name}_share", f"{name}_low", f"{name}_high")

    return {
        "Images, by split and caption label": _group_name(row),
        "Source": row["source"] + (" (skipped)" if row["status"] == "skipped" else ""),
        "n": count("images"),
        "One activity": count("agree_n"),
        "Several": count("several"),
        "None": count("none"),
        f"Agreement = ceiling [{level:.0%}]": of("agree"),
        "κ": share("kappa", "kappa_low", "kappa_high"),
        "Among": of("among"),
        "Majority": of("majority"),
        "Contradicted": of("contradicted"),
    }


def _confusion_table(
    found: pd.DataFrame, reference: Reference, status: str, classes: Sequence[str], header: str, notes: Sequence[str]
) -> Table:
    columns = [*classes, SEVERAL, NOBODY]
    counts = pd.crosstab(found["label"], found["shows"]).reindex(index=list(classes), columns=columns, fill_value=0)
    rows, text = [], []
    for label in classes:
        cells = {name: None if status == "skipped" else int(counts.loc[label, name]) for name in columns}
        rows.append({"source": reference.source, "status": status, "caption_label": label, **cells})
        said = {paper.class_name(name): NONE if cell is None else f"{cell:,}" for name, cell in cells.items()}
        text.append({"Caption label": paper.class_name(label), "Source": reference.source, **said})
    # what the figures of the other table mean does not belong here, but why there are none does
    meaning = f"{SEVERAL}: the (main) people do more than one thing; {NOBODY}: nobody does any of these."
    own = notes if status != "done" else [*reference.notes, meaning]
    title = "Caption labels (rows) and what people do (columns), in images"
    return Table("label_confusion", title, header, _frame(rows), pd.DataFrame(text), tuple(own))
