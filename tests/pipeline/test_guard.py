"""A stage ends with its DVC, its workers with it, and faults of the machine are one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

STAGE = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from stages.lib.guard import guard
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
from stages.lib.guard import guard
guard()
raise {error}
"""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("OSError(28, 'No space left on device', 'data/x.csv')", "the disk is full: data/x.csv"),
        ("OSError(27, 'File too large', 'data/x.csv')", "the file is too large: data/x.csv"),
        ("RuntimeError('I/O error: No space left on device (os error 28)')", "the disk is full: No space left"),
        ("MemoryError()", "out of memory; lower training.jobs or models.clip.batch_size"),
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
