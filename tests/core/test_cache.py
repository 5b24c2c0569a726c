"""Interrupted work: what is finished is kept, a training goes on where it stood, and nothing comes out otherwise."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import CLASSES
from joblib import delayed
from test_loop import AUGMENTED, FINETUNE, MLP, features, images, split_of

from har.config.models import Probe
from har.config.studies import NoiseTerms
from har.config.training import Training
from har.core import cache
from har.core.cache import Digest, content, kept_calls, read, write
from har.studies.noise.runs import Learnt, Run
from har.training import experiment, loop, probe, progress
from har.training.refit import Fitted
from har.training.run import Outcome

STOPPING = AUGMENTED.model_copy(update={"epochs": 4, "patience": 2, "dropout": 0.2, "conv_dropout": 0.1})
KINDS = {
    "network, early stopping": STOPPING,
    "mlp": MLP.model_copy(update={"epochs": 3, "dropout": 0.3}),
    "fine-tuned": FINETUNE.model_copy(update={"epochs": 3}),
    "low-rank updates": FINETUNE.model_copy(update={"epochs": 3, "adapt": "lora", "augmentation": ["color_jitter"]}),
}


class Interrupted(Exception):
    pass


@pytest.fixture
def every_epoch(monkeypatch):
    """Epochs of milliseconds are kept too; returns a way to interrupt after so many of them."""
    monkeypatch.setattr(progress, "SHARE", np.inf)
    save, left = progress.Progress.save, [-1]

    def counted(self, *carried):
        save(self, *carried)
        left[0] -= 1
        if left[0] == 0:
            raise Interrupted

    monkeypatch.setattr(progress.Progress, "save", counted)

    def interrupt(after: int) -> None:
        left[0] = after

    return interrupt


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_goes_on_from_any_epoch_as_if_undisturbed(every_epoch, kind, strength, checkpoints, tmp_path):
    config = KINDS[kind]
    inputs = features() if config.kind == "mlp" else images(size=32 if config.kind == "finetune" else 16)
    backbone = checkpoints["vit"] if config.kind == "finetune" else None

    def run(name: str, keep: Path | None = None):
        return loop.train(
            config, CLASSES, inputs, 3, strength=strength, backbone=backbone, checkpoint=tmp_path / name, keep=keep
        )

    whole = run("whole")
    for after in range(1, len(whole.history)):
        keep = tmp_path / f"after-{after}"
        keep.mkdir()
        every_epoch(after)
        with pytest.raises(Interrupted):
            run("interrupted", keep)
        every_epoch(-1)
        torch.rand(after)  # another process has drawn other numbers by then
        state = (keep / cache.RUNNING).stat().st_mtime_ns
        again = run("resumed", keep)
        assert again.probabilities.tobytes() == whole.probabilities.tobytes()
        assert (again.history, again.epoch, again.validation_loss) == (
            whole.history, whole.epoch, whole.validation_loss
        )  # fmt: skip
        assert files(tmp_path / "resumed") == files(tmp_path / "whole")
        assert (keep / cache.RUNNING).stat().st_mtime_ns > state or after == len(whole.history) - 1


def test_it_goes_on_at_the_epoch_that_was_reached(every_epoch, strength, tmp_path, monkeypatch):
    every_epoch(3)
    config = STOPPING.model_copy(update={"patience": 0})
    with pytest.raises(Interrupted):
        loop.train(config, CLASSES, images(), 3, strength=strength, keep=tmp_path)
    validated = []
    monkeypatch.setattr(loop, "record", lambda *args, real=loop.record: validated.append(1) or real(*args))
    every_epoch(-1)
    assert len(loop.train(config, CLASSES, images(), 3, strength=strength, keep=tmp_path).history) == 4
    assert len(validated) == 1


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_spoilt_state_costs_the_run_and_nothing_else(every_epoch, strength, tmp_path):
    whole = loop.train(STOPPING, CLASSES, images(), 3, strength=strength)
    for spoilt in (b"", b"PK\x03\x04 and no more", b"\x80\x04\x95 a pickle"):
        (tmp_path / cache.RUNNING).write_bytes(spoilt)
        again = loop.train(STOPPING, CLASSES, images(), 3, strength=strength, keep=tmp_path)
        assert again.probabilities.tobytes() == whole.probabilities.tobytes()


def test_a_changed_bit_of_a_kept_training_is_seen(tmp_path):
    """torch.load reads over wrong numbers, and over a state of the random numbers that can't be set."""
    model = torch.nn.Linear(3, 2)
    kept = progress.Progress(tmp_path / "running.pt", model=model)
    kept.since -= 1000
    kept.save(3)
    whole = (tmp_path / "running.pt").read_bytes()
    assert kept.resume(0) == (3,)
    for part in (model.weight.detach().numpy().tobytes(), torch.get_rng_state().numpy().tobytes()[:64]):
        at = whole.index(part)
        (tmp_path / "running.pt").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert kept.resume(0) == (0,)


def test_a_full_disk_stops_the_keeping_and_not_the_training(every_epoch, strength, tmp_path, monkeypatch):
    whole = loop.train(STOPPING, CLASSES, images(), 3, strength=strength)

    def full(state, path):
        path.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed")

    monkeypatch.setattr(progress.torch, "save", full)
    again = loop.train(STOPPING, CLASSES, images(), 3, strength=strength, keep=tmp_path)
    assert again.probabilities.tobytes() == whole.probabilities.tobytes()
    assert not list(tmp_path.iterdir())


def test_keeping_takes_its_share_of_the_time_and_no_more(monkeypatch, tmp_path):
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(
        progress.torch, "save", lambda state, path: (path.write_bytes(b""), now.__setitem__(0, now[0] + 0.5))
    )
    kept = progress.Progress(tmp_path / "running.pt")
    spent = []
    for _ in range(1000):
        now[0] += 1.0
        before = now[0]
        kept.save()
        spent.append(now[0] - before)
    assert 0 < sum(spent) <= progress.SHARE * now[0] + 0.5
    assert min(np.diff(np.flatnonzero(spent))) >= 0.5 / progress.SHARE - 1


def test_a_changed_bit_of_a_kept_result_is_seen(tmp_path):
    value = [np.arange(1.0, 7.0), ["seventeen", 17]]
    write(tmp_path / "result", value)
    whole = (tmp_path / "result").read_bytes()
    np.testing.assert_equal(read(tmp_path / "result", ()), value)
    for part in (value[0].tobytes(), b"seventeen"):
        at = whole.index(part)
        (tmp_path / "result").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ValueError, match="not as it was written"):
            read(tmp_path / "result", ())


# --- units -----------------------------------------------------------------------------------------------------------

calls: list[tuple] = []


def unit(x: np.ndarray, factor: int, folder: Path | None = None) -> Fitted:
    calls.append((x.sum(), factor))
    if factor == 0:
        raise Interrupted
    return Fitted(x * factor, factor)


def in_turn(work, keep: Path) -> list:
    """What `work` gives, one call after the other, and how often `unit` was called."""
    calls.clear()
    return [call(*args, **options) for call, args, options in kept_calls(work, keep, [Fitted])[0]]


class TestUnits:
    x = np.arange(6.0).reshape(2, 3)

    def test_what_is_finished_is_not_done_again(self, tmp_path):
        work = [delayed(unit)(self.x, factor) for factor in (1, 2, 0)]
        with pytest.raises(Interrupted):
            in_turn(work, tmp_path)
        with pytest.raises(Interrupted):
            in_turn(work, tmp_path)
        assert calls == [(15.0, 0)]
        again = in_turn(work[:2], tmp_path)
        assert not calls
        np.testing.assert_array_equal(again[1].probabilities, self.x * 2)
        assert again[1].parameters == 2

    @pytest.mark.parametrize("spoil", [b"", b"{}", b"\x08\0\0\0\0\0\0\0{}      ", None])
    def test_a_spoilt_result_is_done_again(self, tmp_path, spoil):
        in_turn([delayed(unit)(self.x, 1)], tmp_path)
        (result,) = tmp_path.glob("*/result.safetensors")
        result.write_bytes(result.read_bytes()[:-1] if spoil is None else spoil)
        (again,) = in_turn([delayed(unit)(self.x, 1)], tmp_path)
        assert calls
        np.testing.assert_array_equal(again.probabilities, self.x)

    def test_whatever_decides_the_result_decides_its_place(self, tmp_path, monkeypatch):
        """And what lies there from before the change is removed."""
        folder = tmp_path / "backbone"
        folder.mkdir()
        (folder / "weights").write_text("1")

        def changed(array=self.x, factor=1):
            in_turn([delayed(unit)(array, factor, folder=folder)], tmp_path / "keep")
            assert len(list((tmp_path / "keep").iterdir())) == 1
            return bool(calls)

        assert changed()
        assert not changed(self.x.copy())  # equal is the same
        assert changed(self.x + 0.001)
        assert changed(self.x.astype(np.float32))
        assert changed(self.x.T)
        assert changed(factor=2)
        (folder / "weights").write_text("2")
        assert changed(factor=2)
        (folder / "more").write_text("")
        assert changed(factor=2)
        monkeypatch.setattr(cache.importlib.metadata, "version", lambda name: "0")
        assert changed(factor=2)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
        assert changed(factor=2)
        assert not changed(factor=2)

    def test_the_code_is_all_that_the_call_reaches(self, tmp_path, monkeypatch):
        (tmp_path / "har").mkdir()
        for name, source in {"a": "from har import b", "b": "", "c": ""}.items():
            (tmp_path / "har" / f"{name}.py").write_text(source)
        monkeypatch.setattr(cache, "ROOT", tmp_path)
        monkeypatch.setitem(cache.sys.modules, "har.a", type("module", (), {"__file__": str(tmp_path / "har/a.py")}))
        before = cache.code("har.a")
        (tmp_path / "har/c.py").write_text("x = 1")
        assert cache.code("har.a") == before
        (tmp_path / "har/b.py").write_text("x = 1")
        cache.closure.__globals__["imports"].cache_clear()
        assert cache.code("har.a") != before

    def test_values_that_look_alike_are_told_apart(self):
        values = [
            1, 1.0, True, "1", b"1", None, "None", [1], [[1]], (), {}, {"1": 1}, [1, [2]], [[1], 2], np.array(1),
            np.array([1]), np.array([1], np.int32), np.array(["1"]), np.zeros((0, 2)), np.zeros((2, 0)),
            pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}), pd.DataFrame({"a": ["1"]}), Run("1"),
            Run("1", bound=1.0),
        ]  # fmt: skip
        found = [Digest()(value) for value in values]
        assert len(set(found)) == len(values)
        assert found == [Digest()(value) for value in values]

    def test_a_fitted_probe_is_its_numbers(self):
        config = Probe(c=[0.1, 1.0], folds=2)
        x, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 3
        first, again, other = (Digest()(probe.fit(x + more, y, 3, config)) for more in (0, 0, x**2))
        assert first == again != other

    def test_what_has_no_digest_is_told_and_not_guessed(self):
        with pytest.raises(TypeError, match="a object has no digest"):
            Digest()([object()])


def test_results_come_back_as_they_were(tmp_path):
    frame = pd.DataFrame(
        {"image_id": [3, 1], "share": [0.1, np.nan], "label": ["sitting", "stehend ü"], "fine": [True, False]}
    )
    terms = NoiseTerms(patterns="class", margin=1.0, gain=0.5, size=0.1, masked=True)
    values = [
        Learnt(Run("class_noise", terms, bound=8.0), frame, frame[["label"]], np.zeros((3, 2), np.float32), 1.5),
        Learnt(Run("nothing"), frame, pd.DataFrame({"a": []}), None, 0.1),
        Outcome(3, np.random.default_rng(0).random((4, 3)), [{"epoch": 1, "loss": 0.1 + 0.2}], 1, np.inf, 7, 0.5),
        {"clip": frame, "vit": frame[:0]},
    ]
    for value in values:
        write(tmp_path / "r.safetensors", value)
        same(read(tmp_path / "r.safetensors", [Learnt, Run, NoiseTerms, Outcome]), value)
    assert content(tmp_path / "r.safetensors") == content(tmp_path / "r.safetensors")


def same(one, other) -> None:
    assert type(one) is type(other)
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    elif hasattr(one, "__dataclass_fields__"):
        for name in one.__dataclass_fields__:
            same(getattr(one, name), getattr(other, name))
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            same(one[key], other[key])
    else:
        assert one == other


class TestExperiment:
    def seeds(self, strength, keep, **settings):
        ray = {"address": "", "cpus": 1, "gpus": 0.0}
        given = {"seeds": [0, 1, 2], "jobs": 2, "backend": "processes", "ray": ray, "device": "cpu"}
        loop = Training(**(given | settings))
        inputs = images(28)
        return experiment.run(
            STOPPING, CLASSES, split_of(inputs), inputs.x, training=loop, strength=strength, name="test",
            checkpoint=keep.parent / "models" / keep.name, keep=keep,
        )  # fmt: skip

    def test_a_killed_process_costs_its_own_run_alone(self, strength, tmp_path, monkeypatch):
        whole = self.seeds(strength, tmp_path / "undisturbed")
        real, died = loop.train, tmp_path / "died"

        def dies(config, classes, inputs, seed, **options):
            (tmp_path / f"seed-{seed}").open("a").write("started\n")
            if seed == 1 and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return real(config, classes, inputs, seed, **options)

        monkeypatch.setattr(loop, "train", dies)
        with pytest.raises(Exception, match="terminated abruptly"):
            self.seeds(strength, tmp_path / "keep", jobs=2)
        finished = len(list((tmp_path / "keep").glob("*/result.safetensors")))
        again = self.seeds(strength, tmp_path / "keep")
        for one, other in zip(whole[:2], again[:2], strict=True):
            pd.testing.assert_frame_equal(one, other, check_exact=True)
        assert whole[2] == again[2]
        assert files(tmp_path / "models/keep") == files(tmp_path / "models/undisturbed")
        started = sum(len((tmp_path / f"seed-{seed}").read_text().split()) for seed in range(3))
        assert started <= 3 + 3 - finished  # what was finished was not started again

    def test_nothing_is_left_beside_the_weights(self, strength, tmp_path):
        self.seeds(strength, tmp_path / "keep", backend="sequential", jobs=1)
        assert [path.name for path in (tmp_path / "models").iterdir()] == ["keep"]
        about = json.loads((tmp_path / "models/keep/config.json").read_text())
        assert about["classes"] == CLASSES
        assert not list((tmp_path / "keep").glob(f"*/{cache.RUNNING}"))
