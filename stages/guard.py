"""What every stage does first, about faults of its machine: it ends with its DVC, and it ends with one line."""

import os
import shutil
import signal
import sys
from pathlib import Path

from har.core.errors import machine_fault
from har.core.files import replacing
from har.core.processes import end_with_starter

LOCK = Path("dvc.lock")
COPY = Path("data/.cache/dvc.lock")
# Where a stage's batch size stands in params.yaml; {item}: of its matrix, {model}: the end of that.
BATCH_SIZES = {
    "embed": "embed.batch_size",
    "explain": "explain.batch_size",
    "generative": "generative.{item}.batch_size",
    "noise": "noise.batch_size",
    "pretrain": "pretrain.models.{item}.batch_size",
    "train": "models.{model}.batch_size",
}


def guard() -> None:
    keep_lock(LOCK, COPY)
    sys.excepthook = told
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopped)
    end_with_starter()


def keep_lock(lock: Path, copy: Path) -> None:
    """Copy dvc.lock, which nobody writes while a stage runs. DVC writes it in place, after each stage: killed in the
    midst of that it leaves half a file, without what it knew of all stages (har.core.recovery puts it back)."""
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
    verb, _, item = os.environ.get("DVC_STAGE", "").partition("@")
    where = BATCH_SIZES.get(verb, "models.<name>.batch_size").format(item=item, model=item.rpartition("-")[2])
    if line := machine_fault(error, f"lower training.jobs or {where}"):
        say(line)
    else:
        sys.__excepthook__(kind, error, trace)
