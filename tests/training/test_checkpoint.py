"""An interrupted training goes on where it stood, and nothing comes out otherwise."""

from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import CLASSES, one_by_one
from test_loop import AUGMENTED, FINETUNE, images, run, split_of

from har.core import cache
from har.training import checkpoint, experiment, loop
from har.training.checkpoint import Checkpoint
from har.training.refit import Recipe

STOPPING = AUGMENTED.model_copy(update={"epochs": 4, "patience": 2, "dropout": 0.2, "conv_dropout": 0.1})
LORA = FINETUNE.model_copy(update={"epochs": 3, "adapt": "lora", "augmentation": ["color_jitter"]})


class Interrupted(Exception):
    pass


@pytest.fixture
def every_epoch(monkeypatch):
    """Epochs of milliseconds are kept too; returns a way to interrupt after so many of them."""
    save, left = Checkpoint.save, [-1]

    def counted(self, *carried):
        self.due = 0.0
        save(self, *carried)
        left[0] -= 1
        if left[0] == 0:
            raise Interrupted

    monkeypatch.setattr(Checkpoint, "save", counted)
    return partial(left.__setitem__, 0)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("config", [STOPPING, LORA], ids=["network, early stopping", "low-rank updates"])
def test_a_training_goes_on_from_any_epoch_as_if_undisturbed(every_epoch, config, strength, checkpoints, tmp_path):
    inputs = images(size=32 if config.kind == "finetune" else 16)
    backbone = checkpoints["vit"] if config.kind == "finetune" else None

    def trained(name: str, keep: Path | None = None):
        return run(config, inputs, strength, 3, backbone=backbone, checkpoint=tmp_path / name, keep=keep)

    whole = trained("whole")
    for after in range(1, len(whole.history)):
        keep = tmp_path / f"after-{after}"
        keep.mkdir()
        every_epoch(after)
        with pytest.raises(Interrupted):
            trained("interrupted", keep)
        every_epoch(-1)
        torch.rand(after)  # another process has drawn other numbers by then
        state = (keep / cache.RUNNING).stat().st_mtime_ns
        again = trained("resumed", keep)
        assert again.probabilities.tobytes() == whole.probabilities.tobytes()
        assert (again.history, again.epoch) == (whole.history, whole.epoch)
        assert files(tmp_path / "resumed") == files(tmp_path / "whole")
        assert (keep / cache.RUNNING).stat().st_mtime_ns > state or after == len(whole.history) - 1


def test_a_kept_training_that_is_damaged_or_of_another_device_is_not_gone_on_with(tmp_path, monkeypatch):
    """torch.load reads over wrong numbers, and over a state of the random numbers that can't be set."""
    model = torch.nn.Linear(3, 2)
    kept = Checkpoint(tmp_path / "running.pt", model=model)
    kept.due = 0.0
    kept.save(3)
    whole = (tmp_path / "running.pt").read_bytes()
    assert kept.load() == (3,)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_random", lambda: [torch, torch.cuda])
        assert kept.load() is None
    places = [model.weight.detach().numpy().tobytes(), torch.get_rng_state().numpy().tobytes()[:64]]
    changed = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in map(whole.index, places)]
    for spoilt in (*changed, whole[:-100], b"", b"\x80\x04\x95 a pickle"):
        (tmp_path / "running.pt").write_bytes(spoilt)
        assert kept.load() is None


def test_a_full_disk_stops_the_keeping_and_not_the_training(every_epoch, strength, tmp_path, monkeypatch):
    whole = run(STOPPING, images(), strength)

    def full(state, path):
        path.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed")

    monkeypatch.setattr(checkpoint.torch, "save", full)
    assert run(STOPPING, images(), strength, keep=tmp_path).history == whole.history
    assert not list(tmp_path.iterdir())


def test_a_run_that_died_is_trained_again_and_no_other(strength, tmp_path, monkeypatch):
    inputs, real, started = images(28), loop.train, []

    def seeds(name):
        return experiment.run(
            Recipe(STOPPING, inputs.x), CLASSES, split_of(inputs), training=one_by_one(seeds=[0, 1, 2]),
            strength=strength, name="test", checkpoint=tmp_path / "models" / name, keep=tmp_path / name,
        )  # fmt: skip

    def dies_once(config, classes, inputs, seed, **options):
        started.append(seed)
        if started == [0, 1]:
            raise Interrupted
        return real(config, classes, inputs, seed, **options)

    whole = seeds("undisturbed")
    monkeypatch.setattr(loop, "train", dies_once)
    with pytest.raises(Interrupted):
        seeds("keep")
    again = seeds("keep")
    assert started == [0, 1, 1, 2]
    for one, other in zip(whole[:2], again[:2], strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert whole[2] == again[2]
    assert files(tmp_path / "models/keep") == files(tmp_path / "models/undisturbed")
