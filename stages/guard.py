"""What every stage does first, about faults of its machine: it ends with its DVC, and it ends with one line."""

import errno
import os
import shutil
import signal
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from har import warm
from har.files import replacing

LOCK = Path("dvc.lock")
COPY = Path("data/.cache/dvc.lock")
SECONDS = 0.25  # between two looks at the parent
FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is too large",
}


def guard() -> None:
    global _own
    if _own:
        return
    _own = os.getpid()
    keep_lock(LOCK, COPY)
    sys.excepthook = told
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopped)
    if not warm.forked:  # then the kernel sees to it
        end_with(os.getppid())
    os.register_at_fork(after_in_child=_forked)


def keep_lock(lock: Path, copy: Path) -> None:
    """Copy dvc.lock, which nobody writes while a stage runs. DVC writes it in place, after each stage: killed in the
    midst of that it leaves half a file, without what it knew of all stages (har.recovery puts it back)."""
    if lock.exists() and not (copy.exists() and copy.stat().st_mtime_ns == lock.stat().st_mtime_ns):
        with replacing(copy) as temporary:
            shutil.copy2(lock, temporary)


def say(line: str) -> None:
    name = os.environ.get("DVC_STAGE", "")
    print(f"{name}: {line}. What is finished is kept: run `dvc repro` again", file=sys.stderr, flush=True)


def stopped(number: int, frame) -> None:
    """Ctrl-C, or a system that shuts down: at once, as a killed process ends, since everything is made for that.
    Python's own way would first wait for what the workers are at."""
    say("stopped")
    os._exit(128 + number)


def told(kind: type[BaseException], error: BaseException, trace) -> None:
    """One line for what is no fault of the program."""
    if issubclass(kind, OSError) and error.errno in FULL:
        say(f"{FULL[error.errno]}: {error.filename or error.strerror}")
    elif issubclass(kind, MemoryError):
        say("out of memory; lower <profile>.training.jobs or the batch size")
    elif issubclass(kind, BrokenProcessPool):
        say("one of its processes was killed (out of memory? then lower <profile>.training.jobs)")
    else:
        sys.__excepthook__(kind, error, trace)


_own = 0  # the process that guards itself: what a child that it forks still knows as its parent


def end_with(parent: int) -> None:
    """Kill this process as soon as `parent` has gone.

    Otherwise a killed DVC leaves its stage at work, beside the one that the next DVC starts on the same outs, and a
    killed stage leaves its workers waiting for it for ever. Shells that run one command become it, so a stage's parent
    is DVC itself.
    """
    global _own
    _own = own = os.getpid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS)
        os.kill(own, signal.SIGKILL)

    threading.Thread(target=watch, name="end_with", daemon=True).start()


def _forked() -> None:
    """In a worker: it ends with its stage, which alone answers to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with(_own)
