"""A fine-tuned model explained: which images, what is written, what the tables and figures say."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import parameters
import pytest
import torch
from conftest import CLASSES
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from har.config.studies import Explain
from har.core.errors import HarError
from har.models.classifier import classifier, finetuned, head_of
from har.models.preprocess import from_folder
from har.studies.explain.explain import Explanation, choose, explain, write
from har.studies.explain.faithfulness import patch_auc
from har.studies.explain.figures import choose_examples, figure_curves, figure_maps
from har.studies.explain.legrad import METHODS, min_max, relevance
from har.studies.explain.report import build_tables, compared, measured, verdicts

SETTINGS = Explain(models=[], heads=["own", "text"], extended=9, curves=9, steps=4, batch_size=3, examples=2, seed=0)
IMAGES = pd.DataFrame(
    {
        "image_id": [3, 5, 7, 12],
        "label": ["walking", "sitting", "standing", "walking"],
        "split": ["train", "test", "test", "extended"],
    }
)
SIZES = {3: (50, 80), 5: (48, 48), 7: (90, 60), 12: (64, 64)}
# image 7 is cropped to its columns 15 to 75: its person stands in the strip that a crop loses
BOXES = {3: [[0, 0, 25, 80]], 5: [[12, 12, 24, 36], [0, 0, 12, 12]], 7: [[0, 0, 12, 60]], 12: [[0, 32, 64, 32]]}
RECORDS = {
    key: SimpleNamespace(boxes=np.array(BOXES[key], float), crowds=np.empty((0, 4)), width=width, height=height)
    for key, (width, height) in SIZES.items()
}
REPORT = parameters.profile().report.model_copy(update={"resamples": 200})


@pytest.fixture(scope="module")
def trained(checkpoints, tmp_path_factory):
    """clip, siglip2 and vit as the train stage leaves them; clip crops."""
    folders = {}
    for name, source in checkpoints.items():
        torch.manual_seed(8)
        model = classifier(source, CLASSES)
        with torch.no_grad():
            head_of(model).weight.normal_()
        folders[name] = tmp_path_factory.mktemp(f"activity-{name}")
        model.save_pretrained(folders[name])
        config = json.loads((source / "preprocessor_config.json").read_text())
        if name == "clip":
            config |= {"size": {"shortest_edge": 32}}
        (folders[name] / "preprocessor_config.json").write_text(json.dumps(config))
    return folders


@pytest.fixture(scope="module")
def explained(trained, store):
    return {
        ("activity", name): explain(folder, store.folder, choose(IMAGES, SETTINGS), RECORDS, SETTINGS)
        for name, folder in trained.items()
    }


class TestChoice:
    @given(st.integers(0, 30), st.integers(0, 12), st.integers(0, 12), st.integers(0, 5))
    def test_all_of_validation_and_test_and_a_nested_draw_of_the_rest(self, n, extended, curves, seed):
        def chosen(split, more=0):
            changes = {"extended": extended + more, "curves": curves + more, "seed": seed}
            return choose(split, SETTINGS.model_copy(update=changes))

        split = pd.DataFrame({"image_id": np.random.default_rng(n).permutation(90)[: 12 + n], "label": "sitting"})
        split["split"] = ["train"] * 4 + ["validation"] * 4 + ["test"] * 4 + ["extended"] * n
        found = chosen(split)
        assert found["image_id"].is_monotonic_increasing
        assert found["measured"].all()
        told = found.groupby("split")["curves"].agg(["size", "sum"]).T.to_dict("list")
        drawn = {"extended": [min(n, extended), min(n, extended, curves)]} if min(n, extended) else {}
        assert told == {"train": [4, 0], "validation": [4, 0], "test": [4, min(4, curves)]} | drawn
        pd.testing.assert_frame_equal(found, chosen(split[::-1]))
        more = chosen(split, 2)
        assert set(found["image_id"]) <= set(more["image_id"])
        assert set(found["image_id"][found["curves"]]) <= set(more["image_id"][more["curves"]])
        clips = split.assign(clip=[f"clip{place // 2}" for place in range(len(split))])
        of_clips = chosen(clips).merge(clips)
        assert of_clips["clip"][of_clips["measured"]].is_unique
        assert of_clips["measured"][of_clips["curves"]].all()


class TestExplanation:
    def test_the_files_that_others_build_on(self, explained, tmp_path):
        for (_, name), one in explained.items():
            write(one, tmp_path / name)
            maps = np.load(tmp_path / name / "maps.npy")
            assert (maps.shape, maps.dtype) == ((4, 3, 4, 4), np.float16)
            index = pd.read_csv(tmp_path / name / "index.csv")
            assert index.to_dict("list") == {"image_id": [3, 5, 7, 12]}
            assert json.loads((tmp_path / name / "about.json").read_text()) == {
                "classes": CLASSES, "side": 4, "fit": "crop" if name == "clip" else "squash", "crop_pct": 1.0,
                "method": "legrad", "head": "own", "blocks": one.about["blocks"],
            }  # fmt: skip

    def test_row_for_row_the_maps_and_probabilities_are_the_models_own(self, explained, trained, store):
        for (_, name), one in explained.items():
            model, preprocess = finetuned(trained[name]), from_folder(trained[name])
            x = preprocess.normalise(torch.from_numpy(preprocess.load(store, [12, 7])))
            expected = min_max(relevance(model, x)[:, -one.about["blocks"] :].sum(1)).numpy()
            np.testing.assert_allclose(one.maps[[3, 2]], expected, atol=2e-3)  # of half precision
            with torch.no_grad():
                own = model(x).logits.double().softmax(1).numpy()
            np.testing.assert_allclose(one.probabilities[[3, 2]], own, rtol=1e-5)
            assert one.images.prediction.tolist() == [CLASSES[i] for i in one.probabilities.argmax(1)]

    def test_scores_are_there_for_test_and_extended(self, explained):
        for (_, name), one in explained.items():
            assert set(one.scores["image_id"]) == {5, 7, 12}
            assert (one.scores.groupby("image_id")["method"].agg(list).map(tuple) == tuple(METHODS)).all()
            assert one.scores[["deletion", "insertion"]].notna().all(axis=None)
            outside = one.scores[one.scores["image_id"] == 7]  # its person is, of what clip sees
            assert outside["auc"].isna().all() == (name == "clip")
            half = one.scores[one.scores["image_id"] == 12]
            auc = half.set_index("method")["auc"]
            assert auc["centre"] == pytest.approx(0.5)  # of the lower half of a Gaussian in the centre
            own = one.maps[3, one.probabilities[3].argmax()].astype(float)  # of the predicted class
            assert auc["legrad"] == pytest.approx(roc_auc_score(np.repeat([0, 1], 8), own.ravel()), abs=0.02)

    def test_head_and_blocks_are_those_that_find_persons_best_on_images_to_choose_on(self, trained, store):
        texts = np.eye(3, head_of(finetuned(trained["clip"])).in_features, dtype=np.float32)
        one = explain(trained["clip"], store.folder, choose(IMAGES, SETTINGS), RECORDS, SETTINGS, texts=texts)
        assert one.candidates[["head", "blocks"]].values.tolist() == [["own", 2], ["own", 1], ["text", 2], ["text", 1]]
        best = one.candidates.iloc[one.candidates["auc"].argmax()]
        assert (one.about["head"], one.about["blocks"]) == (best["head"], best["blocks"])
        person = np.zeros((1, 4, 4), bool)
        person[0, :, :2] = True  # image 3, the only one to choose on
        auc = patch_auc(one.maps[0, one.probabilities[0].argmax()][None].astype(float), person)
        assert auc == pytest.approx(best["auc"], abs=0.02)
        table = build_tables({("activity", "clip"): one}, "header", REPORT)["candidates"]
        assert table.frame["chosen"].tolist() == [place == best.name for place in range(4)]

    def test_curves_start_and_end_with_the_prediction(self, explained):
        one = explained["activity", "vit"]
        own = one.images[(one.images["split"] == "test") & one.images["curves"]]["probability"]
        part = one.curves[one.curves["split"] == "test"]
        whole = part[
            (part["share"] == 0) & (part["kind"] == "deletion") | (part["share"] == 1) & (part["kind"] == "insertion")
        ]
        assert len(whole) == 2 * len(METHODS)
        assert whole["probability"].tolist() == pytest.approx([own.mean()] * len(whole), rel=1e-4)
        assert whole["error"].tolist() == pytest.approx([own.sem()] * len(whole), rel=1e-3)

    def test_of_one_head_and_without_curves(self, trained, store):
        texts = np.eye(3, head_of(finetuned(trained["clip"])).in_features, dtype=np.float32)
        few = SETTINGS.model_copy(update={"heads": ["text"], "curves": 0, "extended": 0})
        one = explain(trained["clip"], store.folder, choose(IMAGES, few), RECORDS, few, texts=texts)
        assert one.candidates["head"].unique().tolist() == [one.about["head"]] == ["text"]
        assert one.scores[["deletion", "insertion"]].isna().all(axis=None)
        assert one.curves.empty
        text = build_tables({("activity", "clip"): one}, "header", REPORT)["scores"].markdown()
        assert "extended" not in text
        assert "nan" not in text.lower()

    def test_an_image_without_a_record_is_told(self, trained, store):
        records = {key: value for key, value in RECORDS.items() if key != 7}
        with pytest.raises(HarError, match="image 7 has no record in the annotations"):
            explain(trained["vit"], store.folder, choose(IMAGES, SETTINGS), records, SETTINGS)


def scored(auc_legrad, auc_centre, n=40, split="extended", deletion=0.4):
    """An Explanation with nothing but scores, random ones about these means; deletion: LeGrad's, of the others 0.4."""
    random = np.random.default_rng(0)
    rows = []
    for i in range(n):
        for method in METHODS:
            mean = {"legrad": auc_legrad, "centre": auc_centre}.get(method, 0.5)
            row = {"image_id": i, "split": split, "method": method, "deletion": 0.4, "insertion": 0.6}
            row |= {"deletion": deletion} if method == "legrad" else {}
            rows.append(row | {"auc": mean + random.normal(0, 0.02) if i else None})
    frame, none = pd.DataFrame(rows), pd.DataFrame(columns=["head", "blocks", "auc"])
    return Explanation(pd.DataFrame(), np.zeros((0, 3)), np.zeros((0, 3, 4, 4)), frame, pd.DataFrame(), none, {})


class TestTables:
    @pytest.mark.parametrize(
        ("auc", "deletion", "ranks", "falls"),
        [
            (0.8, 0.4, "above attention rollout (", "falls, not shown to be faster or slower than attention rollout"),
            (0.3, 0.3, "below attention rollout (", "falls, faster than attention rollout"),
            (0.7, 0.5, "and not shown to differ from centre bias (", "falls, slower than attention rollout"),
        ],
    )
    def test_the_verdict_follows_from_the_intervals(self, auc, deletion, ranks, falls):
        one = {("activity", "clip"): scored(auc, 0.7, deletion=deletion)}
        sentence = build_tables(one, "header", REPORT)["differences"].notes[0]
        assert sentence.startswith("CLIP (activity, extended, n = 39): LeGrad ranks persons with patch AUC 0.")
        assert ranks in sentence
        assert falls in sentence

    def test_the_verdict_takes_the_larger_split_and_tells_of_no_curves_that_are_not_there(self):
        parts = [scored(0.8, 0.7, 12, "test").scores, scored(0.6, 0.7).scores]
        both = {("activity", "vit"): replace(scored(0, 0), scores=pd.concat(parts).assign(deletion=np.nan))}
        (sentence,) = verdicts(measured(both, REPORT), compared(both, REPORT))
        assert "extended, n = 39" in sentence
        assert "below centre bias" in sentence
        assert "deleted" not in sentence

    def test_means_and_paired_differences_leave_out_images_without_a_value(self):
        one = scored(0.8, 0.7)
        auc = one.scores.pivot(index="image_id", columns="method", values="auc").astype(float)
        tables = build_tables({("activity", "clip"): one}, "header", REPORT)
        row = tables["scores"].frame.set_index("method").loc["legrad"]
        assert (row["auc"], row["n"], row["curves_n"]) == (pytest.approx(auc["legrad"].mean(), abs=1e-6), 39, 40)
        assert row["auc_low"] <= row["auc"] <= row["auc_high"]
        gap = tables["differences"].frame.set_index("rival").loc["centre"]
        assert gap["auc"] == pytest.approx((auc["legrad"] - auc["centre"]).mean(), abs=1e-6)
        assert (gap["deletion"], gap["auc_n"], gap["deletion_n"]) == (0, 39, 40)

    def test_intervals_draw_groups_where_images_have_any(self):
        one = scored(0.8, 0.7)
        one.scores["auc"] += one.scores["image_id"] // 10 / 10
        grouped = replace(one, scores=one.scores.assign(group="g" + (one.scores["image_id"] // 10).astype(str)))
        narrow, wide = (measured({("activity", "clip"): each}, REPORT)[0] for each in (one, grouped))
        assert narrow["auc"] == pytest.approx(wide["auc"])
        assert wide["auc_high"] - wide["auc_low"] > 1.5 * (narrow["auc_high"] - narrow["auc_low"])

    def test_nothing_explained_gives_tables_without_rows(self):
        for table in build_tables({}, "header", REPORT).values():
            assert table.frame.empty
            assert table.markdown().startswith("### ")
        assert verdicts([], []) == []


class TestFigures:
    def test_maps_and_curves_are_drawn(self, explained, store, tmp_path):
        two = {key: explained[key] for key in list(explained)[:2]}
        examples = choose_examples(two, 2)
        assert sorted(examples) == [5, 7]
        figure_maps(two, examples[:1], store.image, tmp_path / "maps.svg", "Maps")
        figure_curves(two, tmp_path / "curves.svg", "Curves", 0.95)
        assert "labelled" in (tmp_path / "maps.svg").read_text()

    def test_examples_go_through_the_classes_by_turns(self, explained):
        images = pd.DataFrame({"image_id": range(30), "split": "test", "label": np.repeat(CLASSES, 10)})
        images["measured"] = images["image_id"] % 2 == 0
        one = {("activity", "vit"): Explanation(images, None, None, None, None, None, {})}
        ids = choose_examples(one, 6, seed=3)
        assert sorted(images.label[ids[:3]]) == sorted(images.label[ids[3:]]) == sorted(CLASSES)
        assert images["measured"][ids].all()
        assert choose_examples(one, 6, seed=3) == ids != choose_examples(one, 6, seed=4)
        assert choose_examples({}, 2) == []
