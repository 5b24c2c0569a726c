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


def _gap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a[:, None] - b[None, :])


def _hamming(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a @ (1 - b).T + (1 - a) @ b.T


def _minus_cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return -np.clip(a @ b.T, -1, 1)


@dataclass(frozen=True)
class Check:
    """One way to be the same picture: `distance` of two blocks of `features` [n, ...] is `bound` or less."""

    name: str
    title: str
    criterion: str
    shown: str  # format of a value, which is the distance without its sign
    note: str
    features: np.ndarray  # [n, ...]
    bound: float = 0
    distance: Callable[[np.ndarray, np.ndarray], np.ndarray] = _gap  # [a, ...], [b, ...] to [a, b]
    rows: np.ndarray | None = None  # [n] which images have a feature, as positions in the frame of images; None: all
    reason: str = ""  # why it can't be made


def file_check(sha256: Sequence[str]) -> Check:
    """Equal bytes, by the digests of the files in order of images."""
    note = "equal bytes, one file under two ids."
    return Check("file", "Same file", "sha256 of the file is equal", "equal", note, pd.factorize(np.array(sha256))[0])


def pixel_check(store: Store, image_ids: Sequence[int]) -> Check:
    """Equal decoded pixels: also finds one picture in two files that differ in their metadata."""
    images = map(store.image, image_ids)
    digests = [hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest() for image in images]
    note = "equal after decoding at the store's size."
    codes = pd.factorize(np.array(digests))[0]
    return Check("pixels", "Same pixels", "decoded pixels are equal", "equal", note, codes)


def hash_check(store: Store, image_ids: Sequence[int], bits: int) -> Check:
    """Perceptual hashes (low frequencies of the cosine transform, 64 bits) that differ in at most `bits`."""
    import imagehash
    from PIL import Image

    found = [imagehash.phash(Image.fromarray(store.image(image_id))).hash.ravel() for image_id in image_ids]
    return Check(
        "perceptual_hash",
        "Perceptual hash",
        f"at most {bits} of {HASH_BITS} bits differ",
        "{:.0f} bits",
        "finds copies that were scaled, recompressed or lightly retouched, not mirrored or cropped ones.",
        np.array(found, dtype=np.float32).reshape(-1, HASH_BITS),
        bits,
        _hamming,
    )


def embedding_check(vectors: np.ndarray, similarity: float, encoder: str) -> Check:
    """Frozen embeddings [n, width] of unit length whose cosine is `similarity` or more."""
    return Check(
        "embedding",
        f"Embedding ({encoder})",
        f"cosine of {encoder}'s frozen embeddings is {similarity:g} or more",
        "cosine {:.3f}",
        "alike to the encoder, which may be two pictures of one kind of scene as well as one picture twice; look at "
        "the pairs.",
        np.asarray(vectors, dtype=np.float32),
        -similarity,
        _minus_cosine,
    )


def date_check(dates: Sequence[str], seconds: int, reason: str = "") -> Check:
    """`date_captured` (YYYY-MM-DD hh:mm:ss, '' if unknown) no further apart than `seconds`."""
    times = pd.to_datetime(pd.Series(list(dates), dtype="str"), format="%Y-%m-%d %H:%M:%S", errors="coerce").dropna()
    return Check(
        "date_captured",
        "Same minute",
        f"date_captured no further apart than {seconds} seconds",
        "{:.0f} s",
        "to all appearance COCO's date_captured is when a photograph was collected from Flickr (all of "
        "val2017 lies in twelve days of November 2013), not when it was taken. Such a pair was collected together, "
        "perhaps by one search; it need not show one scene.",
        times.to_numpy("datetime64[s]").astype(np.int64),
        seconds,
        rows=times.index.to_numpy(),
        reason=reason or ("no two images have a date_captured" if len(times) < 2 else ""),
    )


def flickr_check(urls: Sequence[str]) -> Check:
    """Photo numbers in Flickr's URLs ('' if unknown) no further apart than FLICKR_NUMBERS."""
    found = {row: int(match[1]) for row, url in enumerate(urls) if (match := _FLICKR.fullmatch(url))}
    numbers = np.array(list(found.values()), dtype=np.int64)
    # if numbers were unrelated, the pairs of a wide band would be spread evenly over it
    near, wide = (len(find_pairs(numbers, _gap, bound)) for bound in (FLICKR_NUMBERS, FLICKR_NUMBERS * CONTROL))
    return Check(
        "flickr_number",
        "Uploaded together",
        f"photo numbers in the Flickr URLs no further apart than {FLICKR_NUMBERS:,}",
        "{:,.0f} apart",
        "COCO names no author, so this is a proxy. Flickr numbers photographs as they arrive: close "
        "numbers were uploaded at about the same time, often by one author, but not always; one author's uploads of "
        f"other days are not found. About {(wide - near) / (CONTROL - 1):.1f} pairs would be so close by chance.",
        numbers,
        FLICKR_NUMBERS,
        rows=np.array(list(found), dtype=int),
        reason="no two images have a Flickr URL with a photo number" if len(found) < 2 else "",
    )


def read_dates(captions_json: str | Path) -> dict[int, str]:
    """`date_captured` of the images in a COCO file that have one, by image id."""
    images = read_images(captions_json)
    return {image_id: date for image_id, image in images.items() if is_text(date := image.get("date_captured"))}


def find_pairs(
    features: np.ndarray, distance: Callable[[np.ndarray, np.ndarray], np.ndarray], bound: float
) -> pd.DataFrame:
    """All pairs of `features` [n, ...] no further apart than `bound`: a, b (positions, a < b), distance."""
    found = [np.empty((3, 0))]
    for start in range(0, len(features), BLOCK):
        values = distance(features[start : start + BLOCK], features[start:])
        rows, columns = np.nonzero(np.triu(values <= bound, 1))
        found.append(np.stack([rows + start, columns + start, values[rows, columns]]))
    a, b, gap = np.concatenate(found, axis=1)
    return pd.DataFrame({"a": a.astype(int), "b": b.astype(int), "distance": gap})


PAIRS = list(combinations_with_replacement(SPLITS, 2))


def leakage_tables(images: pd.DataFrame, checks: Iterable[Check], header: str) -> dict[str, Table]:
    """Tables `leakage`, a row a check, and `pairs`, a row a pair found, across splits first, then the closest.

    `images` has image_id, label, split; each check's `rows` are positions in it.
    """
    checks = {check.name: check for check in checks}
    rows, listed, shown, pair_notes = [], [], [], []
    notes = ["Pairs of images of all splits; test and extended are to share none with train or validation."]
    for check in checks.values():
        row = {"check": check.name, "title": check.title, "criterion": check.criterion, "status": "not applicable"}
        note = f"not applicable, as {check.reason}."
        if not check.reason:
            mine = images if check.rows is None else images.iloc[check.rows]
            n, pairs = len(mine), _pairs(mine, check)
            across = pairs["split_a"] != pairs["split_b"]
            row |= {"status": "done", "images": n, "pairs_compared": n * (n - 1) // 2}
            row |= {"pairs_found": len(pairs), "across_splits": int(across.sum())}
            counts = pairs.groupby(["split_a", "split_b"]).size()
            row |= {_pair_key(*pair): sum(counts.get(one, 0) for one in {pair, pair[::-1]}) for pair in PAIRS}
            order = np.lexsort((pairs["b"], pairs["a"], pairs["distance"], ~across))
            pairs = pairs.iloc[order[:LISTED]].to_dict("records")
            listed += pairs
            shown += pairs[:SHOWN]
            share, note = row["pairs_found"] / max(row["pairs_compared"], 1), check.note
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
    columns = [
        Column("image_id_a", "Image a", ImageId),
        Column("split_a", "Split a"),
        Column("image_id_b", "Image b", ImageId),
        Column("split_b", "Split b"),
        Column("check", "Check", lambda name: checks[name].title),
        Column(("value", "check"), "Value", lambda value, name: checks[name].shown.format(value)),
        Column("same_label", "Same label", lambda same: "yes" if same else "no"),
        Column(("split_a", "split_b"), "Across splits", lambda a, b: "yes" if a != b else "no", csv=False),
    ]
    pairs = Table("pairs", "Pairs that may be one picture", header, listed, columns, pair_notes, shown)
    return {"leakage": leakage, "pairs": pairs}


def _pair_key(a: str, b: str) -> str:
    return f"within_{a}" if a == b else f"{a}_{b}"


def _pairs(images: pd.DataFrame, check: Check) -> pd.DataFrame:
    """`find_pairs` of a check whose features are those of `images`, with what the table of pairs tells of each."""
    found = find_pairs(check.features, check.distance, check.bound)
    for side in "ab":
        for name in ("image_id", "split", "label"):
            found[f"{name}_{side}"] = images[name].to_numpy()[found[side]]
    value, same = found["distance"].abs().round(6), found["label_a"] == found["label_b"]
    return found.assign(check=check.name, value=value, same_label=same)
