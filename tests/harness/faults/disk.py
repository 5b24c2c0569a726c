"""`dvc repro` on a disk that is full, again with a little more room, until it is enough."""

import os
import re
import resource
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from faults.kills import clear, torn
from faults.project import clone, lost, recover, start

MB = 1 << 20
LIMIT = 1800  # seconds that one run may take; the whole pipeline, reduced, takes 200 to 400 alone


@dataclass(frozen=True)
class Full:
    """how: "disk" (a file system of so many bytes) or "file" (no file may be larger); rooms: megabytes that were tried,
    the last one enough, None for no bound; told: the last line but DVC's of each run that failed."""

    how: str
    rooms: list[float | None]
    told: list[str]
    torn: list[str]
    lost: dict[str, int]


def suffer(source: Path, folder: Path, truth: dict, targets: Sequence[str] = (), changes: dict | None = None) -> Full:
    """A clone of `source` below `folder` run to its end while room is short, and what became of it."""
    try:
        with small_disk(folder) as grow:
            made = clone(source, folder / "project", changes)
            used = usage(folder)
            return endure("disk", made, truth, targets, grow, [used + more * MB for more in steps(truth)])
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no file system of a few megabytes to be had here ({error}); files are kept short instead")
    shutil.rmtree(folder, ignore_errors=True)
    made = clone(source, folder / "project", changes)
    return endure("file", made, truth, targets, limit_files, [MB * size for size in (0.02, 0.1, 0.5, 2, 5)])


def steps(truth: dict) -> list[float]:
    """Megabytes beyond the clone itself, from almost none to almost what results, DVC's copies and git take."""
    whole = 2.2 * sum(size for _, size in truth.values()) / MB
    return [whole * share for share in (0.02, 0.1, 0.25, 0.45, 0.7)]


def endure(
    how: str, folder: Path, truth: dict, targets: Sequence[str], bound: Callable, sizes: Sequence[float]
) -> Full:
    told, broken, rooms = [], [], []
    for size in [*sizes, None]:
        rooms.append(None if size is None else round(size / MB, 1))
        process = start(folder, "repro", *targets, **(bound(size) or {}))
        watch = threading.Timer(LIMIT, os.killpg, (process.pid, signal.SIGKILL))
        watch.start()
        lines = process.stdout.read().splitlines()
        if process.wait() == -signal.SIGKILL:
            raise RuntimeError(f"dvc repro hung, {LIMIT} s on a full disk: {lines[-5:]}")
        watch.cancel()
        broken += torn(folder, truth)
        if clear(process.pid, folder):
            raise RuntimeError(f"a process outlived the full disk: {lines[-5:]}")
        if process.returncode == 0:
            break
        if size is None:
            raise RuntimeError("dvc repro failed with room enough:\n" + "\n".join(lines[-30:]))
        told.append(words(lines).replace(str(folder), "."))
        print(f"{rooms[-1]:7.1f} MB  {told[-1]}", flush=True)
        bound(None)  # what is to be put right is put right once there is room
        recover(folder)
    return Full(how, rooms, told, broken, lost(folder, truth))


def words(lines: Sequence[str]) -> str:
    """What a user reads last, of ours where we had a say."""
    errors = [line for line in lines if re.search(r"disk is full|too large|No space left|ERROR", line)]
    return (errors or list(lines) or ["nothing"])[0][:160]


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable]:
    """A file system in memory at `folder`; gives a function that sets its size in bytes (None: plenty). OSError or
    CalledProcessError where mounting is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4g", "tmpfs", str(folder)]
    subprocess.run(mount, check=True, capture_output=True, text=True)

    def grow(size: float | None) -> None:
        bound = "4g" if size is None else str(int(size))
        subprocess.run(["mount", "-o", f"remount,size={bound}", str(folder)], check=True, capture_output=True)

    try:
        yield grow
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def limit_files(size: float | None) -> dict:
    """Options of Popen for a process whose files may not grow beyond `size` bytes."""
    if size is None:
        return {}
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), resource.RLIM_INFINITY))}


def usage(folder: Path) -> int:
    """Bytes in use of the file system at `folder`."""
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize
