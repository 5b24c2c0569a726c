"""Wall time and peak memory of a command."""

import math
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

import har
from har.core.errors import HarError

EVERY = 0.5  # seconds between two looks at the memory; ten times as often takes a tenth of a core


class Spent(NamedTuple):
    """seconds from the start of the command to its end; bytes that it and its children had at most, what several of
    them share counted once (on Linux: proportional set size)."""

    seconds: float
    bytes: int


def rounds(most: int, deadline: float = math.inf, least: int = 1) -> Iterator[int]:
    """0, 1, ... below `most`: `least` rounds, and no further one that would end after `deadline` (time.monotonic) if it
    took as long as the longest before it."""
    longest = 0.0
    for number in range(most):
        start = time.monotonic()
        if number >= least and start + longest > deadline:
            return
        yield number
        longest = max(longest, time.monotonic() - start)


def run(command: Sequence[str], folder: str | Path, logs: str | Path | None = None) -> Spent:
    """`command` in `folder`, its output in bench.log there or in `logs`. Raises HarError, with the last line of this,
    where it fails."""
    root = str(Path(har.__file__).parents[1])  # the same har as here
    env = os.environ | {"PYTHONPATH": root, "DVC_NO_ANALYTICS": "1", "TQDM_DISABLE": "1", "HAR_WARM": "0"}
    log = Path(logs or folder) / "bench.log"
    with open(log, "wb") as out:
        start, most = time.perf_counter(), 0
        process = psutil.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            while (code := _ended(process)) is None:
                most = max(most, _memory(process))
        finally:
            if process.is_running():  # whoever waited was interrupted
                process.kill()
        seconds = time.perf_counter() - start
    if code:
        said = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
        raise HarError(f"{' '.join(map(str, command))}: failed with exit code {code}, and said last: {said[-1]}")
    return Spent(seconds, most)


def _ended(process: psutil.Popen) -> int | None:
    """The exit code, None after EVERY seconds without one."""
    try:
        return process.wait(EVERY)
    except psutil.TimeoutExpired:
        return None


def _memory(process: psutil.Process) -> int:
    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    for one in family:
        try:
            found = one.memory_full_info()
            total += getattr(found, "pss", found.uss)
        except psutil.Error:  # gone meanwhile
            continue
    return total
