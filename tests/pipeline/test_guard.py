"""A stage ends with its DVC, its workers with it; and faults of the machine are one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

STAGE = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from stages.lib.guard import guard
guard()
with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
    print(os.getpid(), *{pool.submit(os.getpid).result() for _ in range(4)}, flush=True)
    pool.submit(time.sleep, 600).result()
"""


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for_the_end(*pids: int) -> None:
    end = time.monotonic() + 20
    while any(map(alive, pids)):
        assert time.monotonic() < end, "they live on"
        time.sleep(0.02)


def environment(stage: str) -> dict[str, str]:
    return os.environ | {"DVC_STAGE": stage, "PYTHONPATH": str(Path.cwd())}


@pytest.mark.parametrize(
    ("victim", "number", "shell"),
    [
        ("dvc", signal.SIGKILL, ["/bin/sh", "-c"]),
        ("dvc", signal.SIGTERM, []),
        ("stage", signal.SIGKILL, []),
        ("stage", signal.SIGTERM, ["/bin/sh", "-c"]),
        ("stage", signal.SIGINT, []),  # a DVC passes over Ctrl-C while a stage runs: the stage gets it too
    ],
)
def test_a_stage_ends_with_its_dvc_and_its_workers_with_it(tmp_path, victim, number, shell):
    command = [*shell, f"{sys.executable} stage.py; true"] if shell else [sys.executable, "stage.py"]
    (tmp_path / "stage.py").write_text(STAGE)
    starter = [sys.executable, "-c", f"import subprocess; subprocess.run({command!r})"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    dvc = subprocess.Popen(starter, cwd=tmp_path, env=environment("train@activity-clip"), **streams)
    pids = [int(pid) for pid in dvc.stdout.readline().split()]
    assert len(pids) >= 2
    os.kill(dvc.pid if victim == "dvc" else pids[0], number)
    wait_for_the_end(*pids)
    said = dvc.communicate()[1].decode()
    if victim == "stage" and number != signal.SIGKILL:
        assert said == "train@activity-clip: stopped. What is finished is kept: run `dvc repro` again\n"


def test_a_stage_whose_dvc_has_gone_before_it_began_does_nothing(tmp_path):
    (tmp_path / "stage.py").write_text("from stages.lib.guard import guard; guard(); open('begun', 'w').close()")
    shell = ["/bin/sh", "-c", f"echo $$; while [ -e wait ]; do sleep 0.05; done; {sys.executable} stage.py; true"]
    (tmp_path / "wait").touch()
    starter = [sys.executable, "-c", f"import subprocess; subprocess.run({shell!r})"]
    options = {"stdout": subprocess.PIPE, "start_new_session": True}
    dvc = subprocess.Popen(starter, cwd=tmp_path, env=environment("split"), **options)
    pid = int(dvc.stdout.readline())
    dvc.kill()
    dvc.wait()
    (tmp_path / "wait").unlink()
    wait_for_the_end(pid)
    assert not (tmp_path / "begun").exists()


@pytest.mark.parametrize(
    ("error", "told"),
    [("MemoryError()", "out of memory; lower training.jobs or models.clip.batch_size"), ("ZeroDivisionError()", None)],
)
def test_what_is_no_fault_of_the_program_is_one_line(error, told):
    code = f"from stages.lib.guard import guard\nguard()\nraise {error}"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment("train@activity-clip"), capture_output=True, text=True)
    assert done.returncode == 1
    line = f"train@activity-clip: {told}. What is finished is kept: run `dvc repro` again\n"
    assert done.stderr == line if told else "Traceback" in done.stderr
