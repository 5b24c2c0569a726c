"""What an interrupted run left for the next one, spoilt by whatever befell the disk: done again, or told in a line."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fuzzing import MB, Fuzz, as_json, bytes_of, json_of

from har import resume
from har.params.settings import read
from har.progress import Progress

BOUND = 128 * MB


@dataclass(frozen=True)
class Kept:
    values: np.ndarray
    told: list
    frame: pd.DataFrame


def made() -> Kept:
    return Kept(np.arange(6.0).reshape(2, 3), ["a", (1, 2.5, None)], pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}))


def test_finished_work(tmp_path):
    resume.write(tmp_path / resume.RESULT, made())
    good = (tmp_path / resume.RESULT).read_bytes()

    def read(case):
        (tmp_path / resume.RESULT).write_bytes(case)
        resume._kept(tmp_path, (Kept,), made, (), {}, False)

    Fuzz("Kept results", tmp_path, BOUND).run(bytes_of(good), read, good)


def test_a_training_half_done(tmp_path):
    def begun():
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 2)
        return model, Progress(tmp_path / "running.pt", model=model)

    progress = begun()[1]
    progress.since -= 1000
    progress.save(3, [{"loss": 0.5}])
    good = (tmp_path / "running.pt").read_bytes()

    def read(case):
        (tmp_path / "running.pt").write_bytes(case)
        model, progress = begun()
        epoch = progress.resume(0, [])[0]
        assert epoch in (0, 3)
        assert torch.isfinite(model.weight).all()

    Fuzz("Kept training", tmp_path, BOUND).run(bytes_of(good), read, good)


def test_settings_of_a_stage(tmp_path):
    found = json.loads(Path("data/settings/train-activity-clip.json").read_text())

    def load(case):
        (tmp_path / "stage.json").write_bytes(case)
        read(tmp_path / "stage.json")

    Fuzz("Settings of a stage", tmp_path, BOUND).run(json_of(found), load, as_json(found))
