"""A clone of the repository with little to do in it, and its DVC."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

PROFILE = "sample"
# All kinds of stages, models and outs, and as little work in each as they allow. None removes a key.
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
    "run.policies": ["none", "all_combined"],
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


def clone(source: Path, folder: Path, changes: dict | None = None) -> Path:
    """The commit that is checked out in `source`, in `folder`, without results and with `changes` (REDUCED) to
    params.yaml."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", source, folder], check=True)
    for name in (f"data/{PROFILE}", f"reports/{PROFILE}", "reports/simulation"):
        shutil.rmtree(folder / name, ignore_errors=True)
    yaml = YAML()
    yaml.preserve_quotes = True
    params = yaml.load(folder / "params.yaml")
    for key, value in (REDUCED if changes is None else changes).items():
        *path, last = key.split(".")
        block = params
        for name in path:
            block = block[name]
        if last not in block:
            raise KeyError(f"params.yaml has no {key} any more: correct tests/harness/faults/project.py")
        block[last] = value
    yaml.dump(params, folder / "params.yaml")
    return folder


def environment() -> dict[str, str]:
    """Quiet, with the programs of this Python first, and no account of anybody's."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    own = {"PATH": path, "DVC_NO_ANALYTICS": "1", "PYTHONUNBUFFERED": "1", "TQDM_DISABLE": "1", "SHELL": "/bin/sh"}
    return {**{key: value for key, value in os.environ.items() if key != "PYTHONPATH"}, **own}


def start(folder: Path, *arguments: str, **options) -> subprocess.Popen:
    """`dvc` with `arguments` in a session of its own, so that all it starts can be found; output by lines."""
    return subprocess.Popen(
        ["dvc", *arguments], cwd=folder, env=environment(), start_new_session=True, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
    )  # fmt: skip


def recover(folder: Path) -> list[str]:
    """What a user does of what a killed DVC leaves (docs/reliability.md), a sentence each; DVC does the rest."""
    done, lock, index, held = [], folder / "dvc.lock", folder / ".git/index.lock", folder / ".dvc/tmp/rwlock"
    for file, broken in (
        (lock, not_whole(lock, yaml_of)),
        (held, not_whole(held, json.loads)),
        (index, index.exists()),
    ):
        if broken:
            file.unlink()
            done.append(f"{file.name} removed")
    return done


def not_whole(file: Path, read: Callable[[str], object]) -> bool:
    try:
        return file.exists() and not isinstance(read(file.read_text(encoding="utf-8")), dict)
    except (ValueError, YAMLError):
        return True


def yaml_of(text: str) -> object:
    return YAML(typ="safe").load(text)


def results(folder: Path) -> Iterator[Path]:
    """All files that the stages make, with their final names."""
    for top in ("data", "reports"):
        for path in sorted((folder / top).rglob("*")):
            inside = path.relative_to(folder).parts
            unfinished = any(part.startswith(".") for part in inside)
            if path.is_file() and not unfinished and inside[:2] != ("data", "pretrained"):
                yield path


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    """Each result's path, sha256 and length."""
    found = {}
    for path in results(folder):
        try:
            data = path.read_bytes()
        except FileNotFoundError:  # a stage is at work
            continue
        found[path.relative_to(folder).as_posix()] = hashlib.sha256(data).hexdigest(), len(data)
    return found


def lost(folder: Path, truth: dict) -> dict[str, int]:
    """Results that are missing, changed or too many, and their bytes."""
    now = snapshot(folder)
    return {
        name: max(truth.get(name, ("", 0))[1], now.get(name, ("", 0))[1])
        for name in sorted({*truth, *now})
        if truth.get(name) != now.get(name)
    }


def repro(folder: Path, *targets: str, limit: float = 3600) -> list[tuple[str, float, float]]:
    """Run everything, undisturbed: each stage with the seconds from its start to the next one's, and since the first.
    RuntimeError with the last lines where it fails."""
    process, begun, lines = start(folder, "repro", *targets), [], []
    clock = time.monotonic()
    for line in process.stdout:
        lines.append(line)
        if stage := started(line):
            begun.append((stage, time.monotonic() - clock))
        if time.monotonic() - clock > limit:
            process.kill()
    if process.wait():
        raise RuntimeError(f"dvc repro failed in {folder}:\n{''.join(lines[-30:])}")
    ends = [at for _, at in begun[1:]] + [time.monotonic() - clock]
    return [(stage, end - at, at) for (stage, at), end in zip(begun, ends, strict=True)]


def started(line: str) -> str | None:
    """The stage that DVC says it runs now."""
    return line.split("'")[1] if line.startswith("Running stage '") else None
