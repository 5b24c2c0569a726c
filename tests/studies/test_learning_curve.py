"""The learning curve: nested stratified subsets of train, sizes that fit, the same images at every size."""

import json
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import parameters
import pytest
from conftest import CLASSES, one_by_one
from hypothesis import example, given
from hypothesis import strategies as st
from test_models import MLP

from har.config.models import Probe
from har.config.studies import LearningCurve
from har.core.errors import HarError
from har.core.files import write_parquet
from har.evaluation.predictions import in_split, predicted_classes
from har.studies.learning_curve.fit import learn, nested_order, plan
from har.studies.learning_curve.report import curve_table, draw_curve, read_curve, scores, with_all_of_train
from har.training.refit import Recipe, dev_folds, fit_all

ALONE = one_by_one()
REPORT = parameters.profile().report.model_copy(update={"resamples": 200})
SETTINGS = LearningCurve(models=[], sizes=[4, 9], folds=2, seed=3)
PROBE = Probe(c=[0.01, 1.0], folds=2)
STOPPED = MLP.model_copy(update={"patience": 2})


def images():
    """18 train, 6 validation, 6 test and 6 extended images."""
    part = np.array(["train", "train", "train", "validation", "test", "extended"] * 6)
    y = np.repeat(np.arange(3), 12)
    x = np.random.default_rng(1).normal(size=(36, 6)).astype(np.float32)
    x[np.arange(36), y] += 2
    return pd.DataFrame({"image_id": np.arange(36) + 100, "label": np.array(CLASSES)[y], "split": part}), x


def learnt(strength, recipes):
    fit = partial(fit_all, training=ALONE, strength=strength, name="x")
    return learn(recipes, images()[0], CLASSES, SETTINGS, fit)


def planned_for(config, sizes):
    split, x = images()
    settings = SETTINGS.model_copy(update={"sizes": sizes})
    return plan(split, {"m": Recipe(config, x)}, settings, dev_folds(split, settings.folds, settings.seed))


@pytest.fixture(scope="module")
def frame(strength):
    _, x = images()
    return learnt(strength, {"probe_clip": Recipe(PROBE, x), "feature": Recipe(STOPPED, x)})


class TestSubsets:
    @given(st.lists(st.integers(1, 40), min_size=2, max_size=5), st.integers(0, 99))
    @example([1, 1, 1, 1, 37], 0)
    def test_every_start_is_stratified_and_holds_each_class(self, counts, seed):
        labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
        order = nested_order(labels, seed)
        assert sorted(order) == list(range(len(labels)))
        for size in range(len(counts), len(labels) + 1):
            drawn = np.bincount(labels[order[:size]], minlength=len(counts))
            assert (drawn >= 1).all()
            expected = size * np.array(counts) / len(labels)
            # within one image, and one more for each of the other classes, whose first image may have come early
            assert np.abs(drawn - expected).max() <= len(counts)

    def test_subsets_of_a_fold_are_nested_and_leave_it_out(self):
        split, _ = images()
        for config in (MLP, STOPPED):
            planned = planned_for(config, [3, 9])
            for (small, one), (large, other) in zip(planned[::2], planned[1::2], strict=True):
                assert (small, large, len(one.train), len(other.train)) == (3, 9, 3, 9)
                assert set(one.train) < set(other.train)
                assert set(split.label.iloc[one.train]) == set(CLASSES)
                assert set(one.validation) == set(other.validation)
                assert not set(other.train) & {*other.predict_rows, *other.validation}
                assert set(split.split.iloc[other.train]) <= {"train", "validation"}
            assert set(planned[0][1].predict_rows) != set(planned[2][1].predict_rows)

    @pytest.mark.parametrize(("sizes", "taken"), [([228, 13, 6], [6, 12]), ([1, 9, 12], [3, 9, 12])])
    def test_a_size_that_does_not_fit_is_brought_to_one_that_does(self, capsys, sizes, taken):
        """Own images may be few: that must not end a run whose models are all trained."""
        planned = planned_for(MLP, sizes)
        assert sorted({size for size, _ in planned}) == taken
        assert all(len(fit.train) == size for size, fit in planned)
        assert f"taken are {', '.join(map(str, taken))}" in capsys.readouterr().out


class TestPredictions:
    def test_dev_images_are_predicted_once_and_held_out_ones_by_each_fold(self, frame):
        counts = frame.groupby(["model", "size", "split", "image_id"]).run.nunique().groupby(["split"]).unique()
        assert counts.map(list).to_dict() == {"train": [1], "validation": [1], "test": [2], "extended": [2]}
        assert len(frame) == 2 * 2 * (24 + 2 * 12)

    def test_company_changes_no_byte(self, strength, frame, tmp_path):
        write_parquet(tmp_path / "curve.parquet", frame)
        read = read_curve(tmp_path / "curve.parquet")
        beside = read[read.model == "feature"].reset_index(drop=True)
        alone = learnt(strength, {"feature": Recipe(STOPPED, images()[1])})
        pd.testing.assert_frame_equal(beside, alone, check_exact=True)

    def test_a_broken_file_is_told_in_one_line(self, frame, tmp_path):
        for broken, message in (
            (frame.drop(columns="size"), "no rows with model, size, run"),
            (frame.iloc[1:], "row 24: image is not predicted by every seed"),
        ):
            write_parquet(tmp_path / "curve.parquet", broken)
            with pytest.raises(HarError, match=rf"curve\.parquet: {message}"):
                read_curve(tmp_path / "curve.parquet")


class TestReport:
    def test_scores_are_those_of_the_predictions(self, frame, tmp_path):
        rows = scores(frame, REPORT)
        json.dumps(rows, allow_nan=False)
        assert [(row["split"], row["model"], row["size"]) for row in rows] == list(
            product(("out_of_fold", "held_out"), ("probe_clip", "feature"), (4, 9))
        )
        row = rows[6]
        part = frame[in_split(frame, "held_out") & (frame.model == "feature") & (frame["size"] == 4)]
        hits = (predicted_classes(part) == part.label).groupby([part.run, part.label]).mean()
        by_run = hits.groupby("run").mean()
        assert (row["balanced_accuracy"], row["sd"]) == pytest.approx((by_run.mean(), by_run.std()), abs=1e-6)
        assert row["ci_low"] <= row["balanced_accuracy"] <= row["ci_high"]
        assert (row["n"], row["runs"]) == (12, 2)
        draw_curve(rows, tmp_path / "curve.svg", "Learning curve", 3)
        assert ">training images" in (tmp_path / "curve.svg").read_text()

    def test_one_run_has_no_deviation(self, frame):
        table = curve_table(scores(frame[frame.run == 0], REPORT), "header")
        assert table.frame.sd.isna().all()
        assert "One run: its deviation over runs is not defined." in table.markdown()
        assert "nan" not in table.markdown().lower()

    def test_the_last_point_is_the_trained_models_own(self, frame):
        trained = frame[(frame.model == "feature") & (frame["size"] == 9)].rename(columns={"run": "seed"})
        trained = trained.drop(columns=["model", "size"])
        whole = with_all_of_train(frame, {("activity", "feature"): trained}, 30)
        rows = [row for row in scores(whole, REPORT) if row["split"] == "held_out"]
        points = [(row["model"], row["size"]) for row in rows]
        assert points == [("probe_clip", 4), ("probe_clip", 9), ("feature", 4), ("feature", 9), ("feature", 30)]
        assert rows[4] | {"size": 9} == rows[3]
        again = with_all_of_train(frame, {("activity", "feature"): trained}, 9)
        pd.testing.assert_frame_equal(again, frame)  # a size that was fitted stays
