"""Wall time and peak memory of a command, and the machine in words."""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import joblib
import psutil

from har.core.errors import HarError
from har.core.machine import processor

PROJECT = Path(__file__).resolve().parents[3]
EVERY = 0.5  # seconds between two looks at the memory; ten times as often takes a tenth of a core


class Spent(NamedTuple):
    """seconds from the start of the command to its end; bytes that it and its children had at most, what several of
    them share counted once (on Linux: proportional set size)."""

    seconds: float
    bytes: int


def run(command: Sequence[str], folder: Path, log: Path | None = None) -> Spent:
    """`command` in `folder`, its output in `log`, by default bench.log there. HarError with its last line where it
    fails."""
    env = os.environ | {"PYTHONPATH": str(PROJECT), "DVC_NO_ANALYTICS": "1", "TQDM_DISABLE": "1", "HAR_WARM": "0"}
    log = log or folder / "bench.log"
    with open(log, "wb") as out:
        start, most = time.perf_counter(), 0
        with psutil.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out) as process:
            while process.poll() is None:
                most = max(most, _memory(process))
                try:
                    process.wait(EVERY)
                except psutil.TimeoutExpired:
                    continue
        seconds = time.perf_counter() - start
    if process.returncode:
        said = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
        raise HarError(f"{' '.join(command)}: exit code {process.returncode}, and said last: {said[-1]}")
    return Spent(seconds, most)


def _memory(process: psutil.Process) -> int:
    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            found = one.memory_full_info()
            total += getattr(found, "pss", found.uss)
    except psutil.Error:  # one has ended meanwhile
        return 0
    return total


def hardware() -> str:
    """The processor's model, the number of cores that this process may use, and the GPU."""
    import torch

    gpu = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    return ", ".join([processor(), f"{joblib.cpu_count()} cores", *gpu])


def file_name() -> str:
    """`hardware` as the name of a file."""
    return re.sub(r"[^a-z0-9]+", "-", hardware().lower()).strip("-")
