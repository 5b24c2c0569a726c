import numpy as np
import pandas as pd
import pytest

from har.studies.frames import chosen, disagreement_table, draw, frames_table, study


def frames_of(groups: int = 8, frames: int = 5, seeds: int = 2) -> pd.DataFrame:
    """Two clips of a group; the reader is right of the middle frame of every clip and of all frames of its own."""
    rows, ids = [], iter(np.random.default_rng(0).permutation(2000).tolist())
    for group in range(groups):
        for clip in (1, 2):
            for frame in range(frames):
                image_id = next(ids)
                for seed in range(seeds):
                    sure = frame == frames // 2 or group % 2
                    rows.append((seed, image_id, "test", "ab"[group % 2], f"g{group}", f"{group}_{clip}", frame, sure))
    columns = ["seed", "image_id", "split", "label", "group", "clip", "second", "sure"]
    found = pd.DataFrame(rows, columns=columns)
    right = np.where(found.sure, 0.6, 0.3)
    for name in "ab":
        found[f"p_{name}"] = np.where(found.label == name, right, 1 - right)
    return found.drop(columns="sure")


@pytest.mark.parametrize(("size", "most"), [(1, 1), (5, 1), (5, 2), (8, 4), (8, 8), (3, 8), (7, 3), (16, 8)])
def test_frames_are_those_at_the_centres_of_equal_segments(size, most):
    frames = frames_of(groups=1, frames=size)
    kept = chosen(frames.drop(columns="second"), frames.drop_duplicates("image_id").set_index("image_id").second, most)
    wanted = sorted({int((i + 0.5) * size / most) for i in range(most)})
    for _, one in frames.loc[kept.index].groupby(["seed", "clip"]):
        assert sorted(one.second) == wanted


def test_more_frames_and_disagreement(tmp_path):
    told = frames_of()
    seconds = told.drop_duplicates("image_id").set_index("image_id").second
    frame = told.drop(columns="second")
    worth, disagreement = study(
        {("activity", "clip"): frame, ("activity", "majority"): frame}, seconds, "probability", 200, 0, 0.95
    )
    assert [row["model"] for row in worth] == ["clip"] * 4
    assert [row["frames"] for row in worth] == [1, 2, 4, 5]
    assert [row["n"] for row in worth] == [16] * 4
    assert worth[0]["score"] == 1
    assert worth[-1]["score"] == pytest.approx(0.5)
    assert worth[-1]["gain"] == pytest.approx(-0.5)
    assert worth[-1]["gain_low"] <= -0.5 <= worth[-1]["gain_high"]
    (row,) = disagreement
    assert (row["disagree"], row["frame_accuracy"], row["accuracy"]) == pytest.approx((0.5, 0.6, 0.5))
    assert (row["accuracy_agree"], row["accuracy_disagree"]) == (1, 0)
    assert 0 < row["disagree_low"] < 0.5 < row["disagree_high"] < 1
    assert "one frame" in frames_table(worth, "x", 0.95).markdown()
    assert "0.500 [" in disagreement_table(disagreement, "x", 0.95).markdown()
    draw(worth, tmp_path / "frames.svg", "x", 0.95)
    assert (tmp_path / "frames.svg").stat().st_size > 1000
