"""The masking study: what is told of a model whose cues are hidden follows from its predictions, and nothing else."""

from dataclasses import replace

import numpy as np
import pandas as pd
import parameters
import pytest
import torch
from conftest import CLASSES, one_by_one
from hypothesis import given
from hypothesis import strategies as st
from test_models import CNN, MLP

from har.config.models import Probe
from har.core.errors import HarError
from har.data.coco.instances import Instances
from har.data.crops import BOXES, EDGES, write_boxes
from har.evaluation.bootstrap import mean_with_interval
from har.models.build import build, logits
from har.models.checkpoint import load_kept
from har.studies.masking import scores
from har.studies.masking.figures import draw
from har.studies.masking.predict import choose_images, study
from har.studies.masking.predictors import Frozen, Head, MaskedProbe, Trained, ZeroShot
from har.studies.masking.regions import FILLS
from har.studies.masking.report import build_tables, verdict
from har.training.loop import save

CHANGES = {"kinds": ["patches", "stripes"], "shares": [0.1, 0.5], "cues": {"sitting": ["bench"]}, "seed": 3}
MASKS = parameters.profile().masking.model_copy(update=CHANGES)


def frame(told: dict[str, list[int]], label: int = 0) -> pd.DataFrame:
    """Predictions by condition: the class index told of each image, with probability 0.8."""
    rows = [
        {"condition": condition, "covered": 0.1, "image_id": i, "split": "test", "label": CLASSES[label],
         **{f"p_{name}": 0.8 if k == guess else 0.1 for k, name in enumerate(CLASSES)}}
        for condition, guesses in told.items() for i, guess in enumerate(guesses)
    ]  # fmt: skip
    return pd.DataFrame(rows)


WHOLE = {"none": [0, 0, 0, 1]}
CURVE = WHOLE | {"patches-10": [0, 0, 1, 1], "patches-50": [0, 1, 1, 1], "stripes-10": [0] * 4, "stripes-50": [1] * 4}


class TestScores:
    def test_an_image_is_right_flips_and_is_told_with_some_confidence(self):
        images = scores.per_image(frame(CURVE))
        assert scores.of_condition(images, "patches-50").tolist() == [1, 0, 0, 0]
        assert scores.of_condition(images, "patches-50", "flips").tolist() == [0, 1, 1, 0]
        assert scores.of_condition(images, "patches-50", "confidence").tolist() == [0.8] * 4
        assert scores.of_condition(images, "patches-50", "true_class").tolist() == [0.8, 0.1, 0.1, 0.1]
        assert scores.of_condition(images, "none", "flips").sum() == 0

    def test_the_area_is_that_of_trapezoids(self):
        images = scores.per_image(frame(CURVE))
        assert scores.by_share(images, ["patches", "stripes"], 0.1).mean() == pytest.approx(0.75)
        area = scores.area_under_curve(images, ["patches"], [0.1, 0.5])
        # 0.75 to 0.5 over 0.1, 0.5 to 0.25 over 0.4
        assert area.mean() == pytest.approx((0.1 * 0.625 + 0.4 * 0.375) / 0.5)
        with pytest.raises(HarError, match=r"lack a mask that hides 0\.3"):
            scores.area_under_curve(images, ["patches"], [0.1, 0.3])

    def test_a_difference_is_paired_over_the_images_that_both_have(self):
        a = pd.Series([1.0, 1.0, 0.0, 1.0], index=[1, 2, 3, 4])
        b = pd.Series([0.0, 0.0, 1.0, 1.0], index=[9, 1, 2, 3])
        assert scores.difference(a, b).mean == 0  # 1, 0, -1
        assert scores.difference(a, a - 0.25).low == pytest.approx(0.25)  # the same in each image

    def test_what_says_the_same_of_every_image_has_no_corrected_area(self):
        labels = [0, 0, 0, 1, 1, 2]
        images = frame({"none": [1] * 6}).assign(label=[CLASSES[label] for label in labels])
        found = scores.per_image(images)
        assert scores.corrected(scores.of_condition(found, "none"), found).mean == pytest.approx(0)
        right = scores.per_image(frame({"none": labels}).assign(label=images.label))
        assert scores.corrected(scores.of_condition(right, "none"), right).mean == pytest.approx(1)


def row_of(model: str, **gaps: float) -> dict:
    found = {"model": model, "n": 30}
    for fill, gap in gaps.items():
        found |= {f"person_minus_context_{fill}_low": gap - 0.1, f"person_minus_context_{fill}_high": gap + 0.1}
    return found


def test_the_verdict_names_the_fills_that_agree_and_where_black_says_otherwise():
    rows = [
        row_of("clip", black=-0.3, mean=0.3, blur=0.2),
        row_of("vit", black=0.0, mean=0.3, blur=-0.3),
        row_of("cnn_base", black=0.0, mean=0.3, blur=0.0),
    ]
    (said,) = verdict(rows, ["black", "mean", "blur"])
    assert "person alone tells more than the context alone, by mean, blur alike: CLIP." in said
    assert "Black boxes say the opposite of CLIP" in said
    assert "The fills disagree: ViT." in said
    assert "Not decided by every fill: CNN_base." in said
    assert verdict(rows, ["black"]) == []


class TestFills:
    X = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8), dtype=np.uint8)
    MASKS = np.zeros((2, 8, 8), bool)
    MASKS[0, 2:5, 2:6] = True

    @pytest.mark.parametrize("fill", FILLS)
    def test_what_is_shown_stays_as_it_is(self, fill):
        found = FILLS[fill](self.X, self.MASKS)
        assert found.dtype == np.uint8
        assert (found[0][:, ~self.MASKS[0]] == self.X[0][:, ~self.MASKS[0]]).all()
        assert (found[1] == self.X[1]).all()
        assert (found[0][:, self.MASKS[0]] != self.X[0][:, self.MASKS[0]]).any()
        assert FILLS[fill](self.X, np.ones_like(self.MASKS)).shape == self.X.shape

    def test_an_even_surface_is_filled_in_evenly(self):
        even = np.full((2, 3, 8, 8), 77, np.uint8)
        for fill in ("mean", "blur", "inpaint"):
            np.testing.assert_allclose(FILLS[fill](even, self.MASKS), 77, atol=3)


class TestImages:
    SPLIT = pd.DataFrame(
        {
            "image_id": range(60),
            "label": CLASSES * 20,
            "split": ["train"] * 20 + ["validation"] * 6 + ["test"] * 10 + ["extended"] * 24,
        }
    )

    @given(st.integers(1, 50), st.integers(0, 9))
    def test_test_images_come_first_and_none_was_learnt_from(self, most, seed):
        chosen = choose_images(self.SPLIT, CLASSES, most, seed)
        assert len(chosen) == min(most, 34)
        assert (chosen.split == "test").sum() == min(most, 10)
        assert set(chosen.split) <= {"test", "extended"}
        assert chosen.image_id.is_monotonic_increasing
        other = choose_images(self.SPLIT.sample(frac=1, random_state=1), CLASSES, most, seed)
        pd.testing.assert_frame_equal(chosen, other)

    def test_frames_are_chosen_clip_by_clip(self):
        split = pd.DataFrame({"image_id": np.random.default_rng(1).permutation(60), "label": "a", "split": "test"})
        split["clip"] = [f"clip{i % 12}" for i in range(60)]
        assert choose_images(split, ["a"], 20, 0)["clip"].value_counts().tolist() == [5] * 4


@pytest.fixture(scope="module")
def world(store, photos, checkpoints, tmp_path_factory):
    """Images of the tiny store, trained models in folders, and annotated persons and benches."""
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(1)
    cnn, _ = build(CNN, CLASSES)
    save(cnn, CNN, CLASSES, root / "cnn", None)
    mlp, _ = build(MLP, CLASSES, features=16)
    save(mlp.eval(), MLP, CLASSES, root / "mlp", None)
    images = pd.DataFrame({"image_id": [3, 5, 7, 12], "split": ["test"] * 2 + ["extended"] * 2,
                           "label": [CLASSES[k] for k in (0, 1, 2, 1)]})  # fmt: skip
    sizes = {3: (50, 80), 5: (48, 48), 7: (90, 60), 12: (64, 64)}
    instances = {i: Instances(w, h, ["person"], [{"bbox": [4, 4, w / 2, h / 2]}]) for i, (w, h) in sizes.items()}
    folder = store._pixels.filename.parent
    boxes = [[i, 4 / w, 4 / h, 4 / w + 0.5, 4 / h + 0.5] for i, (w, h) in sizes.items()]
    write_boxes(folder / BOXES, pd.DataFrame(boxes, columns=["image_id", *EDGES]))
    instances[5].names.append("bench")
    instances[5].shapes.append({"bbox": [0, 30, 40, 10]})
    texts = np.eye(3, 16, dtype=np.float32)
    ids, y = images.image_id.to_numpy(), np.array([0, 1, 2, 1])
    masked = MaskedProbe(ids, y, ids, folder, MASKS, Probe(c=[1.0], folds=2))
    readers = {"zero_shot": ZeroShot(texts, 10.0), "multimodal": Head(root / "mlp", CLASSES, None)}
    readers["probe_clip_masked"] = masked
    return [Trained("cnn_base", root / "cnn"), Frozen(checkpoints["clip"], readers)], images, folder, instances


def told(world, training=None):
    models, images, folder, instances = world
    return study(models, images, CLASSES, folder, instances, MASKS, training or one_by_one())


@pytest.fixture(scope="module")
def predictions(world):
    return told(world)


@pytest.fixture(scope="module")
def two(predictions):
    return {name: predictions[name] for name in ("cnn_base", "probe_clip_masked")}


class TestStudy:
    def test_every_model_is_told_of_every_condition(self, predictions):
        assert list(predictions) == ["cnn_base", "zero_shot", "multimodal", "probe_clip_masked"]
        for found in predictions.values():
            counts = found.groupby("condition", sort=False).size().to_dict()
            assert counts == {
                "none": 4, "patches-10": 4, "patches-50": 4, "stripes-10": 4, "stripes-50": 4, "hide_person": 4,
                "keep_person": 4, "hide_box": 4, "keep_box": 4, "hide_elsewhere": 4, "keep_elsewhere": 4,
                "hide_cues": 1, "keep_cues": 1, "hide_things": 1, "crop_box": 4,
                **{f"hide_{region}-{fill}": 4 for region in ("box", "elsewhere") for fill in MASKS.fills[1:]},
            }  # fmt: skip
            parts = [found.loc[found["condition"] == name, "covered"].to_numpy() for name in ("hide_box", "crop_box")]
            np.testing.assert_allclose(sum(parts), 1, atol=2e-4)

    def test_with_nothing_hidden_a_model_says_what_it_says(self, predictions, world, store):
        models, images, *_ = world
        network, preprocess = load_kept(models[0].folder, CLASSES)
        x = torch.as_tensor(preprocess.load(store, images.image_id))
        with torch.no_grad():
            expected = torch.softmax(logits(network, preprocess.normalise(x)), 1)
        found = predictions["cnn_base"]
        whole = found[found.condition == "none"].filter(like="p_")
        np.testing.assert_allclose(whole, expected, atol=2e-6)

    def test_a_probe_that_learnt_from_masks_knows_them(self, predictions):
        found = scores.per_image(predictions["probe_clip_masked"])
        assert scores.of_condition(found, "none").mean() == 1  # four images, learnt by heart
        assert scores.of_condition(found, "patches-10").mean() >= 0.5

    def test_two_processes_change_nothing(self, predictions, world):
        pool = one_by_one(jobs=2, backend="processes")
        for name, again in told(world, pool).items():
            pd.testing.assert_frame_equal(again, predictions[name], check_exact=True)

    def test_an_explanation_adds_what_the_model_itself_looks_at(self, world, tmp_path):
        (model, *_), *rest = world
        np.save(tmp_path / "maps.npy", np.random.default_rng(0).random((2, 3, 4, 4)).astype(np.float16))
        (tmp_path / "index.csv").write_text("image_id\n5\n12\n")
        found = told(([replace(model, maps=tmp_path)], *rest))["cnn_base"]
        relevant = found[found.condition == "hide_relevant"]
        assert relevant.image_id.tolist() == [5, 12]
        np.testing.assert_allclose(relevant.covered, 77 / 256, atol=1e-4)  # 0.3 of 16 x 16 pixels

    def test_tables_and_figures_come_from_predictions_alone(self, two, tmp_path):
        tables = build_tables(two, MASKS, "profile test")
        assert set(tables) == {"masking", "kinds", "context", "elsewhere", "cues", "classes"}
        for table in tables.values():
            assert "nan" not in table.markdown()
        row = tables["context"].frame.iloc[0]
        assert row.person_minus_context_black == pytest.approx(row.keep_box - row.hide_box)
        assert row.person_minus_context_blur == pytest.approx(row.crop_box - row["hide_box-blur"])
        assert set(tables["cues"].frame.condition) == {"hide_cues", "keep_cues", "hide_things"}
        draw(two, MASKS, tmp_path, "test", 0.95)
        assert {p.name for p in tmp_path.iterdir()} == {"curves.svg", "context.svg"}

    def test_without_annotations_the_tables_say_so(self, two):
        bare = {name: found[~found.condition.str.contains("_")] for name, found in two.items()}
        tables = build_tables(bare, MASKS, "profile test")
        assert "No image of the study has an annotated thing" in tables["cues"].markdown()
        assert (tables["context"].frame.n == 0).all()


def test_intervals_of_groups_are_those_of_means_of_clusters():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 5)
    values = rng.random(20)[groups] * 0.5 + rng.random(100) * 0.1
    index = pd.MultiIndex.from_arrays([groups, range(100)], names=["group", "image_id"])
    grouped = mean_with_interval(pd.Series(values, index))
    of_means = mean_with_interval(values.reshape(20, 5).mean(1))
    assert grouped == pytest.approx(of_means)
    alone = mean_with_interval(values)
    assert alone.high - alone.low < grouped.high - grouped.low
