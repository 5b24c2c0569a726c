import numpy as np
import pandas as pd
import pytest

from har.evaluation.clips import of_clips
from har.evaluation.predictions import validate_predictions

FRAMES = pd.DataFrame(
    [
        (0, 9, "test", "a", "g1", "a/one.avi", 0.9, 0.1),
        (0, 3, "test", "a", "g1", "a/one.avi", 0.4, 0.6),
        (0, 5, "test", "a", "g1", "a/one.avi", 0.2, 0.8),
        (0, 7, "test", "b", "", "", 0.3, 0.7),
        (1, 9, "test", "a", "g1", "a/one.avi", 0.5, 0.5),
        (1, 3, "test", "a", "g1", "a/one.avi", 0.5, 0.5),
        (1, 5, "test", "a", "g1", "a/one.avi", 0.5, 0.5),
        (1, 7, "test", "b", "", "", 0.6, 0.4),
    ],
    columns=["seed", "image_id", "split", "label", "group", "clip", "p_a", "p_b"],
)


YES, NO = (0.9 * 0.4 * 0.2) ** (1 / 3), (0.1 * 0.6 * 0.8) ** (1 / 3)


@pytest.mark.parametrize(
    ("how", "expected"), [("probability", 0.5), ("vote", 1 / 3), ("log_probability", YES / (YES + NO))]
)
def test_a_row_for_each_clip_and_run(how, expected):
    found = validate_predictions(of_clips(FRAMES, how))
    assert found.columns.tolist() == ["seed", "image_id", "split", "label", "group", "p_a", "p_b"]
    assert found.image_id.tolist() == [3, 7, 3, 7]
    assert found.group.tolist() == ["g1", "", "g1", ""]
    assert found.p_a.tolist() == pytest.approx([expected, *((0, 1, 1) if how == "vote" else (0.3, 0.5, 0.6))])
    assert found[["p_a", "p_b"]].sum(axis=1).to_numpy() == pytest.approx(1)


def test_photographs_are_left_as_they_are():
    frame = FRAMES.drop(columns="clip")
    assert of_clips(frame, "vote") is frame


def test_conditions_are_not_mixed():
    covered = np.linspace(0.4, 0.6, 8)
    frame = pd.concat([FRAMES.assign(condition="none", covered=0.0), FRAMES.assign(condition="half", covered=covered)])
    found = of_clips(frame, "probability")
    assert found.condition.tolist() == ["none"] * 4 + ["half"] * 4
    assert found.covered.tolist()[:5] == pytest.approx([0, 0, 0, 0, covered[:3].mean()])
    fewer = frame[(frame.condition == "none") | (frame.image_id != 3)]  # as masks by relevance have them
    assert of_clips(fewer, "probability").image_id.tolist() == [3, 7, 3, 7] * 2
