"""A model's prediction of an image is that of its mean probability over runs; blind rows are told apart by name."""

import numpy as np
import pandas as pd
import pytest

from har.core.errors import HarError
from har.evaluation.ensemble import combined, ensemble, is_blind, is_reference
from har.evaluation.predictions import predictions_frame


def test_a_sure_run_outvotes_two_unsure_ones():
    runs = np.array([[[0.51, 0.49], [0.51, 0.49], [0.1, 0.9]]])  # two of three runs predict the first class
    predicted, mean = ensemble(runs)
    assert predicted.tolist() == [1]
    assert mean[0] == pytest.approx([0.3733, 0.6267], abs=1e-4)


def test_roles():
    models = ("majority", "metadata", "probe_clip", "zero_shot", "ensemble_views", "clip")
    assert [model for model in models if is_blind(model)] == ["majority", "metadata"]
    assert [model for model in models if not is_reference(model)] == ["clip"]


def frame(chances, seed=0, ids=(3, 1)):
    return predictions_frame(
        ids, ["a", "b"], ["test", "test"], np.column_stack([chances, 1 - np.array(chances)]), ["a", "b"], seed
    )


def test_an_ensemble_of_models_is_the_mean_of_log_probabilities_first_over_runs():
    runs = pd.concat([frame([0.9, 0.2]), frame([0.5, 0.4], seed=1)], ignore_index=True)
    found = combined([runs, frame([0.6, 0.0], ids=(3, 1))])
    assert found.image_id.tolist() == [3, 1]
    assert found.seed.tolist() == [0, 0]
    yes, no = (0.9 * 0.5) ** 0.25 * 0.6**0.5, (0.1 * 0.5) ** 0.25 * 0.4**0.5
    assert found.p_a[0] == pytest.approx(yes / (yes + no))
    assert found.p_a[1] == pytest.approx(0, abs=1e-5)  # a probability of 0 vetoes, and stays finite
    np.testing.assert_allclose(found.p_a + found.p_b, 1)


def test_members_of_other_images_are_refused():
    with pytest.raises(HarError, match="different images"):
        combined([frame([0.9, 0.2]), frame([0.9, 0.2], ids=(3, 2))])
