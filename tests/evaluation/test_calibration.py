"""Calibration error is what its definition says, and a temperature never harms what it was fitted on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.calibration import calibration_curve

from har.evaluation import calibration
from har.evaluation.metrics import Cells

CLASSES = ("walking_running", "sitting", "standing")


def simulate(n=300, runs=2, temperature=1.0, seed=0):
    """Logits whose softmax at `temperature` is the true distribution of labels: 1 is calibrated, above 1 too sure."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (n, 1, 3)) + np.zeros((n, runs, 3))
    truth = np.array([random.choice(3, p=p) for p in softmax(logits[:, 0] / temperature, axis=-1)])
    return Cells(np.arange(n), np.arange(runs), truth, softmax(logits, axis=-1), CLASSES)


def test_error_is_that_of_scikit_learns_quantile_bins():
    random = np.random.default_rng(0)
    confidence = random.uniform(0.3, 1, 300)
    hits = random.random(300) < confidence**2
    true, predicted = calibration_curve(hits, confidence, n_bins=15, strategy="quantile")
    found = calibration.expected_calibration_error(confidence, hits, 15)
    assert found == pytest.approx(np.abs(true - predicted).mean(), abs=1e-9)  # 20 images in each


def test_bins_hold_equally_many_and_more_images_make_more():
    assert [calibration.bin_count(n) for n in (1, 8, 29, 1000)] == [1, 2, 5, 15]
    confidence = np.random.default_rng(0).random(103)
    assert set(np.bincount(calibration.equal_mass_bins(confidence, 10))) == {10, 11}
    assert not calibration.equal_mass_bins(np.full(29, 0.35), 5).any()  # equal ones share a bin
    assert calibration.expected_calibration_error(np.array([0.75, 0.75]), np.array([True, False]), 20) == 0.25


def test_a_calibrated_model_scores_what_is_expected_of_it():
    """The bias: a calibrated model's error on 29 images is far from 0, and known."""
    found = np.array([[calibration.ece(one).mean(), calibration.ece_of_calibrated(one).mean()]
                      for one in (simulate(29, 1, seed=seed) for seed in range(30))])  # fmt: skip
    assert found[:, 0].mean() == pytest.approx(found[:, 1].mean(), rel=0.1)
    assert found[:, 0].mean() > 0.1
    assert calibration.ece_of_calibrated(simulate(1000)).max() < 0.05
    sure = simulate(1000, temperature=3)
    assert (calibration.ece(sure) > 3 * calibration.ece_of_calibrated(sure)).all()


def test_reliability_counts_every_run_and_averages_to_the_accuracy():
    one = simulate(100, 3)
    found = calibration.reliability(one, 200)
    assert found["images"].sum() == 300
    hits = (one.guess == one.truth[:, None]).mean()
    assert np.average(found["accuracy"], weights=found["images"]) == pytest.approx(hits)
    assert (np.diff(found["confidence"]) > 0).all()
    low, high = np.nanquantile(found["resampled"], [0.025, 0.975], axis=0)
    assert ((low <= found["accuracy"]) & (found["accuracy"] <= high)).all()


# --- temperature


@given(st.integers(1, 40), st.floats(0.2, 5), st.integers(0, 10**6))
def test_scaling_never_raises_the_loss_it_was_fitted_on(n, temperature, seed):
    one = simulate(n, 2, temperature, seed)
    temperatures = calibration.fit_temperatures(one)
    scaled = calibration.rescaled(one, temperatures)
    assert (scaled.losses()["nll"].mean(0) <= one.losses()["nll"].mean(0) + 1e-12).all()
    assert (scaled.guess == one.guess).all()
    low, high = calibration.TEMPERATURES
    assert all(low <= found <= high for found in temperatures.values())


def test_the_true_temperature_of_each_run_is_found_and_is_the_optimum():
    one = simulate(4000, 1)
    shares = np.hstack([one.probabilities**0.5, one.probabilities**2.5])  # one run too calm, one too sure
    both = one._replace(seeds=np.array([7, 3]), probabilities=shares / shares.sum(-1, keepdims=True))
    found = calibration.fit_temperatures(both)
    assert found == pytest.approx({7: 0.5, 3: 2.5}, rel=0.1)
    losses = [
        calibration.rescaled(both, {7: found[7] * step, 3: found[3] * step}).losses()["nll"].mean(0)
        for step in (0.9, 1, 1.1)
    ]
    assert (losses[1] == np.min(losses, axis=0)).all()
    assert calibration.ece(calibration.rescaled(both, found)).max() < 0.04


def test_few_images_that_are_all_right_leave_it_near_1_and_equal_probabilities_at_1():
    few, many = (calibration.fit_temperature(np.tile([0.4, 0.3, 0.3], (n, 1)), np.zeros(n, int)) for n in (9, 900))
    assert 0.05 < many < 0.6 < few < 1
    assert calibration.fit_temperature(np.full((5, 3), 1 / 3), np.array([0, 1, 2, 0, 1])) == 1
