"""Split the drawn images into train, validation and test.

The paper states 80/10/10, "stratified", seed 42; its tables fit only an unstratified draw (facts in the
README), so both are offered.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from har.core.errors import HarError
from har.core.files import write_csv
from har.data.groups import group_codes, require_whole, split_groups
from har.core.readers import read_table

SPLITS = ("train", "validation", "test", "extended")
SPLIT_COLUMNS = {"image_id": "int64", "label": "str", "split": "str"}
OWN_COLUMNS = {"group": "str"}  # where images belong together, as frames of a clip
MODES = ("stratified", "unstratified")


def split_sizes(count: int, fractions: dict[str, float]) -> dict[str, int]:
    """Images per split. Train gets what is left, test the odd image: 285 at .8/.1/.1 is 228/28/29.

    These are the sizes of scikit-learn's train_test_split applied twice, which rounds the held-out part up.
    Raises HarError where a fraction is not in (0, 1), they do not sum to 1, or a split would be empty.
    """
    if set(fractions) != set(SPLITS[:3]):
        raise HarError(f"split: expected train, validation and test, not {', '.join(fractions)}")
    for name, value in fractions.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
            raise HarError(f"split.{name}: {value!r} is not a share between 0 and 1")
    total = math.fsum(fractions.values())
    if abs(total - 1) > 1e-9:
        raise HarError(f"split: they sum to {total:g}, expected 1")
    held = fractions["validation"] + fractions["test"]
    # rounded first: .1 + .2 must not become a further image by its last bit
    rest = math.ceil(round(count * held, 9))
    test = math.ceil(round(rest * fractions["test"] / held, 9))
    sizes = {"train": count - rest, "validation": rest - test, "test": test}
    for name, size in sizes.items():
        if size < 1:
            raise HarError(f"split.{name}: {fractions[name]:g} of {count} images leaves none")
    return sizes


def split(manifest: pd.DataFrame, *, fractions: dict[str, float], mode: str, seed: int) -> pd.DataFrame:
    """Assign each image of `manifest` (image_id, label, part) to a split.

    Drawn images go to train, validation and test, the others to 'extended'. The result depends on the
    images and the seed, never on the order of rows. Stratified: each class keeps its share in train within
    one image, in validation and test within two (rounding twice).

    Where the manifest has a column `group`, the images of a group go together (har.data.groups), so sizes fit the
    fractions as far as groups allow. Where it has a column `split`, images came with theirs and keep it; without a
    validation image among them, validation is drawn from train.

    Returns image_id, label, split (and group where there are any), sorted by image_id. Raises HarError for bad
    fractions, an unknown mode, duplicate images or a class too small to stratify.
    """
    from sklearn.model_selection import train_test_split

    if mode not in MODES:
        raise HarError(f"split.mode: {mode!r} is not one of {', '.join(MODES)}")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise HarError(f"split.seed: {seed!r} is not a whole number from 0 to 2**32 - 1")
    own = [name for name in ("group", "split") if name in manifest.columns and (manifest[name] != "").any()]
    frame = manifest[["image_id", "label", "part", *own]].sort_values("image_id", ignore_index=True)
    twice = frame["image_id"][frame["image_id"].duplicated()]
    if len(twice):
        raise HarError(f"manifest: image_id {twice.iloc[0]} occurs twice")

    drawn = frame[frame["part"] == "drawn"]
    if own:
        frame["split"] = "extended"
        frame.loc[drawn.index, "split"] = _own_split(drawn, fractions, mode, seed)
        require_whole(frame, "split")
        return frame[[*SPLIT_COLUMNS, *(name for name in own if name == "group")]]
    sizes = split_sizes(len(drawn), fractions)

    def cut(images: pd.DataFrame, held_out: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        stratify = images["label"] if mode == "stratified" else None
        try:
            return train_test_split(images, test_size=held_out, random_state=seed, stratify=stratify)
        except ValueError as error:
            smallest = images["label"].value_counts()
            raise HarError(
                f"split: class {smallest.index[-1]!r} has {smallest.iloc[-1]} of {len(images)} images, "
                f"too few to put some in every split ({' '.join(str(error).split())})"
            ) from None

    _, rest = cut(drawn, sizes["validation"] + sizes["test"])
    validation, test = cut(rest, sizes["test"])
    frame["split"] = "train"
    frame.loc[validation.index, "split"] = "validation"
    frame.loc[test.index, "split"] = "test"
    frame.loc[frame["part"] != "drawn", "split"] = "extended"
    return frame[list(SPLIT_COLUMNS)]


def _own_split(drawn: pd.DataFrame, fractions: dict[str, float], mode: str, seed: int) -> pd.Series:
    """The split of each drawn image that has a group, or a split that it came with."""
    split_sizes(len(drawn), fractions)  # complains about fractions
    groups = group_codes(drawn)
    groups = drawn["image_id"].rank(method="first").to_numpy(int) - 1 if groups is None else groups
    if "split" not in drawn.columns:
        found = split_groups(drawn["label"], groups, fractions, stratified=mode == "stratified", seed=seed)
        return pd.Series(found, index=drawn.index)
    given = drawn["split"].copy()
    if missing := {"train", "test"} - set(given):
        raise HarError(f"split: no image came with split {min(missing)}")
    if "validation" not in set(given):
        train = (given == "train").to_numpy()
        rest = fractions["train"] + fractions["validation"]
        shares = {name: fractions[name] / rest for name in ("train", "validation")}
        options = {"stratified": mode == "stratified", "seed": seed}
        codes = pd.factorize(groups[train])[0]
        given[train] = split_groups(drawn["label"][train], codes, shares, **options)
    return given


def require_classes(frame: pd.DataFrame, classes: Sequence[str], name: str) -> None:
    """HarError, for `name`, unless train, validation and, where there is one, test of `frame` (label, split) have an
    image of each class: a class that test lacks would count as an F1 of 0 in every mean."""
    parts = ("train", "validation", "test") if (frame["split"] == "test").any() else ("train", "validation")
    for part in parts:
        if missing := set(classes) - set(frame["label"][frame["split"] == part]):
            raise HarError(f"{name}: no {part} image of class {min(missing)}; change split or curate.classes")


def write_split(frame: pd.DataFrame, path: str | Path) -> None:
    """Write image_id, label, split, and group where there are any, as CSV, atomically."""
    write_csv(path, frame[[*SPLIT_COLUMNS, *(name for name in OWN_COLUMNS if name in frame.columns)]])


def read_split(path: str | Path) -> pd.DataFrame:
    """The split at `path`; HarError names the file and what is wrong with it."""
    frame = read_table(path, SPLIT_COLUMNS, OWN_COLUMNS)
    if not frame["split"].isin(SPLITS).all():
        raise HarError(f"{path}: column 'split' may hold only {', '.join(SPLITS)}")
    return frame
