"""Hostile bytes for every reader, and a room that they cannot leave.

`Fuzz.run` holds a reader to one property: whatever it is given, it returns or raises a HarError of one line. No other
exception, no write outside its folder, no program started, no pickle opened, no address but this machine's, no hang,
no memory beyond its bound. Each file test_fuzz_*.py describes readers; `make fuzz` runs 10,000 cases and more of each
(FUZZ=10000) and keeps the counts in reports/fuzz.csv and reports/fuzz.md. Stopped, it goes on where it was; without
reports/fuzz.csv it starts anew.
"""

import contextlib
import fcntl
import functools
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from har.core.errors import HarError
from har.core.files import write_csv, write_text
from har.reporting.table import markdown_table

LONG = int(os.environ.get("FUZZ") or 0)  # cases of each reader; 0: a few, as a unit test
ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "reports/fuzz.csv"
BATCH = 500  # cases after which the counts are kept; each batch draws with a seed of its own
TOGETHER = 20  # cases that hypothesis draws at once in the long run: half the time of one by one
HANG, WAIT = 30, 600  # seconds at work, and in all, after which a case hangs; none works more than a second or two
MESSAGE = 1500  # characters of a refusal, the path among them
MB = 1 << 20


def several(draw: Callable[[Random], Any], most: int) -> st.SearchStrategy[list]:
    """One to `most` values that `draw` gives, few more often than many. hypothesis draws one number for all of them: a
    tenth of the time, in long runs, of a strategy for each part."""

    def values(number: int) -> list:
        chance = Random(number)
        return [draw(chance) for _ in range(min(chance.randint(1, most), chance.randint(1, most)))]

    return st.integers(0, 2**64 - 1).map(values)


# --- hostile values ----------------------------------------------------------------------------------------

DEEP, HUGE_FLOAT, HUGE_INT, MANY_DIGITS = "\0deep", "\0float", "\0int", "\0digits"
RAW = {DEEP: "[" * 3000 + "]" * 3000, HUGE_FLOAT: "1e999", HUGE_INT: str(10**400), MANY_DIGITS: "9" * 5000}
VALUES = (
    None, True, False, 0, 1, -1, 2, 7, 0.5, -0.0, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**18, 1e6,
    1e300, 1e-300, -1e300, float("nan"), float("inf"), -float("inf"), HUGE_FLOAT, HUGE_INT, MANY_DIGITS, DEEP, "", "x",
    " ", "0", "-1", "nan", "../../../../tmp/escaped", "/etc/passwd", "a/../../b.jpg", "..", ".", "con.jpg", "a\0b",
    "a\nb", "\r\n", "\x1b[31m", "\u202e", "\ud800", "é" * 40, "💥", "x" * 5000, "__class__", "{0}", "%s%s%n",
    "file:///etc/passwd", "javascript:alert(1)", "2024-13-45", [], {}, [[]], [None], {"": ""}, [1, 2, 3, 4], [0] * 600,
    [1e300] * 6, ["a", "b"], {"a": {"a": {"a": 1}}}, {"id": 1},
)  # fmt: skip
EDITS = ("set", "set", "set", "set", "delete", "repeat", "move", "rename", "wrap", "many")


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything within a JSON value, in a fixed order."""
    found: list[tuple[Any, Any]] = []
    for container, key in ((value, k) for k in (value if isinstance(value, dict) else range(len(value)))):
        found.append((container, key))
        if isinstance(container[key], dict | list):
            found += places(container[key])
    return found


def edited(value: Any, edits: Iterable[tuple[str, int, Any]]) -> Any:
    """`value` with some of its parts replaced, removed, doubled or moved; edits: what, where, with what."""
    value = json.loads(json.dumps(value))
    for what, where, new in edits:
        found = places(value)
        if not found:
            break
        container, key = found[where % len(found)]
        new = json.loads(json.dumps(new))
        if what == "delete":
            del container[key]
        elif what == "repeat" and isinstance(container, list):
            container.insert(key, json.loads(json.dumps(container[key])))
        elif what == "move":
            other, at = found[(where * 7 + 3) % len(found)]
            container[key] = json.loads(json.dumps(other[at]))
        elif what == "rename" and isinstance(container, dict):
            container[str(new)] = container.pop(key)
        elif what == "wrap":
            container[key] = [container[key]]
        elif what == "many" and isinstance(container, list):
            container[key:key] = [container[key]] * 50
        else:
            container[key] = new
    return value


def as_json(value: Any) -> bytes:
    """JSON, with what Python can't hold (depth, 1e999) put in as text, and lone surrogates as they are."""
    text = json.dumps(value)
    for mark, raw in RAW.items():
        text = text.replace(json.dumps(mark), raw)
    return text.encode("utf-8", "surrogatepass")


def json_of(valid: Any, most: int = 4) -> st.SearchStrategy[bytes]:
    """The bytes of `valid` after up to `most` edits of its parts, at times damaged as bytes as well."""
    size = len(places(valid))

    def edit(chance: Random) -> tuple[str, int, Any]:
        return chance.choice(EDITS), chance.randrange(size), chance.choice(VALUES)

    whole = several(edit, most).map(lambda edits: as_json(edited(valid, edits)))
    return st.one_of(whole, whole, whole, st.tuples(whole, damage(1 << 12)).map(lambda pair: damaged(*pair)))


BYTES = (b"\0", b"\xff" * 4, b"\xff" * 8, b"\0" * 64, b"\x7f\xff\xff\xff", b'"', b",", b"\n", b"[" * 200)
DAMAGE = ("flip", "flip", "over", "over", "insert", "cut", "truncate", "copy")


def damage(size: int, most: int = 5) -> st.SearchStrategy[list]:
    """What `damaged` does to so many bytes; headers and ends are hit more often than the rest."""

    def one(chance: Random) -> tuple[str, int, int, bytes]:
        at = chance.choice(
            (chance.randint(0, size), chance.randint(0, min(size, 64)), chance.randint(max(0, size - 64), size))
        )
        new = chance.choice((chance.choice(BYTES), chance.randbytes(chance.randint(1, 8))))
        return chance.choice(DAMAGE), at, chance.randint(1, 255), new

    return several(one, most)


def damaged(data: bytes, changes: Iterable[tuple[str, int, int, bytes]]) -> bytes:
    """`data` with bits flipped, bytes written over, put in, taken out, cut off or copied elsewhere."""
    for what, at, number, new in changes:
        at = min(at, max(len(data) - 1, 0))
        if what == "flip":
            data = data[:at] + bytes(b ^ number for b in data[at : at + 1]) + data[at + 1 :]
        elif what == "over":
            data = data[:at] + new + data[at + len(new) :]
        elif what == "insert":
            data = data[:at] + new + data[at:]
        elif what == "cut":
            data = data[:at] + data[at + number :]
        elif what == "truncate":
            data = data[:at]
        else:
            to = at * number % (len(data) + 1)
            data = data[:to] + data[at : at + number] + data[to:]
    return data


def bytes_of(valid: bytes, most: int = 5) -> st.SearchStrategy[bytes]:
    return damage(len(valid), most).map(lambda changes: damaged(valid, changes))


# --- the room ----------------------------------------------------------------------------------------------


class Escape(BaseException):
    """A reader did what none may do. No Exception, so that no reader takes it for a damaged file."""


class Hang(BaseException):
    pass


@dataclass
class _Watch:
    folder: str
    escapes: list[str] = field(default_factory=list)


_watch: _Watch | None = None
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# events of sys.addaudithook that change a path: the places of path and of the folder's descriptor in their arguments
_CHANGES = {"os.remove": [(0, 1)], "os.rename": [(0, 2), (1, 3)], "os.mkdir": [(0, 2)], "os.rmdir": [(0, 1)],
            "os.link": [(1, 3)], "os.symlink": [(1, 2)], "os.truncate": [(0, None)], "os.chmod": [(0, 2)]}  # fmt: skip
_NEVER = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class", "builtins.input",
          "webbrowser.open", "urllib.Request")  # fmt: skip


def _hook(event: str, arguments: tuple) -> None:
    watch = _watch
    if watch is None:
        return
    paths: list[Any] = []
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, str | bytes) and (flags & _WRITES or os.fsdecode(path).startswith("/etc/passwd")):
            paths = [path]
    elif event in _CHANGES:
        for place, folder in _CHANGES[event]:
            above = -1 if folder is None else arguments[folder]
            path = arguments[place]
            # a name beside an open folder
            paths.append(path if above == -1 else os.path.join(os.readlink(f"/proc/self/fd/{above}"), path))
    elif event == "socket.connect" and arguments[1][0] not in ("127.0.0.1", "localhost", "::1"):
        _escaped(watch, f"connects to {arguments[1]!r}")
    elif event in _NEVER:
        _escaped(watch, f"{event} {arguments!r:.200}")
    for path in paths:
        if isinstance(path, int) or os.fspath(path) == os.devnull:
            continue
        whole = os.path.realpath(os.fsdecode(path))
        if not whole.startswith(watch.folder + os.sep) and whole != watch.folder:
            _escaped(watch, f"{event} {whole}")


def _escaped(watch: _Watch, what: str) -> None:
    watch.escapes.append(what)
    raise Escape(what)


@contextlib.contextmanager
def room(folder: Path, memory: int) -> Iterator[Callable[[], int]]:
    """Guard what happens within; yields a function that tells the bytes of memory that it took at most so far.

    memory: bytes above what the process has already; more raises MemoryError (Linux), which is an escape too."""
    global _watch
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked.append(True)
    before = _status("VmRSS")
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")  # the peak starts anew
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    main = threading.current_thread() is threading.main_thread()
    for timer, number, seconds in TIMERS if main else ():
        signal.signal(number, _hangs)
        signal.setitimer(timer, seconds)
    if size := _status("VmSize"):
        resource.setrlimit(resource.RLIMIT_AS, (size + memory + 512 * MB, hard))  # threads reserve more than they use
    _watch = watch = _Watch(os.path.realpath(folder))
    try:
        yield lambda: max(0, _status("VmHWM") - before)
    finally:
        _watch = None
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        for timer, _, _ in TIMERS if main else ():
            signal.setitimer(timer, 0)
    assert not watch.escapes, watch.escapes


_hooked: list[bool] = []
# the second one for what waits; long, as a loaded machine may keep a case waiting too
TIMERS = ((signal.ITIMER_PROF, signal.SIGPROF, HANG), (signal.ITIMER_REAL, signal.SIGALRM, WAIT))


def _hangs(number, _):
    raise Hang(f"more than {HANG} s at work" if number == signal.SIGPROF else f"more than {WAIT} s")


def _status(key: str) -> int:
    """A line of /proc/self/status in bytes; 0 where there is none."""
    try:
        with open("/proc/self/status") as lines:
            return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":")), 0)
    except OSError:
        return 0


# --- the property ------------------------------------------------------------------------------------------


@dataclass
class Counts:
    """Of a reader: cases so far, how many it refused, how many broke the property, seconds of CPU in all and of the
    slowest case, the most memory a case took."""

    inputs: int = 0
    refused: int = 0
    failures: int = 0
    seconds: float = 0
    slowest: float = 0
    peak: int = 0


@dataclass
class Fuzz:
    """One reader under fire. folder: where it may write; memory: bytes that a case may take beside what there is."""

    reader: str
    folder: Path
    memory: int = 256 * MB
    counts: Counts = field(default_factory=Counts)

    def attempt(self, read: Callable[[], Any]) -> str | None:
        """`read()` under guard: None where it returns, the line where it refuses."""
        told, counts, begun = None, self.counts, time.process_time()
        counts.inputs += 1
        with room(self.folder, self.memory) as taken:
            try:
                read()
            except HarError as error:
                told = str(error)
            peak = taken()
        counts.slowest = max(counts.slowest, time.process_time() - begun)
        if told is not None:
            counts.refused += 1
            assert "\n" not in told, f"not one line: {told!r}"
            assert "\r" not in told, f"not one line: {told!r}"
            assert len(told) <= MESSAGE, f"{len(told)} characters: {told[:300]!r}"
        counts.peak = max(counts.peak, peak)
        assert peak <= self.memory, f"{peak / MB:.0f} MB, at most {self.memory / MB:.0f} allowed"
        return told

    def run(self, cases: st.SearchStrategy, read: Callable[[Any], Any], good: Any, few: int = 25) -> None:
        """The property on `few` cases of the strategy, on FUZZ of them in the long run; `read(case)` reads one. good: a
        case without a fault. It must be read, or all others would be refused for what they have in common."""
        read(good)
        if not LONG:
            self._batch(cases, read, few)
            return
        self.counts = known(self.reader)
        while self.counts.inputs < LONG:
            before, counts = time.process_time(), self.counts
            try:
                self._batch(cases, read, min(BATCH, LONG - counts.inputs))
            except KeyboardInterrupt:
                raise
            except BaseException:
                counts.failures += 1
                raise
            finally:
                counts.seconds += time.process_time() - before
                self.note()

    def _batch(self, cases: st.SearchStrategy, read: Callable[[Any], Any], number: int) -> None:
        together = TOGETHER if LONG else 1

        @seed(self.counts.inputs)
        @settings(max_examples=-(-number // together), deadline=None, database=None,
                  suppress_health_check=list(HealthCheck),
                  phases=[Phase.generate, *([Phase.shrink] if LONG else [])])  # fmt: skip
        @given(st.lists(cases, min_size=together, max_size=together))
        def holds(several_cases):
            for case in several_cases:
                self.attempt(lambda: read(case))  # noqa: B023 (called at once)

        holds()

    def note(self) -> None:
        """The counts so far in the place of this reader's earlier ones."""
        row = {"reader": self.reader, **asdict(self.counts), "bound": self.memory}
        REPORT.parent.mkdir(exist_ok=True)
        with open(REPORT.with_name(".fuzz.lock.part"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # readers are tried side by side
            rows = {one["reader"]: one for one in noted()}
            before = rows.get(self.reader, {}).get("code", "").split() if self.counts.inputs > BATCH else []
            rows[self.reader] = row | {"code": " ".join(dict.fromkeys([*before, code()]))}
            write_csv(REPORT, pd.DataFrame([rows[name] for name in sorted(rows)]))


def noted() -> list[dict]:
    return pd.read_csv(REPORT, dtype={"code": "str"}).to_dict("records") if REPORT.exists() else []


def known(reader: str) -> Counts:
    """The counts of this reader to go on with: none where the property was broken."""
    for row in noted():
        if row["reader"] == reader and not row["failures"]:
            return Counts(**{name: row[name] for name in asdict(Counts())})
    return Counts()


@functools.cache
def code() -> str:
    """The commit of what is tried; with a + where that has changed since."""
    git = ["git", "rev-list", "-1", "--abbrev-commit", "HEAD", "--", "har"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain", "har"], capture_output=True, check=True, cwd=ROOT).stdout
    return commit + "+" * bool(changed)


def total(frame: pd.DataFrame) -> str:
    """reports/fuzz.csv in a sentence."""
    return (
        f"`make fuzz`: {len(frame)} readers, {frame.inputs.sum():,} hostile inputs, {frame.inputs.min():,} or more each; "
        f"{frame.refused.sum():,} refused, {(frame.inputs - frame.refused).sum():,} read, {frame.failures.sum():,} "
        "failures."
    )


def report() -> str:
    """Write reports/fuzz.md from reports/fuzz.csv."""
    frame = pd.DataFrame(noted())
    shown = pd.DataFrame({
        "Reader": frame.reader, "Inputs": frame.inputs.map("{:,}".format), "Refused": frame.refused.map("{:,}".format),
        "Read": (frame.inputs - frame.refused).map("{:,}".format), "Failures": frame.failures,
        "Longest, s": frame.slowest.map("{:.2f}".format), "In all, s": frame.seconds.map("{:,.0f}".format),
        "Memory, MB": (frame.peak / MB).round().astype(int), "Bound, MB": frame.bound // MB, "Code": frame.code,
    })  # fmt: skip
    text = (
        "# Hostile input\n\nValid files with parts changed, moved, doubled or taken out, values of other types, numbers "
        "without measure, bits flipped and bytes cut, put to every reader of files from outside. Refused: by one line. "
        "Read: the damage left a file that means something. A failure would be anything else: another exception, a write "
        "outside the reader's folder, a program started, a pickle opened, a hang, memory beyond the bound (the most that "
        "one input took beside what the process had). Seconds are those of the processor; code is the commits of `har/` that "
        f"were tried. {total(frame)}\n\n{markdown_table(shown)}\n"
    )
    write_text(REPORT.with_suffix(".md"), text)
    return f"{markdown_table(shown)}\n\n{total(frame)}"


if __name__ == "__main__":
    print(report())
