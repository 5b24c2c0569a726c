from itertools import product

import numpy as np
import pandas as pd
import parameters
import pytest

from har.studies.frames import chosen, disagreement_table, draw, frames_table, study


def frames_of(groups: int = 8, frames: int = 5, seeds: int = 2) -> pd.DataFrame:
    """Two clips of a group; the reader is right of the middle frame of every clip and of all frames of its own."""
    rows, ids = [], iter(np.random.default_rng(0).permutation(2000).tolist())
    for group, clip, frame in product(range(groups), (1, 2), range(frames)):
        chances = (0.6, 0.4) if frame == frames // 2 or group % 2 else (0.3, 0.7)
        told = next(ids), "test", "ab"[group % 2], f"g{group}", f"{group}_{clip}", frame
        rows += [(seed, *told, *(chances[::-1] if group % 2 else chances)) for seed in range(seeds)]
    return pd.DataFrame(rows, columns=["seed", "image_id", "split", "label", "group", "clip", "second", "p_a", "p_b"])


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
    report = parameters.profile().report.model_copy(update={"resamples": 200, "clips": "probability"})
    worth, disagreement = study({("activity", "clip"): frame, ("activity", "majority"): frame}, seconds, report)
    assert [(row["model"], row["frames"], row["n"]) for row in worth] == [("clip", n, 16) for n in (1, 2, 4, 5)]
    assert worth[0]["score"] == 1
    assert (worth[-1]["score"], worth[-1]["gain"]) == pytest.approx((0.5, -0.5))
    (row,) = disagreement
    assert (row["disagree"], row["frame_accuracy"], row["accuracy"]) == pytest.approx((0.5, 0.6, 0.5))
    assert (row["accuracy_agree"], row["accuracy_disagree"]) == (1, 0)
    assert 0 < row["disagree_low"] < 0.5 < row["disagree_high"] < 1
    assert "one frame" in frames_table(worth, "x", 0.95).markdown()
    assert "0.500 [" in disagreement_table(disagreement, "x", 0.95).markdown()
    draw(worth, tmp_path / "frames.svg", "x", 0.95)
    assert "16 held-out clips" in (tmp_path / "frames.svg").read_text()
