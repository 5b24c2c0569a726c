"""The paper's tests are scipy's; differences are paired over images; degenerate input is named, never NaN."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from har.errors import HarError
from har.evaluate import predictions_frame, seed_scores
from har.statistics import anova, difference, kruskal_wallis, paired_t_test

CLASSES = ("sitting", "standing")


def simulate(accuracy, n=60, runs=5, seed=0, images=0):
    """Right with probability `accuracy` on each image; labels follow from `images`, so they can be shared."""
    truth = np.random.default_rng(images).integers(0, 2, n)
    random = np.random.default_rng(seed + 1000)
    frames = []
    for run in range(runs):
        guess = np.where(random.random(n) < accuracy, truth, 1 - truth)
        shares = np.where(np.eye(2)[guess] == 1, 0.8, 0.2)
        frames.append(predictions_frame(range(n), np.array(CLASSES)[truth], ["test"] * n, shares, CLASSES, run))
    return pd.concat(frames, ignore_index=True)


def finite(result):
    json.dumps(result, allow_nan=False)
    return result


def test_anova_is_scipys_and_says_what_is_wrong_with_it():
    scores = {f"m{i}": seed_scores(simulate(0.5 + 0.1 * i, seed=i)) for i in range(3)}
    result, expected = finite(anova(scores)), stats.f_oneway(*scores.values())
    assert (result["F"], result["p"]) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)
    assert (result["groups"], result["df_between"], result["df_within"]) == (3, 2, 12)
    assert "one split" in result["caveat"]


def test_paired_t_test_is_scipys_and_pairs_by_seed():
    a, b = seed_scores(simulate(0.7, seed=1)), seed_scores(simulate(0.6, seed=2))
    result, expected = finite(paired_t_test(a, b)), stats.ttest_rel(a, b)
    assert (result["t"], result["p"]) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)
    assert result["df"] == 4
    assert paired_t_test(a, b.iloc[::-1]) == result  # by seed, not by place


def test_the_papers_t_has_four_degrees_of_freedom():
    assert 2 * stats.t.sf(1.4505, 4) == pytest.approx(0.2205, abs=2e-4)


@pytest.mark.parametrize(
    "scores",
    [
        {},
        {"a": [0.5, 0.6]},
        {"a": [0.5], "b": [0.6]},
        {"a": [0.5, 0.5], "b": [0.5, 0.5]},
        {"a": [0.5, 0.5], "b": [0.7, 0.7]},
    ],
)
def test_degenerate_anova_has_a_note(scores):
    result = finite(anova(scores))
    assert result["F"] is None
    assert result["p"] is None
    assert "not defined" in result["note"]


def test_anova_names_the_models_it_leaves_out():
    result = anova({"a": [0.5, 0.6], "b": [0.7, 0.75], "zero_shot": [0.7]})
    assert result["groups"] == 2
    assert "zero_shot" in result["note"]


@pytest.mark.parametrize(("a", "b"), [([0.5], [0.6]), ([0.5, 0.6], [0.5, 0.6]), ([0.5, 0.6], [0.6, 0.7]), ([], [])])
def test_degenerate_t_test_has_a_note(a, b):
    result = finite(paired_t_test(pd.Series(a, dtype=float), pd.Series(b, dtype=float)))
    assert result["t"] is None
    assert "not defined" in result["note"]


def test_difference_is_that_of_the_means_and_turns_its_sign_around():
    a, b = simulate(0.8, seed=1), simulate(0.5, seed=2)
    one, other = finite(difference(a, b)), difference(b, a)
    assert one["difference"] == pytest.approx(seed_scores(a).mean() - seed_scores(b).mean())
    assert (one["ci_low"], one["ci_high"]) == pytest.approx((-other["ci_high"], -other["ci_low"]))
    assert one["ci_low"] > 0
    assert one["share_below_zero"] == 0


def test_pairing_pays_where_two_models_fail_on_the_same_images():
    a = simulate(0.6, n=200, runs=2, seed=1)
    b = a.copy()
    wrong = b["image_id"].isin(range(10))
    b.loc[wrong, ["p_sitting", "p_standing"]] = b.loc[wrong, ["p_standing", "p_sitting"]].to_numpy()
    paired = difference(a, b)
    assert paired["ci_high"] - paired["ci_low"] < 0.1  # two unpaired intervals would span about 0.19


def test_difference_does_not_depend_on_the_order_of_rows():
    a, b = simulate(0.7, seed=1), simulate(0.6, seed=2)
    assert difference(a.sample(frac=1, random_state=1), b.sample(frac=1, random_state=2)) == difference(a, b)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 4), st.integers(1, 4), st.floats(0, 1), st.floats(0, 1))
def test_interval_of_a_difference_contains_it(n, runs_a, runs_b, p, q):
    result = finite(difference(simulate(p, n, runs_a, 1), simulate(q, n, runs_b, 2), resamples=100))
    assert -1 <= result["ci_low"] <= result["difference"] <= result["ci_high"] <= 1
    assert 0 <= result["share_below_zero"] <= 1


def test_two_equal_configurations_have_a_note():
    frame = simulate(0.6)
    result = difference(frame, frame)
    assert (result["difference"], result["ci_low"], result["ci_high"], result["share_below_zero"]) == (0, 0, 0, 0)
    assert "a point" in result["note"]
    assert "single image" in difference(simulate(1, 1), simulate(0, 1))["note"]


def test_what_was_not_measured_on_the_same_images_is_not_compared():
    with pytest.raises(HarError, match="image 60 is predicted by one"):
        difference(simulate(0.6), simulate(0.6, n=61))
    with pytest.raises(HarError, match="two labels"):
        difference(simulate(0.6), simulate(0.6, images=3))
    with pytest.raises(HarError, match="'extended'"):
        difference(simulate(0.6), simulate(0.6), "extended")
    with pytest.raises(HarError, match="expected one of accuracy"):
        difference(simulate(0.6), simulate(0.6), metric="auc")


def test_kruskal_wallis_is_scipys_with_its_effect_size():
    random = np.random.default_rng(0)
    groups = {name: random.normal(place, 1, 30) for place, name in enumerate("abc")}
    result, expected = finite(kruskal_wallis(groups)), stats.kruskal(*groups.values())
    assert result["H"] == pytest.approx(expected.statistic)
    n = 90  # the definition: H / ((n^2 - 1) / (n + 1))
    assert result["epsilon_squared"] == pytest.approx(expected.statistic / ((n**2 - 1) / (n + 1)))
    constant = finite(kruskal_wallis({"a": np.ones(3), "b": np.ones(4)}))
    assert constant["H"] is None
    assert constant["epsilon_squared"] == 0
    assert constant["note"]
    assert finite(kruskal_wallis({"a": np.ones(3), "b": np.array([])}))["note"]
    assert not math.isnan(result["p"])
