"""What an interrupted run left for the next one, spoilt by whatever befell the disk: done again, or told in a line."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import parameters
import torch
from fuzzing import MB, Fuzz, as_json, bytes_of, json_of

from har.config.resolved import resolved
from har.core import cache
from har.training.checkpoint import Checkpoint
from stages.lib.context import read_context

BOUND = 128 * MB


@dataclass(frozen=True)
class Kept:
    values: np.ndarray
    told: list
    frame: pd.DataFrame


def made() -> Kept:
    return Kept(np.arange(6.0).reshape(2, 3), ["a", (1, 2.5, None)], pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}))


def test_finished_work(tmp_path):
    """What was kept comes back as it was, or is done again."""
    whole = cache._kept(tmp_path, made, (), {}, False)
    good = (tmp_path / cache.RESULT).read_bytes()

    def read(case):
        (tmp_path / cache.RESULT).write_bytes(case)
        found = cache._kept(tmp_path, made, (), {}, False)
        assert np.array_equal(found.values, whole.values)
        assert found.told == whole.told
        assert found.frame.equals(whole.frame)

    Fuzz("Kept results", tmp_path, BOUND).run(bytes_of(good), read, good)


def test_a_training_half_done(tmp_path):
    """What was kept comes back whole, or the training begins anew."""

    def begun():
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 2)
        return model, Checkpoint(tmp_path / "running.pt", model=model)

    model, running = begun()
    fresh, kept = model.weight.detach().clone(), torch.full((2, 3), 0.25)
    model.load_state_dict(model.state_dict() | {"weight": kept})
    running.due = 0.0
    running.save(3, [{"loss": 0.5}])
    good = (tmp_path / "running.pt").read_bytes()

    def read(case):
        (tmp_path / "running.pt").write_bytes(case)
        model, running = begun()
        epoch, rows = running.load() or (0, [])
        assert (epoch, rows) in ((3, [{"loss": 0.5}]), (0, []))
        assert torch.equal(model.weight, kept if epoch else fresh)

    Fuzz("Kept training", tmp_path, BOUND).run(bytes_of(good), read, good)


def test_parameters_of_a_stage(tmp_path, monkeypatch):
    found = json.loads(json.dumps(resolved(parameters.params())))
    (tmp_path / "dvc.yaml").write_bytes(Path("dvc.yaml").read_bytes())
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)

    def load(case):
        Path("data/params.json").write_bytes(case)
        read_context("train", ["activity", "clip"])

    Fuzz("Parameters of a stage", tmp_path, BOUND).run(json_of(found), load, as_json(found))
