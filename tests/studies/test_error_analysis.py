"""Where models fail: every figure derives from predictions; bins partition; what is not defined is told, never NaN."""

import json

import numpy as np
import pandas as pd
import parameters
import pytest
from hypothesis import given
from hypothesis import strategies as st
from predicted import TASKS, labelled
from predicted import simulate as simulated
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.contingency_tables import StratifiedTable

from har.config.studies import ErrorBins
from har.core.errors import HarError
from har.evaluation.bootstrap import mean_with_interval
from har.evaluation.metrics import cells
from har.evaluation.predictions import predictions_frame
from har.reporting.table import markdown_table
from har.studies.error_analysis import agreement, factors, figures
from har.studies.error_analysis.outcomes import FACTORS, factor_frame, outcome_frame

CLASSES = TASKS["activity"]
BINS = {"small": 0.2, "middle": 0.5, "large": None}
SIZES, N = {"test": 12, "extended": 48}, 60
FRAME = labelled("activity", SIZES)
RANDOM = np.random.default_rng(5)
MANIFEST = FRAME[["image_id"]].assign(
    width=600, height=RANDOM.integers(300, 500, N), persons=RANDOM.integers(0, 5, N),
    person_area=RANDOM.uniform(0, 1, N).round(4), captions_for_label=2, captions_total=5,
)  # fmt: skip
VISIBILITY = pd.DataFrame(
    {
        "image_id": range(N),
        "labelled_joints": RANDOM.integers(1, 18, N) / 17,
        "hidden_joints": np.where(np.arange(N) % 4, RANDOM.uniform(0, 1, N), np.nan),
        "overlap": 0.0,
    }
)
FACTS = factor_frame(MANIFEST, VISIBILITY)
EVIDENCE = pd.DataFrame({"image_id": range(N), "caption": "a | *red* bench", "mentions": "sitting"})


def simulate(skill, seed=0, runs=3, task="activity"):
    return simulated(task, skill, seed, runs, SIZES)


PREDICTIONS = {
    ("activity", "cnn_base"): simulate(0, 0),
    ("activity", "vit"): simulate(0.3, 1),
    ("activity", "clip"): simulate(0.8, 2),
    ("activity", "probe_clip"): simulate(0.5, 7, runs=1),
    ("activity", "majority"): predictions_frame(
        FRAME["image_id"], FRAME["label"], FRAME["split"], np.tile([0.4, 0.3, 0.3], (N, 1)), CLASSES
    ),
    ("posture", "clip"): simulate(0.5, 9, task="posture"),
}
OUTCOMES = outcome_frame(PREDICTIONS, FACTS)


def every_table(outcomes):
    trained = list(zip(outcomes["task"], outcomes["model"], strict=True))
    return [
        factors.rate_table(outcomes, "person_size", BINS, "header"),
        factors.trend_table(factors.trends(outcomes), outcomes, "header"),
        agreement.count_table(outcomes, "header"),
        agreement.missed_table(outcomes, MANIFEST, EVIDENCE, "header", 3),
        agreement.overlap_table(agreement.overlaps(agreement.misses(outcomes)), outcomes, trained, "header"),
    ]


class TestOutcomes:
    def test_errors_are_those_of_the_predictions(self):
        groups = OUTCOMES.groupby(["task", "model"])
        for key, frame in PREDICTIONS.items():
            for split in ("test", "extended"):
                mine, one = groups.get_group(key).query("split == @split"), cells(frame, split)
                assert mine["error"].mean() == pytest.approx((one.guess != one.truth[:, None]).mean(), abs=1e-6)
                assert (mine["predicted"] == mine["label"]).tolist() == one.ensemble_hits().tolist()

    def test_a_crowd_has_neither_size_nor_number(self):
        found = factor_frame(MANIFEST.assign(persons=0), VISIBILITY)
        assert found[["person_size", "persons"]].isna().all(axis=None)
        assert (found["caption_agreement"] == 0.4).all()

    @pytest.mark.parametrize(
        ("changed", "facts", "said"),
        [
            (lambda f: f.query("image_id != 30"), FACTS, "activity: image 30 is not predicted by every model"),
            (lambda f: f, FACTS.iloc[1:], "image 0 is predicted but not in the manifest"),
            (lambda f: f.replace({"label": "sitting"}, "standing"), FACTS, "activity: image 1 has two labels"),
        ],
    )
    def test_what_does_not_fit_is_named(self, changed, facts, said):
        vit = PREDICTIONS["activity", "vit"]
        with pytest.raises(HarError, match=said):
            outcome_frame(PREDICTIONS | {("activity", "vit"): changed(vit)}, facts)
        with pytest.raises(HarError, match="no model has predictions on test or extended"):
            outcome_frame({("activity", "vit"): vit.assign(split="train")}, FACTS)


def test_tables_of_clips_count_clips():
    assert agreement.count_table(OUTCOMES, "header", "clips").notes[0].count(" extended clips.") == 2


class TestBins:
    @given(st.lists(st.floats(0, 5), min_size=1, max_size=6, unique=True), st.lists(st.floats(0, 9) | st.just(np.nan)))
    def test_they_partition_what_is_annotated(self, bounds, values):
        bins = {f"b{k}": bound for k, bound in enumerate(sorted(bounds))} | {"rest": None}
        edges = [-np.inf, *sorted(bounds), np.inf]
        expected = pd.cut(pd.Series(values, dtype=float), edges, labels=False).fillna(len(bins))
        assert factors.binned(values, bins).tolist() == expected.tolist()

    @pytest.mark.parametrize(
        ("factor", "bins", "texts"),
        [
            ("person_size", BINS, ["small (≤ 20 %)", "middle (20–50 %)", "large (> 50 %)"]),
            ("persons", {"one": 1, "two": 2, "few": 4, "any": None}, ["one (1)", "two (2)", "few (3–4)", "any (> 4)"]),
            ("overlap", {"none": 0, "some": None}, ["none (0 %)", "some (> 0 %)"]),
        ],
    )
    def test_names_tell_the_bounds(self, factor, bins, texts):
        assert list(ErrorBins.model_fields) == list(FACTORS)
        assert list(factors.bounds_text(factor, bins).values()) == texts

    def test_bins_that_do_not_rise_are_named(self, tmp_path):
        for key, bins, said in (
            ("person_size", {"tiny": 0.05, "small": 0.01, "large": None}, "bounds are 0.05, 0.01, expected"),
            ("person_size", {"small": 0.05, "large": 1.0}, "person_size: expected two bins or more"),
            ("person", {"one": 1, "more": None}, "errors.bins.persons"),
        ):
            assert said in parameters.error(tmp_path, {f"errors.bins.{key}": bins})


class TestRates:
    def test_each_bin_recomputes_from_predictions_and_bins_cover_all(self):
        known = FACTS.set_index("image_id")["person_size"]
        rows = factors.rates(OUTCOMES, "person_size", BINS)
        for (task, model), frame in PREDICTIONS.items():
            mine = {row["bin"]: row for row in rows if (row["task"], row["model"]) == (task, model)}
            assert list(mine) == [*BINS, factors.UNKNOWN]
            assert sum(row["n"] for row in mine.values()) == frame["image_id"].nunique()
            guess = frame.filter(like="p_").idxmax(axis=1).str.removeprefix("p_")
            size = frame["image_id"].map(known)
            inside = (size > 0.2) & (size <= 0.5)
            row = mine["middle"]
            assert (row["above"], row["up_to"]) == (0.2, 0.5)
            assert row["n"] == frame.loc[inside, "image_id"].nunique()
            assert row["error"] == pytest.approx((guess != frame["label"])[inside].mean(), abs=1e-6)
            assert 0 <= row["error_low"] <= row["error"] <= row["error_high"] <= 1

    def test_more_runs_of_the_same_narrow_nothing_and_one_image_tells_nothing(self):
        once = pd.Series([0, 1, 1, 0, 0, 0.0] * 10)
        one, many = factors.error_rate(once, 1), factors.error_rate(once, 5)
        assert one[0] == many[0]
        assert many[2] - many[1] == pytest.approx(one[2] - one[1], rel=0.05)
        assert factors.error_rate(once[:0], 5) == factors.error_rate(once[:0], 1) == (None, None, None)
        assert factors.error_rate(once[1:2], 5) == (1, 0, 1)

    def test_intervals_are_of_groups_where_images_have_any(self):
        grouped = {
            key: one.assign(group="g" + (one["image_id"] % 6).astype(str))
            for key, one in PREDICTIONS.items()
            if key[1] != "majority"
        }
        outcomes = outcome_frame(grouped, FACTS.assign(person_size=0.1))
        row = factors.rates(outcomes, "person_size", BINS)[0]
        mine = outcomes[(outcomes["task"] == row["task"]) & (outcomes["model"] == row["model"])]
        expected = mean_with_interval(mine.groupby("group")["error"].mean())
        assert (row["error_low"], row["error_high"]) == pytest.approx(expected[1:])


class TestTrend:
    def test_for_two_groups_and_one_run_it_is_mantel_and_haenszels(self):
        random = np.random.default_rng(0)
        labels, group = random.integers(0, 3, 90), random.integers(0, 2, 90)
        wrong = (random.random(90) < 0.3 + 0.2 * group).astype(float)
        tables = [pd.crosstab(group[labels == k], wrong[labels == k]).to_numpy() for k in range(3)]
        expected = StratifiedTable(tables).test_null_odds(correction=False)
        assert factors.trend(group, wrong, labels)["p"] == pytest.approx(expected.pvalue)

    def test_in_one_class_it_is_spearmans_correlation(self):
        x, y = np.random.default_rng(1).random((2, 40))
        expected = pd.Series(x).corr(pd.Series(y), method="spearman")
        assert factors.trend(x, pd.Series(y).rank().to_numpy(), np.zeros(40))["rho"] == pytest.approx(expected)

    def test_a_class_that_a_model_favours_is_no_effect(self):
        labels = np.repeat(["a", "b"], 50)
        x = np.arange(100)  # b's images are all larger
        errors = np.where(labels == "a", np.tile([0.0, 0.4], 50), np.tile([0.6, 1.0], 50))
        alone, pooled = factors.trend(x, errors, labels), factors.trend(x, errors, np.zeros(100))
        assert pooled["p"] < 0.001 < 0.5 < alone["p"]

    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 2)), max_size=30))
    def test_always_defined_or_told_and_blind_to_scale(self, rows):
        x, e, label = np.array(rows, dtype=float).reshape(-1, 3).T
        found = factors.trend(x, e / 5, label)
        assert (found["rho"] is None) == (found["p"] is None) == bool(found["note"])
        if found["rho"] is not None:
            assert -1 <= found["rho"] <= 1
            assert factors.trend(3 * x + 1, e / 5, label)["p"] == pytest.approx(found["p"])
            assert factors.trend(-x, e / 5, label)["rho"] == pytest.approx(-found["rho"])
        unknown = factors.trend(np.append(x, np.nan), np.append(e / 5, 1), np.append(label, 0))
        assert unknown == found  # what is not annotated is left out

    def test_holm_is_over_all_models_and_factors_of_a_task(self):
        rows = [row for row in factors.trends(OUTCOMES) if row["task"] == "activity"]
        defined = [row for row in rows if row["p"] is not None]
        least = min(defined, key=lambda row: row["p"])
        assert least["p_holm"] == pytest.approx(min(1, least["p"] * len(defined)))
        assert all(row["p"] is None for row in rows if row["model"] == "majority" or row["factor"] == "overlap")


masks = st.integers(1, 25).flatmap(lambda n: st.tuples(*[st.lists(st.booleans(), min_size=n, max_size=n)] * 2))


class TestAgreement:
    @given(masks)
    def test_overlap_is_within_bounds_and_kappa_scikit_learns(self, pair):
        a, b = map(np.array, pair)
        (found,) = agreement.overlaps({"activity": pd.DataFrame({"a": a, "b": b})})
        assert found["both"] == pytest.approx((a & b).mean())
        assert (found["missed_a"], found["missed_b"]) == (a.mean(), b.mean())
        assert np.isnan(found["jaccard"]) or found["jaccard"] == pytest.approx((a & b).sum() / (a | b).sum())
        assert bool(found["note"]) == np.isnan(found["kappa"])
        if not found["note"]:
            assert found["kappa"] == pytest.approx(cohen_kappa_score(a, b), abs=1e-9)

    def test_every_pair_once_and_no_blind_model(self):
        pairs = [frozenset((row["a"], row["b"])) for row in agreement.overlaps(agreement.misses(OUTCOMES))]
        assert len(pairs) == len(set(pairs)) == 6
        assert not any("majority" in pair for pair in pairs)

    def test_counts_sum_to_the_images_and_independent_ones_are_poissons_binomials(self):
        rows = [row for row in agreement.miss_counts(agreement.misses(OUTCOMES)) if row["task"] == "activity"]
        assert [row["missed_by"] for row in rows] == [0, 1, 2, 3, 4]
        assert sum(row["images"] for row in rows) == N
        wrong = pd.DataFrame({"a": [True] + [False] * 9, "b": [True, False] * 5, "c": [True] * 10})
        rows = agreement.miss_counts({"activity": wrong})
        assert [row["expected"] for row in rows] == pytest.approx([0, 4.5, 5, 0.5])

    def test_missed_by_all_is_what_no_ensemble_gets_right(self):
        rows = [row for row in agreement.missed_by_all(OUTCOMES, MANIFEST, EVIDENCE) if row["task"] == "activity"]
        mine = OUTCOMES.query("task == 'activity' and model != 'majority'")
        right = (mine["predicted"] == mine["label"]).groupby(mine["image_id"]).any()
        assert {row["image_id"] for row in rows} == set(right.index[~right]) != set()
        chances = [row["p_true"] for row in rows]
        assert chances == sorted(chances)
        for row in rows:
            votes = json.loads(row["votes"])
            assert sum(votes.values()) == row["models"] == 4
            assert row["label"] not in votes

    def test_a_caption_can_not_break_the_table(self):
        captions = json.dumps([["two  men\nsit <b>*here*</b>", "sitting"], ["a [bench](x)", "standing"]])
        text = agreement.captions_text(captions, "sitting")
        assert text == "✓ two men sit <b>*here*</b> · ✗ a [bench](x)"
        shown = markdown_table(pd.DataFrame([["", text]], dtype=object))
        assert r"✓ two men sit \<b\>\*here\*\</b\> · ✗ a \[bench\](x)" in shown


class TestFigures:
    def test_cases_are_failures_of_test_first_and_the_most_confident_first(self):
        found = figures.failure_cases(OUTCOMES, "activity", "cnn_base", 30)
        assert figures.failed(found).all()
        assert found["split"].tolist() == sorted(found["split"], reverse=True)  # test, extended
        assert found.groupby("split")["p_predicted"].is_monotonic_decreasing.all()
        few = figures.failure_cases(OUTCOMES.sample(frac=1, random_state=1), "activity", "cnn_base", 3)
        pd.testing.assert_frame_equal(few, found.head(3))


def drawn(outcomes, folder):
    """All figures of the first model's task, as text."""
    model, picture = outcomes["model"].iloc[0], np.zeros((4, 6, 3), np.uint8)
    figures.figure_failures(outcomes, "activity", [model], lambda i: picture, folder / "failures.svg", "t", 2)
    figures.figure_trends(factors.trends(outcomes), "activity", folder / "factors.svg", "t")
    figures.figure_overlap(agreement.overlaps(agreement.misses(outcomes)), "activity", folder / "overlap.svg", "t")
    return "".join(path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()))


def test_figures_are_drawn(tmp_path):
    text = drawn(OUTCOMES, tmp_path)
    for said in ("most confident first", "Framed: Holm", "κ of errors"):
        assert said in text


def only(*models, where="label != ''"):
    return {("activity", name): PREDICTIONS["activity", name].query(where) for name in models}


@pytest.mark.parametrize(
    ("predictions", "said"),
    [
        (dict.fromkeys([("activity", "vit"), ("activity", "clip")], simulate(60)), "Neither misses an image"),
        (dict.fromkeys([("activity", "vit"), ("activity", "clip")], simulate(-60)), "Both miss every image"),
        (only("clip"), "There is no pair"),
        (only("majority"), "No model here sees the picture"),
        (only("cnn_base", "majority", where="label != 'standing'"), "errs alike"),
        (only("cnn_base", "clip", where="image_id == 0"), "do not differ"),
    ],
)
def test_degenerate_inputs_give_notes_and_no_nan(predictions, said, tmp_path):
    outcomes = outcome_frame(predictions, FACTS)
    tables = every_table(outcomes)
    for table in tables:
        json.dumps(table.frame.to_dict("records"), allow_nan=False)  # infinity is no number either
        assert "nan" not in table.markdown().lower()
    assert said in " ".join(table.markdown() for table in tables)
    text = drawn(outcomes, tmp_path)
    assert "most confident first" in text
    shown = ("Framed: Holm" in text) + ("κ of errors" in text)
    assert shown + text.count("nothing to show") == 2  # each of the other two has its figures, or says that it has none
