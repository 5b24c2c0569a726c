"""The tests judge code: they pass whatever a run, a change of parameters or an edit has made of the working tree."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import parameters
import pytest
from PIL import Image
from ruamel.yaml import YAML

from har.config.profile import load_params

ROOT = Path(__file__).parents[2]
# Those that read what a user changes: parameters, the graph, documents; of all others it is seen whether they can be
# collected, as parameters are read there too.
TESTS = (
    "tests/config", "tests/dev/test_commands.py", "tests/dev/test_readme.py", "tests/dev/test_gate.py",
    "tests/app/test_doctor.py", "tests/data/test_folder.py", "tests/pipeline/test_graph.py",
    "tests/reporting/test_page.py::test_the_larger_size_is_the_larger", "tests/studies/test_ablation.py",
    "tests/studies/test_audit.py", "tests/studies/test_simulation.py",
    "tests/models/test_models.py::TestFromScratch",
)  # fmt: skip

pytestmark = pytest.mark.slow


def another_profile(tree: Path) -> None:
    parameters.override(tree, {"profile": "coco"})


def own_images(tree: Path) -> None:
    for name in ("here", "there"):
        (tree / "photos" / name).mkdir(parents=True)
        for i in range(12):
            Image.new("RGB", (40, 30), (20 * i, 90, 120)).save(tree / "photos" / name / f"{i}.png")
    subprocess.run([sys.executable, "-m", "har.app.cli", "new-profile", "mine", "photos"], cwd=tree, check=True)


def fewer_models(tree: Path) -> None:
    yaml, file = YAML(), tree / "params.yaml"
    content = yaml.load(file)
    for name in ("activity-cnn_gen", "posture-vit"):
        del content["run"]["train"][name]
    del content["policies"]["vertical_flip"]
    yaml.dump(content, file)


def changed_values(tree: Path) -> None:
    changes = {
        "models.clip.head": "text", "models.cnn_base.label_smoothing": 0.1, "models.cnn_gen.epochs": 50,
        "curate.min_captions": 3, "split.mode": "unstratified", "split.seed": 7, "training.seeds": [1, 2],
        "training.device": "cpu", "explain.steps": 5, "masking.kinds": ["stripes", "patches"], "page.image": 700,
        "report.resamples": 500, "simulation.experiments": 500, "backbones.clip.source": "random",
        "noise.checks": 2, "ablation.seed": 3,
    }  # fmt: skip
    parameters.override(tree, changes)


def edited_code(tree: Path) -> None:
    for name in ("har/evaluation/metrics.py", "har/core/files.py", "stages/eda.py"):
        with open(tree / name, "a", encoding="utf-8") as out:
            out.write("\nEDITED = True\n")


def reports_of_another_processor(tree: Path) -> None:
    """Every last digit is another one."""
    for file in (tree / "reports").rglob("*"):
        if file.suffix in (".md", ".csv", ".json"):
            text = file.read_text(encoding="utf-8")
            file.write_text(text.translate(str.maketrans("3456", "4563")), encoding="utf-8")


def no_reports(tree: Path) -> None:
    shutil.rmtree(tree / "reports")


@pytest.mark.parametrize(
    "change",
    [another_profile, own_images, fewer_models, changed_values, edited_code, reports_of_another_processor, no_reports],
    ids=lambda change: change.__name__,
)
def test_the_tests_pass(tmp_path, change: Callable[[Path], None]):
    tree = tmp_path / "tree"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in tracked.split("\0"):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "s"]):
        subprocess.run(["git", *command], cwd=tree, check=True)
    change(tree)
    load_params(tree / "params.yaml")  # a state that check accepts
    for arguments in (["--collect-only", "-m", "slow or not slow"], TESTS):
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        done = subprocess.run(command, cwd=tree, env=os.environ | {"PYTHONPATH": ""}, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
