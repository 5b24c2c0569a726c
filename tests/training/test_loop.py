"""A training run repeats to the byte, selects on validation only, and says when it can't go on."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import CLASSES, one_by_one, picture
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from test_models import CNN, DENSE, FINETUNE, MLP

from har.core.errors import HarError
from har.evaluation.predictions import collapsed_runs
from har.models.build import build
from har.models.classifier import head_inputs
from har.training import experiment, loop
from har.training.loop import Inputs, train
from har.training.refit import Recipe

PROBE = FINETUNE.model_copy(update={"head": "probe"})


def images(n: int = 20, size: int = 16, classes: int = 3) -> Inputs:
    """Pictures whose brightness tells the class; the last quarter is for validation."""
    y = np.arange(n) % classes
    x = np.stack([picture(i, size, size).transpose(2, 0, 1) // 2 + np.uint8(60 * y[i]) for i in range(n)])
    cut = n - n // 4
    return Inputs(x, y, np.arange(cut), np.arange(cut, n), np.arange(n))


def run(config, inputs, strength, seed=0, **options):
    return train(config, CLASSES, inputs, seed, strength=strength, device="cpu", **options)


AUGMENTED = CNN.model_copy(
    update={"batch_norm": True, "conv_dropout": 0.1, "dropout": 0.3, "patience": 5, "epochs": 3,
            "augmentation": ["vertical_flip", "perspective", "random_resized_crop", "gaussian_blur"]}
)  # fmt: skip


KINDS = {
    "cnn": (CNN, images()),
    "dense": (DENSE, images()),
    "cnn_gen": (AUGMENTED, images()),
    "mlp": (MLP, replace(images(24), x=np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32))),
    "clip": (PROBE.model_copy(update={"augmentation": ["horizontal_flip"], "warmup": 0.1}), images(size=32)),
}


@pytest.mark.parametrize("name", KINDS)
def test_one_seed_gives_the_same_bytes_and_another_does_not(strength, checkpoints, name):
    (config, inputs), backbone = KINDS[name], checkpoints.get(name)
    first, again, other = (run(config, inputs, strength, seed, backbone=backbone) for seed in (0, 0, 1))
    assert first.probabilities.tobytes() == again.probabilities.tobytes()
    np.testing.assert_allclose(first.probabilities.sum(1), 1, atol=1e-12)
    assert first.history == again.history
    assert first.probabilities.tobytes() != other.probabilities.tobytes()


class TestSelection:
    @pytest.mark.parametrize(("patience", "least"), [(3, 0), (2, 6)])
    def test_early_stopping_keeps_the_epoch_of_the_lowest_validation_loss(self, strength, patience, least):
        changes = {"epochs": 25, "patience": patience, "min_epochs": least, "learning_rate": 0.02}
        inputs = images()
        # validation labels that training contradicts: the validation loss turns upwards early
        inputs.y[inputs.validation] = (inputs.y[inputs.validation] + 1) % 3
        outcome = run(CNN.model_copy(update=changes), inputs, strength)
        losses = [row["validation_loss"] for row in outcome.history]
        first = max(0, least - 1)  # no epoch before the least is kept
        assert outcome.epoch == first + int(np.argmin(losses[first:])) + 1
        assert outcome.validation_loss == min(losses[first:])
        assert len(losses) == min(25, outcome.epoch + patience)
        # the probabilities are those of the kept weights, not of the last ones
        kept = outcome.probabilities[inputs.validation, inputs.y[inputs.validation]]
        assert -np.log(kept).mean() == pytest.approx(outcome.validation_loss, rel=1e-4)

    def test_labels_outside_train_and_validation_change_nothing(self, strength):
        inputs = images(24)
        unknown = inputs.y.copy()
        unknown[inputs.train[12:]] = -1
        part = replace(inputs, train=inputs.train[:12])
        first, second = (run(AUGMENTED, replace(part, y=y), strength) for y in (inputs.y, unknown))
        assert first.probabilities.tobytes() == second.probabilities.tobytes()


def test_a_device_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(HarError, match="device cuda: this machine has none that torch can use"):
        loop.pick_device("cuda")


@given(st.integers(2, 60), st.integers(1, 20))
def test_batches_hold_each_row_once_and_none_is_of_one(n, size):
    batches = loop.batches(torch.randperm(n), size)
    assert sorted(torch.cat(batches).tolist()) == list(range(n))
    assert all(len(batch) <= size + 1 for batch in batches)
    assert size == 1 or all(len(batch) > 1 for batch in batches)


@given(st.integers(20, 500), st.floats(0, 0.9))
def test_the_learning_rate_warms_up_and_then_falls_to_zero(steps, warmup):
    rates = np.array([loop.rate_factor(step, steps, warmup) for step in range(steps)])
    assert ((rates > 0) & (rates <= 1)).all()
    top = int(np.argmax(rates))
    assert top <= math.ceil(warmup * steps)
    assert (np.diff(rates[: top + 1]) >= 0).all()
    assert (np.diff(rates[top:]) <= 0).all()
    assert loop.rate_factor(steps, steps, warmup) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("name", "classes"), [("clip", CLASSES), ("siglip2", CLASSES[1:]), ("vit", CLASSES)])
def test_the_probed_head_is_scikit_learns_logistic_regression(checkpoints, name, classes):
    torch.manual_seed(0)
    model, preprocess = build(PROBE, classes, checkpoints[name])
    inputs = images(24, 32, len(classes))
    x, y = torch.from_numpy(inputs.x), torch.from_numpy(inputs.y)
    frozen = loop.predict(model, x, preprocess.normalise, head_inputs).double().numpy()
    loop._probe_head(model, preprocess.normalise, x[inputs.train], y[inputs.train], 0.3)
    ours = torch.softmax(loop.predict(model, x, preprocess.normalise).double(), 1).numpy()
    mean, std = frozen[inputs.train].mean(0), frozen[inputs.train].std(0) + 1e-8
    probe = LogisticRegression(C=0.3, max_iter=2000).fit((frozen[inputs.train] - mean) / std, inputs.y[inputs.train])
    np.testing.assert_allclose(ours, probe.predict_proba((frozen - mean) / std), atol=1e-4)


def split_of(inputs: Inputs) -> pd.DataFrame:
    parts = np.full(len(inputs.x), "train", object)
    parts[inputs.validation] = "validation"
    parts[inputs.validation[-3:]] = "test"
    return pd.DataFrame(
        {"image_id": np.arange(len(inputs.x)) + 100, "label": [CLASSES[i] for i in inputs.y], "split": parts}
    )


class TestExperiment:
    def all_seeds(self, config, inputs, strength, checkpoint=None, backbone=None, split=None, **training):
        settings = one_by_one(**({"seeds": [0, 1, 2]} | training))
        return experiment.run(
            Recipe(config, inputs.x, backbone), CLASSES, split_of(inputs) if split is None else split,
            training=settings, strength=strength, name="activity-test", checkpoint=checkpoint,
        )  # fmt: skip

    @pytest.mark.parametrize("backend", ["processes", pytest.param("loky", marks=pytest.mark.slow)])
    def test_side_by_side_gives_the_same_bytes_as_one_by_one(self, strength, backend):
        inputs = images(28)
        one = self.all_seeds(AUGMENTED, inputs, strength)
        two = self.all_seeds(AUGMENTED, inputs, strength, jobs=2, backend=backend)
        pd.testing.assert_frame_equal(one[0], two[0], check_exact=True)
        pd.testing.assert_frame_equal(one[1], two[1], check_exact=True)
        assert one[2] == two[2]
        wanted = split_of(inputs).query("split != 'train'").reset_index(drop=True)
        for _, told in one[0].groupby("seed"):  # every image outside train once
            pd.testing.assert_frame_equal(told[list(wanted)].reset_index(drop=True), wanted)

    def test_the_checkpoint_is_that_of_the_lowest_validation_loss(self, strength, checkpoints, tmp_path):
        inputs = images(28, 32)
        predictions, curves, about = self.all_seeds(
            FINETUNE, inputs, strength, checkpoint=tmp_path / "kept", backbone=checkpoints["vit"]
        )
        assert curves.groupby("seed").epoch.max().mean() == about["epochs"]
        assert about["kept_seed"] == curves.groupby("seed").validation_loss.last().idxmin()
        assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == [
            "config.json", "model.safetensors", "preprocessor_config.json"
        ]  # fmt: skip
        model, preprocess = build(FINETUNE, CLASSES, tmp_path / "kept")  # classes fit: the head is loaded, not drawn
        told = predictions[predictions.seed == about["kept_seed"]]
        rows = torch.from_numpy(inputs.x[told.image_id.to_numpy() - 100])
        ours = torch.softmax(loop.predict(model, rows, preprocess.normalise), 1)
        np.testing.assert_allclose(told[[f"p_{name}" for name in CLASSES]], ours, atol=1e-5)

    def test_a_run_that_collapsed_is_named_in_the_log(self, strength, capsys):
        still = CNN.model_copy(update={"learning_rate": 1e-12})  # as drawn, a network sees little in such images
        predictions, _, _ = self.all_seeds(still, images(28), strength)
        found, log = collapsed_runs(predictions), capsys.readouterr()
        assert found
        for seed, label in found.items():
            assert f"activity-test seed {seed}: collapsed, it predicts {label} for every image" in log.out + log.err

    def test_a_class_missing_from_a_part_is_told(self, strength):
        split = split_of(images(28))
        split.loc[(split.split == "validation") & (split.label == "sitting"), "label"] = "standing"
        with pytest.raises(HarError, match="activity-test: no validation image of class sitting"):
            self.all_seeds(CNN, images(28), strength, split=split)

    def test_an_error_in_a_process_of_its_own_is_still_one_line(self, strength):
        config = DENSE.model_copy(update={"learning_rate": 1e30, "epochs": 4})
        with pytest.raises(HarError, match=r"^seed \d: the loss is not finite in epoch \d; lower learning_rate"):
            self.all_seeds(config, images(28), strength, jobs=2, backend="processes")

    def test_curves_hold_the_rate_of_the_weights_and_not_of_a_new_head(self, strength, checkpoints):
        config = FINETUNE.model_copy(update={"learning_rate": 3e-8, "head_learning_rate": 0.001, "epochs": 2})
        _, curves, _ = self.all_seeds(config, images(28, 32), strength, backbone=checkpoints["vit"], seeds=[0])
        assert curves.learning_rate.tolist() == pytest.approx([1.5e-8, 0.0], rel=1e-3)


def test_a_bad_start_is_no_divergence():
    config = CNN.model_copy(update={"epochs": 9, "learning_rate": 0.001})

    def check(loss, first, epoch):
        history = [{"train_loss": first}] * (epoch - 1)
        loop.record(history, loss, torch.zeros(2, 3), torch.tensor([0, 1]), 0.001, 7, config)
        assert len(history) == epoch

    check(900.0, None, 1)  # the first epoch may come from anywhere
    check(80.0, 900.0, 8)
    check(5.0, 1.1, 9)
    with pytest.raises(HarError, match=r"^seed 7: training diverges, the loss is 80 in epoch 9"):
        check(80.0, 900.0, 9)
    with pytest.raises(HarError, match=r"is 6 in epoch 3 \(guessing gives 1\.1.*lower learning_rate \(now 0\.001\)"):
        check(6.0, 1.1, 3)
