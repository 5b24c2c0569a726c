"""Images of one group, as frames of a clip, are never on two sides of a split or fold."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.config.models import Probe
from har.core.errors import HarError
from har.data.groups import assign_folds, group_codes, inner_folds, split_groups, with_groups
from har.data.split import read_split, split, write_split
from har.evaluation.metrics import cells
from har.evaluation.predictions import predictions_frame, read_predictions, write_predictions
from har.evaluation.summary import summarise
from har.studies.cross_validation.fit import assign_folds as repeated
from har.training import probe
from har.training.refit import hold_out

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


def frames(classes: int, clips: int, largest: int, seed: int) -> pd.DataFrame:
    """A manifest of `classes` with `clips` groups each, of 1 to `largest` images."""
    rng = np.random.default_rng(seed)
    groups = [f"c{label}/g{clip}" for label in range(classes) for clip in range(clips)]
    frame = pd.DataFrame({"group": np.repeat(groups, rng.integers(1, largest + 1, len(groups))), "part": "drawn"})
    ids = rng.permutation(10 * len(frame))[: len(frame)]
    return frame.assign(label=frame["group"].str.split("/").str[0], image_id=ids)


def straddles(of: np.ndarray, groups: np.ndarray) -> bool:
    return bool((pd.Series(of).groupby(groups).nunique() > 1).any())


data = st.builds(frames, st.integers(2, 5), st.integers(5, 9), st.integers(1, 5), st.integers(0, 999))


@settings(max_examples=5)
@given(images=data, mode=st.sampled_from(["stratified", "unstratified"]), seed=st.integers(0, 2**32 - 1))
def test_law_no_group_straddles_and_every_image_has_a_split(images, mode, seed):
    found = split(images, **SHARES, mode=mode, seed=seed)
    assert found.image_id.tolist() == sorted(images.image_id)
    assert not straddles(found.split.to_numpy(), group_codes(found))
    assert set(found.split) == set(SHARES)
    pd.testing.assert_frame_equal(split(images.sample(frac=1), **SHARES, mode=mode, seed=seed), found)
    if mode == "stratified":
        assert (pd.crosstab(found.split, found.label) > 0).all(axis=None)


@settings(max_examples=5)
@given(classes=st.integers(2, 6), clips=st.integers(10, 30), seed=st.integers(0, 999))
def test_law_clips_of_one_size_are_shared_within_one_clip(classes, clips, seed):
    images = frames(classes, clips, 1, seed)
    images = pd.concat([images.assign(image_id=images.image_id + 10**6 * copy) for copy in range(4)])
    found = split(images, **SHARES, mode="stratified", seed=seed)
    table = pd.crosstab(found.split, found.label) / 4
    for name, share in SHARES.items():
        assert (table.loc[name] - share * clips).abs().max() <= 1.5


@settings(max_examples=5)
@given(images=data, seed=st.integers(0, 999))
def test_law_folds_partition_and_keep_groups_whole(images, seed):
    images = images.sort_values("image_id", ignore_index=True)
    groups, labels = group_codes(images), images.label.to_numpy()
    folds = repeated(labels, 4, 2, seed, groups)
    assert folds.shape == (2, len(images))
    for fold in folds:
        assert set(fold) == set(range(4))
        assert not straddles(fold, groups)
    rest = np.flatnonzero(folds[0] != 0)
    train, validation = hold_out(rest, labels, 4, seed, groups)
    assert sorted([*train, *validation]) == rest.tolist()
    assert len(validation)
    assert not set(groups[train]) & set(groups[validation])


def test_images_without_a_group_stand_alone():
    frame = pd.DataFrame({"image_id": [3, 1, 2, 9], "group": ["a", "", "", "a"]})
    codes = group_codes(frame)
    assert (codes[0] == codes[3], len(set(codes))) == (True, 3)
    assert group_codes(frame.assign(group="")) is None
    assert group_codes(frame[["image_id"]]) is None


def test_a_given_split_that_parts_a_group_is_told_by_group_and_files():
    images = frames(2, 10, 1, 1).assign(split="train", url="own:%C3%BC/1.jpg")
    images = pd.concat([images, images.assign(image_id=images.image_id + 1000, split="test")], ignore_index=True)
    with pytest.raises(HarError, match=r"group c0/g\d are in more than one split: ü/\d+\.jpg in .*19 more groups"):
        split(images, **SHARES, mode="stratified", seed=1)


def test_too_few_groups_for_all_splits_go_to_train_then_test():
    images = frames(2, 8, 3, 0)
    few = images[(images.label == "c0") | images.group.isin(["c1/g0", "c1/g1"])]
    found = split(few, **SHARES, mode="stratified", seed=0)
    assert set(found[found.label == "c1"].split) == {"train", "test"}
    with pytest.raises(HarError, match="9 folds, but only 8 groups"):
        assign_folds(["a"] * 80, np.arange(80) % 8, 9, 0)
    with pytest.raises(HarError, match="5 folds, but no class has more than 3 images"):
        assign_folds(np.repeat(list("abcd"), 3), np.arange(12), 5, 0)
    with pytest.raises(HarError, match="leave none for"):
        split_groups(["a"] * 4, np.array([0, 0, 1, 1]), SHARES, stratified=False, seed=0)


def test_given_splits_are_kept_and_validation_is_drawn_from_train():
    images = frames(2, 10, 4, 1)
    images["split"] = np.where(images.group.str.endswith(("g0", "g1")), "test", "train")
    images.loc[images.group.str.endswith("g2"), ["split", "part"]] = "extended"
    found = split(images, **SHARES, mode="stratified", seed=1)
    assert not straddles(found.split.to_numpy(), group_codes(found))
    given = images.set_index("image_id").split[found.image_id].to_numpy()
    assert set(zip(given, found.split, strict=True)) == {
        ("train", "train"), ("train", "validation"), ("test", "test"), ("extended", "extended")
    }  # fmt: skip
    alone = split(images.assign(group=""), **SHARES, mode="stratified", seed=1)
    assert set(alone.split) == {"train", "validation", "test", "extended"}
    assert "group" not in alone.columns
    with pytest.raises(HarError, match="no image came with split test"):
        split(images.assign(split="train"), **SHARES, mode="stratified", seed=1)


def test_inner_folds_hold_out_whole_groups_and_lose_no_class():
    images = frames(3, 6, 5, 2)
    y, groups = pd.factorize(images.label)[0], group_codes(images)
    cut = inner_folds(y, groups, 5)
    assert 2 <= len(cut) <= 5
    for train, test in cut:
        assert not set(groups[train]) & set(groups[test])
        assert set(y[train]) == {0, 1, 2}
    assert inner_folds(y, y, 5) == []  # a single group a class


def test_a_probe_that_recognises_clips_is_not_rewarded():
    """Features that name the clip and nothing else: across clips the strongest penalty is best."""
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(24), 6))
    y = groups % 2
    x = rng.normal(size=(24, 40))[groups] + 0.01 * rng.normal(size=(144, 40))
    config = Probe(c=[0.0001, 1.0], folds=4)
    assert probe.fit(x, y, 2, config).c == 1.0
    assert probe.fit(x, y, 2, config, groups).c == 0.0001


def test_intervals_draw_groups():
    """Frames that are right or wrong together tell no more than their clips do."""
    ids, right = np.arange(200), np.random.default_rng(3).integers(0, 2, 20).repeat(10)
    shares = np.column_stack([0.1 + 0.8 * right, 0.9 - 0.8 * right])
    frame = predictions_frame(ids, ["a"] * 200, ["test"] * 200, shares, ["a", "b"])
    frame, lengths = frame.assign(group=(ids // 10).astype(str)), []
    for one in (frame, frame[::10], frame.drop(columns="group")):
        found = summarise(one, ("test",))["test"]["accuracy"]
        assert found["mean"] == pytest.approx(right.mean())
        lengths.append(found["ci_high"] - found["ci_low"])
    assert lengths[0] == pytest.approx(lengths[1], rel=0.1)
    assert lengths[2] < 0.5 * lengths[0]


def test_the_clip_of_a_frame_goes_with_its_group_from_manifest_to_predictions(tmp_path):
    images = frames(2, 8, 3, 0)
    clips = images.assign(clip=images.group + "_c1", url="own:x")
    found = split(clips, **SHARES, mode="stratified", seed=0)
    write_split(found, tmp_path / "split.csv")
    found = read_split(tmp_path / "split.csv")
    assert found["clip"].tolist() == clips.sort_values("image_id")["clip"].tolist()
    frame = predictions_frame(found.image_id, found.label, found.split, np.full((len(found), 2), 0.5), ["c0", "c1"])
    assert with_groups(frame, found.assign(group="")) is frame
    predictions = with_groups(with_groups(frame, found), found)
    assert list(predictions.columns) == ["seed", "image_id", "split", "label", "group", "clip", "p_c0", "p_c1"]
    write_predictions(tmp_path / "p.parquet", predictions)
    read = read_predictions(tmp_path / "p.parquet")
    assert read["clip"].tolist() == found["clip"].tolist()
    assert cells(read, "test").units() == found[found.split == "test"].group.nunique()
