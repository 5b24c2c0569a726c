"""A clone of the repository with little to do in it, and its DVC."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

PROFILE = "sample"
# All kinds of stages, models and outs, and as little work in each as they allow.
REDUCED = {
    "run.encoders": ["vit", "clip"],
    "run.train": {
        f"{task}-{model}": {"task": task, "model": model, "input": source}
        for task, model, source in (
            ("activity", "cnn_base", "store"),
            ("activity", "clip", "backbones/clip"),
            ("activity", "vit", "backbones/vit"),
            ("activity", "feature", "embeddings/clip"),
            ("posture", "vit", "backbones/vit"),
        )
    },
    "policies": {"none": [], "all_combined": ["horizontal_flip", "rotation"]},
    "simulation.experiments": 100,
    "simulation.resamples": 100,
    "data.world.images": 400,
    "curate.classes.walking_running.count": 24,
    "curate.classes.sitting.count": 24,
    "curate.classes.standing.count": 24,
    "curate.extended": 36,
    "training.seeds": [0, 1],
    "models.cnn_base.epochs": 3,
    "models.clip.epochs": 2,
    "models.vit.epochs": 2,
    "models.feature.epochs": 3,
    "probe.folds": 2,
    "probe.c": [0.01, 0.1],
    "cross_validation.models": ["probe_clip", "metadata", "feature"],
    "cross_validation.folds": 3,
    "cross_validation.repeats": 1,
    "learning_curve.models": ["probe_clip", "cnn_base"],
    "learning_curve.sizes": [15, 30],
    "ablation.variants": {
        "full": {"model": "clip", "set": {}},
        "person_crop": {"model": "clip", "set": {"view": "person"}},
        "lora": {"model": "clip", "set": {"adapt": "lora"}},
    },
    "explain.models": ["activity-vit", "activity-clip"],
    "explain.extended": 20,
    "explain.curves": 4,
    "explain.steps": 2,
    "masking.images": 24,
    "masking.kinds": ["patches", "ellipse"],
    "masking.shares": [0.3],
    "noise.bounds": [8.0],
    "noise.epochs": 1,
    "noise.checks": 1,
    "noise.erasing": [0.0001],
    "report.resamples": 200,
}


def clone(source: Path, folder: Path) -> Path:
    """The commit that is checked out in `source`, anew in `folder`, without results and REDUCED."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", source, folder], check=True)
    (folder / "data/params.json").unlink()
    for name in (f"data/{PROFILE}", f"reports/{PROFILE}", "reports/simulation"):
        shutil.rmtree(folder / name, ignore_errors=True)
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    for name in set(params["profiles"]) - {PROFILE, "coco"}:  # which change what is gone
        del params["profiles"][name]
    for key, value in REDUCED.items():
        *path, last = key.split(".")
        block = params
        for name in path:
            block = block[name]
        block[last] = value
    yaml.dump(params, folder / "params.yaml")
    return folder


def start(folder: Path, targets: Sequence[str], **options) -> subprocess.Popen:
    """`dvc repro`, of some stages or all, in a session of its own, so that all it starts can be found; its output in a
    file beside `folder`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    own = {"PATH": path, "DVC_NO_ANALYTICS": "1", "PYTHONUNBUFFERED": "1", "TQDM_DISABLE": "1", "SHELL": "/bin/sh"}
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | own
    with open(log_of(folder), "w") as out:
        return subprocess.Popen(
            ["dvc", "repro", *targets], cwd=folder, env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, **options,
        )  # fmt: skip


def log_of(folder: Path) -> Path:
    """What the last `dvc repro` in `folder` said."""
    return folder.with_suffix(".log")


def recover(folder: Path) -> list[str]:
    """Put right what a killed DVC leaves half written, as a user does (docs/pipeline.md); DVC does the rest."""
    dvc_lock, held, index = folder / "dvc.lock", folder / ".dvc/tmp/rwlock", folder / ".git/index.lock"
    broken = [index] if index.exists() else []
    if held.exists() and _read(held, json.loads) is None:
        broken.append(held)
    for file in broken:
        file.unlink()
    shown = subprocess.run(["git", "show", "HEAD:dvc.lock"], cwd=folder, capture_output=True, text=True, check=True)
    load = YAML(typ="safe").load
    found = (_read(dvc_lock, load) or {}).get("stages") or {}
    if load(shown.stdout)["stages"].keys() - found.keys():  # it was cut short
        subprocess.run(["git", "checkout", "--quiet", "dvc.lock", "data/pretrained"], cwd=folder, check=True)
        broken.append(dvc_lock)
    return [file.name for file in broken]


def _read(file: Path, load) -> dict | None:
    """What the file holds; None where it cannot be read."""
    try:
        found = load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError):
        return None
    return found if isinstance(found, dict) else None


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    """Path, sha256 and length of all files that the stages make, with their final names."""
    found = {}
    for path in sorted([*(folder / "data").rglob("*"), *(folder / "reports").rglob("*")]):
        inside = path.relative_to(folder).parts
        unfinished = any(part.startswith(".") for part in inside)
        if path.is_file() and not unfinished and inside[:2] != ("data", "pretrained"):
            data = path.read_bytes()
            found["/".join(inside)] = hashlib.sha256(data).hexdigest(), len(data)
    return found


def lost(folder: Path, truth: dict) -> dict[str, int]:
    """Results that are missing, changed or too many, and their bytes."""
    now = snapshot(folder)
    return {
        name: max(truth.get(name, ("", 0))[1], now.get(name, ("", 0))[1])
        for name in sorted({*truth, *now})
        if truth.get(name) != now.get(name)
    }
