"""For stages of many runs: a folder for what is finished of them, which DVC does not empty before it runs a stage."""

import os
import shutil
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from stages.lib.context import CACHE, Context

UNFINISHED = CACHE / "unfinished"
DONE = "done"  # in the folder of a stage that has ended well
FORGOTTEN = 30 * 24 * 3600  # seconds after which nobody comes back to an unfinished stage


def resumed(run: Callable[..., None]) -> Callable[..., None]:
    """`run` with a further argument `keep`, a folder that outlives an interruption of this stage.

    It goes once the stage has ended well and DVC has noted so in dvc.lock: a stage that is killed in between, while
    DVC stores its outs, costs nothing either.
    """

    @wraps(run)
    def call(context: Context, *arguments: str) -> None:
        tidy(UNFINISHED)
        keep = UNFINISHED / "-".join([context.params.profile, run.__name__, *arguments])
        keep.mkdir(parents=True, exist_ok=True)
        (keep / DONE).unlink(missing_ok=True)
        run(context, *arguments, keep=keep)
        if "DVC_STAGE" in os.environ:
            (keep / DONE).touch()
        else:  # by hand: nothing comes after
            shutil.rmtree(keep, ignore_errors=True)

    return call


def tidy(unfinished: Path, lock: Path = Path("dvc.lock")) -> None:
    """Remove the folders of stages that dvc.lock is newer than, and those that nobody came back to."""
    noted = lock.stat().st_mtime_ns if lock.exists() else 0
    for folder in unfinished.glob("*/"):
        done = folder / DONE
        noted_since = done.exists() and done.stat().st_mtime_ns < noted
        if noted_since or time.time() - folder.stat().st_mtime > FORGOTTEN:
            shutil.rmtree(folder, ignore_errors=True)
