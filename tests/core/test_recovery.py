"""What a killed DVC leaves is put in order, what a running one holds is left alone, and no process is left behind."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from har.core import recovery
from har.core.errors import HarError
from har.core.files import replacing, replacing_folder, temporary_beside
from har.core.recovery import is_start, is_whole, leftovers, recover
from har.models.registry import named
from stages.guard import keep_lock
from stages.lib import resumed

LOCK = """\
schema: '2.0'
stages:
  split:
    cmd: python -m stages.split
    deps:
    - path: data/sample/manifest.csv
      hash: md5
      md5: 0123456789abcdef0123456789abcdef
      size: 3
    params:
      params.yaml:
        sample.split:
          mode: stratified
    outs:
    - path: data/sample/split
      hash: md5
      md5: 0123456789abcdef0123456789abcdef.dir
      size: 4
      nfiles: 2
  check:
    cmd: python -m stages.check
    deps:
    - path: har
"""


@pytest.fixture
def project(tmp_path):
    """A folder with dvc.lock, the copy of it that the last stage made, and git's and DVC's own folders."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    (tmp_path / "dvc.lock").write_text(LOCK)
    keep_lock(tmp_path / "dvc.lock", tmp_path / "copy")
    return tmp_path


def recovered(project: Path) -> str:
    return "; ".join(recover(project, project / "copy", [project / "data"]))


class TestLock:
    def test_a_whole_one_is_told_from_every_cut(self):
        assert is_whole(Path("dvc.lock").read_text())
        whole = [cut for cut in range(len(LOCK) + 1) if is_whole(LOCK[:cut]) and not is_start(LOCK[:cut], LOCK)]
        # what the last stage depends on is lost without a trace: it runs again
        assert LOCK[: whole[0]].endswith("    cmd: python -m stages.check\n")
        assert whole[-1] == len(LOCK)
        assert len(whole) <= 3

    @pytest.mark.parametrize("cut", [0, 1, 60, 130, 184, 300, LOCK.index("  check:"), len(LOCK) - 1])
    def test_one_that_was_cut_short_is_put_back(self, project, cut):
        (project / "dvc.lock").write_text(LOCK[:cut])
        assert "dvc.lock was cut short" in recovered(project)
        assert (project / "dvc.lock").read_text() == LOCK
        assert not recovered(project)

    def test_without_a_copy_it_is_the_committed_one(self, project):
        git = ["git", "-C", str(project), "-c", "user.name=n", "-c", "user.email=e"]
        subprocess.run([*git, "add", "dvc.lock"], check=True)
        subprocess.run([*git, "commit", "-qm", "lock"], check=True)
        (project / "copy").write_text("stages: [")
        (project / "dvc.lock").write_text(LOCK[:60])
        assert "as it was in the last commit" in recovered(project)
        assert (project / "dvc.lock").read_text() == LOCK

    def test_without_any_copy_there_is_none(self, project):
        (project / "copy").unlink()
        (project / "dvc.lock").write_text("")
        assert "looked at anew" in recovered(project)
        assert not (project / "dvc.lock").exists()

    def test_the_copy_follows_the_lock(self, project):
        (project / "dvc.lock").write_text(LOCK + "# new\n")
        keep_lock(project / "dvc.lock", project / "copy")
        assert (project / "copy").read_text() == LOCK + "# new\n"


class TestHolders:
    def held(self, project: Path, pid: int) -> Path:
        held = {"pid": pid, "cmd": "dvc repro"}
        path = project / ".dvc/tmp/rwlock"
        path.write_text(json.dumps({"write": {"/p/data": held}, "read": {"/p/har": [held]}}))
        return path

    def test_a_process_that_is_no_dvc_holds_nothing(self, project):
        """After a restart of the machine the number is another's."""
        path = self.held(project, os.getpid())
        assert f"named process {os.getpid()}, which is no dvc any more" in recovered(project)
        assert json.loads(path.read_text()) == {}

    def test_half_a_list_is_removed(self, project):
        path = self.held(project, 1)
        path.write_text(path.read_text()[:20])
        assert "cut short; removed" in recovered(project)
        assert not path.exists()

    def test_beside_a_running_dvc_nothing_is_touched(self, project):
        script = project / "dvc"
        script.write_text("import sys; print(flush=True); sys.stdin.read()")
        running = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            running.stdout.readline()
            path = self.held(project, running.pid)
            (project / "dvc.lock").write_text(LOCK[:60])
            assert not recovered(project)
            assert json.loads(path.read_text())["write"]
            assert (project / "dvc.lock").read_text() == LOCK[:60]
        finally:
            running.communicate()
        assert "dvc.lock was cut short" in recovered(project)

    def test_nor_beside_one_that_holds_the_lock(self, project):
        (project / "dvc.lock").write_text(LOCK[:60])
        with open(project / ".dvc/tmp/lock", "w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            assert not recovered(project)
        assert recovered(project)


def test_who_makes_a_missing_model_is_told(project, monkeypatch):
    folder = project / "data/sample/models/activity-clip"
    held = {"write": {str(folder.resolve()): {"pid": os.getpid(), "cmd": "dvc repro"}}}
    (project / ".dvc/tmp/rwlock").write_text(json.dumps(held))
    with pytest.raises(HarError, match="has no trained model"):
        named("activity-clip", "sample", project)
    monkeypatch.setattr(recovery, "is_dvc", lambda pid: pid == os.getpid())
    with pytest.raises(
        HarError, match=rf"activity-clip is not there yet: process {os.getpid()} \(dvc repro\) is making"
    ):
        named("activity-clip", "sample", project)
    with pytest.raises(HarError, match="has no trained model"):
        named("activity-vit", "sample", project)


def test_gits_lock_of_a_process_that_is_gone_is_removed(project):
    (project / ".git/index.lock").touch()
    assert "index.lock was left" in recovered(project)
    assert not (project / ".git/index.lock").exists()


def test_unfinished_files_of_the_dead_are_removed_and_those_of_the_living_stay(project):
    data = project / "data"
    with replacing(data / "a.csv") as mine, replacing_folder(data / "models/clip") as folder:
        mine.write_text("half")
        dead = [
            mine.with_name(mine.name.replace(str(os.getpid()), "999999999")),
            data / "sub/.x.tar.999999999-1.part.gz",
        ]
        for path in dead:
            path.parent.mkdir(exist_ok=True)
            path.write_text("half")
        (data / "models/.vit.999999999-1.part/new").mkdir(parents=True)
        (data / ".hidden.csv").touch()
        assert leftovers([data]) == ["3 unfinished files of killed processes removed"]
        assert mine.exists()
        assert folder.exists()
    assert sorted(path.name for path in data.rglob("*") if path.is_file()) == [".hidden.csv", "a.csv"]
    assert leftovers([data]) == []


def test_dvc_and_git_pass_over_unfinished_files():
    for name in ("predictions.csv", "model.tar.gz", "folder"):
        unfinished = temporary_beside(Path("reports/sample") / name)
        ignored = subprocess.run(["git", "check-ignore", "-q", unfinished], check=False)
        assert ignored.returncode == 0, unfinished
    rules = [line for line in Path(".dvcignore").read_text().splitlines() if ".part" in line]
    assert rules == [line for line in Path(".gitignore").read_text().splitlines() if ".part" in line] != []


class TestKept:
    """Folders of unfinished stages go when DVC has noted that their stage ended well, not before."""

    @pytest.fixture
    def stage(self, tmp_path, monkeypatch):
        monkeypatch.setattr(resumed, "UNFINISHED", tmp_path)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DVC_STAGE", "fit")
        context = type("Context", (), {"params": type("Params", (), {"profile": "sample"})})

        def run(name: str = "fit", fails: bool = False) -> set[str]:
            def fit(context, argument, *, keep):
                found.update(path.name for path in keep.iterdir())
                (keep / "run").mkdir(exist_ok=True)
                if fails:
                    raise InterruptedError

            found: set[str] = set()
            try:
                resumed.resumed(fit)(context, name)
            except InterruptedError:
                pass
            return found

        return run

    def test_it_finds_what_an_interrupted_one_left(self, stage):
        assert stage(fails=True) == set()
        assert stage() == {"run"}

    def test_a_stage_that_ended_before_dvc_noted_it_starts_with_all(self, stage):
        stage()
        assert stage() == {"run"}

    def test_once_noted_it_starts_afresh(self, stage, tmp_path):
        Path("dvc.lock").touch()
        stage("a")
        stage("b", fails=True)
        os.utime("dvc.lock", ns=(2**62, 2**62))
        stage("c")
        assert sorted(path.name for path in tmp_path.glob("*/")) == ["sample-fit-b", "sample-fit-c"]

    def test_by_hand_nothing_is_left(self, stage, tmp_path, monkeypatch):
        monkeypatch.delenv("DVC_STAGE")
        stage()
        assert not list(tmp_path.glob("*/"))

    def test_what_nobody_comes_back_to_goes(self, stage, tmp_path):
        stage("a", fails=True)
        os.utime(tmp_path / "sample-fit-a", (0, 0))
        stage("b")
        assert [path.name for path in tmp_path.glob("*/")] == ["sample-fit-b"]


STAGE = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from stages.guard import guard
guard()
with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
    print(os.getpid(), *{pool.submit(lambda_, i).result() for i in range(4)}, flush=True)
    pool.submit(time.sleep, 600).result()
"""


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(pids: list[int], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("shell", [[], ["/bin/sh", "-c"]], ids=["", "below a shell"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("victim", ["dvc", "stage"])
def test_a_stage_ends_with_its_dvc_and_its_workers_with_it(tmp_path, number, victim, shell):
    if victim == "dvc" and number == signal.SIGINT:
        pytest.skip("DVC passes over Ctrl-C while a stage runs: the stage gets it too")
    source = STAGE.replace("lambda_, i", "os.getpid")
    command = [*shell, f"{sys.executable} stage.py; true"] if shell else [sys.executable, "stage.py"]
    (tmp_path / "stage.py").write_text(source)
    stage = f"import subprocess; subprocess.run({command!r})"
    environment = {**os.environ, "DVC_STAGE": "train@activity-clip", "PYTHONPATH": str(Path.cwd())}
    dvc = subprocess.Popen(
        [sys.executable, "-c", stage], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    pids = [int(pid) for pid in dvc.stdout.readline().split()]
    assert len(pids) >= 2
    os.kill(dvc.pid if victim == "dvc" else pids[0], number)
    assert gone(pids)
    said = dvc.communicate()[1].decode()
    if victim == "stage" and number != signal.SIGKILL:
        assert said == "train@activity-clip: stopped. What is finished is kept: run `dvc repro` again\n"


FULL = """
from stages.guard import guard
guard()
raise {error}
"""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("OSError(28, 'No space left on device', 'data/x.csv')", "the disk is full: data/x.csv"),
        ("OSError(27, 'File too large', 'data/x.csv')", "the file is too large: data/x.csv"),
        ("RuntimeError('I/O error: No space left on device (os error 28)')", "the disk is full: No space left"),
        ("MemoryError()", "out of memory; lower <profile>.training.jobs or the batch size"),
        (
            "__import__('concurrent.futures.process').futures.process.BrokenProcessPool()",
            "one of its processes was killed",
        ),
        (
            "__import__('joblib').externals.loky.process_executor.TerminatedWorkerError()",
            "one of its processes was killed",
        ),
        ("ZeroDivisionError('a fault of ours')", "Traceback"),
    ],
)
def test_what_is_no_fault_of_the_program_is_one_line(tmp_path, error, told):
    environment = {**os.environ, "DVC_STAGE": "train@activity-clip", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, "-c", FULL.format(error=error)], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert told in done.stderr
    assert (done.stderr.count("\n") == 1) == (told != "Traceback")
