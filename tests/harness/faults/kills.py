"""`dvc repro` killed at random moments, again and again, until everything is there."""

import json
import os
import queue
import random
import signal
import subprocess
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from faults.project import recover, snapshot, start, started

# worker: also the process that a stage was forked into (har.core.warm); server: which it was forked from; group: as
# Ctrl-C, or a machine that goes down
VICTIMS = ("dvc", "stage", "worker", "server", "group")
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")
GRACE = 15.0  # seconds in which all that was started must have ended


@dataclass(frozen=True)
class Moment:
    """share: of the undisturbed stage's seconds, after which it is struck."""

    number: int
    stage: str
    seconds: float
    share: float
    victim: str
    signal: str


@dataclass
class Struck:
    """What a moment did: who was hit, whether DVC ended by it, how many processes outlived it, which results were half
    written, and what had to be removed before the next run."""

    moment: Moment
    victim: str
    ended: bool
    left: int = 0
    torn: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)


def plan(stages: list[tuple[str, float]], moments: int, seed: int) -> list[Moment]:
    """Every other moment goes round the stages, the others fall as time does; when, whom and how by chance."""
    draw = random.Random(seed)
    names, seconds = [name for name, _ in stages], dict(stages)
    chosen: list[str] = []
    while len(chosen) < (moments + 1) // 2:
        chosen += draw.sample(names, len(names))
    chosen = chosen[: (moments + 1) // 2]
    chosen += draw.choices(names, [seconds[name] for name in names], k=moments - len(chosen))
    drawn = [
        Moment(number, name, seconds[name], draw.random(), draw.choice(VICTIMS), draw.choice(SIGNALS))
        for number, name in enumerate(chosen)
    ]
    return sorted(drawn, key=lambda moment: (names.index(moment.stage), moment.share))


def suffer(
    folder: Path, moments: list[Moment], truth: dict, log: Path, *, targets: Sequence[str] = (), limit: float
) -> list[Struck]:
    """Run the clone in `folder` through all `moments`, then to its end.

    targets: stages to run, none for all; log: a line of JSON for each moment that was tried, and those that are there
    already are not tried again. RuntimeError where a run fails of itself, or after `limit` seconds.
    """
    done = read(log)
    tried = {one.moment.number for one in done}
    pending: dict[str, deque[Moment]] = defaultdict(deque)
    for moment in moments:
        if moment.number not in tried:
            pending[moment.stage].append(moment)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        left = [stage for stage, waiting in pending.items() if waiting]
        struck, code = attempt(folder, ["repro", *targets], pending, truth)
        if code == 0 and not struck and left:  # their stages ran before they were struck: once more, by force
            struck, code = attempt(folder, ["repro", "--force", "--single-item", left[0]], pending, truth)
        with open(log, "a", encoding="utf-8") as stream:
            for one in struck:
                stream.write(json.dumps(asdict(one)) + "\n")
                print(line(len(done) + 1, one), flush=True)
                done.append(one)
        if code and not any(one.ended for one in struck):
            raise RuntimeError(f"dvc repro failed of itself in {folder}: see {log_of(folder)}")
        if code == 0 and not any(pending.values()):
            return done
    raise RuntimeError(f"{sum(map(len, pending.values()))} moments were left after {limit:.0f} s")


def read(log: Path) -> list[Struck]:
    if not log.exists():
        return []
    rows = [json.loads(row) for row in log.read_text(encoding="utf-8").splitlines()]
    return [Struck(**{**row, "moment": Moment(**row["moment"])}) for row in rows]


def line(number: int, one: Struck) -> str:
    moment = one.moment
    told = ["ended" if one.ended else "went on", *one.recovered]
    told += [f"LEFT {one.left}"] if one.left else []
    told += [f"TORN {', '.join(one.torn)}"] if one.torn else []
    at = f"{moment.stage:28s} after {moment.share * moment.seconds:5.1f} s"
    return f"{number:4d}  {at}  {moment.signal[3:]:4s} -> {one.victim:6s} {'; '.join(told)}"


def attempt(folder: Path, arguments: list[str], pending: dict, truth: dict) -> tuple[list[Struck], int]:
    """One run of DVC, struck as its stages start; the moments tried, and its exit code."""
    process = start(folder, *arguments)
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process, lines, log_of(folder)), daemon=True).start()
    struck: list[Struck] = []
    waiting: deque[Moment] = deque()
    due = None
    while True:
        try:
            said = lines.get(timeout=None if due is None else max(0.0, due - time.monotonic()))
        except queue.Empty:
            one = strike(process, waiting.popleft(), folder)
            struck.append(one)
            if one.ended:
                break
            due = time.monotonic() + waiting[0].share * waiting[0].seconds if waiting else None
            continue
        if said is None:  # it has ended, of itself or late
            process.wait()
            if struck:
                struck[-1].ended = True
            break
        if (stage := started(said)) and not waiting and pending[stage]:
            waiting = pending[stage]
            due = time.monotonic() + waiting[0].share * waiting[0].seconds
    code = process.wait()
    if struck:
        struck[-1].left = clear(process.pid, folder)
        struck[-1].torn = torn(folder, truth)
        struck[-1].recovered = recover(folder)
    return struck, code


def log_of(folder: Path) -> Path:
    """What the last run of DVC in `folder` said."""
    return folder.with_suffix(".log")


def _read(process: subprocess.Popen, lines: queue.SimpleQueue, log: Path) -> None:
    with open(log, "w", encoding="utf-8") as stream:
        for said in process.stdout:
            stream.write(said)
            stream.flush()
            lines.put(said)
    process.stdout.close()
    process.wait()
    lines.put(None)


def warm(folder: Path) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """The server of `folder` that stages are forked from, and what it has forked."""
    found = {}
    for one in psutil.process_iter(["cmdline", "cwd", "ppid", "status"]):
        ours = one.info["cwd"] == str(folder.resolve()) and "har.core.warm" in (one.info["cmdline"] or [])
        if ours and one.info["status"] != psutil.STATUS_ZOMBIE:
            found[one.pid] = one
    servers = [one for one in found.values() if os.getsid(one.pid) == one.pid]
    return servers, [one for one in found.values() if one not in servers]


def strike(process: subprocess.Popen, moment: Moment, folder: Path) -> Struck:
    """Send the signal to the victim, or to what there is of it: a stage has no worker while it collects, and there is
    no stage while DVC stores what it made."""
    number = getattr(signal, moment.signal)
    try:
        # some shells stay above the command that they run
        below = psutil.Process(process.pid).children(recursive=True)
        stages = [one for one in below if {"-m", "stages"} <= set(one.cmdline())]
        stages = [one for one in stages if one.ppid() not in {other.pid for other in stages}]
        servers, forked = warm(folder)
        workers = [one for stage in stages for one in stage.children(recursive=True)] + forked
    except (psutil.Error, ProcessLookupError):
        stages, workers, servers = [], [], []
    victim = moment.victim
    if (victim == "server" and not servers) or (victim == "worker" and not workers):
        victim = "stage"
    if victim == "stage" and not stages:
        victim = "dvc"
    choice = {"dvc": [process], "stage": stages, "worker": workers, "server": servers}
    try:
        if victim == "group":
            os.killpg(process.pid, number)
        else:
            os.kill(random.Random(moment.number).choice(choice[victim]).pid, number)
    except ProcessLookupError:  # it was about to end
        pass
    try:
        process.wait(3.0)
    except subprocess.TimeoutExpired:
        return Struck(moment, victim, ended=False)
    return Struck(moment, victim, ended=True)


def clear(session: int, folder: Path) -> int:
    """Wait until no process of the session is left, and none that was forked for it; how many outlived the time they
    have (these are killed)."""
    end = time.monotonic() + GRACE
    while left := [*members(session), *warm(folder)[1]]:
        if time.monotonic() > end:
            for one in left:
                one.kill()
            return len(left)
        time.sleep(0.05)
    return 0


def members(session: int) -> list[psutil.Process]:
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


def counts(done: list[Struck]) -> dict[str, Counter]:
    """How often each victim met each signal, and how often each kind of stage was struck."""
    return {
        "victims": Counter((one.victim, one.moment.signal) for one in done),
        "stages": Counter(one.moment.stage.partition("@")[0] for one in done),
        "recovered": Counter(words.split(" ")[0] for one in done for words in one.recovered),
    }
