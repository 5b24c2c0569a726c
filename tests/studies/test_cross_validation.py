"""Cross-validation: folds partition the images, no test image is learnt from, intervals are Nadeau & Bengio's."""

import json
import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSES
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_learning_curve import ALONE, PROBE, STOPPED
from test_models import FINETUNE, MLP

from har.config.studies import CrossValidation
from har.core.errors import HarError
from har.studies.cross_validation.fit import MAJORITY, assign_folds, plan, resample
from har.studies.cross_validation.report import corrected_t, cross_validation_tables, fold_scores, variance_components
from har.training import probe, refit
from har.training.refit import Fit, Recipe, fit_all

SETTINGS = CrossValidation(models=[], folds=3, repeats=2, runs=2, seed=5)


def images(counts=(9, 9, 9)):
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    x = np.random.default_rng(1).normal(size=(len(y), 6)).astype(np.float32)
    x[np.arange(len(y)), y] += 2
    return pd.DataFrame({"image_id": np.arange(len(y)) + 100, "label": np.array(CLASSES)[y]}), x


def resampled(strength, recipes, table, **changes):
    changed = SETTINGS.model_copy(update=changes)
    return resample(recipes, table, CLASSES, changed, partial(fit_all, training=ALONE, strength=strength, name="x"))


def frame_of(hits):
    """A frame with `hits[repeat][fold]` of four images right."""
    rows = []
    for (repeat, fold), right in np.ndenumerate(hits):
        for image in range(4):
            p = 0.9 if image < right else 0.1
            rows.append((repeat, fold, 10 * fold, 4 * fold + image, "a", p, 1 - p))
    return pd.DataFrame(rows, columns=["repeat", "fold", "seed", "image_id", "label", "p_a", "p_b"])


class TestFolds:
    @given(
        st.lists(st.integers(0, 12), min_size=2, max_size=4), st.integers(2, 6), st.integers(1, 3), st.integers(0, 9)
    )
    def test_each_image_is_tested_once_a_repeat_and_classes_keep_their_shares(self, counts, folds, repeats, seed):
        labels = np.repeat([f"class {i}" for i in range(len(counts))], counts)
        if max(counts) < folds:
            with pytest.raises(HarError, match=rf"cross_validation.folds: {folds} folds, but no class has more than"):
                assign_folds(labels, folds, repeats, seed)
            return
        drawn = assign_folds(labels, folds, repeats, seed)
        assert drawn.shape == (repeats, len(labels))
        for each in drawn:
            assert set(each) == set(range(folds))  # every image has one fold, no fold is empty
            for label in set(labels):
                assert np.ptp(np.bincount(each[labels == label], minlength=folds)) <= 1
        if repeats > 1 and min(counts) > 2 * folds:
            assert (drawn[0] != drawn[1]).any()

    @pytest.mark.parametrize("config", [PROBE, MLP, STOPPED], ids=["probe", "mlp", "early stopping"])
    def test_no_image_is_learnt_from_in_the_fold_that_tests_it(self, config):
        table, x = images()
        planned, folds = plan(table, {"model": Recipe(config, x)}, SETTINGS)
        assert len(planned) == (6 if config is PROBE else 12)
        assert len({fit.seed for *_, fit in planned}) == (1 if config is PROBE else 12)
        for repeat, fold, fit in planned:
            assert (folds[repeat][fit.predict_rows] == fold).all()
            used = [fit.train, fit.validation, fit.predict_rows]
            assert sorted(np.concatenate(used)) == list(range(len(table)))  # each image in one of the three
            assert (len(fit.validation) > 0) == (config is STOPPED)
            if config is STOPPED:
                assert set(table.label.iloc[fit.validation]) == set(CLASSES)


class TestFits:
    def test_the_probe_of_a_fold_sees_no_row_of_it(self, strength, monkeypatch):
        table, x = images()
        x = np.column_stack([np.arange(len(x)), x])  # the row number as a feature: what was seen can be told
        seen, real = [], probe.fit
        monkeypatch.setattr(refit.probe, "fit", lambda x, y, *rest: seen.append(x[:, 0]) or real(x, y, *rest))
        frame = resampled(strength, {"p": Recipe(PROBE, x)}, table)["p"]
        tested = [set(part.image_id - 100) for _, part in frame.groupby(["repeat", "fold"])]
        assert len(seen) == len(tested) == 6
        for rows, held_out in zip(seen, tested, strict=True):
            assert set(rows.astype(int)) == set(range(len(table))) - held_out

    def test_the_majority_is_that_of_the_training_folds(self, strength):
        table, _ = images((12, 6, 6))
        frame = resampled(strength, {}, table)[MAJORITY]
        np.testing.assert_allclose(frame.p_walking, 0.5)
        assert fold_scores(frame) == pytest.approx(0.5)

    def test_fine_tuning_without_an_image_of_a_class_is_told(self, strength):
        fit = Fit("clip", np.array([0, 1]), np.array([], int), np.array([2]), 0)
        recipes = {"clip": Recipe(FINETUNE, np.zeros((3, 3, 32, 32), np.uint8))}
        with pytest.raises(HarError, match="clip: a fit has no training image of class standing"):
            fit_all([fit], recipes, np.array([0, 1, 2]), CLASSES, training=ALONE, strength=strength, name="x")


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30).filter(lambda s: np.ptp(s) > 1e-3), st.integers(2, 10))
def test_without_overlap_it_is_the_t_test_and_overlap_only_widens(scores, folds):
    n, expected = len(scores), stats.ttest_1samp(scores, 0)
    plain, corrected = corrected_t(np.array(scores), math.inf), corrected_t(np.array(scores), folds)
    assert (plain["t"], plain["p"]) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    wider = math.sqrt((1 / n + 1 / (folds - 1)) * n)  # Nadeau & Bengio: s² (1/J + n_test/n_train)
    assert corrected["se"] == pytest.approx(wider * plain["se"])
    assert corrected["ci_high"] - corrected["mean"] == pytest.approx(wider * (plain["ci_high"] - plain["mean"]))
    assert corrected["p"] >= plain["p"]


@pytest.mark.parametrize(
    ("scores", "random", "seed", "split", "said"),
    [
        # within .02 each; fold means .5 and .9, so between 2 x .08 = .16; the split's part is (.16 - .02) / 2
        ([[0.4, 0.6], [0.8, 1.0]], True, 0.02, 0.07, ""),
        ([[0.2, 0.8], [0.8, 0.2]], True, 0.18, 0.0, "negative"),
        ([[0.4], [0.6]], True, None, None, "cannot be told apart"),
        ([[0.4], [0.6]], False, 0.0, 0.02, ""),
    ],
)
def test_variance_components(scores, random, seed, split, said):
    found = variance_components(np.array(scores), random)
    assert (found["seed_variance"], found["split_variance"]) == (pytest.approx(seed), pytest.approx(split))
    assert said in found["note"]


class TestTables:
    def tables(self, frames, random=()):
        found = cross_validation_tables(frames, random, "header")
        for table in found.values():
            json.dumps(table.frame.to_dict("records"), allow_nan=False)  # infinity is no number either
            assert "nan" not in table.markdown().lower()
        return found

    def test_scores_pairs_and_holm(self):
        frames = {
            "feature": frame_of([[4, 3], [4, 4]]), "metadata": frame_of([[2, 2], [1, 3]]),
            MAJORITY: frame_of([[2, 1], [2, 1]]),
        }  # fmt: skip
        tables = self.tables(frames, {"feature"})
        rows = tables["cross_validation"].frame.set_index("model")
        assert rows.loc[list(frames), "accuracy"].tolist() == [0.9375, 0.5, 0.375]
        assert rows.loc["metadata", "sd_repeats"] == 0.0
        assert rows.loc["feature", "ci_high"] == 1.0  # t would say more than 1
        pairs = tables["pairs"].frame.sort_values("p")
        assert sorted(pairs.difference) == [0.125, 0.4375, 0.5625]
        holm = np.minimum(np.maximum.accumulate(pairs.p.astype(float) * [3, 2, 1]), 1)
        np.testing.assert_allclose(pairs.p_holm.astype(float), holm, rtol=1e-5)

    def test_f1_counts_all_folds_of_a_repeat_at_once_and_a_model_alone_has_no_pairs(self):
        # 6 of 8 "a" found, "b" never there: F1 of a is 12/14, of b 0
        tables = self.tables({"m": frame_of([[4, 2]])})
        assert tables["cross_validation"].frame.f1[0] == pytest.approx(6 / 14, abs=1e-6)
        assert tables["pairs"].frame.empty

    def test_one_repeat_one_run_a_rare_class_and_a_constant_predictor_are_defined(self, strength):
        table, x = images((8, 8, 1))
        frames = resampled(strength, {"p": Recipe(PROBE, x), "mlp": Recipe(MLP, x)}, table, repeats=1, runs=1)
        frames["constant"] = frames["p"].assign(p_walking=1.0, p_sitting=0.0, p_standing=0.0)
        tables = self.tables(frames | {"again": frames["p"]}, {"mlp"})
        text = tables["cross_validation"].markdown()
        assert "One repeat: its deviation over repeats is not defined." in text
        assert "standing has 1 images for 3 folds: some folds test none of it." in text
        assert "mlp: One run a fold: seed and split variance cannot be told apart." in text
        equal = tables["pairs"].frame.query("model_a == 'p' and model_b == 'again'").iloc[0]
        assert (equal.difference, equal.p, equal.p_holm) == (0.0, None, None)
        assert "t is not defined" in tables["pairs"].markdown()
