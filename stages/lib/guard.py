"""What every stage does first, about faults of its machine: it ends with its DVC, and it ends with one line."""

import os
import signal
import sys

from har.core.errors import machine_fault
from har.core.processes import end_with_starter

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
    """To be called once in a process, by a stage that DVC has started; does nothing for one started by hand."""
    if "DVC_STAGE" not in os.environ:
        return
    sys.excepthook = tell
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    end_with_starter()


def say(line: str) -> None:
    name = os.environ.get("DVC_STAGE", "")
    print(f"{name}: {line}. What is finished is kept: run `dvc repro` again", file=sys.stderr, flush=True)


def stop(number: int, frame) -> None:
    """Ctrl-C, or a system that shuts down: at once, as a killed process ends, since everything is made for that.
    Python's own way would first wait for what the workers are at."""
    say("stopped")
    os._exit(128 + number)


def tell(kind: type[BaseException], error: BaseException, trace) -> None:
    """One line for what is no fault of the program."""
    verb, _, item = os.environ.get("DVC_STAGE", "").partition("@")
    where = BATCH_SIZES.get(verb, "models.<name>.batch_size").format(item=item, model=item.rpartition("-")[2])
    if line := machine_fault(error, f"lower training.jobs or {where}"):
        say(line)
    else:
        sys.__excepthook__(kind, error, trace)
