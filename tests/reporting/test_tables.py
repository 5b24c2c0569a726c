"""The tables of the statistics stage recompute from predictions; degenerate input gives empty cells and notes."""

import json
import math

import pandas as pd
import pytest
from predicted import REPORT, TASKS, difference, labelled, seed_scores, simulate

from har.core.errors import HarError
from har.evaluation.bootstrap import wilson
from har.evaluation.metrics import cells
from har.evaluation.predictions import majority_predictions
from har.evaluation.scored import scored
from har.reporting.names import model_name
from har.reporting.table import write_tables
from har.reporting.tables import Evidence, reliability_figure, significance_tables
from har.reporting.tables.claims import claims_table
from har.reporting.tables.over_runs import _failed_assumptions

UNTOLD = {"difference_low", "difference_high", "p", "detectable"}  # of a pair that no image tells apart
NAMES = ["claims", "scores", "per_class", "calibration", "tests", "pairs", "small_test"]


@pytest.fixture(scope="module")
def predictions():
    skills = {"cnn_base": 0.2, "fnn_base": 0.1, "clip": 2.0}
    found = {("activity", name): simulate("activity", skill, i) for i, (name, skill) in enumerate(skills.items())}
    found["posture", "clip"] = simulate("posture", 1, 9)
    for task, classes in TASKS.items():
        found[task, "majority"] = majority_predictions(labelled(task), classes).query("split != 'train'")
    return found


@pytest.fixture(scope="module")
def few(predictions):
    return {("activity", name): predictions["activity", name] for name in ("cnn_base", "clip", "majority")}


@pytest.fixture(scope="module")
def built(predictions):
    return significance_tables(predictions, "profile test", REPORT)


def build(predictions):
    """Tables from few or degenerate predictions; each must be free of NaN."""
    tables = significance_tables(predictions, "profile test", REPORT)
    for table in tables.values():
        sound(table)
    return tables


def sound(table):
    for row in table.rows:  # in table.frame what is NaN is None
        nan = {name for name, value in row.items() if isinstance(value, float) and value != value}
        assert nan in (set(), UNTOLD), (table.name, row)
    json.dumps(table.frame.to_dict("records"), allow_nan=False, default=int)
    assert not any("nan" in str(cell).lower() for cell in table.text.to_numpy().ravel())
    for low in (name for name in table.frame.columns if name.endswith("_low")):
        mean, high = low.removesuffix("_low"), low.replace("_low", "_high")
        for row in table.frame.to_dict("records"):
            assert (row[low] is None) == (row[high] is None)
            assert (row[mean] is None) == (row[low] is None) or UNTOLD == {name for name in UNTOLD if row[name] is None}
            if row[low] is not None:
                assert row[low] <= row[mean] <= row[high], (table.name, mean, row)


def test_every_table_is_there_and_sound(built, tmp_path):
    assert list(built) == NAMES
    write_tables(built, tmp_path)
    for name, table in built.items():
        sound(table)
        assert len(pd.read_csv(tmp_path / f"{name}.csv")) == len(table.frame) > 0
        assert "*profile test*" in (tmp_path / f"{name}.md").read_text()


def test_scores_are_means_over_runs_and_each_model_is_there_on_both_splits(built, predictions):
    frame = built["scores"].frame
    assert len(frame) == 2 * len(predictions)
    for row in frame.to_dict("records"):
        mine = predictions[row["task"], row["model"]]
        for metric in ("accuracy", "balanced_accuracy", "f1"):
            assert row[metric] == pytest.approx(seed_scores(mine, row["split"], metric).mean(), abs=1e-6)
    single = frame.query("model == 'majority' and split == 'test' and task == 'activity'").iloc[0]
    expected = wilson(round(single["accuracy"] * 29), 29)
    assert (single["accuracy_low"], single["accuracy_high"]) == pytest.approx(expected, abs=1e-6)


def test_a_constant_prediction_has_no_precision_where_it_says_nothing(built):
    rows = built["per_class"].frame.query("model == 'majority' and task == 'activity' and split == 'test'")
    assert rows["precision"].isna().tolist() == [False, True, True]
    assert rows["recall"].tolist() == [1, 0, 0]
    assert rows["support"].tolist() == [10, 10, 9]
    text = built["per_class"].markdown()
    assert "Majority class, activity, test: sitting is never predicted; its precision is not defined." in text


def test_calibration_reports_its_sizes_and_bias(built):
    frame = built["calibration"].frame
    assert frame["ece"].between(0, 1).all()
    assert set(frame.query("split == 'test'")["bins"]) == {5}
    assert set(frame["validation_n"]) == {18}
    clip = frame.query("model == 'clip'").set_index(["task", "split"])["ece_of_calibrated"].unstack()
    assert (clip["test"] > clip["held_out"]).all()
    assert "biased upwards" in built["calibration"].markdown()


def test_the_papers_tests_stand_beside_its_values_on_its_split_only(built):
    frame = built["tests"].frame
    printed = frame[frame["paper_statistic"].notna()]
    assert printed["test"].tolist() == ["one-way ANOVA", "paired t-test"]
    assert printed[["task", "split"]].drop_duplicates().to_numpy().tolist() == [["activity", "test"]]
    assert "paired t-test" not in set(frame.query("task == 'posture'")["test"])
    assert frame.query("task == 'activity' and test == 'one-way ANOVA'")["df"].tolist() == ["2, 6"] * 2
    told = [note for note in built["tests"].notes if "Left out, with a single run: majority." in note]
    assert 0 < len(told) < frame["note"].str.contains("Left out").sum()  # told once, not by row
    assert any(note.startswith("posture, test; posture, held out: one-way ANOVA") for note in told)


def test_a_failed_assumption_is_told():
    rows = [{"test": "Shapiro–Wilk", "p": 0.01}, {"test": "Levene (medians)", "p": None}]
    (sentence,) = _failed_assumptions(rows, 0.05, "activity, test")
    assert sentence.startswith("activity, test: the residuals are not normal (Shapiro–Wilk), p = 0.010")
    assert _failed_assumptions(rows, 0.005, "activity, test") == []


def test_pairs_are_complete_paired_and_largest_first(built, predictions):
    frame = built["pairs"].frame
    assert len(frame) == 2 * (math.comb(4, 2) + math.comb(2, 2))
    for (task, split), rows in frame.groupby(["task", "split"]):
        assert rows["difference"].is_monotonic_decreasing
        assert (rows["difference"] >= 0).all()
        outside = (rows["difference_low"] > 0) | (rows["difference_high"] < 0)
        assert ((rows["verdict"] == "better") == outside).all()
        assert not outside[rows["p"] > 0.05].any()
        for row in rows.to_dict("records"):
            both = predictions[task, row["a"]], predictions[task, row["b"]]
            expected = difference(*both, split, "balanced_accuracy")
            assert row["difference"] == pytest.approx(expected["difference"], abs=1e-6)
            if rows.shape[0] > 1:  # for all at once
                assert row["difference_low"] < expected["ci_low"]
                assert row["difference_high"] > expected["ci_high"]
            a, b = (cells(predictions[task, row[side]], split).ensemble_hits() for side in "ab")
            assert (row["only_a"], row["only_b"]) == ((a & ~b).sum(), (b & ~a).sum())


def test_pairs_are_shown_once_with_both_splits(built):
    text = built["pairs"].text
    assert len(text) == 4 - 1  # the best against each other
    frame = built["pairs"].frame.query("task == 'activity'")
    only = {}
    for row in frame.query("split == 'test'").to_dict("records"):
        only[row["a"], row["b"]] = f"{row['only_a']} / {row['only_b']}"
        only[row["b"], row["a"]] = f"{row['only_b']} / {row['only_a']}"
    held_out = frame.query("split == 'held_out'")
    best = held_out["a"].iloc[0]
    for row in held_out[held_out["a"] == best].to_dict("records"):
        line = text.set_index("Pair").loc[f"{model_name(best)} − {model_name(row['b'])}"]
        assert line["Only first / second, test"] == only[best, row["b"]]
        assert line["Verdict, held out"] == row["verdict"]


def test_the_small_set_is_compared_with_its_class_mix(built):
    frame = built["small_test"].frame
    gap = (frame["test_accuracy"] - frame["extended_accuracy"]).astype(float)
    assert frame["difference"].astype(float).to_numpy() == pytest.approx(gap.to_numpy(), abs=2e-6)
    assert set(frame.query("task == 'activity'")["test_classes"]) == {"walking / running 10, sitting 10, standing 9"}
    constant = frame.query("model == 'majority' and task == 'activity'").iloc[0]
    assert constant["balanced_difference"] == 0
    assert "Images of activity, extended: walking / running 30" in built["small_test"].markdown()


def test_claims_are_the_protocols_comparisons(built, predictions):
    (row,) = built["claims"].frame.to_dict("records")  # there is no probe and no zero-shot row
    scores = {name: seed_scores(predictions["activity", name], "validation", "balanced_accuracy").mean()
              for name in ("cnn_base", "fnn_base")}  # fmt: skip
    best = max(scores, key=scores.get)
    assert (row["a"], row["b"], row["n"]) == ("clip", best, 119)
    assert row["difference"] == pytest.approx(row["score_a"] - row["score_b"], abs=2e-6)
    assert row["p"] < 0.05
    assert row["verdict"] == "better"


def test_the_recommended_row_is_in_the_family(predictions):
    found = {
        ("activity", "clip"): predictions["activity", "clip"],
        ("activity", "probe_clip"): simulate("activity", 1, 5, runs=1),
        ("activity", "ensemble_mine"): simulate("activity", 4, 6, runs=1),
    }
    of = scored(found, 50, 0, 0.95)

    def pairs(recommended):
        frame = claims_table(Evidence(*of, recommended=recommended)).frame
        return list(zip(frame.a, frame.b, strict=True))

    assert pairs("ensemble_mine") == [("clip", "probe_clip"), ("ensemble_mine", "probe_clip")]
    assert pairs("probe_clip") == [("clip", "probe_clip")]  # no model against itself


# --- degenerate input


def test_a_constant_predictor_alone_which_is_one_run(predictions):
    tables = build({("activity", "majority"): predictions["activity", "majority"]})
    assert tables["tests"].frame["p"].isna().all()
    assert tables["pairs"].frame.empty
    assert "no pair to compare" in tables["pairs"].markdown()
    assert "not defined" in tables["tests"].markdown()
    assert tables["calibration"].frame["ece"].notna().all()


def test_all_models_equal(predictions):
    clip = predictions["activity", "clip"]
    tables = build({("activity", name): clip for name in ("cnn_base", "fnn_base", "vit")})
    frame = tables["pairs"].frame
    assert set(frame["difference"]) == {0}
    assert set(frame["p"]) == {1}
    text = tables["tests"].markdown()
    assert "activity, test; activity, held out: repeated-measures ANOVA: F is not defined" in text
    assert "activity, test; activity, held out: paired t-test: t is not defined" in text


def test_rows_that_no_image_tells_apart_are_not_called_alike(few):
    """Twenty images on which two models agree leave room for many on which they do not."""
    one = few["activity", "clip"].query("seed == 0")
    pairs = build({("activity", name): one for name in ("clip", "vit")})["pairs"]
    assert set(pairs.frame["difference"]) == {0}
    assert set(pairs.frame["verdict"]) == {"not shown"}
    assert pairs.frame[["difference_low", "p", "detectable"]].isna().all(axis=None)
    assert "No interval: no image tells these two apart" in pairs.markdown()


def test_a_class_that_a_split_lacks(few):
    without = {key: frame[(frame["split"] != "test") | (frame["label"] != "standing")] for key, frame in few.items()}
    tables = build(without)
    rows = tables["per_class"].frame.query("split == 'test' and task == 'activity' and model == 'clip'")
    assert rows["recall"].isna().tolist() == [False, False, True]
    assert "activity, test: no image of standing" in tables["scores"].markdown()


def test_a_split_that_is_missing(few):
    tables = build({key: frame[frame["split"] != "validation"] for key, frame in few.items()})
    assert tables["calibration"].frame["temperature"].isna().all()
    assert "no temperature was fitted" in tables["calibration"].markdown()
    tables = build({key: frame[frame["split"] != "extended"] for key, frame in few.items()})
    assert tables["small_test"].frame.empty
    assert "nothing to compare" in tables["small_test"].markdown()


def test_nothing_to_say_and_what_was_not_measured_on_the_same_images_is_an_error(few):
    nothing = {key: frame[frame["split"] == "train"] for key, frame in few.items()}
    with pytest.raises(HarError, match="no model has predictions on test or extended"):
        significance_tables(nothing, "", REPORT)
    with pytest.raises(HarError, match="no model has predictions"):
        reliability_figure(nothing, "never.svg", "", REPORT)
    other = simulate("activity", 1, 1, sizes={"extended": 91})
    with pytest.raises(HarError, match="predicted by one of the two only"):
        significance_tables(few | {("activity", "vit"): other}, "", REPORT)


def test_reliability_has_a_panel_for_each_model(predictions, tmp_path):
    some = {key: predictions[key] for key in (("activity", "clip"), ("activity", "majority"))}
    reliability_figure(some, tmp_path / "a.svg", "Reliability", REPORT)
    assert (tmp_path / "a.svg").read_text().count("n = ") == 2
