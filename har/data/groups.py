"""Images that belong together, as the frames of a clip: they never straddle a split or a fold.

A group is a text; images without one ('') stand alone.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

import numpy as np
import pandas as pd

from har.core.errors import HarError


def group_codes(frame: pd.DataFrame) -> np.ndarray | None:
    """A number for each row's group, int [n], equal within a group; None where no image has one.

    frame: `group` (or no such column), and image_id, which tells images without a group apart.
    """
    if "group" not in frame.columns:
        return None
    named = frame["group"].fillna("")  # as pandas reads an empty cell
    if not (named != "").any():
        return None
    keys = named.where(named != "", "\0" + frame["image_id"].astype(str))
    return pd.factorize(keys, sort=True)[0]


def by_image(frame: pd.DataFrame) -> pd.Index:
    """The image_id of each row, or where images have a group, its number and image_id."""
    ids, groups = pd.Index(frame["image_id"]), group_codes(frame)
    return ids if groups is None else pd.MultiIndex.from_arrays([groups, ids], names=["group", "image_id"])


def with_groups(predictions: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """`predictions` with the group of each image where `images` (image_id, and group where there are any) have
    some, what the bootstrap of har.evaluation.predictions draws, and with the clip of each where they have any."""
    if group_codes(images) is None:
        return predictions
    known = images.set_index("image_id")
    out = predictions.drop(columns=["group", "clip"], errors="ignore")
    for name in (name for name in ("clip", "group") if name in known.columns):
        out.insert(list(out.columns).index("label") + 1, name, out["image_id"].map(known[name]))
    return out


def split_groups(
    labels: Sequence[str], groups: np.ndarray, shares: Mapping[str, float], *, stratified: bool, seed: int
) -> np.ndarray:
    """The split of each image, object [n]; all images of a group are in one.

    labels, groups: of the images. shares: split -> its share of the images (they sum to 1). Stratified: each class
    has a group in train, then in test, then in validation, as far as its groups go; then groups go, the largest first,
    where they lessen the distance from the shares of each class most (chi-squared). Else groups go in random order to
    the split that lacks most images.
    Raises HarError where a split gets no group.
    """
    classes, names = pd.factorize(np.asarray(labels), sort=True)
    counts = np.zeros((int(groups.max()) + 1, len(names)))
    np.add.at(counts, (groups, classes), 1)
    order = np.random.default_rng(seed).permutation(len(counts))
    if stratified:
        order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    else:
        counts = counts.sum(1, keepdims=True)
    parts, share = list(shares), np.array(list(shares.values()))
    wanted, have = share[:, None] * counts.sum(0), np.zeros((len(parts), counts.shape[1]))
    of = np.full(len(counts), -1)

    def put(group: int, part: int) -> None:
        of[group] = part
        have[part] += counts[group]

    if stratified:
        _seed_classes(counts, order, share, of, put, parts)
    for group in order:
        if of[group] < 0:
            after = have + counts[group]
            change = ((after - wanted) ** 2 - (have - wanted) ** 2) / np.maximum(wanted, 1e-9)
            put(group, int(change.sum(1).argmin()))
    if missing := set(range(len(parts))) - set(of.tolist()):
        raise HarError(f"split: {len(counts)} groups leave none for {parts[min(missing)]}")
    return np.array(parts, dtype=object)[of[groups]]


def _seed_classes(counts, order, share, of, put, parts) -> None:
    """A group of each class for every split, the class with fewest groups and the smallest split first; a class with
    too few groups for all splits goes without validation, then without test."""
    has = counts > 0
    for label in np.argsort(has.sum(0), kind="stable"):
        mine = [group for group in order if has[group, label]]
        wanted = [name for name in ("train", "test", "validation") if name in parts][: len(mine)]
        for part in np.argsort(share, kind="stable"):
            if parts[part] not in wanted or any(of[group] == part for group in mine):
                continue
            # the smallest that is free: a large one would fill a small split at once
            if free := [group for group in reversed(mine) if of[group] < 0]:
                put(free[0], int(part))


def assign_folds(labels: Sequence[str], groups: np.ndarray | None, folds: int, seed: int) -> np.ndarray:
    """The fold in which each image is tested, int [n], groups (None: each image stands alone) whole and labels as even
    as they allow.

    Raises HarError where there are fewer groups than folds, or fewer images of a class (with groups, of every class).
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    labels, out = np.asarray(labels), np.empty(len(labels), int)
    names, counts = np.unique(labels, return_counts=True)
    if groups is None:
        if counts.min() < folds:
            raise HarError(f"{folds} folds, but only {counts.min()} images of class {names[counts.argmin()]}")
        drawn = StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)
    else:
        if (count := len(np.unique(groups))) < folds:
            raise HarError(f"{folds} folds, but only {count} groups of images")
        if counts.max() < folds:
            raise HarError(f"{folds} folds, but no class has more than {counts.max()} images")
        drawn = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(labels, labels, groups)
    for fold, (_, test) in enumerate(drawn):
        if not len(test):
            raise HarError(f"{folds} folds: the {count} groups of images are too uneven, one fold stays empty")
        out[test] = fold
    return out


def inner_folds(y: np.ndarray, groups: np.ndarray | None, folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(train, test) row numbers of at most `folds` stratified folds of whole groups (None: each row stands alone).
    Nothing is drawn. Folds whose training rows lack a class are left out; fewer than two are none."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    present, rows = np.unique(y, return_counts=True)
    units = rows if groups is None else [len(np.unique(groups[y == label])) for label in present]
    count = min(folds, *units)
    if count < 2:
        return []
    if groups is None:
        return list(StratifiedKFold(int(count)).split(y, y))
    cut = [
        (train, test)
        for train, test in StratifiedGroupKFold(count).split(y, y, groups)
        if len(test) and len(np.unique(y[train])) == len(present)
    ]
    return cut if len(cut) > 1 else []


def require_whole(frame: pd.DataFrame, source: str) -> None:
    """HarError, for `source`, where images of one group are in two splits; 'extended' is one too.

    frame: image_id, group, split, and `name` or `url` where images have a file name of the user's.
    """
    if (groups := group_codes(frame)) is None:
        return
    straddles = frame.groupby(groups)["split"].nunique() > 1
    if straddles.any():
        one = frame[groups == straddles.idxmax()].drop_duplicates("split")[:2]
        names = next((one[key] for key in ("name", "url") if key in one.columns), one["image_id"].astype(str))
        files = names.str.removeprefix("own:").map(unquote) + " in " + one["split"]
        more = f" (and {others} more groups)" if (others := int(straddles.sum()) - 1) else ""
        group = unquote(one["group"].iloc[0])
        raise HarError(
            f"{source}: images of group {group} are in more than one split: {', '.join(files)}{more}; give a group one "
            "split or, where images are independent, set data.folder.groups to '' (of a table, data.csv.group)"
        )
