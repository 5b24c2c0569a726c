"""A model's prediction of an image is that of its mean probability over runs; blind rows are told apart by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from har.evaluation.ensemble import ensemble, is_blind, is_reference, missed_by_every


def test_a_sure_run_outvotes_two_unsure_ones():
    runs = np.array([[[0.51, 0.49], [0.51, 0.49], [0.1, 0.9]]])  # two of three runs predict the first class
    predicted, mean = ensemble(runs)
    assert predicted.tolist() == [1]
    assert mean[0] == pytest.approx([0.3733, 0.6267], abs=1e-4)


@given(arrays(float, (4, 3, 2), elements=st.floats(0, 1)))
def test_the_order_of_runs_changes_nothing(runs):
    assert ensemble(runs)[1] == pytest.approx(ensemble(runs[:, ::-1])[1])


def test_one_model_that_is_right_suffices():
    assert missed_by_every(np.array([[True, True], [True, False]])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("model", "blind", "reference"),
    [("majority", True, True), ("metadata", True, True), ("probe_clip", False, True), ("zero_shot", False, True),
     ("clip", False, False)],
)  # fmt: skip
def test_roles(model, blind, reference):
    assert (is_blind(model), is_reference(model)) == (blind, reference)
