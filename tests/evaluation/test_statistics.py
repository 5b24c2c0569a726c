"""The paper's tests are scipy's; differences are paired over images; degenerate input is named, never NaN."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from predicted import difference, seed_scores
from predicted import simulate as simulated
from scipy import linalg, stats

from har.core.errors import HarError
from har.evaluation.anova import (
    anova,
    friedman,
    greenhouse_geisser,
    kruskal_wallis,
    levene,
    paired_t_test,
    repeated_measures_anova,
    shapiro,
    tukey,
    with_holm,
)
from har.evaluation.bootstrap import resample_counts
from har.evaluation.metrics import cells
from har.evaluation.paired import estimated_difference, same_images, simultaneous
from har.evaluation.summary import Estimate, estimates


def simulate(skill, n=60, runs=5, seed=0):
    return simulated("posture", skill, seed, runs, {"test": n})


def finite(result):
    json.dumps(result, allow_nan=False)
    return result


# --- over runs


def run_scores(models=4, runs=5, seed=0):
    """Accuracies of `runs` runs, with an effect of the model and of the seed."""
    random = np.random.default_rng(seed)
    luck = random.normal(0, 0.05, runs)
    return {f"m{i}": pd.Series(0.5 + 0.03 * i + luck + random.normal(0, 0.02, runs)) for i in range(models)}


def residuals(scores):
    return np.concatenate([runs - runs.mean() for runs in scores.values()])


@pytest.mark.parametrize(
    ("test", "theirs", "compares", "df"),
    [
        (anova, lambda s: stats.f_oneway(*s.values()), "4 models, 20 runs", (3, 16)),
        (lambda s: paired_t_test(s["m1"], s["m0"][::-1]), lambda s: stats.ttest_rel(s["m1"], s["m0"]), "5 runs", (4,)),
        (friedman, lambda s: stats.friedmanchisquare(*s.values()), "4 models, 5 seeds", (3,)),
        # its definition: an ANOVA of distances from the median
        (levene, lambda s: stats.f_oneway(*(abs(r - r.median()) for r in s.values())), "4 models, 20 runs", (3, 16)),
        (shapiro, lambda s: stats.shapiro(residuals(s)), "20 residuals", ()),
    ],
)
def test_statistics_are_scipys(test, theirs, compares, df):
    scores = run_scores()
    found, expected = finite(test(scores)._asdict()), theirs(scores)
    assert (found["statistic"], found["p"]) == pytest.approx(tuple(expected), rel=1e-9)
    assert (found["compares"], found["df"], found["note"]) == (compares, df, "")


def test_effect_sizes_are_what_they_say():
    scores = run_scores()
    every = np.concatenate(list(scores.values()))
    share = 1 - (residuals(scores) ** 2).sum() / ((every - every.mean()) ** 2).sum()
    assert anova(scores).effect == pytest.approx(share, abs=1e-9)
    gap = scores["m1"] - scores["m0"]
    assert paired_t_test(scores["m1"], scores["m0"]).effect == pytest.approx(gap.mean() / gap.std())
    same_order = {name: pd.Series(np.arange(5) + 10 * i) for i, name in enumerate("abc")}
    assert friedman(same_order).effect == pytest.approx(1)


@pytest.mark.parametrize(("models", "runs"), [(2, 5), (5, 3)])
def test_repeated_measures_anova_is_the_two_way_decomposition(models, runs):
    scores = run_scores(models, runs)
    table = pd.DataFrame(scores).to_numpy()
    model = runs * ((table.mean(0) - table.mean()) ** 2).sum()
    error = ((table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()) ** 2).sum()
    df, df_error = models - 1, (models - 1) * (runs - 1)
    f, result = model / df / (error / df_error), repeated_measures_anova(scores)
    finite(result._asdict())
    assert (result.statistic, result.p) == pytest.approx((f, stats.f.sf(f, df, df_error)), rel=1e-7)
    assert (result.df, result.compares) == ((df, df_error), f"{models} models, {runs} seeds")
    assert result.effect == pytest.approx(model / (model + error), abs=1e-9)
    contrasts = linalg.helmert(models)
    roots = linalg.eigvalsh(contrasts @ np.atleast_2d(np.cov(table, rowvar=False)) @ contrasts.T)
    epsilon = roots.sum() ** 2 / (df * (roots**2).sum())
    assert greenhouse_geisser(table) == pytest.approx(epsilon, rel=1e-6)
    assert result.p_corrected == pytest.approx(stats.f.sf(f, epsilon * df, epsilon * df_error), rel=1e-6)


def test_tests_over_seeds_pair_by_seed_and_name_what_they_leave_out():
    scores = run_scores()
    turned = {name: runs.iloc[::-1] for name, runs in scores.items()}
    assert repeated_measures_anova(turned) == repeated_measures_anova(scores)
    scores["m0"] = scores["m0"].drop(4)
    scores["zero_shot"] = pd.Series([0.5])
    result = repeated_measures_anova(scores)
    assert result.compares == "4 models, 4 seeds"
    assert result.note == "Left out, with a single run: zero_shot. Left out, not run by every model: seed 4."
    assert "zero_shot" in anova(scores).note


def test_tukey_counts_scipys_pairs():
    scores = run_scores()
    p = stats.tukey_hsd(*scores.values()).pvalue[np.triu_indices(4, 1)]
    found = tukey(scores | {"majority": pd.Series([0.4])}, 0.3)
    assert (found.statistic, found.p) == ((p < 0.3).sum(), pytest.approx(p.min()))
    assert 0 < found.statistic < 6
    assert (found.compares, found.df) == ("6 pairs of models", (3, 16))
    assert "majority" in found.note


def t_test(scores):
    return paired_t_test(*(scores.get(name, pd.Series(dtype=float)) for name in "ab"))


@pytest.mark.parametrize(
    "test", [anova, repeated_measures_anova, friedman, lambda scores: tukey(scores, 0.05), levene, shapiro, t_test]
)
@pytest.mark.parametrize(
    "scores",
    [
        {},
        {"a": [0.5, 0.5]},
        {"a": [0.5], "b": [0.6], "c": [0.7]},
        {"a": [0.5] * 3, "b": [0.5] * 3, "c": [0.5] * 3},
        {"a": [0.5, 0.5], "b": [0.7, 0.7]},
        {"a": [0.6, 0.1 + 0.2 + 0.3], "b": [0.7, 0.7]},
    ],
    ids=["no model", "one model", "one seed", "equal", "no spread", "rounding alone"],
)
def test_degenerate_tests_have_a_note(test, scores):
    result = test({name: pd.Series(runs, dtype=float) for name, runs in scores.items()})
    assert (result.statistic, result.p) == (None, None)
    assert "not defined" in result.note


# --- over images


def models(rng, accuracies, n=400, runs=5, effect=0.0, resamples=1000):
    """Estimates of models on the same images, a share `effect` of each run's luck being its own on all images."""
    weight, counts = np.full(n, 1 / n), resample_counts(n, resamples, 3) / n
    found = []
    for accuracy in accuracies:
        luck = rng.normal(size=(n, runs)) * (1 - effect) ** 0.5 + rng.normal(size=runs) * effect**0.5
        hits = (luck < stats.norm.ppf(accuracy)).astype(float)
        noise = float(weight**2 @ hits.var(1, ddof=1)) / runs if runs > 1 else 0.0
        found.append(Estimate("accuracy", n, weight @ hits, counts @ hits.mean(1), noise=noise))
    return found


class TestSimultaneous:
    def test_one_pair_is_the_paired_difference(self):
        one, two = (each._replace(runs=each.runs[:1]) for each in models(np.random.default_rng(0), (0.6, 0.5), runs=1))
        told, alone = simultaneous([one, two], [(0, 1)]), estimated_difference(one, two)
        assert told.difference[0] == pytest.approx(alone["difference"])
        assert told.p[0] == pytest.approx(alone["p"], abs=0.01)
        for end, name in ((told.low, "ci_low"), (told.high, "ci_high")):
            assert end[0] == pytest.approx(alone[name], abs=0.006)  # the quantile is the bootstrap's own

    @pytest.mark.parametrize("seed", range(8))
    def test_one_pair_says_no_more_than_alone(self, seed):
        """A bootstrap's normal tails do not undercut Student's."""
        found = [one._replace(runs=one.runs[:1]) for one in models(np.random.default_rng(seed), (0.6, 0.5), 60, 1)]
        told, alone = simultaneous(found, [(0, 1)]), estimated_difference(*found)
        assert told.low[0] <= alone["ci_low"] + 1e-9
        assert told.p[0] >= alone["p"] - 1e-9

    def test_what_images_tell_of_runs_is_not_counted_twice(self):
        found = models(np.random.default_rng(3), (0.6, 0.5))
        told = simultaneous(found, [(0, 1)])
        twice = simultaneous([one._replace(noise=0.0) for one in found], [(0, 1)])
        assert told.high - told.low < 0.97 * (twice.high - twice.low)

    def test_more_pairs_widen_intervals_and_p_fits_them(self):
        found = models(np.random.default_rng(1), (0.6, 0.55, 0.55, 0.5, 0.5, 0.4))
        pairs = list(itertools.combinations(range(6), 2))
        told, alone = simultaneous(found, pairs), simultaneous(found, pairs[:1])
        assert told.low[0] < alone.low[0] < alone.high[0] < told.high[0]
        assert told.p[0] > alone.p[0]
        outside = (told.low > 0) | (told.high < 0)
        assert 0 < outside.sum() < len(pairs)
        assert ((told.p < 0.05) == outside).all()
        assert (told.detectable > (told.high - told.low) / 2).all()

    def test_runs_that_differ_widen_intervals(self):
        found = (models(np.random.default_rng(2), (0.6, 0.6), effect=effect) for effect in (0, 0.1))
        steady, other = (simultaneous(both, [(0, 1)]) for both in found)
        assert (other.high - other.low) > 2 * (steady.high - steady.low)

    def test_equal_models_differ_by_nothing_and_a_single_image_tells_nothing(self):
        (one,) = models(np.random.default_rng(4), (0.6,), runs=1)
        told = simultaneous([one, one], [(0, 1)])
        assert (told.difference[0], told.low[0], told.high[0], told.p[0]) == (0, 0, 0, 1)
        found = [Estimate("accuracy", 1, np.full(1, hit), np.full(9, hit)) for hit in (1.0, 0.0)]
        told = simultaneous(found, [(0, 1)])
        assert (told.low[0], told.high[0], told.p[0]) == (-1, 1, 1)


def test_holm_steps_down_and_leaves_out_what_is_not_defined():
    rows = with_holm([{"p": p} for p in (0.01, None, 0.04, 0.03)])
    assert [row["p_holm"] for row in rows] == pytest.approx([0.03, None, 0.06, 0.06])
    assert with_holm([{"p": None}]) == [{"p": None, "p_holm": None}]


def test_independent_sets_have_the_wider_interval_of_two_means():
    small, large = (simulate(0.5, 400, 1, seed) for seed in (1, 2))
    found = [estimates(cells(frame, "test"), 2000, seed)["accuracy"] for seed, frame in enumerate((small, large))]
    result = estimated_difference(*found)
    expected = 2 * 1.96 * math.sqrt(sum(one.mean * (1 - one.mean) / 400 for one in found))
    assert result["ci_high"] - result["ci_low"] == pytest.approx(expected, rel=0.1)
    assert result["difference"] == pytest.approx(found[0].mean - found[1].mean)


@given(st.integers(1, 30), st.integers(1, 4), st.integers(1, 4), st.floats(-5, 5), st.floats(-5, 5))
def test_interval_of_a_difference_contains_it_and_turns_its_sign_around(n, runs_a, runs_b, p, q):
    a, b = simulate(p, n, runs_a, 1), simulate(q, n, runs_b, 2)
    one, other = (finite(difference(*pair)) for pair in ((a, b), (b, a)))
    assert one["difference"] == pytest.approx(seed_scores(a).mean() - seed_scores(b).mean())
    assert (one["ci_low"], one["ci_high"]) == pytest.approx((-other["ci_high"], -other["ci_low"]))
    assert -1 <= one["ci_low"] <= one["difference"] <= one["ci_high"] <= 1
    assert 0 <= one["share_below_zero"] <= 1


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_p_of_a_difference_belongs_to_its_interval(metric):
    a, b = simulate(0.6, 50, 2), simulate(0.2, 50, 2, 100)
    p = difference(a, b, metric=metric, resamples=200)["p"]
    assert 0 < p < 1
    narrow, wide = (difference(a, b, metric=metric, resamples=200, level=1 - p * step) for step in (1.01, 0.99))
    assert not narrow["ci_low"] <= 0 <= narrow["ci_high"]
    assert wide["ci_low"] < 0 < wide["ci_high"]


def test_two_equal_configurations_have_a_note():
    frame = simulate(0.3)
    result = difference(frame, frame)
    assert (result["difference"], result["ci_low"], result["ci_high"], result["share_below_zero"]) == (0, 0, 0, 0)
    assert "a point" in result["note"]
    assert result["p"] == 1
    assert "single image" in difference(simulate(60, 1), simulate(-60, 1))["note"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (simulate(0.3, n=61), "difference on test: image 60 is predicted by one"),
        (simulate(0.3).replace({"label": "sitting"}, "standing"), "difference on test: image 0 has two labels"),
    ],
)
def test_what_was_not_measured_on_the_same_images_is_not_compared(other, said):
    with pytest.raises(HarError, match=said):
        same_images(cells(simulate(0.3), "test"), cells(other, "test"), "test")
    with pytest.raises(HarError, match="no image in split 'extended'"):
        cells(other, "extended")


def test_kruskal_wallis_is_scipys_with_its_effect_size():
    random = np.random.default_rng(0)
    groups = [random.normal(place, 1, 30) for place in range(3)]
    result, expected = finite(kruskal_wallis(groups)), stats.kruskal(*groups)
    assert (result["H"], result["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    # the definition of the effect size: H / ((n^2 - 1) / (n + 1))
    assert result["epsilon_squared"] == pytest.approx(expected.statistic / ((90**2 - 1) / (90 + 1)))
