"""Cross-validation: folds partition the images, no test image is learnt from, intervals are Nadeau & Bengio's."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSES, one_by_one
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_models import CNN, FINETUNE, MLP

from har.config.models import Probe
from har.config.studies import CrossValidation
from har.core.errors import HarError
from har.studies.cross_validation.fit import MAJORITY, assign_folds, plan, resample, validate_resampled, write_resampled
from har.studies.cross_validation.report import (
    compare_pairs,
    corrected_t,
    cross_validation_tables,
    fold_scores,
    variance_components,
)
from har.training import probe, refit
from har.training.refit import Fit, Recipe, fit_all

ALONE = one_by_one()
SETTINGS = CrossValidation(models=[], folds=3, repeats=2, runs=2, seed=5)
PROBE = Probe(c=[0.01, 1.0], folds=2)
STOPPED = MLP.model_copy(update={"patience": 2})


def images(counts=(9, 9, 9)):
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    x = np.random.default_rng(1).normal(size=(len(y), 6)).astype(np.float32)
    x[np.arange(len(y)), y] += 2
    return pd.DataFrame({"image_id": np.arange(len(y)) + 100, "label": np.array(CLASSES)[y]}), x


def resampled(strength, recipes, table, training=ALONE, **changes):
    changed = SETTINGS.model_copy(update=changes)
    return resample(recipes, table, CLASSES, changed, training=training, strength=strength)


def frame_of(hits, folds=2, per_fold=4, runs=1):
    """A frame with `hits[repeat][fold][run]` of `per_fold` images right."""
    rows = []
    for repeat, fold_hits in enumerate(hits):
        for fold, run_hits in enumerate(fold_hits):
            for run, right in enumerate(np.atleast_1d(run_hits)):
                for image in range(per_fold):
                    p = 0.9 if image < right else 0.1
                    rows.append((repeat, fold, run + 10 * fold, fold * per_fold + image, "a", p, 1 - p))
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
                share = np.bincount(each[labels == label], minlength=folds)
                assert np.ptp(share) <= 1
        assert (drawn == assign_folds(labels, folds, repeats, seed)).all()

    def test_repeats_and_seeds_draw_other_folds(self):
        labels = np.repeat(CLASSES, 10)
        first, second = assign_folds(labels, 5, 2, 0)
        assert (first != second).any()
        assert (first != assign_folds(labels, 5, 1, 1)[0]).any()

    @pytest.mark.parametrize("config", [PROBE, MLP, STOPPED], ids=["probe", "mlp", "early stopping"])
    def test_no_image_is_learnt_from_in_the_fold_that_tests_it(self, config):
        table, x = images()
        planned, folds = plan(table, {"model": Recipe(config, x)}, SETTINGS)
        assert len(planned) == (6 if config is PROBE else 12)
        for repeat, fold, fit in planned:
            assert (folds[repeat][fit.predict_rows] == fold).all()
            used = [fit.train, fit.validation, fit.predict_rows]
            assert sorted(np.concatenate(used)) == list(range(len(table)))  # each image in one of the three
            assert (len(fit.validation) > 0) == (config is STOPPED)
            if config is STOPPED:
                assert set(table.label.iloc[fit.validation]) == set(CLASSES)

    def test_every_random_fit_has_a_seed_of_its_own(self):
        table, x = images()
        planned, _ = plan(table, {"model": Recipe(MLP, x)}, SETTINGS)
        assert len({fit.seed for *_, fit in planned}) == len(planned)


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

    def test_the_number_of_jobs_changes_no_byte(self, strength):
        table, x = images()
        recipes = {"probe": Recipe(PROBE, x.astype(float)), "mlp": Recipe(MLP, x)}
        alone = resampled(strength, recipes, table, repeats=1, folds=2)
        pool = one_by_one(jobs=2, backend="processes")
        beside = resampled(strength, recipes, table, pool, repeats=1, folds=2)
        assert list(alone) == list(beside) == [MAJORITY, "probe", "mlp"]
        for name in alone:
            pd.testing.assert_frame_equal(alone[name], beside[name], check_exact=True)

    def test_company_changes_no_fit_and_runs_differ(self, strength):
        table, x = images()
        alone = resampled(strength, {"mlp": Recipe(MLP, x)}, table)["mlp"]
        among = resampled(strength, {"p": Recipe(PROBE, x), "mlp": Recipe(MLP, x)}, table)["mlp"]
        pd.testing.assert_frame_equal(alone, among, check_exact=True)
        assert fold_scores(alone).shape == (2, 3, 2)
        first, second = (part.sort_values("image_id").p_sitting.to_numpy() for _, part in
                         alone[(alone.repeat == 0) & (alone.fold == 0)].groupby("seed"))  # fmt: skip
        assert (first != second).all()

    def test_the_majority_is_that_of_the_training_folds(self, strength):
        table, _ = images((12, 6, 6))
        frame = resampled(strength, {}, table)[MAJORITY]
        np.testing.assert_allclose(frame.p_walking, 0.5)
        assert fold_scores(frame) == pytest.approx(0.5)

    def test_models_on_images_are_fitted_too(self, strength):
        table, _ = images((4, 4, 4))
        x = np.random.default_rng(0).integers(0, 256, (12, 3, 16, 16), dtype=np.uint8)
        frame = resampled(strength, {"cnn": Recipe(CNN, x)}, table, folds=2, repeats=1, runs=1)["cnn"]
        assert sorted(frame.image_id) == sorted(table.image_id)

    def test_fine_tuning_without_an_image_of_a_class_is_told(self, strength):
        fit = Fit("clip", np.array([0, 1]), np.array([], int), np.array([2]), 0)
        recipes = {"clip": Recipe(FINETUNE, np.zeros((3, 3, 32, 32), np.uint8))}
        with pytest.raises(HarError, match="clip: a fit has no training image of class standing"):
            fit_all([fit], recipes, np.array([0, 1, 2]), CLASSES, training=ALONE, strength=strength, name="x")

    def test_images_out_of_order_are_refused(self, strength):
        table, x = images()
        with pytest.raises(HarError, match="order of image_id"):
            resampled(strength, {"p": Recipe(PROBE, x)}, table.iloc[::-1])


class TestContract:
    def test_what_is_written_is_read(self, strength, tmp_path):
        table, x = images()
        frame = resampled(strength, {"mlp": Recipe(MLP, x)}, table)["mlp"]
        write_resampled(tmp_path / "mlp.parquet", frame)
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "mlp.parquet"), frame, check_exact=True)

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda f: f.drop(columns="fold"), "column 'fold' is missing"),
            (lambda f: f.assign(seed=0.5), "column 'seed' holds something else than whole numbers"),
            (lambda f: f.iloc[:-1], "image is not predicted by every seed"),
            (lambda f: f.assign(p_a=2.0), "row 1: a probability lies outside 0 to 1"),
            (lambda f: f.assign(fold=0, seed=0), "two or more folds"),
            (lambda f: f.assign(label=["c", *f.label[1:]]), "row 1: label is none of a, b"),
            (lambda f: f.iloc[:0], "no prediction"),
        ],
    )
    def test_a_broken_file_is_told_in_one_line(self, spoil, message):
        with pytest.raises(HarError, match=message):
            validate_resampled(spoil(frame_of([[4, 3], [2, 4]])), "f.csv")

    def test_an_image_in_two_folds_is_told(self):
        frame = frame_of([[[4, 4], [3, 3]]])
        # run 0 of image 0 moves to fold 1, run 0 of image 4 to fold 0: each run still covers every image
        for image, fold, seed in ((0, 1, 10), (4, 0, 0)):
            at = (frame.image_id == image) & (frame.seed % 10 == 0)
            frame.loc[at, ["fold", "seed"]] = fold, seed
        with pytest.raises(HarError, match="image 0 is in two folds of repeat 0"):
            validate_resampled(frame)


class TestCorrectedT:
    def test_by_hand(self):
        """Scores .5, .6, .7, .6 of 2 folds twice: mean .6, s² = .02/3; n_test/n_train = 1, so the squared standard
        error is .02/3 (1/4 + 1) = 1/120, and t with 3 df has its 97.5 % point at 3.182446."""
        found = corrected_t(np.array([0.5, 0.6, 0.7, 0.6]), 1.0)
        assert found["mean"] == pytest.approx(0.6)
        assert found["se"] == pytest.approx(math.sqrt(1 / 120))
        assert found["ci_low"] == pytest.approx(0.6 - 3.182446 * 0.0912871, abs=1e-6)
        assert found["ci_high"] == pytest.approx(0.6 + 3.182446 * 0.0912871, abs=1e-6)
        assert (found["t"], found["df"]) == (pytest.approx(0.6 / 0.0912871, abs=1e-5), 3)

    @given(st.lists(st.floats(-1, 1), min_size=2, max_size=30).filter(lambda s: np.ptp(s) > 1e-3))
    def test_without_overlap_it_is_the_t_test_and_overlap_only_widens(self, scores):
        plain, corrected = corrected_t(np.array(scores), 0.0), corrected_t(np.array(scores), 1 / 9)
        expected = stats.ttest_1samp(scores, 0)
        assert (plain["t"], plain["p"]) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
        assert corrected["ci_low"] < plain["ci_low"] <= plain["mean"] <= plain["ci_high"] < corrected["ci_high"]
        assert corrected["p"] >= plain["p"]

    def test_no_spread_and_one_fold_are_defined(self):
        constant, single = corrected_t(np.full(4, 0.1 + 0.2), 1.0), corrected_t(np.array([0.5]), 1.0)
        assert (constant["ci_low"], constant["t"], constant["p"]) == (constant["mean"], None, None)
        assert (single["ci_low"], single["p"]) == (None, None)
        assert constant["note"]
        assert single["note"]


class TestVarianceComponents:
    def test_by_hand(self):
        """Folds (.4, .6) and (.8, 1): within .02 each; fold means .5 and .9, so between 2 x .08 = .16; the split's
        part is (.16 - .02) / 2."""
        found = variance_components(np.array([[0.4, 0.6], [0.8, 1.0]]))
        assert found == {
            "seed_variance": pytest.approx(0.02), "split_variance": pytest.approx(0.07), "note": ""
        }  # fmt: skip

    def test_it_finds_what_was_put_in(self):
        random = np.random.default_rng(0)
        scores = 0.5 + random.normal(0, 0.2, (4000, 1)) + random.normal(0, 0.1, (4000, 3))
        found = variance_components(scores)
        assert found["seed_variance"] == pytest.approx(0.01, rel=0.05)
        assert found["split_variance"] == pytest.approx(0.04, rel=0.1)

    def test_a_negative_estimate_is_zero_and_said(self):
        found = variance_components(np.array([[0.2, 0.8], [0.8, 0.2]]))
        assert (found["seed_variance"], found["split_variance"]) == (pytest.approx(0.18), 0.0)
        assert "negative" in found["note"]

    def test_one_run_cannot_tell_them_apart_unless_nothing_is_random(self):
        scores = np.array([[0.4], [0.6]])
        assert variance_components(scores)["seed_variance"] is None
        assert variance_components(scores, random=False) == {
            "seed_variance": 0.0, "split_variance": pytest.approx(0.02), "note": ""
        }  # fmt: skip


class TestTables:
    def finite(self, tables):
        for table in tables.values():
            json.dumps(table.frame.to_dict("records"), allow_nan=False)
            assert "nan" not in table.markdown().lower()
        return tables

    def test_scores_pairs_and_holm(self):
        frames = {
            "feature": frame_of([[4, 3], [4, 4]]), "metadata": frame_of([[2, 2], [1, 3]]),
            MAJORITY: frame_of([[2, 1], [2, 1]]),
        }  # fmt: skip
        tables = self.finite(cross_validation_tables(frames, {"feature"}, "header"))
        rows = tables["cross_validation"].frame.set_index("model").to_dict("index")
        assert [rows[name]["accuracy"] for name in frames] == [0.9375, 0.5, 0.375]
        assert rows["metadata"]["sd_repeats"] == 0.0
        assert rows["feature"]["ci_high"] == 1.0  # t would say more than 1
        pairs = tables["pairs"].frame
        assert len(pairs) == 3
        assert pairs.difference.tolist() == [0.4375, 0.5625, 0.125]
        ordered = pairs.sort_values("p")
        holm = np.minimum(np.maximum.accumulate(ordered.p.astype(float) * [3, 2, 1]), 1)
        np.testing.assert_allclose(ordered.p_holm.astype(float), holm, rtol=1e-5)

    def test_f1_counts_all_folds_of_a_repeat_at_once(self):
        frame = frame_of([[4, 2]])  # 6 of 8 "a" found, "b" never there: F1 of a is 12/14, of b 0
        row = cross_validation_tables({"m": frame}, (), "header")["cross_validation"].frame.iloc[0]
        assert row.f1 == pytest.approx(6 / 14, abs=1e-6)

    def test_one_repeat_one_run_a_rare_class_and_a_constant_predictor_are_defined(self, strength):
        table, x = images((8, 8, 1))
        frames = resampled(strength, {"p": Recipe(PROBE, x), "mlp": Recipe(MLP, x)}, table, repeats=1, runs=1)
        frames["constant"] = frames["p"].assign(p_walking=1.0, p_sitting=0.0, p_standing=0.0)
        tables = self.finite(cross_validation_tables(frames, {"mlp"}, "header"))
        text = tables["cross_validation"].markdown()
        assert "One repeat: its deviation over repeats is not defined." in text
        assert "standing has 1 images for 3 folds: some folds test none of it." in text
        assert "mlp: One run a fold: seed and split variance cannot be told apart." in text
        assert (tables["cross_validation"].frame.sd_repeats.isna()).all()

    def test_equal_models_have_no_t(self):
        frame = frame_of([[4, 3], [2, 4]])
        tables = self.finite(cross_validation_tables({"a": frame, "b": frame.copy()}, (), "header"))
        row = tables["pairs"].frame.iloc[0]
        assert (row.difference, row.p, row.p_holm) == (0.0, None, None)
        assert "t is not defined" in tables["pairs"].markdown()

    def test_a_model_alone_has_no_pairs(self):
        tables = self.finite(cross_validation_tables({"a": frame_of([[4, 3], [2, 4]])}, (), "header"))
        assert tables["pairs"].frame.empty

    def test_other_folds_cannot_be_compared(self):
        frame = frame_of([[4, 3], [2, 4]])
        with pytest.raises(HarError, match="a and b were not resampled on the same folds"):
            compare_pairs({"a": frame, "b": frame.assign(fold=1 - frame.fold)})
