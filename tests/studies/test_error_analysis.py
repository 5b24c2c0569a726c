"""Where models fail: every figure derives from predictions; bins partition; what is not defined is told, never NaN."""

import json

import numpy as np
import pandas as pd
import parameters
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

from har.config.studies import ErrorBins
from har.core.errors import HarError
from har.data.manifest import MANIFEST_COLUMNS
from har.evaluation.metrics import cells
from har.evaluation.predictions import majority_predictions, predictions_frame
from har.reporting.table import markdown_table
from har.studies.error_analysis.agreement import (
    captions_text,
    count_table,
    independent_counts,
    miss_counts,
    missed_by_all,
    missed_table,
    overlap,
    overlap_table,
    overlaps,
)
from har.studies.error_analysis.factors import (
    UNKNOWN,
    binned,
    bounds_text,
    error_rate,
    rate_table,
    rates,
    trend,
    trend_table,
    trends,
)
from har.studies.error_analysis.figures import failed, failure_cases, figure_failures, figure_overlap, figure_trends
from har.studies.error_analysis.outcomes import FACTORS, factor_frame, outcome_frame

CLASSES = ("walking_running", "sitting", "standing")
BINS = {"small": 0.2, "middle": 0.5, "large": None}
SIZES = {"test": 12, "extended": 48}


def images(n=60):
    random = np.random.default_rng(5)
    split = np.repeat(list(SIZES), list(SIZES.values()))[:n]
    frame = pd.DataFrame({"image_id": np.arange(n) + 10, "label": np.array(CLASSES)[np.arange(n) % 3], "split": split})
    manifest = frame.assign(
        part="drawn", file_name="x.jpg", width=600, height=random.integers(300, 500, n), license=1, url="",
        flickr_url="", persons=random.integers(0, 5, n), person_area=random.uniform(0, 1, n).round(4),
        captions_for_label=2, captions_total=5, rule="", evidence="[]",
    )[list(MANIFEST_COLUMNS)]  # fmt: skip
    visibility = pd.DataFrame(
        {
            "image_id": frame["image_id"],
            "labelled_joints": random.integers(1, 18, n) / 17,
            "hidden_joints": np.where(np.arange(n) % 4, random.uniform(0, 1, n), np.nan),
            "overlap": 0.0,
        }
    )
    return frame, manifest, visibility


def simulate(frame, skill, seed, runs=3, classes=CLASSES):
    random, out = np.random.default_rng(seed), []
    shared = np.random.default_rng(99).normal(0, 1.5, (len(frame), 3))[:, : len(classes)]  # some images are hard
    truth = pd.Index(classes).get_indexer(frame["label"])
    for run in range(runs):
        weights = np.exp(shared + random.normal(0, 1, shared.shape) + skill * np.eye(len(classes))[truth])
        shares = weights / weights.sum(1, keepdims=True)
        out.append(predictions_frame(frame["image_id"], frame["label"], frame["split"], shares, classes, run))
    return pd.concat(out, ignore_index=True)


def factors():
    _, manifest, visibility = images()
    return factor_frame(manifest, visibility)


@pytest.fixture(scope="module")
def predictions():
    frame, _, _ = images()
    found = {("activity", name): simulate(frame, skill, seed) for seed, (name, skill) in enumerate(
        {"cnn_base": 0, "vit": 1, "clip": 2}.items())}  # fmt: skip
    found["activity", "probe_clip"] = simulate(frame, 1.5, 7, runs=1)
    found["activity", "majority"] = majority_predictions(frame.assign(split="train"), CLASSES).assign(
        split=frame["split"]
    )
    two = frame[frame["label"] != "walking_running"]
    found["posture", "clip"] = simulate(two, 1, 9, classes=CLASSES[1:])
    return found


@pytest.fixture(scope="module")
def outcomes(predictions):
    return outcome_frame(predictions, factors())


def evidence(captions=("two men sit", "a | *red* bench")):
    frame, _, _ = images()
    rows = [(i, k, text, "sitting" if k == 0 else "") for i in frame["image_id"] for k, text in enumerate(captions)]
    return pd.DataFrame(rows, columns=["image_id", "caption_index", "caption", "mentions"])


def every_table(outcomes):
    _, manifest, _ = images()
    trained = list(dict.fromkeys(zip(outcomes["task"], outcomes["model"], strict=True)))
    tables = [rate_table(outcomes, "person_size", BINS, "header")]
    tables += [trend_table(trends(outcomes), outcomes, "header"), count_table(outcomes, "header")]
    tables.append(missed_table(outcomes, manifest, evidence(), "header", 3))
    tables.append(overlap_table(overlaps(outcomes), outcomes, trained, "header"))
    return {table.name: table for table in tables}


def sound(tables):
    for table in tables.values():
        json.dumps(table.frame.to_dict("records"), allow_nan=False)
        assert "nan" not in table.markdown().lower().replace("banan", ""), table.name


class TestOutcomes:
    def test_errors_are_those_of_the_predictions(self, outcomes, predictions):
        groups = outcomes.groupby(["task", "model"])
        for key, frame in predictions.items():
            for split in SIZES:
                mine, one = groups.get_group(key).query("split == @split"), cells(frame, split)
                assert mine["error"].mean() == pytest.approx((one.guess != one.truth[:, None]).mean(), abs=1e-6)
                assert (mine["predicted"] == mine["label"]).to_numpy().tolist() == one.ensemble_hits().tolist()

    def test_a_crowd_has_neither_size_nor_number(self):
        _, manifest, visibility = images()
        found = factor_frame(manifest.assign(persons=0), visibility)
        assert found[["person_size", "persons"]].isna().all(axis=None)
        assert (found["caption_agreement"] == 0.4).all()

    def test_an_image_that_one_model_lacks_is_named(self, predictions):
        less = predictions["activity", "vit"].query("image_id != 30")
        with pytest.raises(HarError, match="image 30 is predicted by one of cnn_base and vit only"):
            outcome_frame(predictions | {("activity", "vit"): less}, factors())

    def test_what_does_not_fit_is_named(self, predictions):
        with pytest.raises(HarError, match="image 10 is predicted but not in the manifest"):
            outcome_frame(predictions, factors().iloc[1:])
        none = {key: frame[frame["split"] == "train"] for key, frame in predictions.items()}
        with pytest.raises(HarError, match="no model has predictions on test or extended"):
            outcome_frame(none, factors())


class TestBins:
    @given(st.lists(st.floats(0, 5), min_size=1, max_size=6, unique=True), st.lists(st.floats(0, 9) | st.just(np.nan)))
    def test_they_partition_what_is_annotated(self, bounds, values):
        bins = {f"b{k}": bound for k, bound in enumerate(sorted(bounds))} | {"rest": None}
        places = binned(values, bins)
        low = -np.inf
        for place, high in enumerate(bins.values()):
            high = np.inf if high is None else high
            assert all((place == p) == (low < v <= high) for v, p in zip(values, places, strict=True) if v == v)
            low = high
        assert all((p == len(bins)) == (v != v) for v, p in zip(values, places, strict=True))

    def test_names_tell_the_bounds(self):
        assert list(ErrorBins.model_fields) == list(FACTORS)
        assert list(bounds_text("person_size", BINS).values()) == [
            "small (≤ 20 %)",
            "middle (20–50 %)",
            "large (> 50 %)",
        ]
        people = {"one": 1, "two": 2, "few": 4, "many": None}
        assert list(bounds_text("persons", people).values()) == ["one (1)", "two (2)", "few (3–4)", "many (> 4)"]
        assert list(bounds_text("overlap", {"none": 0, "some": None}).values()) == ["none (0 %)", "some (> 0 %)"]

    @pytest.mark.parametrize(
        ("key", "bins", "said"),
        [
            ("person_size", {"tiny": 0.05, "small": 0.01, "large": None}, "bounds are 0.05, 0.01, expected"),
            ("person_size", {"small": 0.05, "large": 1.0}, "person_size: expected two bins or more"),
            ("person", {"one": 1, "more": None}, "errors.bins.persons"),
        ],
    )
    def test_bins_that_do_not_rise_are_named(self, tmp_path, key, bins, said):
        assert said in parameters.error(tmp_path, {f"errors.bins.{key}": bins})


class TestRates:
    def test_each_bin_recomputes_from_predictions_and_bins_cover_all(self, outcomes, predictions):
        known = factors().set_index("image_id")["person_size"]
        rows = rates(outcomes, "person_size", BINS)
        for (task, model), frame in predictions.items():
            mine = {row["bin"]: row for row in rows if (row["task"], row["model"]) == (task, model)}
            assert list(mine) == [*BINS, UNKNOWN]
            assert sum(row["n"] for row in mine.values()) == frame["image_id"].nunique()
            guess = frame.filter(like="p_").idxmax(axis=1).str.removeprefix("p_")
            size = frame["image_id"].map(known)
            inside = (size > 0.2) & (size <= 0.5)
            row = mine["middle"]
            assert row["n"] == frame.loc[inside, "image_id"].nunique()
            assert row["error"] == pytest.approx((guess != frame["label"])[inside].mean(), abs=1e-6)
            assert 0 <= row["error_low"] <= row["error"] <= row["error_high"] <= 1

    @given(st.lists(st.sampled_from([0, 0.25, 0.5, 1]), min_size=1, max_size=30), st.floats(0.5, 0.99))
    def test_an_interval_holds_its_rate(self, errors, level):
        mean, low, high = error_rate(np.array(errors), 4, level)
        assert 0 <= low <= mean <= high <= 1

    def test_more_runs_of_the_same_narrow_nothing_and_one_image_tells_nothing(self):
        once = np.array([0, 1, 1, 0, 0, 0.0] * 10)
        one, many = error_rate(once, 1), error_rate(once, 5)
        assert one[0] == many[0]
        assert many[2] - many[1] == pytest.approx(one[2] - one[1], rel=0.05)
        assert error_rate(np.array([]), 5) == (None, None, None)
        assert error_rate(np.array([1.0]), 5) == (1, 0, 1)


class TestTrend:
    def test_for_two_groups_and_one_run_it_is_mantel_and_haenszels(self):
        random = np.random.default_rng(0)
        labels, group = random.integers(0, 3, 90), random.integers(0, 2, 90)
        wrong = (random.random(90) < 0.3 + 0.2 * group).astype(float)
        tables = [pd.crosstab(group[labels == k], wrong[labels == k]).to_numpy() for k in range(3)]
        expected = StratifiedTable(tables).test_null_odds(correction=False)
        assert trend(group, wrong, labels)["p"] == pytest.approx(expected.pvalue)

    def test_in_one_class_it_is_spearmans_correlation(self):
        random = np.random.default_rng(1)
        x, y = random.random(40), random.random(40)
        found = trend(x, stats.rankdata(y), np.zeros(40))
        assert found["rho"] == pytest.approx(stats.spearmanr(x, y).statistic)

    def test_a_class_that_a_model_favours_is_no_effect(self):
        labels = np.repeat(["a", "b"], 50)
        x = np.arange(100)  # b's images are all larger
        errors = np.where(labels == "a", np.tile([0.0, 0.4], 50), np.tile([0.6, 1.0], 50))
        alone, pooled = trend(x, errors, labels), trend(x, errors, np.zeros(100))
        assert pooled["p"] < 0.001 < 0.5 < alone["p"]

    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 2)), max_size=30))
    def test_always_defined_or_told_and_blind_to_scale(self, rows):
        x, e, label = np.array(rows, dtype=float).reshape(-1, 3).T
        found = trend(x, e / 5, label)
        assert (found["rho"] is None) == (found["p"] is None) == bool(found["note"])
        if found["rho"] is not None:
            assert -1 <= found["rho"] <= 1
            assert trend(3 * x + 1, e / 5, label)["p"] == pytest.approx(found["p"])
            assert trend(-x, e / 5, label)["rho"] == pytest.approx(-found["rho"])
        unknown = trend(np.append(x, np.nan), np.append(e / 5, 1), np.append(label, 0))
        assert unknown == found  # what is not annotated is left out

    def test_holm_is_over_all_models_and_factors_of_a_task(self, outcomes):
        rows = [row for row in trends(outcomes) if row["task"] == "activity"]
        defined = [row for row in rows if row["p"] is not None]
        least = min(defined, key=lambda row: row["p"])
        assert least["p_holm"] == pytest.approx(min(1, least["p"] * len(defined)))
        assert all(row["p"] is None for row in rows if row["model"] == "majority" or row["factor"] == "overlap")


masks = st.integers(1, 25).flatmap(lambda n: st.tuples(*[st.lists(st.booleans(), min_size=n, max_size=n)] * 2))


class TestAgreement:
    @given(masks)
    def test_overlap_is_within_bounds_and_kappa_scikit_learns(self, pair):
        from sklearn.metrics import cohen_kappa_score

        a, b = map(np.array, pair)
        found = overlap(a, b)
        assert max(0, found["missed_a"] + found["missed_b"] - 1) - 1e-12 <= found["both"]
        assert found["both"] <= min(found["missed_a"], found["missed_b"]) + 1e-12
        assert found["jaccard"] is None or 0 <= found["jaccard"] <= 1
        assert bool(found["note"]) == (found["kappa"] is None)
        if found["kappa"] is not None:
            assert found["kappa"] == pytest.approx(cohen_kappa_score(a, b), abs=1e-9)

    def test_every_pair_once_and_no_blind_model(self, outcomes):
        pairs = [frozenset((row["a"], row["b"])) for row in overlaps(outcomes)]
        assert len(pairs) == len(set(pairs)) == 6
        assert not any("majority" in pair for pair in pairs)

    def test_counts_sum_to_the_images(self, outcomes):
        rows = miss_counts(outcomes, "activity")
        assert [row["missed_by"] for row in rows] == [0, 1, 2, 3, 4]
        assert sum(row["images"] for row in rows) == pytest.approx(sum(row["expected"] for row in rows)) == 60
        chances = independent_counts([0.1, 0.5, 1.0])
        assert chances == pytest.approx([0, 0.45, 0.5, 0.05])

    def test_missed_by_all_is_what_no_ensemble_gets_right(self, outcomes, predictions):
        _, manifest, _ = images()
        rows = [row for row in missed_by_all(outcomes, manifest, evidence()) if row["task"] == "activity"]
        seeing = [frame for (task, model), frame in predictions.items() if task == "activity" and model != "majority"]
        expected = set()
        for split in SIZES:
            ones = [cells(frame, split) for frame in seeing]
            expected |= set(ones[0].image_ids[~np.any([one.ensemble_hits() for one in ones], axis=0)])
        assert {row["image_id"] for row in rows} == expected
        assert len(expected) > 0
        chances = [row["p_true"] for row in rows]
        assert chances == sorted(chances)
        for row in rows:
            votes = json.loads(row["votes"])
            assert sum(votes.values()) == row["models"] == 4
            assert row["label"] not in votes

    def test_a_caption_can_not_break_the_table(self, outcomes):
        captions = json.dumps([["two  men\nsit <b>*here*</b>", "sitting"], ["a [bench](x)", "standing"]])
        text = captions_text(captions, "sitting")
        assert text == "✓ two men sit <b>*here*</b> · ✗ a [bench](x)"
        shown = markdown_table(pd.DataFrame([["", text]], dtype=object))
        assert r"✓ two men sit \<b\>\*here\*\</b\> · ✗ a \[bench\](x)" in shown
        _, manifest, _ = images()
        table = missed_table(outcomes, manifest, evidence(), "header", 1)
        rows = [line for line in table.markdown().splitlines() if line.startswith("|")]
        assert len({line.replace(r"\|", "").count("|") for line in rows}) == 1
        assert len(table.text) == 1
        assert f"Shown: 1 of {(table.frame['task'] == 'activity').sum()} of task activity," in table.markdown()


class TestFigures:
    def test_cases_are_failures_of_test_first_and_the_most_confident_first(self, outcomes):
        found = failure_cases(outcomes, "activity", "cnn_base", 30)
        assert (found["error"] > 0.5).all()
        assert (found["predicted"] != found["label"]).all()
        assert found["split"].tolist() == sorted(found["split"], reverse=True)  # test, extended
        assert set(found["split"]) == set(SIZES)
        for _, part in found.groupby("split"):
            assert part["p_predicted"].is_monotonic_decreasing
        mine = outcomes.query("task == 'activity' and model == 'cnn_base' and split == 'test'")
        assert (found["split"] == "test").sum() == failed(mine).sum()
        few = failure_cases(outcomes.sample(frac=1, random_state=1), "activity", "cnn_base", 3)
        pd.testing.assert_frame_equal(few, found.head(3))

    def test_they_are_drawn(self, outcomes, tmp_path):
        asked = []

        def load(image_id):
            asked.append(image_id)
            return np.full((4, 6, 3), image_id, dtype=np.uint8)

        figure_failures(outcomes, "activity", ["cnn_base", "clip"], load, tmp_path / "failures.svg", "t", 3)
        shown = {i for model in ("cnn_base", "clip") for i in failure_cases(outcomes, "activity", model, 3)["image_id"]}
        assert set(asked) == shown
        assert len(asked) == len(shown)  # once
        figure_trends(trends(outcomes), "activity", tmp_path / "factors.svg", "t")
        figure_overlap(overlaps(outcomes), "activity", tmp_path / "overlap.svg", "t")
        assert "κ of errors" in (tmp_path / "overlap.svg").read_text(encoding="utf-8")


def of_skill(skill):
    frame, _, _ = images()
    return {("activity", name): simulate(frame, skill, 3, runs=2) for name in ("vit", "clip")}


def only(predictions, *models, where="label != ''"):
    names = models or [model for task, model in predictions if task == "activity"]
    return {("activity", name): predictions["activity", name].query(where) for name in names}


@pytest.mark.parametrize(
    ("degenerate", "said", "drawn"),
    [
        (lambda given: of_skill(60), "Neither misses an image", False),
        (lambda given: of_skill(-60), "Both miss every image", False),
        (lambda given: only(given, "clip"), "There is no pair", False),
        (lambda given: only(given, "majority"), "No model here sees the picture", True),
        (lambda given: only(given, where="label != 'standing'"), "errs alike", False),
        (lambda given: only(given, where="image_id == 10"), "do not differ", True),
    ],
)
def test_degenerate_inputs_give_notes_and_no_nan(degenerate, said, drawn, predictions, tmp_path):
    outcomes = outcome_frame(degenerate(predictions), factors())
    tables = every_table(outcomes)
    sound(tables)
    assert said in " ".join(table.markdown() for table in tables.values())
    if drawn:
        figure_trends(trends(outcomes), "activity", tmp_path / "a.svg", "t")
        figure_overlap(overlaps(outcomes), "activity", tmp_path / "b.svg", "t")
        model = outcomes["model"].iloc[0]
        picture = np.zeros((4, 4, 3), np.uint8)
        figure_failures(outcomes, "activity", [model], lambda i: picture, tmp_path / "c.svg", "t", 2)


def test_no_annotation_at_all_is_told(predictions):
    nothing = factors().assign(**dict.fromkeys(FACTORS, np.nan))
    tables = every_table(outcome_frame(predictions, nothing))
    sound(tables)
    assert "no image is annotated" in tables["factors"].markdown()
    assert f"{UNKNOWN}, n = 60" in tables["by_person_size"].markdown()
