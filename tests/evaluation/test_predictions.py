"""Predictions keep their contract, metrics are scikit-learn's, intervals come from the images."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from predicted import TASKS, seed_scores
from predicted import simulate as simulated
from sklearn import metrics as sk

from har.core.errors import HarError
from har.core.files import replacing, write_parquet
from har.evaluation import bootstrap
from har.evaluation.bootstrap import resample_counts, resampled, wilson
from har.evaluation.metrics import METRICS, Cells, cells
from har.evaluation.predictions import (
    HELD_OUT,
    collapsed_runs,
    log_loss,
    majority_predictions,
    predictions_frame,
    read_predictions,
    write_predictions,
    zero_shot_predictions,
)
from har.evaluation.summary import estimates, per_class, summarise

CLASSES = TASKS["activity"]


def test_a_run_that_predicts_one_class_for_all_is_named():
    labels, same, mixed = [CLASSES[k] for k in (1, 2, 1, 0)], np.eye(3)[[1, 1, 1, 1]], np.eye(3)[[1, 0, 0, 0]]
    one, other = (
        predictions_frame(range(4), labels, ["test"] * 4, p, CLASSES, seed) for seed, p in ((3, same), (5, mixed))
    )
    assert collapsed_runs(pd.concat([one, other])) == {3: "sitting"}
    assert collapsed_runs(one.assign(label="sitting")) == {}  # nothing else to be right about


def simulate(n=40, runs=5, skill=1.0, seed=0, task="activity"):
    return simulated(task, skill, seed, runs, {"test": n})


# --- metrics


def test_summary_is_mean_and_sd_over_runs():
    frame = simulate()
    scores, summary = seed_scores(frame), summarise(frame)["test"]
    assert list(summary) == ["n", "runs", *METRICS]
    assert (summary["n"], summary["runs"]) == (40, 5)
    assert summary["accuracy"]["mean"] == pytest.approx(scores.mean(), abs=1e-6)
    assert summary["accuracy"]["sd"] == pytest.approx(scores.std(ddof=1), abs=1e-6)
    assert summarise(frame.sample(frac=1, random_state=1))["test"] == summary
    assert summarise(frame.iloc[:0]) == {}
    assert list(summarise(frame.assign(split="extended"))) == [HELD_OUT]


@pytest.mark.parametrize(("task", "n"), [("activity", 30), ("posture", 30), ("activity", 2), ("posture", 1)])
def test_scores_of_a_run_equal_scikit_learn(task, n):
    classes = TASKS[task]
    size, labels = len(classes), range(len(classes))
    frame = simulate(n, 2, seed=3, task=task)
    found = estimates(cells(frame, "test"), resamples=100)
    assert set(found) == {*METRICS, "nll", "brier"}
    for place, (_, run) in enumerate(frame.groupby("seed")):
        shares, truth = run.filter(like="p_").to_numpy(), pd.Index(classes).get_indexer(run["label"])
        guess = shares.argmax(1)
        likely = shares if size > 2 else shares[:, 1]
        macro = sk.precision_recall_fscore_support(truth, guess, labels=labels, average="macro", zero_division=0)
        theirs = dict(zip(METRICS, (sk.accuracy_score(truth, guess), *macro[:3]), strict=False)) | {
            # what balanced_accuracy_score computes, without its warning about a class that does not occur
            "balanced_accuracy": sk.recall_score(truth, guess, labels=sorted(set(truth)), average="macro"),
            "nll": sk.log_loss(truth, shares, labels=labels),
            "brier": sk.brier_score_loss(truth, likely, labels=list(labels), scale_by_half=False),
        }
        assert {name: found[name].runs[place] for name in theirs} == pytest.approx(theirs, abs=1e-9)


@given(st.integers(1, 30), st.integers(1, 4), st.floats(0, 4), st.integers(0, 10**6))
@example(29, 3, 5.0, 7)  # all right but for the last bit of a sum
def test_every_estimate_lies_in_its_interval(n, runs, skill, seed):
    frame = simulate(n, runs, skill, seed=seed)
    for estimate in estimates(cells(frame, "test"), 100).values():
        low, high = estimate.interval()
        assert 0 <= low <= estimate.mean <= high < 40, estimate.metric
        assert estimate.resampled.shape == (100,)


def test_an_impossible_event_costs_a_finite_loss():
    frame = predictions_frame([1, 2], ["sitting", "standing"], ["test"] * 2, [[0, 1, 0], [0, 1, 0]], CLASSES)
    found = estimates(cells(frame, "test"), 100)
    assert found["nll"].mean == pytest.approx(-math.log(np.finfo(float).eps) / 2)
    assert found["brier"].mean == pytest.approx(1)  # 0 and 2


# --- each class


@pytest.mark.parametrize(("n", "runs"), [(1, 2), (4, 1), (30, 3)])
def test_classes_equal_scikit_learn(n, runs):
    one = cells(simulate(n, runs), "test")
    rows = per_class(one, resamples=100)
    theirs = np.mean([
        sk.precision_recall_fscore_support(one.truth, guess, labels=range(3), zero_division=0)[:3]
        for guess in one.guess.T
    ], axis=0)  # fmt: skip
    for place, row in enumerate(rows):
        assert row["support"] == (one.truth == place).sum()
        for metric, values in zip(("precision", "recall", "f1"), theirs, strict=True):
            if row[metric] is None:
                assert values[place] == 0
            else:
                assert row[metric] == pytest.approx(values[place], abs=1e-9)
                assert 0 <= row[f"{metric}_low"] <= row[metric] <= row[f"{metric}_high"] <= 1


def test_a_class_without_images_or_guesses_has_no_figure():
    frame = predictions_frame(range(4), ["sitting"] * 4, ["test"] * 4, [[0.1, 0.8, 0.1]] * 4, CLASSES)
    walking, sitting, _ = per_class(cells(frame, "test"), resamples=100)
    assert [walking[name] for name in ("precision", "recall", "f1", "f1_low")] == [None] * 4
    assert (sitting["precision"], sitting["recall"], sitting["runs_predicting"]) == (1, 1, 1)


# --- intervals


def test_every_class_stays_in_each_resample_and_groups_are_drawn_whole():
    frame = simulate(60, 2, seed=1)
    groups = [f"clip {image % 12}" for image in frame.image_id]  # four of each class
    alone, grouped = (cells(of, "test") for of in (frame, frame.assign(group=groups)))
    counts = np.bincount(alone.truth)
    assert (alone.recalls(resamples=300)[1][:, 0] == counts).all()
    assert (grouped.recalls(resamples=300)[1][:, 0, counts.argmin()] > 0).all()
    one, other = (estimates(of, 300)["balanced_accuracy"] for of in (alone, grouped))
    assert other.mean == pytest.approx(one.mean)
    assert other.units < one.units


def test_groups_are_drawn_among_those_with_the_same_rarest_class():
    truth, groups = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    one = Cells(np.arange(6), np.array([0]), truth, np.eye(3)[truth][:, None], CLASSES, groups)
    assert one.strata()[0] > one.strata()[1] > one.strata()[2]  # class 2 is the rarest, then 1


def test_a_bootstrap_error_is_the_standard_error_of_a_mean():
    values = np.array([0.0, 0.0, 1.0, 3.0, 7.0])
    drawn = resampled(values[:, None], 20_000)[:, 0] / 5
    assert bootstrap.bootstrap_error(drawn, 5) == pytest.approx(values.std(ddof=1) / 5**0.5, rel=0.03)


def test_equal_classes_have_as_many_degrees_of_freedom_as_images_and_runs_their_noise():
    one = cells(simulate(30, 4, skill=0.3), "test")
    found = estimates(one, 50)["balanced_accuracy"]
    assert found.units == pytest.approx(30)
    hits = one.guess == one.truth[:, None]
    assert hits.var(1).any()
    assert found.noise == pytest.approx(hits.var(1, ddof=1).sum() / 4 / 30**2)  # of the mean of 30 images


@pytest.mark.parametrize(("sizes", "recall"), [((12, 148, 176), 0.9), ((10, 10, 9), 0.5)])
def test_intervals_of_balanced_accuracy_hold_the_truth(sizes, recall):
    """Binomial recalls in classes of known sizes; the least coverage of percentiles or one pooled interval is 77 %."""
    random, inside, truth = np.random.default_rng(0), 0, np.repeat(np.arange(3), sizes)
    for experiment in range(100):
        guess = np.where(random.random(len(truth)) < recall, truth, (truth + 1) % 3)
        one = Cells(np.arange(len(truth)), np.array([0]), truth, np.eye(3)[guess][:, None], CLASSES)
        low, high = estimates(one, 50, experiment)["balanced_accuracy"].interval()
        inside += low <= recall <= high
    assert inside >= 92


def test_an_interval_is_the_binomial_one_and_more_runs_of_the_same_do_not_narrow_it():
    frame, widths = simulate(400, 1), []
    for runs in (2, 20):
        figures = summarise(pd.concat([frame.assign(seed=run) for run in range(runs)]))["test"]["accuracy"]
        widths.append(figures["ci_high"] - figures["ci_low"])
    expected = 2 * 1.96 * math.sqrt(figures["mean"] * (1 - figures["mean"]) / 400)
    assert widths[0] == pytest.approx(widths[1], abs=1e-9)
    assert widths[0] == pytest.approx(expected, rel=0.1)


def test_a_single_run_gets_wilsons_interval():
    assert wilson(22, 29) == pytest.approx((0.58, 0.88), abs=0.005)  # the paper's best row
    frame = simulate(29, 1)
    figures = summarise(frame)["test"]["accuracy"]
    assert (figures["ci_low"], figures["ci_high"]) == pytest.approx(wilson(round(figures["mean"] * 29), 29), abs=1e-6)
    assert wilson(0, 5)[0] == 0
    assert wilson(5, 5)[1] == 1


def test_log_loss_is_scikit_learns():
    frame = simulate(runs=1)
    expected = sk.log_loss(frame.label, frame[[f"p_{name}" for name in sorted(CLASSES)]], labels=sorted(CLASSES))
    assert log_loss(frame)["log_loss"] == pytest.approx(expected)


@pytest.mark.parametrize("block", [1, 50, 17 * 20])
def test_every_resample_draws_n_images_whatever_the_blocks(block, monkeypatch):
    values, counts = np.arange(34.0).reshape(17, 2), resample_counts(17, 50, seed=3)
    assert (counts.sum(1) == 17).all()
    monkeypatch.setattr(bootstrap, "BLOCK", block)
    resample_counts.cache_clear()
    np.testing.assert_array_equal(resampled(values, 50, seed=3), counts @ values)
    assert resampled(values, 0).shape == (0, 2)


# --- rows without training


def test_majority_comes_from_train():
    labels = ["sitting"] * 3 + ["standing"] * 6 + ["flying"]
    split = pd.DataFrame({"image_id": range(10), "label": labels, "split": ["train"] * 5 + ["test"] * 5})
    frame = majority_predictions(split, CLASSES)
    assert len(frame) == 9  # those of the classes
    assert frame["p_sitting"].tolist() == pytest.approx([0.6] * 9)  # though test is all "standing"
    assert frame.loc[0, [f"p_{name}" for name in CLASSES]].tolist() == pytest.approx([0, 0.6, 0.4])
    with pytest.raises(HarError, match="no training image"):
        majority_predictions(split[split["split"] == "test"], CLASSES)


def test_zero_shot_is_a_softmax_of_scaled_cosines():
    cosines = np.array([[0.3, 0.2, 0.2], [0.1, 0.1, 0.4]])
    images = pd.DataFrame({"image_id": [1, 2], "label": ["walking_running", "standing"], "split": "test"})
    frame = zero_shot_predictions(cosines, 100.0, images, CLASSES)
    first = frame.loc[0, [f"p_{name}" for name in CLASSES]].to_numpy(float)
    assert np.log(first[0] / first[1]) == pytest.approx(10)
    assert summarise(frame)["test"]["accuracy"]["mean"] == 1
    with pytest.raises(HarError, match="finite"):
        zero_shot_predictions(cosines * np.nan, 100.0, images, CLASSES)


# --- reading and writing


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.assign(image_id="image " + f["image_id"].astype(str)),  # ids are text
        lambda f: f[["label", *f.columns.drop("label")]],  # columns in another order
        lambda f: f.rename(columns={"label": "group"}).assign(label=f["label"]),
        lambda f: f.replace({"label": {"sitting": "坐, nan"}}).rename(columns={"p_sitting": "p_坐, nan"}),
    ],
)
def test_predictions_survive_the_file_bit_for_bit(tmp_path, change):
    frame = change(simulate())
    for name in ("a.parquet", "new/b.parquet"):
        write_predictions(tmp_path / name, frame)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "new/b.parquet").read_bytes()
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "a.parquet"), frame, check_exact=True)
    assert len(cells(frame, "test").truth) == 40


def _set(row, column, value):
    return lambda f: f.assign(**{column: [value if i == row else v for i, v in enumerate(f[column])]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="label"), "column 'label' is missing"),
        (lambda f: f.assign(**{"x" * 5000: 1}), "column 'xxx"),
        (_set(3, "p_sitting", 1.5), "row 4: a probability lies outside"),
        (_set(3, "p_sitting", float("nan")), "row 4: a probability is no finite number"),
        (lambda f: _set(3, "p_sitting", "x")(f.astype({"p_sitting": "str"})), "row 4: a probability is no finite"),
        (_set(2, "p_sitting", 0.0), "row 3: probabilities do not sum to 1"),
        (_set(1, "label", "flying"), "row 2: label is none of walking_running, sitting, standing"),
        (_set(1, "label", None), "row 2: label is empty"),
        (_set(1, "split", "dev"), "row 2: split is none of train"),
        (_set(1, "seed", 0.5), "row 2: seed is no integer"),
        (lambda f: pd.concat([f, f.iloc[[4]]]), "row 201: same seed, image_id and split"),
        (lambda f: f.assign(label=[*f.label[:199], *{*CLASSES} - {f.label[199]}][:200]), "row 200: label differs"),
        (lambda f: f.drop(index=7), "image is not predicted by every seed"),
        (lambda f: f.rename(columns={"p_sitting": "p_lying"}), "column 'p_sitting' is missing"),
    ],
)
def test_a_broken_file_is_told_by_name_and_row(tmp_path, change, message):
    path = tmp_path / "broken.parquet"
    write_parquet(path, change(simulate()))
    with pytest.raises(HarError) as caught:
        read_predictions(path, CLASSES)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_probabilities_of_another_shape_are_refused():
    with pytest.raises(HarError, match="shape"):
        predictions_frame([1], ["sitting"], ["test"], np.ones((1, 2)), CLASSES)


@pytest.mark.parametrize("size", [8, 5])
def test_top5_accuracy_where_there_are_more_than_five_classes(size):
    rng, names = np.random.default_rng(0), [f"c{k}" for k in range(size)]
    chances, y = rng.dirichlet(np.ones(size), 300), rng.integers(0, size, 300)
    frame = predictions_frame(range(300), np.array(names)[y], ["test"] * 300, chances, names)
    found = summarise(frame, ("test",), resamples=200)["test"].get("top5_accuracy")
    assert (found is None) == (size == 5)
    if found:
        expected = sk.top_k_accuracy_score(y, chances, k=5, labels=range(size))
        assert found["mean"] == pytest.approx(expected, abs=1e-6)
        assert found["ci_low"] < expected < found["ci_high"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    (tmp_path / "old.json").write_text("old")
    with pytest.raises(TypeError), replacing(tmp_path / "old.json") as temporary:
        json.dump([1, object()], temporary.open("w"))  # fails halfway
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
