"""Stages forked from a server that has their libraries loaded: as if started alone, and gone with who asked."""

import os
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forking with threads is safe on Linux only")

STAGE = """
import atexit, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
print(sys.argv[1:], os.environ["GIVEN"], "decimal" in sys.modules, flush=True)
if sys.argv[1] == "wait":
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        pool.submit(time.sleep, 60)
        pool.submit(time.sleep, 60)
        open("waiting", "w").close()
if sys.argv[1] == "raise":
    raise ValueError("told")
if sys.argv[1] == "say":
    atexit.register(print, "last", end="")  # in a buffer still
    sys.exit("told")
sys.exit(int(sys.argv[2]))
"""
RUN = "import sys; from har.core import warm; warm.run(sys.argv[1:])"
ASK = RUN.replace("warm.run", "warm.leave_behind = lambda: None; warm.run")
# tests need no torch: a small library tells whether a process is the server's child
SERVE = "from har.core import warm; warm.LOADED = ('decimal',); warm.IDLE = 5.0; warm.main()"


class Asking:
    def __init__(self, folder):
        (folder / "stage.py").write_text(STAGE)
        self.folder = folder
        # the last as the package `stages` sets it
        own = {"GIVEN": "from here", "PYTHONPATH": os.getcwd(), "OPENBLAS_NUM_THREADS": "1"}
        self.environment = os.environ | own
        self.environment.pop("HAR_WARM", None)

    def start(self, code, *arguments, **options):
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, text=True, **options)

    def ask(self, *arguments, code=ASK):
        asking = self.start(code, "stage", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, error = asking.communicate(timeout=30)
        return asking.returncode, out, error

    def processes(self):
        """Of this test, by the folder that they work in."""
        return [one.pid for one in psutil.process_iter(["cwd"]) if one.info["cwd"] == str(self.folder)]


def eventually(holds) -> bool:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


@pytest.fixture
def warm(tmp_path):
    asking = Asking(tmp_path)
    server = asking.start(SERVE)
    assert eventually(lambda: "True" in asking.ask("exit", "0")[1])
    yield asking
    server.kill()
    server.wait()


def test_a_stage_has_arguments_environment_streams_and_exit_code_of_its_own(warm):
    assert warm.ask("exit", "7") == (7, "['exit', '7'] from here True\n", "")
    code, _, error = warm.ask("raise", "0")
    assert code == 1
    assert error.endswith("ValueError: told\n")
    code, out, error = warm.ask("say")
    assert (code, out.splitlines()[-1], error) == (1, "last", "told\n")
    warm.environment["GIVEN"] = "changed"  # another environment is another server: this one starts by itself
    assert "changed False" in warm.ask("exit", "0")[1]


GUARDED = [sys.executable, "-c", f"from stages.lib.guard import guard; guard(); {ASK}", "stage", "wait", "0"]
DVC = f"import subprocess; subprocess.run({GUARDED!r})"


@pytest.mark.parametrize(("who", "signal", "code"), [(ASK, "kill", -9), (ASK, "terminate", 143), (DVC, "kill", -9)])
def test_nothing_of_a_stage_outlives_who_asked_for_it_or_its_dvc(warm, who, signal, code):
    before = len(warm.processes())
    warm.environment["DVC_STAGE"] = "train"
    asking = warm.start(who, "stage", "wait", "0", stdout=subprocess.DEVNULL)
    assert eventually((warm.folder / "waiting").exists)
    assert len(warm.processes()) >= before + 4 + (who == DVC)  # who asks, the stage, its two workers
    getattr(asking, signal)()
    assert asking.wait() == code
    assert eventually(lambda: len(warm.processes()) == before)


def test_turned_off_a_stage_runs_alone_and_leaves_no_server(tmp_path):
    asking = Asking(tmp_path)
    asking.environment["HAR_WARM"] = "0"
    assert asking.ask("exit", "3", code=RUN) == (3, "['exit', '3'] from here False\n", "")
    assert not asking.processes()
