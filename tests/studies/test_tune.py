"""Candidates of settings: each predicted without its fold, the lowest log loss first, others in force named."""

import numpy as np
import pandas as pd
import parameters
import pytest
from conftest import CLASSES
from parameters import error
from test_learning_curve import images
from test_models import MLP

from har.config.profile import load_params
from har.config.studies import Tune
from har.core.files import write_text
from har.studies import tune
from har.training.refit import Recipe
from har.training.run import TrainingResult
from stages.check import check_tuned

SETTINGS = Tune(folds=3, seed=4, runs=2, models={})


def test_each_run_predicts_each_image_by_a_fit_that_did_not_see_it():
    split, x = images()

    def fit_all(fits, *_):
        assert {fit.seed for fit in fits} == {4, 5}
        for fit in fits:
            parts = fit.train, fit.validation, fit.predict_rows
            assert sorted(np.concatenate(parts)) == list(range(len(split)))
            assert (len(fit.validation) > 0) == (fit.model == "b")
        return [TrainingResult(np.stack([fit.predict_rows + fit.seed] * 3, axis=1)) for fit in fits]

    recipes = {"a": Recipe(MLP, x), "b": Recipe(MLP.model_copy(update={"patience": 1}), x)}
    for found in tune.out_of_fold(recipes, split, CLASSES, SETTINGS, fit_all).values():
        np.testing.assert_array_equal(found, np.add.outer(range(36), [[4] * 3, [5] * 3]))


def test_the_lowest_log_loss_comes_first_with_standard_errors():
    y = np.arange(60) % 3
    sure = np.full((60, 1, 3), 0.1)
    sure[np.arange(60), 0, y] = 0.8
    sure[:6] = 1 / 3
    images = pd.DataFrame({"image_id": range(60), "label": [CLASSES[k] for k in y]})
    found = {"flat": np.full((60, 1, 3), 1 / 3), "sure": sure}
    first, second = tune.scores(found, images, CLASSES)
    losses = np.r_[np.full(6, np.log(3)), np.full(54, -np.log(0.8))]
    variance = 2 * (18 / 20 * 2 / 20 / 20) / 9  # classes 1 and 2; of class 0 all are right
    assert (first["settings"], second["settings"]) == ("sure", "flat")
    assert first["log_loss"] == pytest.approx(losses.mean())
    assert first["log_loss_se"] == pytest.approx(losses.std() / 60**0.5)
    assert first["balanced_accuracy"] == pytest.approx((20 + 18 + 18) / 60)
    assert first["balanced_accuracy_se"] == pytest.approx(variance**0.5)
    assert second["difference"] == pytest.approx(np.log(3) - losses.mean())
    frames = pd.concat([images.assign(clip=[f"c{i}" for i in range(60)])] * 2)
    of_clips, _ = tune.scores({name: np.concatenate([one] * 2) for name, one in found.items()}, frames, CLASSES)
    assert (of_clips["n"], of_clips["log_loss_se"]) == (60, pytest.approx(first["log_loss_se"]))
    text = tune.tune_table("clip", [first, second], SETTINGS, "profile sample").markdown()
    assert "60 images of train and validation in 3 folds, each predicted by 2 runs" in text


def test_a_mistake_is_named(tmp_path):
    for models, said in (
        ({"clip": {"head": ["probe", "text"]}, "vit": {"epochs": [1, 2, 3]}}, "expected as many values of each"),
        ({"clip": {"head": ["probe", "prob"]}}, "tune.models.clip: head: input should be"),
        ({"clap": {"epochs": [1, 2]}}, "tune.models names 'clap', expected one of"),
    ):
        assert said in error(tmp_path, {"tune.models": models})


def test_candidates_that_do_not_fit_the_rest_are_left_out(tmp_path):
    heads = {"tune.models": {"clip": {"head": ["probe", "text"]}}}
    assert list(parameters.profile().candidates("clip")) != []
    file = parameters.write(tmp_path, heads | {"models.clip.pretrained": False, "models.clip.head": "probe"})
    assert list(load_params(file).active.candidates("clip")) == ["head probe"]


def test_check_says_where_other_settings_are_in_force(tmp_path, monkeypatch, capsys):
    params = load_params(
        parameters.write(tmp_path, {"tune.models": {"clip": {"epochs": [3, 5]}}, "models.clip.epochs": 3})
    )
    monkeypatch.chdir(tmp_path)
    check_tuned(params)
    header = "settings,difference,difference_se"
    write_text("reports/sample/tune/clip.csv", f"{header}\nepochs 3,,0\nepochs 5,0.1,0.02\n")
    check_tuned(params)
    assert not capsys.readouterr().out
    write_text("reports/sample/tune/clip.csv", f"{header}\nepochs 5,,0\nepochs 3,0.1,0.02\n")
    check_tuned(params)
    assert capsys.readouterr().out.startswith("models.clip: epochs 3; epochs 5 has a log loss lower by 0.1 ± 0.02 out")
