"""`dvc repro` killed at random moments, again and again; each time that everything is there it begins anew."""

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from faults.project import clone, log_of, lost, recover, snapshot, start

# worker: also the process that a stage was forked into (har.core.warm); server: which it was forked from; group: as
# Ctrl-C, or a machine that goes down
VICTIMS = ("dvc", "stage", "worker", "server", "group")
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")
GRACE = 15.0  # seconds in which all that was started must have ended
PACE = 45  # moments that an undisturbed run would have, on average


def suffer(
    source: Path, folder: Path, targets: Sequence[str], truth: dict, moments: int, seed: int, whole: float
) -> tuple[list[dict], dict]:
    """Kill `dvc repro` of `targets` in clones of `source` at so many moments, then run it to its end.

    truth, whole: results of an undisturbed run, and its seconds. Returns what each moment did (who was hit by what in
    which stage, whether DVC ended, how many processes outlived it, which results were half written, what had to be
    removed before the next run), and the results that differ at the end of any run, with their bytes.
    """
    draw, done, differing = random.Random(seed), [], {}
    made, process, struck = clone(source, folder), None, None
    while process or len(done) < moments:
        if process is None:
            process, struck = start(made, targets), None
        wait = draw.expovariate(PACE / whole) if len(done) < moments else None
        if not _ended(process, wait):
            struck = strike(process, made, draw)
            done.append(struck)
            ended = _ended(process, 3.0)
        elif process.returncode == 0:
            differing |= lost(made, truth)
            process = None
            if len(done) < moments:
                made = clone(source, folder)
            continue
        elif struck is None:
            raise RuntimeError(f"dvc repro failed of itself: see {log_of(made)}")
        else:
            ended = True  # late, of what struck it before
        struck["ended"] = ended
        if ended:
            struck |= {"left": clear(process.pid, made), "torn": torn(made, truth), "removed": recover(made)}
            process = None
        print(f"{len(done):4d} {struck}", flush=True)
        if process is None and len(done) == moments:
            process, struck = start(made, targets), None  # to the end
    return done, differing


def _ended(process: subprocess.Popen, seconds: float | None) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def strike(process: subprocess.Popen, folder: Path, draw: random.Random) -> dict:
    """Send a signal to a victim, or to what there is of it: a stage has no worker while it collects, and there is no
    stage while DVC stores what it made."""
    victim, name = draw.choice(VICTIMS), draw.choice(SIGNALS)
    stages = re.findall(r"^Running stage '([^']+)'", log_of(folder).read_text(errors="replace"), re.MULTILINE)
    try:
        # some shells stay above the command that they run
        below = psutil.Process(process.pid).children(recursive=True)
        running = [one for one in below if {"-m", "stages"} <= set(one.cmdline())]
        running = [one for one in running if one.ppid() not in {other.pid for other in running}]
        servers, forked = warm(folder)
        workers = [one for stage in running for one in stage.children(recursive=True)] + forked
    except psutil.Error:
        running, workers, servers = [], [], []
    if (victim == "server" and not servers) or (victim == "worker" and not workers):
        victim = "stage"
    if victim == "stage" and not running:
        victim = "dvc"
    choice = {"dvc": [process], "stage": running, "worker": workers, "server": servers, "group": [process]}
    pid = draw.choice(choice[victim]).pid
    try:
        (os.killpg if victim == "group" else os.kill)(pid, getattr(signal, name))
    except ProcessLookupError:  # it was about to end
        pass
    return {"stage": stages[-1] if stages else "-", "victim": victim, "signal": name}


def warm(folder: Path) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """The server of `folder` that stages are forked from, and what it has forked."""
    servers, forked = [], []
    for one in psutil.process_iter(["cmdline", "cwd", "status"]):
        ours = one.info["cwd"] == str(folder.resolve()) and "har.core.warm" in (one.info["cmdline"] or [])
        if ours and one.info["status"] != psutil.STATUS_ZOMBIE:
            (servers if os.getsid(one.pid) == one.pid else forked).append(one)
    return servers, forked


def clear(session: int, folder: Path) -> int:
    """Wait until no process of the session is left, and none that was forked for it; how many outlived the time they
    have (these are killed)."""
    end = time.monotonic() + GRACE
    while left := [*_members(session), *warm(folder)[1]]:
        if time.monotonic() > end:
            for one in left:
                one.kill()
            return len(left)
        time.sleep(0.05)
    return 0


def _members(session: int) -> list[psutil.Process]:
    found = []
    for one in psutil.process_iter(["status"]):
        try:
            if os.getsid(one.pid) == session and one.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(one)
        except (ProcessLookupError, PermissionError):
            continue
    return found


def torn(folder: Path, truth: dict) -> list[str]:
    """Results with their final names that are not what they should be: nothing may ever be half written."""
    return [name for name, found in snapshot(folder).items() if truth.get(name) != found]
