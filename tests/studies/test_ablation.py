"""Variants of a model: settings that are checked, the same images for all, differences that are the predictions'."""

import json
from functools import partial

import numpy as np
import pandas as pd
import parameters
import pytest
from conftest import CLASSES
from parameters import error
from test_learning_curve import ALONE, images
from test_models import FINETUNE, MLP

from har.config.profile import load_params
from har.config.studies import Ablation
from har.data.groups import assign_folds
from har.evaluation.predictions import HELD_OUT, OUT_OF_FOLD, in_split, predicted_classes
from har.studies.ablation.fit import ablate, changes
from har.studies.ablation.report import ablation_table, forest, scores
from har.training.loop import train
from har.training.refit import Recipe, fit_all
from har.training.run import Inputs

SETTINGS = Ablation(folds=3, seed=4, reference="full", variants={"full": {"model": "clip", "set": {}}})
CHANGED = {"full": "m", "wide": "m; hidden 32 (not 16, 8)", "still": "m; dropout 0 (not 0.2)"}


@pytest.fixture(scope="module")
def fitted(strength):
    split, x = images()
    recipes = {
        "full": Recipe(MLP, x),
        "wide": Recipe(MLP.model_copy(update={"hidden": [32]}), x),
        "still": Recipe(MLP.model_copy(update={"learning_rate": 1e-12}), x),
    }
    return ablate(recipes, split, CLASSES, SETTINGS, partial(fit_all, training=ALONE, strength=strength, name="x"))


def of_clip(**changed):
    return {"model": "clip", "set": changed}


class TestSettings:
    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"lora": of_clip(adpt="lora")}, "variants.lora.set: unknown key adpt; the nearest valid key is adapt"),
            ({"lora": of_clip(kind="mlp")}, "ablation.variants.lora.set.kind: a model keeps"),
            ({"lora": {"model": "clap", "set": {}}}, "ablation.variants.lora.model names 'clap', expected one of"),
            ({"lora": of_clip(backbone="vti")}, "ablation.variants.lora.set.backbone names 'vti'"),
            ({"full": of_clip(pretrained=False, head="text")}, "variants.full.set: head text needs pretrained true"),
            ({"../lora": of_clip()}, "ablation.variants"),
        ],
    )
    def test_a_mistake_is_named_before_any_work(self, tmp_path, changed, said):
        variants = {"full": of_clip(), "lora": of_clip(adapt="lora")} | changed
        assert said in error(tmp_path, {"ablation.variants": variants, "ablation.reference": "full"})
        assert "ablation: reference names 'fall'" in error(tmp_path, {"ablation.reference": "fall"})

    @pytest.mark.parametrize(
        ("changes", "left_out"),
        [
            ({}, {}),
            ({"head": "text"}, {"text": "the same as full", "random": "head text needs pretrained true"}),
            ({"pretrained": False}, {"random": "the same as full", "text": "head text needs pretrained true"}),
        ],
    )
    def test_a_changed_model_leaves_out_what_says_nothing_beside_it(self, tmp_path, changes, left_out):
        variants = {"text": of_clip(head="text"), "random": of_clip(pretrained=False), "full": of_clip()}
        start = {"head": "probe", "pretrained": True, "view": "image", "adapt": "full"} | changes
        written = {f"models.clip.{key}": value for key, value in start.items()}
        written |= {"ablation.variants": variants, "ablation.reference": "full"}
        kept, out = load_params(parameters.write(tmp_path, written)).active.variants()
        assert list(kept) == [name for name in variants if name not in out]
        assert out.keys() == left_out.keys()
        assert all(out[name].startswith(said) for name, said in left_out.items())

    def test_a_text_head_in_the_run_learns_from_embeddings(self, tmp_path):
        text = {"models.clip.head": "text", "models.clip.pretrained": True}
        where = "run.train.activity-clip.input"
        said = error(tmp_path, text | {where: "backbones/clip"})
        assert f"{where} names 'backbones/clip', expected one of embeddings/clip" in said
        file = parameters.write(tmp_path, text | {where: "embeddings/clip"})
        assert load_params(file).active.models["clip"].head == "text"

    def test_changes_are_told_for_people(self):
        base = FINETUNE.model_dump()
        variant = FINETUNE.model_copy(update={"pretrained": False, "augmentation": ["rotation"], "learning_rate": 3e-5})
        assert changes("clip", base, variant.model_dump(), False) == (
            "CLIP: learning rate 3e-05 (not 0.001); augmentation rotation (not none); "
            "weights drawn at random (not pre-trained weights)"
        )
        assert changes("clip", base, base, True) == "CLIP: as in the tables"


class TestPredictions:
    def test_a_fit_is_the_training_on_the_other_folds(self, fitted, strength):
        split, x = images()
        frames, parameters = fitted
        assert parameters["full"] == parameters["still"] != parameters["wide"]
        dev = np.flatnonzero(in_split(split, OUT_OF_FOLD))
        fold = assign_folds(split.label[dev], None, 3, 4)
        y = pd.Index(CLASSES).get_indexer(split.label)
        rows = np.flatnonzero(in_split(split, HELD_OUT))
        outcome = train(MLP, CLASSES, Inputs(x, y, dev[fold != 1], dev[:1], rows), 4, strength=strength)
        frame = frames["full"]
        told = frame[in_split(frame, HELD_OUT) & (frame.seed == 1)].filter(like="p_")
        np.testing.assert_array_equal(told.to_numpy(), outcome.probabilities)


class TestReport:
    @pytest.fixture(scope="class")
    def rows(self, fitted):
        report = parameters.profile().report.model_copy(update={"resamples": 200})
        return scores(*fitted, CHANGED, "full", report)

    def test_differences_are_those_of_the_predictions(self, fitted, rows):
        json.dumps(rows, allow_nan=False)
        assert [(row["variant"], row["split"]) for row in rows] == [
            (name, split) for split in (OUT_OF_FOLD, HELD_OUT) for name in ("full", "wide", "still")
        ]
        for row in rows:
            frames = (frame[in_split(frame, row["split"])] for frame in (fitted[0][row["variant"]], fitted[0]["full"]))
            mine, full = (
                (predicted_classes(frame) == frame.label).groupby(frame.label).mean().mean() for frame in frames
            )
            assert row["balanced_accuracy"] == pytest.approx(mine, abs=1e-6)
            if row["variant"] == "full":
                assert row["difference"] is None
            else:
                assert row["difference"] == pytest.approx(mine - full, abs=1e-6)

    def test_table_and_figure(self, rows, tmp_path):
        text = ablation_table(rows, "full", "made by", left_out={"text_head": "the same as full"}).markdown()
        for said in ("made by", "Each variant is trained 3 times", "hidden 32 (not 16, 8)"):
            assert said in text
        assert "Left out: text head (the same as full)." in text
        forest(rows, "full", tmp_path / "forest.svg", "Ablations")
        assert "above 0: better" in (tmp_path / "forest.svg").read_text()
        forest(rows[:1], "full", tmp_path / "alone.svg", "One variant")
