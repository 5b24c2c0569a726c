"""Pictures that occur twice: a test image that has a twin in train measures memory.

Each check compares all pairs of images of all splits and lists those that are closer than a bound.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import pandas as pd

from har.core.readers import is_text
from har.data.coco.annotations import read_images
from har.data.store import Store
from har.evaluation.predictions import SPLITS
from har.reporting.table import Column, ImageId, Table, count

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
    images = map(store.image, image_ids)
    digests = [hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest() for image in images]
    note = "equal after decoding at the store's size."
    return _equal("pixels", "Same pixels", "decoded pixels are equal", digests, note)


def _equal(name: str, title: str, criterion: str, digests: Sequence[str], note: str) -> Check:
    codes, _ = pd.factorize(np.asarray(digests, dtype=object))
    return Check(name, title, criterion, np.arange(len(codes)), codes, _gap, 0, "equal", note)


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
        bounds, one_part = (FLICKR_NUMBERS, FLICKR_NUMBERS * CONTROL), np.zeros(len(numbers), dtype=np.int64)
        near, wide = (int(find_pairs(numbers, _gap, bound, one_part, 0)[0].sum()) for bound in bounds)
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
    images = read_images(captions_json)
    return {image_id: date for image_id, image in images.items() if is_text(date := image.get("date_captured"))}


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


def leakage_tables(images: pd.DataFrame, checks: Iterable[Check], header: str) -> dict[str, Table]:
    """Tables `leakage`, a row a check, and `pairs`, a row a pair found, across splits first.

    `images` has image_id, label, split; each check's `rows` are positions in it.
    """
    checks, images = list(checks), images.reset_index(drop=True)
    part = pd.Index(SPLITS).get_indexer(images["split"])
    rows, listed, shown, pair_notes = [], [], [], []
    notes = ["Pairs of images of all splits; test and extended are to share none with train or validation."]
    for check in checks:
        row = {"check": check.name, "title": check.title, "criterion": check.criterion, "status": "not applicable"}
        note = f"not applicable, as {check.reason}."
        if not check.reason:
            n = len(check.rows)
            counts, found = find_pairs(check.features, check.distance, check.bound, part[check.rows])
            counts = np.pad(counts, (0, len(SPLITS) - len(counts)))
            pairs = _pair_rows(images, check, found)
            listed += pairs
            shown += pairs[:SHOWN]
            row |= {"status": "done", "images": n, "pairs_compared": n * (n - 1) // 2}
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
        rows.append(row | {"note": note})
        notes.append(f"{check.title}: {note}")
    columns = [
        Column(("title", "criterion"), "Check", "{}: {}".format, csv=False),
        *map(Column, ("check", "criterion", "status", "images")),
        Column("pairs_compared", "Pairs compared", count),
        Column("pairs_found", "Found", count),
        Column("across_splits", "Across splits", count),
        *(Column(_pair_key(a, b), f"{a}–{b}".capitalize(), count) for a, b in PAIRS if a != b),
        *(Column(_pair_key(a, b), f"Within {a}", count) for a, b in PAIRS if a == b),
        Column("note"),
    ]
    leakage = Table("leakage", "Do the splits share pictures?", header, rows, columns, notes)
    if not listed:
        pair_notes.append("No check found a pair.")
    known = {check.name: check for check in checks}
    columns = [
        Column("image_id_a", "Image a", ImageId),
        Column("split_a", "Split a"),
        Column("image_id_b", "Image b", ImageId),
        Column("split_b", "Split b"),
        Column("check", "Check", lambda name: known[name].title),
        Column(("value", "check"), "Value", lambda value, name: known[name].shown.format(value)),
        Column("same_label", "Same label", lambda same: "yes" if same else "no"),
        Column(("split_a", "split_b"), "Across splits", lambda a, b: "yes" if a != b else "no", csv=False),
    ]
    pairs = Table("pairs", "Pairs that may be one picture", header, listed, columns, pair_notes, shown)
    return {"leakage": leakage, "pairs": pairs}


def _pair_key(a: str, b: str) -> str:
    return f"within_{a}" if a == b else f"{a}_{b}"


def _pair_rows(images: pd.DataFrame, check: Check, found: pd.DataFrame) -> list[dict]:
    ids, splits, labels = (images[name].tolist() for name in ("image_id", "split", "label"))
    places, values = check.rows[found[["a", "b"]].to_numpy(int)], (check.sign * found["distance"]).round(6)
    return [
        {"image_id_a": ids[a], "split_a": splits[a], "image_id_b": ids[b], "split_b": splits[b], "check": check.name}
        | {"value": value, "same_label": labels[a] == labels[b]}
        for (a, b), value in zip(places.tolist(), values, strict=True)
    ]
