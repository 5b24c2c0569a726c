"""What is finished of an interrupted stage is kept for its next run."""

import contextlib
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from har.core.files import temporary_beside
from stages.lib import resumed


def test_dvc_and_git_pass_over_unfinished_files():
    for name in ("predictions.csv", "model.tar.gz", "folder"):
        unfinished = temporary_beside(Path("reports/sample") / name)
        ignored = subprocess.run(["git", "check-ignore", "-q", unfinished], check=False)
        assert ignored.returncode == 0, unfinished
    rules = [line for line in Path(".dvcignore").read_text().splitlines() if ".part" in line]
    assert rules == [line for line in Path(".gitignore").read_text().splitlines() if ".part" in line] != []


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Runs a stage, which leaves a `run`; what it finds of an earlier one."""
    monkeypatch.setattr(resumed, "UNFINISHED", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "fit")
    context = SimpleNamespace(params=SimpleNamespace(profile="sample"))

    def run(name: str = "fit", fails: bool = False) -> set[str]:
        def fit(context, argument, *, keep):
            found.update(path.name for path in keep.iterdir())
            (keep / "run").mkdir(exist_ok=True)
            if fails:
                raise InterruptedError

        found: set[str] = set()
        with contextlib.suppress(InterruptedError):
            resumed.resumed(fit)(context, name)
        return found

    return run


def test_what_was_interrupted_or_not_noted_by_dvc_is_found(stage):
    assert stage(fails=True) == set()
    assert stage() == {"run"}
    assert stage() == {"run"}


def test_once_noted_it_starts_afresh(stage, tmp_path):
    Path("dvc.lock").touch()
    stage("a")
    stage("b", fails=True)
    os.utime("dvc.lock", ns=(2**62, 2**62))
    stage("c")
    assert sorted(path.name for path in tmp_path.glob("*/")) == ["sample-fit-b", "sample-fit-c"]


def test_by_hand_nothing_is_left(stage, tmp_path, monkeypatch):
    monkeypatch.delenv("DVC_STAGE")
    stage()
    assert not list(tmp_path.glob("*/"))


def test_what_nobody_comes_back_to_goes(stage, tmp_path):
    stage("a", fails=True)
    os.utime(tmp_path / "sample-fit-a", (0, 0))
    stage("b")
    assert [path.name for path in tmp_path.glob("*/")] == ["sample-fit-b"]
