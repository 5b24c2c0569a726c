"""LoRA by two processes on one machine's cores learns what one process learns: the same loss curve and predictions.

Sums in another order are the only difference, so losses agree to 1e-5 of their size.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import parameters
import pytest
from accelerate import Accelerator
from conftest import picture
from PIL import Image
from test_llava import CONFIG, learn, tiny

from har.config.profile import load_params
from har.config.resolved import resolved
from har.core.errors import HarError
from har.core.files import write_json
from har.data.manifest import MANIFEST_COLUMNS, write_manifest
from har.data.split import write_split
from har.training import llava as tune
from har.training.llava import launch

ROOT = Path(__file__).parents[2]
# `--cpu` starts a second process by MPI only; this starts it on any machine, and params.yaml keeps it to the CPU
TWO = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no --main_process_port 0"
CLASSES = ["walking_running", "sitting", "standing"]

pytestmark = pytest.mark.slow


def project(folder: Path, launched: str) -> Path:
    """A project whose only model is a tiny LLaVA; five training images make a last batch of one."""
    data = folder / "data/sample"
    answers = dict(zip(CLASSES, ["walking", "sitting", "standing"], strict=True))
    source = {"source": "folder", "folder": str(tiny("llava", folder / "llava")), "dtype": "float32"}
    block = parameters.value("generative.llava15") | source | {"question": CONFIG.question, "answers": answers}
    lora = {"seeds": [3], "rank": 4, "epochs": 3, "batch_size": 2, "learning_rate": 0.02, "launch": launched}
    block["lora"] = block["lora"] | lora
    changes = {"run.generative": ["llava15"], "report.resamples": 100, "training.device": "cpu"}
    parameters.write(folder, changes | {"generative.llava15": block})
    (data / "images").mkdir(parents=True)
    rows = {name: "" if dtype == "str" else 1 for name, dtype in MANIFEST_COLUMNS.items()}
    rows |= {"part": "drawn", "width": 40, "height": 30}
    frame = []
    for i, split in enumerate(["train"] * 5 + ["validation"] * 2 + ["test"] * 2, start=1):
        frame.append(rows | {"image_id": i, "label": CLASSES[i % 3], "file_name": f"{i}.png", "split": split})
        Image.fromarray(picture(i, 40, 30)).save(data / "images" / f"{i}.png")
    write_manifest(pd.DataFrame(frame).drop(columns="split"), data / "manifest.csv")
    write_split(pd.DataFrame(frame), data / "split.csv")
    return folder


def stage(folder: Path) -> subprocess.CompletedProcess:
    write_json(folder / "data/params.json", resolved(load_params(folder / "params.yaml")))
    shutil.copy(ROOT / "dvc.yaml", folder)
    command = [sys.executable, "-m", "stages.lib.run", "generative", "llava15"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)


def told(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The loss curve, and the probabilities after it."""
    losses = pd.read_csv(folder / "data/sample/generative/llava15/seed-3/loss.csv").train_loss.to_numpy()
    found = pd.read_parquet(folder / "data/sample/predictions/activity-llava15_lora.parquet")
    return losses, found.filter(like="p_").to_numpy()


def test_the_stage_with_two_processes_gives_the_same_curve_and_predictions(tmp_path):
    found = []
    for name, launched in {"1": "", "2": TWO}.items():
        (tmp_path / name).mkdir()
        done = stage(project(tmp_path / name, launched))
        assert done.returncode == 0, done.stderr[-2000:]
        assert f"llava15 seed 3, processes {name}:" in done.stdout
        found.append(told(tmp_path / name))
    (one, p_one), (two, p_two) = found
    assert one[-1] < 0.9 * one[0]  # it learns, so there is a curve
    np.testing.assert_allclose(two, one, rtol=1e-5)
    np.testing.assert_allclose(p_two, p_one, atol=1e-4)
    assert np.ptp(p_one, axis=0).max() > 0.01


@pytest.mark.parametrize("kind", ["llava", "llava_next"])
def test_two_processes_with_half_of_the_weights_each_learn_the_same(kind, tmp_path, monkeypatch):
    folder = tiny(kind, tmp_path / kind)
    tuned, history = learn(folder)
    tune.save(tuned, history, tmp_path / "one", CONFIG, Accelerator(cpu=True))
    places = (".", "tests", "tests/support", "tests/models")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(ROOT / place) for place in places))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    launch(TWO, "fsdp_worker", str(folder), str(tmp_path))
    sizes = [json.loads((tmp_path / f"{process}.json").read_text()) for process in range(2)]
    assert all(size["shared"] > 4 and 0.4 < size["own"] / size["all"] < 0.6 for size in sizes)
    np.testing.assert_allclose(pd.read_csv(tmp_path / "saved/loss.csv").train_loss, history, rtol=1e-5)
    from safetensors.torch import load_file

    one, two = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("one", "saved"))
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, atol=1e-3)


def test_a_failing_process_is_told(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fails.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(HarError, match=r"^accelerate launch .* -m fails x: failed with exit code 1$"):
        launch(TWO, "fails", "x")
