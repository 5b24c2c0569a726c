"""Split the drawn images into train, validation and test.

The paper states 80/10/10, "stratified", seed 42; its tables fit only an unstratified draw (facts in the
README), so both are offered.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from har.core.errors import HarError
from har.core.files import write_csv
from har.core.readers import read_table
from har.data.groups import group_codes, require_whole, split_groups

SPLITS = ("train", "validation", "test", "extended")
SPLIT_COLUMNS = {"image_id": "int64", "label": "str", "split": "str"}
OWN_COLUMNS = {"group": "str", "clip": "str"}  # where images belong together, or are frames of clips


def split_sizes(count: int, fractions: dict[str, float]) -> dict[str, int]:
    """Images per split. Train gets what is left, test the odd image: 285 at .8/.1/.1 is 228/28/29.

    These are the sizes of scikit-learn's train_test_split applied twice, which rounds the held-out part up.
    Raises HarError where a split would be empty.
    """
    held = fractions["validation"] + fractions["test"]
    # rounded first: .1 + .2 must not become a further image by its last bit
    rest = math.ceil(round(count * held, 9))
    test = math.ceil(round(rest * fractions["test"] / held, 9))
    sizes = {"train": count - rest, "validation": rest - test, "test": test}
    for name, size in sizes.items():
        if size < 1:
            raise HarError(f"split.{name}: {fractions[name]:g} of {count} images leaves none")
    return sizes


def split(
    manifest: pd.DataFrame, *, train: float, validation: float, test: float, mode: str, seed: int
) -> pd.DataFrame:
    """Assign each image of `manifest` (image_id, label, part) to a split, by the block `split` of params.yaml.

    Drawn images go to train, validation and test, the others to 'extended'. The result depends on the
    images and the seed, never on the order of rows. Stratified: each class keeps its share in train within
    one image, in validation and test within two (rounding twice). Where a class is too small for that, each class has
    an image in train, then in test, then in validation, as far as its images go, and sizes follow from that.

    Where the manifest has a column `group`, the images of a group go together (har.data.groups), so sizes fit the
    fractions as far as groups allow. Where it has a column `split`, images came with theirs and keep it; without a
    validation image among them, validation is drawn from train.

    Returns image_id, label, split (and group and clip where there are any), sorted by image_id. Raises HarError for
    fractions that leave a split empty.
    """
    fractions = {"train": train, "validation": validation, "test": test}
    own = [name for name in ("group", "clip", "split") if name in manifest.columns and (manifest[name] != "").any()]
    names = ["image_id", "label", "part", *own, "url"]
    frame = manifest.filter(names).sort_values("image_id", ignore_index=True)
    drawn = frame[frame["part"] == "drawn"]
    found = None if own else _cut(drawn, split_sizes(len(drawn), fractions), mode, seed)
    frame["split"] = "extended"
    frame.loc[drawn.index, "split"] = _own_split(drawn, fractions, mode, seed) if found is None else found
    require_whole(frame, "split")
    return frame[[*SPLIT_COLUMNS, *(name for name in own if name in OWN_COLUMNS)]]


def _cut(drawn: pd.DataFrame, sizes: Mapping[str, int], mode: str, seed: int) -> pd.Series | None:
    """The split of each drawn image by scikit-learn's train_test_split applied twice; None where a class is too small
    for it."""
    from sklearn.model_selection import train_test_split

    found, rest = pd.Series("train", index=drawn.index), drawn
    try:
        for name, size in (("validation", sizes["validation"] + sizes["test"]), ("test", sizes["test"])):
            stratify = rest["label"] if mode == "stratified" else None
            _, rest = train_test_split(rest, test_size=size, random_state=seed, stratify=stratify)
            found[rest.index] = name
    except ValueError:
        return None
    return found if mode == "unstratified" or (pd.crosstab(drawn["label"], found) > 0).all(axis=None) else None


def _own_split(drawn: pd.DataFrame, fractions: dict[str, float], mode: str, seed: int) -> pd.Series:
    """The split of each drawn image that has a group, or a split that it came with."""
    split_sizes(len(drawn), fractions)  # complains about a split that gets none
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
    table = pd.crosstab(frame["label"], frame["split"]).reindex(classes, fill_value=0)
    for part in ("train", "validation", *(["test"] if "test" in table else [])):
        lacking = table[table[part] == 0] if part in table else table
        if len(lacking):
            counts = lacking.iloc[0]
            found = ", ".join(f"{count} in {other}" for other, count in counts.items() if count) or "none at all"
            more = f" and {len(lacking) - 1} more classes lack one" if len(lacking) > 1 else ""
            raise HarError(
                f"{name}: no {part} image of class {counts.name} ({found}){more}; change split or curate.classes"
            )


def write_split(frame: pd.DataFrame, path: str | Path) -> None:
    """Write image_id, label, split, and group and clip where there are any, as CSV, atomically."""
    write_csv(path, frame[[*SPLIT_COLUMNS, *(name for name in OWN_COLUMNS if name in frame.columns)]])


def read_split(path: str | Path) -> pd.DataFrame:
    """The split at `path`; HarError names the file and what is wrong with it."""
    frame = read_table(path, SPLIT_COLUMNS, OWN_COLUMNS)
    if not frame["split"].isin(SPLITS).all():
        raise HarError(f"{path}: column 'split' may hold only {', '.join(SPLITS)}")
    return frame
