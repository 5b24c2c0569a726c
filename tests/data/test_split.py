"""A split partitions the drawn images, keeps the classes' shares, and does not see row order."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from har.core.errors import HarError
from har.data.split import read_split, require_classes, split, split_sizes, write_split

PAPER = {"train": 0.8, "validation": 0.1, "test": 0.1}


def manifest(counts, extended=0):
    labels = [label for label, count in counts.items() for _ in range(count)]
    part = ["drawn"] * len(labels) + ["extended"] * extended
    ids = np.random.default_rng(0).permutation(10 * len(part))[: len(part)]
    return pd.DataFrame({"image_id": ids, "label": labels + ["a"] * extended, "part": part})


PAPER_COUNTS = {"walking_running": 98, "sitting": 95, "standing": 92}


@pytest.mark.parametrize("mode", ["stratified", "unstratified"])
def test_the_papers_285_images_give_228_28_29(mode):
    frame = split(manifest(PAPER_COUNTS, 40), **PAPER, mode=mode, seed=42)
    sizes = {"train": 228, "validation": 28, "test": 29, "extended": 40}
    assert frame["split"].value_counts().to_dict() == sizes
    test = frame[frame["split"] == "test"]["label"].value_counts().to_dict()
    assert (test == {"walking_running": 10, "sitting": 10, "standing": 9}) == (mode == "stratified")
    assert not frame["split"].equals(split(manifest(PAPER_COUNTS, 40), **PAPER, mode=mode, seed=1)["split"])


class_counts = st.dictionaries(st.sampled_from("abcde"), st.integers(12, 60), min_size=2)
# a tenth for test too, as for validation: of 12 images a class that leaves one of each
fractions = (
    st.tuples(st.integers(50, 80), st.integers(10, 20))
    .filter(lambda p: sum(p) <= 90)
    .map(lambda p: {"train": p[0] / 100, "validation": p[1] / 100, "test": (100 - p[0] - p[1]) / 100})
)


@pytest.mark.parametrize(
    "counts",
    [{"sit": 60, "stand": 3}, {"a": 120, "b": 4}, {f"c{i}": 4 for i in range(15)}, {f"c{i}": 3 for i in range(40)},
     {"a": 1000, "b": 3, "c": 5, "d": 3}],
)  # fmt: skip
def test_however_unbalanced_each_class_is_in_each_split(counts):
    found = split(manifest(counts), **PAPER, mode="stratified", seed=1)
    table = pd.crosstab(found["label"], found["split"])
    assert (table > 0).all(axis=None)
    for label, count in counts.items():
        assert table.loc[label, "train"] >= 0.8 * count - 2  # one of each for the two others at worst
    large = table.loc[max(counts, key=counts.get)]
    if large.sum() > 20:
        assert (large / large.sum() - pd.Series(PAPER)).abs().max() < 0.03


def test_classes_or_splits_that_are_too_small_are_filled_in_order():
    """A class with too few images for all splits is in train, then in test; a test set smaller than its classes still
    has each."""
    found = split(manifest({"a": 30, "one": 1, "two": 2}), **PAPER, mode="stratified", seed=0)
    assert set(found[found.label == "one"].split) == {"train"}
    assert sorted(found[found.label == "two"].split) == ["test", "train"]
    parts = {"train": 0.76, "validation": 0.2, "test": 0.04}
    found = split(manifest({"a": 12, "b": 12}), **parts, mode="stratified", seed=0)
    assert (pd.crosstab(found["label"], found["split"]) > 0).all(axis=None)
    parts = {"train": 0.998, "validation": 0.001, "test": 0.001}
    with pytest.raises(HarError, match=r"split\.validation: 0\.001 of 285 .* none"):
        split(manifest(PAPER_COUNTS), **parts, mode="stratified", seed=1)


@given(
    counts=class_counts,
    parts=fractions,
    mode=st.sampled_from(["stratified", "unstratified"]),
    seed=st.integers(0, 2**32 - 1),
    order=st.integers(0, 99),
)
def test_law_a_split_partitions_whatever_the_order_of_rows(counts, parts, mode, seed, order):
    images = manifest(counts, 5)
    frame = split(images, **parts, mode=mode, seed=seed)
    expected = images.sort_values("image_id", ignore_index=True)
    pd.testing.assert_frame_equal(frame[["image_id", "label"]], expected[["image_id", "label"]])
    assert (frame["split"] == "extended").equals(expected["part"] == "extended")
    sizes = frame["split"].value_counts().to_dict()
    total = sum(counts.values())
    assert {k: sizes[k] for k in parts} == split_sizes(total, parts)
    for name, share in parts.items():
        assert abs(sizes[name] - total * share) < 2
    if mode == "stratified":
        table = pd.crosstab(frame["label"], frame["split"])
        # train is drawn in one step; validation and test divide what is left, and round a second time
        for name, most in {"train": 1, "validation": 2, "test": 2}.items():
            assert (table[name] - pd.Series(counts) * sizes[name] / total).abs().max() <= most
    shuffled = images.sample(frac=1, random_state=order)
    pd.testing.assert_frame_equal(split(shuffled, **parts, mode=mode, seed=seed), frame)


def test_a_file_of_other_splits_is_refused(tmp_path):
    write_split(pd.DataFrame({"image_id": [3], "label": "a", "split": "dev"}), tmp_path / "split.csv")
    with pytest.raises(HarError, match="'split' may hold only train, validation, test, extended"):
        read_split(tmp_path / "split.csv")


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_class_that_a_part_lacks_is_told_before_any_training(part):
    frame = pd.DataFrame({"label": ["a", "b"] * 3, "split": np.repeat(["train", "validation", "test"], 2)})
    require_classes(frame, ["a", "b"], "split")
    require_classes(frame[frame["split"] != "test"], ["a", "b"], "augment")  # a test that is not there lacks nothing
    lacking = frame[(frame["split"] != part) | (frame["label"] != "b")]
    with pytest.raises(HarError, match=rf"split: no {part} image of class b \(1 in .*change split or curate.classes"):
        require_classes(lacking, ["a", "b"], "split")
