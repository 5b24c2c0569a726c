"""The learning curve: nested stratified subsets of train, sizes that fit, the same images at every size."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSES, one_by_one
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_models import MLP

from har.config.models import Probe
from har.config.studies import LearningCurve
from har.core.errors import HarError
from har.core.files import write_parquet
from har.studies.learning_curve.fit import learn, nested_order, plan
from har.studies.learning_curve.report import (
    curve_table,
    draw_curve,
    read_curve,
    scores,
    validate_curve,
    with_all_of_train,
    write_curve,
)
from har.training.refit import Recipe

ALONE = one_by_one()
SETTINGS = LearningCurve(models=[], sizes=[6, 18], runs=2, seed=3)
PROBE = Probe(c=[0.01, 1.0], folds=2)
STOPPED = MLP.model_copy(update={"patience": 2})


def images(extended=True):
    """18 train, 6 validation, 6 test and 6 extended images."""
    part = np.array(["train", "train", "train", "validation", "test", "extended"] * 6)
    y = np.repeat(np.arange(3), 12)
    x = np.random.default_rng(1).normal(size=(36, 6)).astype(np.float32)
    x[np.arange(36), y] += 2
    if not extended:
        part[part == "extended"] = "train"
    return pd.DataFrame({"image_id": np.arange(36) + 100, "label": np.array(CLASSES)[y], "split": part}), x


def learnt(strength, recipes, split, training=ALONE, **changes):
    return learn(
        recipes, split, CLASSES, SETTINGS.model_copy(update=changes), training=training, strength=strength
    )  # fmt: skip


@pytest.fixture(scope="module")
def frame(strength):
    split, x = images()
    return learnt(strength, {"probe_clip": Recipe(PROBE, x), "feature": Recipe(STOPPED, x)}, split)


class TestSubsets:
    @given(st.lists(st.integers(1, 40), min_size=2, max_size=5), st.integers(0, 99))
    @example([1, 1, 1, 1, 37], 0)
    @settings(deadline=None)
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

    def test_plan_nests_within_a_run_and_draws_anew_between_runs(self):
        split, x = images()
        planned = {(size, run): fit for size, run, fit in plan(split, {"m": Recipe(MLP, x)}, SETTINGS)}
        train = np.flatnonzero(split.split == "train")
        for run in (0, 1):
            assert set(planned[6, run].train) < set(planned[18, run].train) == set(train)
            assert split.label.iloc[planned[6, run].train].value_counts().tolist() == [2, 2, 2]
            assert planned[6, run].seed == planned[18, run].seed == 3 + run
        assert set(planned[6, 0].train) != set(planned[6, 1].train)

    def test_no_image_told_is_learnt_from_and_early_stopping_sees_the_same(self):
        split, x = images()
        for _, _, fit in plan(split, {"m": Recipe(STOPPED, x)}, SETTINGS):
            assert not set(fit.train) & set(fit.predict_rows)
            assert set(split.split.iloc[fit.validation]) == {"validation"}
            assert len(fit.validation) == 6
            assert set(split.split.iloc[fit.predict_rows]) == {"validation", "extended"}

    @pytest.mark.parametrize(
        ("sizes", "taken"),
        [([6, 19, 228], [6, 18]), ([2], [3]), ([1, 9, 18], [3, 9, 18]), ([500], [18])],
    )
    def test_a_size_that_does_not_fit_is_brought_to_one_that_does(self, capsys, sizes, taken):
        """Own images may be few: that must not end a run whose models are all trained."""
        split, x = images()
        planned = plan(split, {"m": Recipe(MLP, x)}, SETTINGS.model_copy(update={"sizes": sizes}))
        assert sorted({size for size, _, _ in planned}) == taken
        assert all(len(fit.train) == size for size, _, fit in planned)
        said = capsys.readouterr().out
        assert "learning_curve.sizes: " in said
        assert f"taken are {', '.join(map(str, taken))}" in said

    def test_sizes_that_fit_say_nothing(self, capsys):
        split, x = images()
        plan(split, {"m": Recipe(MLP, x)}, SETTINGS)
        assert not capsys.readouterr().out

    def test_a_class_missing_from_validation_is_told(self, strength):
        split, x = images()
        split.loc[(split.split == "validation") & (split.label == "sitting"), "label"] = "standing"
        with pytest.raises(HarError, match="no validation image of class sitting"):
            learnt(strength, {"m": Recipe(MLP, x)}, split)


class TestPredictions:
    def test_each_model_size_and_run_tells_validation_and_extended(self, frame):
        counts = frame.groupby(["model", "size", "run", "split"]).size()
        assert len(counts) == 2 * 2 * 2 * 2
        assert (counts == 6).all()

    def test_without_extended_images_the_test_images_are_told(self, strength):
        split, x = images(extended=False)
        told = learnt(strength, {"m": Recipe(PROBE, x)}, split, runs=1, sizes=[24])
        assert set(told.split) == {"test", "validation"}

    def test_all_of_train_is_the_same_for_every_run_of_what_draws_nothing(self, frame):
        last = frame[(frame.model == "probe_clip") & (frame["size"] == 18)]
        first, second = (part.filter(like="p_").to_numpy() for _, part in last.groupby("run"))
        np.testing.assert_array_equal(first, second)
        small = frame[(frame.model == "probe_clip") & (frame["size"] == 6)]
        first, second = (part.filter(like="p_").to_numpy() for _, part in small.groupby("run"))
        assert (first != second).any()

    def test_jobs_company_and_the_order_of_sizes_change_no_byte(self, strength, frame):
        split, x = images()
        pool = one_by_one(jobs=2, backend="processes")
        beside = learnt(strength, {"feature": Recipe(STOPPED, x)}, split, pool, sizes=[18, 6, 6])
        alone = frame[frame.model == "feature"].reset_index(drop=True)
        pd.testing.assert_frame_equal(beside, alone, check_exact=True)

    def test_what_is_written_is_read(self, frame, tmp_path):
        write_curve(tmp_path / "curve.parquet", frame)
        pd.testing.assert_frame_equal(read_curve(tmp_path / "curve.parquet"), frame, check_exact=True)

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda f: f.drop(columns="size"), "column 'size' is missing"),
            (lambda f: f.assign(run="first"), "column 'run' holds something else than whole numbers"),
            (lambda f: f.iloc[1:], "image is not predicted by every seed"),
            (lambda f: f.assign(model=[None, *f.model[1:]]), "row 1: model is empty"),
            (lambda f: f.iloc[:0], "no prediction"),
        ],
    )
    def test_a_broken_file_is_told_in_one_line(self, frame, spoil, message):
        with pytest.raises(HarError, match=message):
            validate_curve(spoil(frame))

    def test_so_is_one_on_disk(self, frame, tmp_path):
        write_parquet(tmp_path / "curve.parquet", frame.assign(label=[*frame.label[:30], "-", *frame.label[31:]]))
        with pytest.raises(HarError, match=r"curve\.parquet: row 31: label is none of"):
            read_curve(tmp_path / "curve.parquet")


class TestReport:
    def test_scores_are_those_of_the_predictions(self, frame):
        rows = scores(frame, resamples=200)
        json.dumps(rows, allow_nan=False)
        assert [(row["split"], row["model"], row["size"]) for row in rows[:5]] == [
            ("extended", "probe_clip", 6), ("extended", "probe_clip", 18), ("extended", "feature", 6),
            ("extended", "feature", 18), ("validation", "probe_clip", 6),
        ]  # fmt: skip
        row = rows[2]
        part = frame[(frame.split == "extended") & (frame.model == "feature") & (frame["size"] == 6)]
        guess = part.filter(like="p_").to_numpy().argmax(1)
        hit = np.array(CLASSES)[guess] == part.label.to_numpy()
        by_run = pd.Series(hit).groupby(part.run.to_numpy()).mean()
        assert row["accuracy"] == pytest.approx(by_run.mean(), abs=1e-6)
        assert row["sd"] == pytest.approx(by_run.std(), abs=1e-6)
        assert row["ci_low"] <= row["accuracy"] <= row["ci_high"]
        assert (row["n"], row["runs"]) == (6, 2)

    def test_one_run_has_no_deviation_and_says_so(self, frame):
        table = curve_table(scores(frame[frame.run == 0], resamples=100), "header")
        assert table.frame.sd.isna().all()
        assert "One run: its deviation over runs is not defined." in table.markdown()
        assert "nan" not in table.markdown().lower()

    def test_the_figure_is_drawn_and_repeats_to_the_byte(self, frame, tmp_path):
        rows = scores(frame, resamples=100)
        for name in ("a.svg", "b.svg"):
            draw_curve(rows, tmp_path / name, "Learning curve", 3)
        assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
        assert ">training images" in (tmp_path / "a.svg").read_text()

    def test_the_last_point_is_the_trained_models_own(self, frame):
        trained = frame[(frame.model == "feature") & (frame["size"] == 18)].rename(columns={"run": "seed"})
        trained = trained.drop(columns=["model", "size"])
        whole = with_all_of_train(frame, {("activity", "feature"): trained}, 30)
        rows = [row for row in scores(whole, resamples=100) if row["split"] == "extended"]
        points = [(row["model"], row["size"]) for row in rows]
        assert points == [("probe_clip", 6), ("probe_clip", 18), ("feature", 6), ("feature", 18), ("feature", 30)]
        assert rows[4] | {"size": 18} == rows[3]
        again = with_all_of_train(frame, {("activity", "feature"): trained}, 18)
        pd.testing.assert_frame_equal(again, frame)  # a size that was fitted stays
