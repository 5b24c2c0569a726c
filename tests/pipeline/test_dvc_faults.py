"""DVC itself, in a project of two stages, killed and with a damaged lock: what docs/reliability.md promises."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow

STAGE = """
import json, os, sys, time
from pathlib import Path
from stages.lib.guard import guard
guard()
name, *inputs = sys.argv[1:]
with open(f"{name}.runs", "a") as runs:
    runs.write(f"{os.getpid()}\\n")
Path("out").mkdir(exist_ok=True)
Path(f"out/{name}").write_text("half")
while not Path("go").exists():
    time.sleep(0.02)
Path(f"out/{name}").write_text("".join(Path(one).read_text() for one in inputs) + name)
"""
GRAPH = """
stages:
  first:
    cmd: python stage.py first
    deps: [stage.py]
    params: [x]
    outs: [out/first]
  second:
    cmd: python stage.py second out/first
    deps: [out/first]
    outs: [out/second]
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("SHELL", "/bin/sh")
    for file, text in {
        "stage.py": STAGE,
        "dvc.yaml": GRAPH,
        "params.yaml": "x: 1\n",
        ".gitignore": "/data\n*.runs\n",
    }.items():
        (tmp_path / file).write_text(text)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run(["dvc", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "graph"], check=True)
    started = []

    def dvc(*arguments: str) -> subprocess.Popen:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
        started.append(subprocess.Popen(["dvc", *arguments], cwd=tmp_path, **options))
        return started[-1]

    yield tmp_path, dvc
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def until(what, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
    return found


def runs(folder: Path, name: str) -> list[int]:
    """Process numbers of all runs of a stage."""
    file = folder / f"{name}.runs"
    return [int(pid) for pid in file.read_text().split()] if file.exists() else []


def finished(process: subprocess.Popen) -> str:
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    return said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_dvc_takes_its_stage_with_it_and_the_next_one_goes_on(project, number):
    folder, dvc = project
    first = dvc("repro")
    (stage,) = until(lambda: runs(folder, "first"))
    os.kill(first.pid, number)
    first.wait()
    until(lambda: not psutil.pid_exists(stage))
    (folder / "go").touch()
    finished(dvc("repro"))
    assert (folder / "out/second").read_text() == "firstsecond"
    assert len(runs(folder, "first")) == 2


@pytest.mark.parametrize("left", ["half", "nothing"])
def test_a_lock_cut_short_costs_no_stage(project, left):
    """DVC says that dvc.lock is damaged; without the file it restores every stage from its run cache."""
    folder, dvc = project
    (folder / "go").touch()
    finished(dvc("repro"))
    lock = folder / "dvc.lock"
    whole = lock.read_text()
    lock.write_text(whole[: whole.index("  second:") + len("  second:\n    cmd")] if left == "half" else "")
    cut = dvc("repro")
    assert "dvc.lock" in cut.communicate(timeout=60)[0]
    assert cut.returncode != 0
    lock.unlink()  # what docs/reliability.md says
    finished(dvc("repro"))
    assert lock.read_text() == whole
    assert len(runs(folder, "first")) == 1
