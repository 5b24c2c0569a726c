"""Predictions keep their contract, metrics are scikit-learn's, intervals come from the images."""

import json
import math
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from har.core.errors import HarError
from har.core.files import replacing, write_json, write_parquet
from har.evaluation import bootstrap
from har.evaluation.bootstrap import resample_counts, resampled, wilson
from har.evaluation.metrics import METRICS, Cells, cells, confusion, metrics_from_confusion, per_seed, seed_scores
from har.evaluation.predictions import (
    HELD_OUT,
    collapsed_runs,
    majority_predictions,
    predictions_frame,
    read_predictions,
    validate_predictions,
    write_predictions,
    zero_shot_predictions,
)
from har.evaluation.summary import class_shares, estimates, per_class, summarise

CLASSES = ("walking_running", "sitting", "standing")


def test_a_run_that_predicts_one_class_for_all_is_named():
    chances = np.full((4, 3), 0.1)
    chances[:, 1] = 0.8
    mixed = chances[:, [1, 0, 2]].copy()
    mixed[0] = chances[0]
    labels = ["sitting", "standing", "sitting", "walking_running"]
    frames = [
        predictions_frame(range(4), labels, ["test"] * 4, p, CLASSES, seed) for seed, p in ((3, chances), (5, mixed))
    ]
    assert collapsed_runs(pd.concat(frames)) == {3: "sitting"}
    assert collapsed_runs(frames[1]) == {}
    assert collapsed_runs(frames[0].assign(label="sitting")) == {}  # nothing else to be right about


def simulate(n=40, runs=5, skill=1.0, split="test", classes=CLASSES, seed=0):
    """Predictions of `runs` runs on `n` images of `split`."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, len(classes), n)
    frames = []
    for run in range(runs):
        weights = random.gamma(1, 1, (n, len(classes))) + skill * np.eye(len(classes))[truth]
        shares = weights / weights.sum(1, keepdims=True)
        frames.append(predictions_frame(range(n), np.array(classes)[truth], [split] * n, shares, classes, run))
    return pd.concat(frames, ignore_index=True)


# --- metrics


@given(st.data(), st.integers(2, 5), st.integers(1, 40))
def test_metrics_equal_scikit_learn(data, size, n):
    truth = data.draw(st.lists(st.integers(0, size - 1), min_size=n, max_size=n))
    guess = data.draw(st.lists(st.integers(0, size - 1), min_size=n, max_size=n))
    labels = list(range(size))
    ours = metrics_from_confusion(sk.confusion_matrix(truth, guess, labels=labels))
    options = {"labels": labels, "average": "macro", "zero_division": 0}
    theirs = {
        "accuracy": sk.accuracy_score(truth, guess),
        "precision": sk.precision_score(truth, guess, **options),
        "recall": sk.recall_score(truth, guess, **options),
        "f1": sk.f1_score(truth, guess, **options),
        # what balanced_accuracy_score computes, without its warning about a class that does not occur
        "balanced_accuracy": sk.recall_score(truth, guess, labels=sorted(set(truth)), average="macro"),
    }
    assert set(ours) == set(METRICS)
    for name, value in theirs.items():
        assert float(ours[name]) == pytest.approx(value, abs=1e-12), name


def test_balanced_accuracy_is_scikit_learns():
    one = simulate(60)
    run = one[one["seed"] == 0]
    guess = np.array(CLASSES)[run[[f"p_{name}" for name in CLASSES]].to_numpy().argmax(1)]
    expected = sk.balanced_accuracy_score(run["label"], guess)
    assert seed_scores(one, "test", "balanced_accuracy")[0] == pytest.approx(expected, abs=1e-12)


def test_summary_is_mean_and_sd_over_runs():
    frame = simulate()
    scores, summary = seed_scores(frame), summarise(frame)["test"]
    assert (summary["n"], summary["runs"]) == (40, 5)
    assert summary["accuracy"]["mean"] == pytest.approx(scores.mean(), abs=1e-6)
    assert summary["accuracy"]["sd"] == pytest.approx(scores.std(ddof=1), abs=1e-6)
    assert len(per_seed(frame)) == 5


@given(st.integers(3, 40), st.integers(1, 3), st.integers(0, 10**6), st.booleans())
def test_scores_of_a_run_equal_scikit_learn(n, runs, seed, binary):
    classes = CLASSES[1:] if binary else CLASSES
    frame = simulate(n, runs, classes=classes, seed=seed)
    weights = dict(zip(classes, np.random.default_rng(seed).dirichlet(np.ones(len(classes))), strict=True))
    found = estimates(cells(frame, "test"), resamples=100, shares=weights)
    assert set(found) == {*METRICS, "nll", "brier", "weighted_accuracy"}
    for place, (_, run) in enumerate(frame.groupby("seed")):
        shares = run[[f"p_{name}" for name in classes]].to_numpy()
        truth = pd.Index(classes).get_indexer(run["label"])
        guess, labels, counts = shares.argmax(1), list(range(len(classes))), np.bincount(truth, minlength=len(classes))
        brier = sk.brier_score_loss(truth, shares if not binary else shares[:, 1], labels=labels, scale_by_half=False)
        theirs = {
            "nll": sk.log_loss(truth, shares, labels=labels),
            "brier": brier,
            "f1": sk.f1_score(truth, guess, labels=labels, average="macro", zero_division=0),
            "weighted_accuracy": sk.accuracy_score(
                truth,
                guess,
                sample_weight=(np.array([weights[name] for name in classes]) / np.maximum(counts, 1))[truth],
            ),
        }
        for name, value in theirs.items():
            assert found[name].runs[place] == pytest.approx(value, abs=1e-9), name


@given(st.integers(1, 30), st.integers(1, 4), st.floats(0, 4), st.integers(0, 10**6))
@example(18, 1, 2.0, 20956)  # all right but for the last bit of a sum
def test_every_estimate_lies_in_its_interval(n, runs, skill, seed):
    for estimate in estimates(
        cells(simulate(n, runs, skill, seed=seed), "test"), 100, shares=dict.fromkeys(CLASSES, 1)
    ).values():
        low, high = estimate.interval()
        assert 0 <= low <= estimate.mean <= high < 40, estimate.metric
        assert estimate.resampled.shape == (100,)


def test_equal_shares_weight_to_balanced_accuracy():
    found = estimates(cells(simulate(), "test"), 100, shares=dict.fromkeys(CLASSES, 1 / 3))
    np.testing.assert_allclose(found["weighted_accuracy"].resampled, found["balanced_accuracy"].resampled, atol=1e-12)


def test_shares_are_those_of_the_tasks_classes():
    labels = ["sitting"] * 6 + ["standing"] * 2 + ["walking_running"] * 8
    assert class_shares(labels, ("sitting", "standing")) == {"sitting": 0.75, "standing": 0.25}
    with pytest.raises(HarError, match="no image is labelled flying"):
        class_shares(labels, ("flying",))


def test_an_impossible_event_costs_a_finite_loss():
    frame = predictions_frame([1, 2], ["sitting", "standing"], ["test"] * 2, [[0, 1, 0], [0, 1, 0]], CLASSES)
    found = estimates(cells(frame, "test"), 100)
    assert found["nll"].mean == pytest.approx(-math.log(np.finfo(float).eps) / 2)
    assert found["brier"].mean == pytest.approx(1)  # 0 and 2


def test_metrics_files_hold_their_metrics_only():
    assert list(summarise(simulate(9))["test"]) == ["n", "runs", *METRICS]


# --- each class


@given(st.integers(1, 40), st.integers(1, 3), st.integers(0, 10**6))
def test_classes_equal_scikit_learn_and_average_to_the_macro_metrics(n, runs, seed):
    frame = simulate(n, runs, seed=seed)
    one = cells(frame, "test")
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
    recalls = [row["recall"] for row in rows if row["support"]]
    assert np.mean(recalls) == pytest.approx(seed_scores(frame, "test", "balanced_accuracy").mean(), abs=1e-9)


def test_a_class_without_images_or_guesses_has_no_figure():
    frame = predictions_frame(range(4), ["sitting"] * 4, ["test"] * 4, [[0.1, 0.8, 0.1]] * 4, CLASSES)
    walking, sitting, _ = per_class(cells(frame, "test"), resamples=100)
    assert [walking[name] for name in ("precision", "recall", "f1", "f1_low")] == [None] * 4
    assert (sitting["precision"], sitting["recall"], sitting["runs_predicting"]) == (1, 1, 1)


def test_confusion_is_the_mean_over_runs():
    frame = simulate()
    matrix = confusion(frame, "test")
    assert matrix.to_numpy().sum() == pytest.approx(40)
    assert np.trace(matrix) / 40 == pytest.approx(seed_scores(frame).mean())
    assert list(matrix.index) == list(matrix.columns) == list(CLASSES)


def test_splits_keep_their_order_and_train_is_not_summarised():
    parts = [simulate(9, split=split) for split in ("extended", "train", "test", "validation")]
    frame = pd.concat([part.assign(image_id=part.image_id + 9 * place) for place, part in enumerate(parts)])
    found = summarise(frame)
    assert list(found) == ["validation", "test", HELD_OUT]
    assert found[HELD_OUT]["n"] == 18


# --- unequal classes

UNEQUAL = ["walking_running"] * 12 + ["sitting"] * 148 + ["standing"] * 176  # COCO's extended images


def test_a_majority_row_scores_a_third_whatever_the_shares():
    always = predictions_frame(range(336), UNEQUAL, ["extended"] * 336, np.eye(3)[[0] * 336], CLASSES)
    found = summarise(always)[HELD_OUT]
    assert found["accuracy"]["mean"] == pytest.approx(12 / 336, abs=1e-6)
    assert found["balanced_accuracy"]["mean"] == pytest.approx(1 / 3, abs=1e-6)
    assert found["balanced_accuracy"]["ci_low"] < 1 / 3 < found["balanced_accuracy"]["ci_high"] < 0.36


def test_no_resample_loses_a_class():
    one = cells(simulate(40, 2, seed=3), "test")
    _, images = one.recalls(resamples=500)
    assert (images[:, 0] == np.bincount(one.truth)).all()


def test_a_class_without_images_does_not_count():
    frame = predictions_frame(range(4), ["sitting"] * 3 + ["standing"], ["test"] * 4, np.eye(3)[[1, 1, 0, 2]], CLASSES)
    found = estimates(cells(frame, "test"), 100)["balanced_accuracy"]
    assert found.mean == pytest.approx((2 / 3 + 1) / 2)
    assert [part.n for part in found.parts] == [3, 1]


def test_whole_groups_are_drawn_and_every_class_stays():
    frame = simulate(60, 2, seed=1)
    one = cells(frame.assign(group=[f"clip {image // 3}" for image in frame.image_id]), "test")
    _, images = one.recalls(resamples=300)
    rarest = np.bincount(one.truth).argmin()
    assert (images[:, 0, rarest] > 0).all()
    alone, grouped = (estimates(of, 300)["balanced_accuracy"] for of in (cells(frame, "test"), one))
    assert grouped.mean == pytest.approx(alone.mean)
    assert grouped.units < alone.units


@pytest.mark.parametrize("sizes", [(12, 148, 176), (10, 10, 9)])
@pytest.mark.parametrize("recall", [0.5, 0.9])
def test_intervals_of_balanced_accuracy_hold_the_truth(sizes, recall):
    """Binomial recalls in classes of known sizes; the least coverage of percentiles or one pooled interval is 77 %."""
    random, inside, truth = np.random.default_rng(0), 0, np.repeat(np.arange(3), sizes)
    for experiment in range(200):
        guess = np.where(random.random(len(truth)) < recall, truth, (truth + 1) % 3)
        one = Cells(np.arange(len(truth)), np.array([0]), truth, np.eye(3)[guess][:, None], CLASSES)
        low, high = estimates(one, 100, experiment)["balanced_accuracy"].interval()
        inside += low <= recall <= high
    assert 0.92 <= inside / 200


# --- intervals


@given(st.integers(1, 30), st.integers(1, 4), st.floats(0, 4), st.integers(0, 10**6))
def test_interval_contains_its_estimate_and_nothing_is_nan(n, runs, skill, seed):
    summary = summarise(simulate(n, runs, skill, seed=seed), resamples=100)
    for name in METRICS:
        figures = summary["test"][name]
        assert figures["ci_low"] <= figures["mean"] <= figures["ci_high"]
        assert all(math.isfinite(value) and 0 <= value <= 1 for value in figures.values())
        assert ("sd" in figures) == (runs > 1)
    json.dumps(summary, allow_nan=False)


@pytest.mark.parametrize("order", range(3))
def test_order_of_rows_changes_nothing(order):
    frame = simulate()
    assert summarise(frame.sample(frac=1, random_state=order)) == summarise(frame)


def test_bootstrap_interval_agrees_with_theory():
    """One run's bootstrap is the binomial one: its spread must be that of p(1-p)/n."""
    frame = simulate(400, 2)
    twice = pd.concat([frame[frame["seed"] == 0], frame[frame["seed"] == 0].assign(seed=1)])  # the same run, twice
    figures = summarise(twice, resamples=4000)["test"]["accuracy"]
    expected = 2 * 1.96 * math.sqrt(figures["mean"] * (1 - figures["mean"]) / 400)
    assert figures["ci_high"] - figures["ci_low"] == pytest.approx(expected, rel=0.1)


def test_more_runs_do_not_narrow_what_the_images_leave_open():
    frame = simulate(60, 1)
    widths = []
    for runs in (2, 20):
        same = pd.concat([frame.assign(seed=run) for run in range(runs)])
        figures = summarise(same)["test"]["accuracy"]
        widths.append(figures["ci_high"] - figures["ci_low"])
    assert widths[0] == pytest.approx(widths[1], abs=1e-9)


def test_a_single_run_gets_wilsons_interval():
    assert wilson(22, 29) == pytest.approx((0.58, 0.88), abs=0.005)  # the paper's best row
    frame = simulate(29, 1)
    figures = summarise(frame)["test"]["accuracy"]
    assert (figures["ci_low"], figures["ci_high"]) == pytest.approx(wilson(round(figures["mean"] * 29), 29), abs=1e-6)
    assert wilson(0, 5)[0] == 0
    assert wilson(5, 5)[1] == 1


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.5, 0.999))
def test_wilson_is_scipys(n, share, level):
    correct = round(share * n)
    theirs = stats.binomtest(correct, n).proportion_ci(level, "wilson")
    assert wilson(correct, n, level) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_models_on_the_same_images_share_their_draws():
    assert resample_counts(17, 50) is resample_counts(17, 50)
    with pytest.raises(ValueError, match="read-only"):
        resample_counts(17, 50)[0, 0] = 1


def test_every_resample_draws_n_images():
    counts = resample_counts(17, 50)
    assert counts.shape == (50, 17)
    assert (counts.sum(1) == 17).all()
    assert counts.mean() == 1


@pytest.mark.parametrize("block", [1, 50, 17 * 20, 17 * 50])
def test_sums_of_blocks_are_those_of_all_draws(block, monkeypatch):
    values = np.arange(34.0).reshape(17, 2)
    expected = resample_counts(17, 50, seed=3) @ values
    monkeypatch.setattr(bootstrap, "BLOCK", block)
    resample_counts.cache_clear()
    np.testing.assert_array_equal(resampled(values, 50, seed=3), expected)
    assert resampled(values, 0).shape == (0, 2)


def test_figures_do_not_depend_on_the_blocks(monkeypatch):
    frame = simulate()
    one = cells(frame, "test")
    whole = summarise(frame), per_class(one, 200)
    monkeypatch.setattr(bootstrap, "BLOCK", 3 * len(one.truth))
    assert (summarise(frame), per_class(one, 200)) == whole


def test_no_rows_give_an_empty_summary():
    assert summarise(simulate().iloc[:0]) == {}
    assert per_seed(simulate().iloc[:0]).empty


def test_a_thousand_images_with_five_runs_take_a_fraction_of_a_second():
    frame = simulate(1000)
    start = time.process_time()
    summarise(frame)
    assert time.process_time() - start < 1.5  # 0.07 s alone on a core; the limit leaves room for a busy machine


# --- rows without training


def test_majority_comes_from_train():
    split = pd.DataFrame(
        {
            "image_id": range(9),
            "label": ["sitting"] * 3 + ["standing"] * 2 + ["standing"] * 4,
            "split": ["train"] * 5 + ["test"] * 4,
        }
    )
    frame = majority_predictions(split, CLASSES)
    test = summarise(frame)["test"]
    assert test["accuracy"]["mean"] == 0  # "sitting" leads in train, though test is all "standing"
    assert frame.loc[0, [f"p_{name}" for name in CLASSES]].tolist() == pytest.approx([0, 0.6, 0.4])
    with pytest.raises(HarError, match="no training image"):
        majority_predictions(split[split["split"] == "test"], CLASSES)


def test_majority_ignores_images_of_other_classes():
    split = pd.DataFrame({"image_id": [1, 2], "label": ["walking_running", "sitting"], "split": ["train", "train"]})
    assert majority_predictions(split, ("sitting", "standing"))["image_id"].tolist() == [2]


def test_zero_shot_is_a_softmax_of_scaled_cosines():
    cosines = np.array([[0.3, 0.2, 0.2], [0.1, 0.1, 0.4]])
    frame = zero_shot_predictions(cosines, 100.0, [1, 2], ["walking_running", "standing"], ["test"] * 2, CLASSES)
    first = frame.loc[0, [f"p_{name}" for name in CLASSES]].to_numpy(float)
    assert np.log(first[0] / first[1]) == pytest.approx(10)
    assert summarise(frame)["test"]["accuracy"]["mean"] == 1
    with pytest.raises(HarError, match="finite"):
        zero_shot_predictions(cosines * np.nan, 100.0, [1, 2], ["sitting"] * 2, ["test"] * 2, CLASSES)


# --- reading and writing


def test_predictions_survive_the_file_bit_for_bit(tmp_path):
    frame = simulate()
    write_predictions(tmp_path / "new" / "p.parquet", frame)
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "new" / "p.parquet", CLASSES), frame, check_exact=True)


def test_the_same_predictions_give_the_same_bytes(tmp_path):
    for name in ("a.parquet", "b.parquet"):
        write_predictions(tmp_path / name, simulate())
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_classes_may_have_any_name(tmp_path):
    names = ("nan", "坐着", "p_ a, b")
    frame = predictions_frame([1, 2, 3], names, ["test"] * 3, np.full((3, 3), 1 / 3), names)
    write_predictions(tmp_path / "p.parquet", frame)
    read = read_predictions(tmp_path / "p.parquet", names)
    assert read["label"].tolist() == list(names)
    pd.testing.assert_frame_equal(read, frame, check_exact=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.assign(image_id="image " + f["image_id"].astype(str)),  # ids are text
        lambda f: f[["label", *f.columns.drop("label")]],  # columns in another order
        lambda f: f.rename(columns={"label": "group"}).assign(label=f["label"]),
    ],
)
def test_tables_of_another_form_are_read_too(tmp_path, change):
    frame = change(simulate())
    write_predictions(tmp_path / "p.parquet", frame)
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "p.parquet", CLASSES), frame, check_exact=True)
    assert len(cells(frame, "test").truth) == 40


def _set(row, column, value):
    def change(frame):
        return frame.assign(**{column: [value if i == row else v for i, v in enumerate(frame[column])]})

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="label"), "column 'label' is missing"),
        (lambda f: f.assign(extra=1), "column 'extra' is unknown"),
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


def test_a_label_that_changes_between_runs_is_an_error():
    frame = simulate()
    other = next(name for name in CLASSES if name != frame.loc[45, "label"])
    with pytest.raises(HarError, match="row 46: label differs"):
        validate_predictions(_set(45, "label", other)(frame))


def test_files_that_are_no_predictions(tmp_path):
    with pytest.raises(HarError, match=r"none\.parquet: no such file; expected a Parquet file of predictions"):
        read_predictions(tmp_path / "none.parquet")
    (tmp_path / "empty.parquet").write_text("")
    with pytest.raises(HarError, match=r"empty\.parquet: cannot be read as Parquet"):
        read_predictions(tmp_path / "empty.parquet")
    with pytest.raises(HarError, match="shape"):
        predictions_frame([1], ["sitting"], ["test"], np.ones((1, 2)), CLASSES)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})

    def stop_halfway():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_halfway()
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["metrics.json"]


def test_top5_accuracy_where_there_are_more_than_five_classes():
    rng, names = np.random.default_rng(0), [f"c{k}" for k in range(8)]
    chances = rng.dirichlet(np.ones(8), 300)
    y = rng.integers(0, 8, 300)
    frame = predictions_frame(range(300), np.array(names)[y], ["test"] * 300, chances, names)
    expected = sk.top_k_accuracy_score(y, chances, k=5, labels=range(8))
    found = summarise(frame, ("test",), resamples=200)["test"]["top5_accuracy"]
    assert found["mean"] == pytest.approx(expected, abs=1e-6)
    assert found["ci_low"] < expected < found["ci_high"]
    five = predictions_frame(
        range(300), np.array(names)[y % 5], ["test"] * 300, rng.dirichlet(np.ones(5), 300), names[:5]
    )
    assert "top5_accuracy" not in summarise(five, ("test",), resamples=200)["test"]
