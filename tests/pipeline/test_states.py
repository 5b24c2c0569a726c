"""The tests judge code: they pass whatever a run, a change of parameters or an edit has made of the working tree."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import parameters
import pytest
import trees
from PIL import Image
from ruamel.yaml import YAML

from har.config.profile import load_params

# Those that read what a user changes: parameters, the graph, documents; of all others it is seen whether they can be
# collected, as parameters are read there too.
TESTS = (
    "tests/config", "tests/dev/test_commands.py", "tests/dev/test_gate.py",
    "tests/app/test_doctor.py", "tests/data/test_folder.py", "tests/pipeline/test_graph.py",
    "tests/studies/test_ablation.py", "tests/studies/test_audit.py", "tests/studies/test_simulation.py",
    "tests/models/test_models.py::TestFromScratch",
)  # fmt: skip


def edit(tree: Path) -> None:
    """A profile of own images in use, other values and fewer models, edited code, no reports."""
    for name in ("here", "there"):
        (tree / "photos" / name).mkdir(parents=True)
        for i in range(12):
            Image.new("RGB", (40, 30), (20 * i, 90, 120)).save(tree / "photos" / name / f"{i}.png")
    subprocess.run([sys.executable, "-m", "har.app.cli", "new-profile", "mine", "photos"], cwd=tree, check=True)
    changes = {
        "models.clip.head": "text", "models.cnn_base.label_smoothing": 0.1, "models.cnn_gen.epochs": 50,
        "curate.min_captions": 3, "split.mode": "unstratified", "split.seed": 7, "training.seeds": [1, 2],
        "training.device": "cpu", "explain.steps": 5, "masking.kinds": ["stripes", "patches"], "page.image": 700,
        "report.resamples": 500, "simulation.experiments": 500, "noise.checks": 2, "ablation.seed": 3,
    }  # fmt: skip
    parameters.override(tree, changes)
    yaml, file = YAML(), tree / "params.yaml"
    content = yaml.load(file)
    for name in ("activity-cnn_gen", "posture-vit"):
        content["run"]["train"].pop(name, None)
    del content["policies"]["vertical_flip"]
    yaml.dump(content, file)
    for name in ("har/evaluation/metrics.py", "har/core/files.py", "stages/eda.py"):
        with open(tree / name, "a", encoding="utf-8") as out:
            out.write("\nEDITED = True\n")
    shutil.rmtree(tree / "reports")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--collect-only", "-m", "slow or not slow"), TESTS], ids=["collected", "run"])
def test_the_tests_pass(tmp_path, arguments):
    tree = trees.copied(tmp_path / "tree")
    edit(tree)
    load_params(tree / "params.yaml")  # a state that check accepts
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=tree, env=os.environ | {"PYTHONPATH": ""}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
