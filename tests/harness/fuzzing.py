"""Hostile input for every reader, and a guard that none gets past.

`hold` holds a reader to one property: whatever it is given, it returns or raises a HarError of one line. No other
exception, no write outside its folder, no program started, no pickle opened, no address but this machine's, no hang,
no memory beyond its bound. Each file test_fuzz_*.py describes readers; `make fuzz` tries 10,000 cases of each
(FUZZ=10000) and writes the counts to reports/fuzz.csv and reports/fuzz.md, each with the commit that they were tried at.
"""

import contextlib
import copy
import csv
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd

from har.core.errors import HarError
from har.core.files import write_csv, write_text
from har.reporting.table import markdown_table

FUZZ = int(os.environ.get("FUZZ") or 0)  # cases of each reader; 0: a few, as a unit test
COUNTS = Path(__file__).resolve().parents[2] / "build/fuzz.jsonl"
HANG = 60  # seconds after which a case hangs; none takes more than two
MESSAGE = 1500  # characters of a refusal, the path among them
MB = 1 << 20

# --- hostile values: functions that draw beside what is valid -----------------------------------------------------------------

# what Python's json does not write: put in as text
RAW = {"\0deep": "[" * 3000 + "]" * 3000, "\0float": "1e999", "\0digits": "9" * 5000}
NASTY = (
    *RAW, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 10**400, 1e300, -1e300, 1e-300, float("nan"), float("inf"), "", " ", "0",
    "-1", "nan", "../../../../tmp/escaped", "/etc/passwd", "a/../../b.jpg", "..", ".", "con.jpg", "a\0b", "a\nb",
    "\r\n", "\x1b[31m", "\u202e", "\ud800", "é" * 40, "x" * 5000, "__class__", "{0}", "%s%s%n", "file:///etc/passwd",
    "javascript:alert(1)", "2024-13-45", [[]], [1, 2, 3, 4], [0] * 600, ["a", "b"], {"": ""}, {"a": {"a": {"a": 1}}},
)  # fmt: skip
Draw = Callable[[random.Random], Any]  # a case, drawn

CHARACTERS = "".join(map(chr, range(128))) + "éß坐着\u0300\u200b\u2028\ufeff１💥"


def text(draw: random.Random) -> str:
    return "".join(draw.choices(CHARACTERS, k=draw.randint(0, 8)))


def number(draw: random.Random) -> int | float:
    return draw.choice([draw.randint(-9, 9), draw.getrandbits(70), draw.uniform(-2, 2), draw.gauss(0, 1e9)])


def value(draw: random.Random) -> Any:
    """None, a truth, a number, a text, something hostile, or a list or mapping of the like."""
    plain = [None, True, False, number(draw), text(draw)]
    several = draw.sample(plain, draw.randint(0, 4))
    return draw.choice([draw.choice(NASTY), draw.choice(plain), several, {text(draw): one for one in several}])


def cell(draw: random.Random) -> str:
    plain = [str(one) for one in NASTY if not isinstance(one, list | dict)]
    return draw.choice([text(draw), str(number(draw)), draw.choice([*plain, "=1+1", "1_0", "１", "1e3", "True", '"'])])


def one_of(values: Sequence) -> Draw:
    """One of those values; of those that are functions, what it draws."""
    values = list(values)

    def drawn(draw):
        found = draw.choice(values)
        return found(draw) if callable(found) else found

    return drawn


def bytes_of(valid: bytes) -> Draw:
    """`valid` with stretches cut out, put in or written over, at times to its end."""

    def damaged(draw):
        data = valid
        for _ in range(draw.randint(1, 3)):
            at = draw.randint(0, len(data))
            until = draw.choice([at + draw.randint(0, 8)] * 3 + [len(data)])
            data = data[:at] + draw.choice([draw.randbytes(draw.randint(0, 8)), b"\0" * 64]) + data[until:]
        return data

    return damaged


def as_json(value: Any) -> bytes:
    """JSON, with RAW in it as text, and lone surrogates as they are."""
    text = json.dumps(value)
    for mark, raw in RAW.items():
        text = text.replace(json.dumps(mark), raw)
    return text.encode("utf-8", "surrogatepass")


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of everything within a JSON value."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def json_of(valid: Any) -> Draw:
    """The JSON of `valid` with parts of it replaced, removed, renamed, doubled or wrapped, or its bytes damaged."""

    def changed(draw):
        whole = copy.deepcopy(valid)
        for _ in range(draw.randint(1, 3)):
            found = list(places(whole))
            if not found:
                break
            container, key = draw.choice(found)
            change = draw.choice(["set"] * 4 + ["delete", "rename", "repeat", "wrap", "damage"])
            if change == "delete":
                del container[key]
            elif change == "rename" and isinstance(container, dict):
                container[text(draw)] = container.pop(key)
            elif change == "repeat" and isinstance(container, list):
                container[key:key] = [container[key]] * draw.choice([1, 50])
            elif change == "wrap":
                container[key] = [container[key]]
            elif change == "damage":
                return bytes_of(as_json(whole))(draw)
            else:
                container[key] = copy.deepcopy(value(draw))  # else a later edit changes what is drawn next
        return as_json(whole)

    return changed


def rows_of(valid: list[list], cells: Draw, encode: Callable[[list[list]], bytes]) -> Draw:
    """The table `valid` with such cells in it, and columns and rows removed, cut or doubled; or its bytes damaged."""

    def changed(draw):
        if draw.random() < 0.5:
            return bytes_of(encode(valid))(draw)
        rows = [list(row) for row in valid]
        for _ in range(draw.randint(1, 3)):
            y, x = draw.randrange(len(rows)), draw.randint(0, 40)
            change, row = draw.choice(["cell"] * 4 + ["head", "column", "cut", "repeat"]), rows[y]
            if change == "column":
                for one in rows:
                    del one[x % len(valid[0]) : x % len(valid[0]) + 1]
            elif change == "cut":
                del row[-1:]
            elif change == "repeat":
                rows.insert(y, [*row])
            elif one := rows[0] if change == "head" else row:
                one[x % len(one)] = cells(draw)
        return encode(rows)

    return changed


def csv_bytes(rows: list[list]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass")


def csv_of(rows: list[list]) -> Draw:
    return rows_of(rows, cell, csv_bytes)


def parquet_bytes(rows: list[list]) -> bytes:
    """The Parquet file of a header and rows: a column of one type as it is, any other as text."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    head, *rows = rows
    columns = []
    for column in zip_longest(*rows):
        mixed = len({type(value) for value in column} - {type(None)}) > 1
        columns.append(pa.array([None if v is None else str(v) for v in column] if mixed else column))
    out = io.BytesIO()
    names = [str(name) for name in head] + ["more"] * (len(columns) - len(head))
    write_table(pa.Table.from_arrays(columns, names[: len(columns)]), out, store_schema=False)
    return out.getvalue()


def parquet_of(rows: list[list]) -> Draw:
    cells = one_of([None, "nan", "坐着", -1, 2**63 - 1, 0.5, float("nan"), float("inf"), True, [1], ""])
    return rows_of(rows, cells, parquet_bytes)


# --- the guard -------------------------------------------------------------------------------------------------------


class Escape(BaseException):
    """A reader did what none may do. No Exception, so that no reader takes it for a damaged file."""


_guarded: list[tuple[str, list[str]]] = []  # the folder that may be written, and what was done beyond it
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events of sys.addaudithook that change a path: the places of path and of the folder's descriptor in their arguments.
CHANGES = {"os.remove": [(0, 1)], "os.rename": [(0, 2), (1, 3)], "os.mkdir": [(0, 2)], "os.rmdir": [(0, 1)],
           "os.link": [(1, 3)], "os.symlink": [(1, 2)], "os.truncate": [(0, None)], "os.chmod": [(0, 2)]}  # fmt: skip
NEVER = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class", "builtins.input",
         "webbrowser.open", "urllib.Request")  # fmt: skip


def _watch(event: str, arguments: tuple) -> None:
    if not _guarded:
        return
    folder, escapes = _guarded[-1]
    try:
        done = _beyond(folder, event, arguments)
    except Exception as error:  # which a reader might take for a damaged file
        done = [f"the guard itself failed at {event} {arguments!r:.200}: {error!r}"]
    if done:
        escapes += done
        raise Escape(done[0])


def _beyond(folder: str, event: str, arguments: tuple) -> list[str]:
    """What an event of sys.addaudithook does that none may do."""
    paths: list[Any] = []
    if event == "open":
        path, _, flags = arguments
        if not isinstance(path, int) and (flags & WRITES or os.fsdecode(path).startswith("/etc/passwd")):
            paths = [path]
    for place, above in CHANGES.get(event, ()):
        descriptor, path = -1 if above is None else arguments[above], arguments[place]
        beside = "" if descriptor == -1 else os.readlink(f"/proc/self/fd/{descriptor}")
        if not isinstance(path, int):  # a descriptor (fchmod, ftruncate) was let through when its file was opened
            paths.append(os.path.join(beside, os.fsdecode(path)))
    wholes = map(os.path.realpath, map(os.fsdecode, paths))
    done = [f"{event} {path}" for path in wholes if path != os.devnull and not f"{path}/".startswith(f"{folder}/")]
    if event in NEVER or (event == "socket.connect" and arguments[1][0] not in ("127.0.0.1", "localhost", "::1")):
        done.append(f"{event} {arguments!r:.200}")
    return done


sys.addaudithook(_watch)


@contextlib.contextmanager
def guard(folder: Path, memory: int) -> Iterator[Callable[[], int]]:
    """Let nothing beyond `folder` happen within; yields a function that tells the bytes of memory taken at most so far.

    memory: bytes above what the process has already; more raises MemoryError (Linux), which is an escape too."""
    escapes: list[str] = []
    before = _status("VmRSS")
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(HANG)
    if size := _status("VmSize"):
        resource.setrlimit(resource.RLIMIT_AS, (size + memory + 512 * MB, hard))  # threads reserve more than they use
    _guarded.append((os.path.realpath(folder), escapes))
    try:
        yield lambda: max(0, _status("VmHWM") - before)
    finally:
        _guarded.pop()
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
    assert not escapes, escapes


def _hangs(number, _):
    raise Escape(f"more than {HANG} s")


def _status(key: str) -> int:
    """A line of /proc/self/status in bytes; 0 where there is none."""
    with contextlib.suppress(OSError), open("/proc/self/status") as lines:
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), 0)
    return 0


# --- the property ----------------------------------------------------------------------------------------------------


def attempt(folder: Path, memory: int, read: Callable[[], Any]) -> tuple[str | None, int]:
    """`read()` under guard: None where it returns, the line where it refuses; and the bytes that it took."""
    said = None
    with guard(folder, memory) as taken:
        try:
            read()
        except HarError as error:
            said = str(error)
        peak = taken()
    if said is not None:
        assert len(said.splitlines()) == 1, f"not one line: {said!r}"
        assert len(said) <= MESSAGE, f"{len(said)} characters: {said[:300]!r}"
    assert peak <= memory, f"{peak / MB:.0f} MB, at most {memory / MB:.0f} allowed"
    return said, peak


def hold(
    reader: str, folder: Path, cases: Draw, read: Callable[[Any], Any], good: Any, few: int = 25, memory: int = 96 * MB
) -> None:
    """The property on `few` of `cases`, on FUZZ of them in the long run. The same number draws the same case.

    Args:
        folder: where the reader may write.
        read: what is done with a case.
        good: a case without a fault. It must be read, or all others would be refused for what they have in common.
        memory: bytes that a case may take beside what there is.
    """
    assert (said := attempt(folder, memory, lambda: read(good))[0]) is None, f"a valid input is refused: {said}"
    counts = {"reader": reader, "inputs": 0, "refused": 0, "failures": 0, "slowest": 0.0, "peak": 0, "bound": memory}
    first = time.process_time()
    try:
        for number in range(FUZZ or few):
            case = cases(random.Random(f"{reader} {number}"))
            counts["inputs"] += 1
            begun = time.process_time()
            said, peak = attempt(folder, memory, lambda case=case: read(case))
            counts["slowest"] = max(counts["slowest"], time.process_time() - begun)
            counts["peak"] = max(counts["peak"], peak)
            counts["refused"] += said is not None
    except BaseException as error:
        counts["failures"] = 1
        error.add_note(f"case {number} of {reader}: {case!r:.2000}")
        raise
    finally:
        if FUZZ:
            COUNTS.parent.mkdir(exist_ok=True)
            with open(COUNTS, "a") as out:  # a short line is appended whole, whoever else writes
                out.write(json.dumps(counts | {"seconds": time.process_time() - first}) + "\n")


def hold_files(
    reader: str, folder: Path, files: dict[str, tuple[bytes, Draw]], read: Callable[[Path], Any],
    few: int = 25, memory: int = 96 * MB,
) -> None:  # fmt: skip
    """`hold` for `read(folder)`, which finds `files` there (good bytes and hostile ones, None for no file), one of them
    hostile."""
    for name, (valid, _) in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(valid)

    def attempt_with(case):
        name, content = case
        try:
            if content is None:
                (folder / name).unlink()
            else:
                (folder / name).write_bytes(content)
            read(folder)
        finally:
            (folder / name).write_bytes(files[name][0])

    cases = one_of([lambda draw, name=name: (name, files[name][1](draw)) for name in files])
    name, (valid, _) = next(iter(files.items()))
    hold(reader, folder, cases, attempt_with, (name, valid), few, memory)


def commit() -> str:
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()


def report() -> str:
    """Write reports/fuzz.csv and reports/fuzz.md from what the tests counted; readers that they did not try stay."""
    out = COUNTS.parents[1] / "reports/fuzz.csv"
    frame = pd.read_json(COUNTS, lines=True).assign(commit=commit())
    if out.exists():
        before = pd.read_csv(out, dtype={"commit": str})
        frame = pd.concat([frame, before[~before.reader.isin(frame.reader)]])
    frame = frame.sort_values("reader")
    write_csv(out, frame)
    shown = pd.DataFrame({
        "Reader": frame.reader, "Inputs": frame.inputs.map("{:,}".format), "Refused": frame.refused.map("{:,}".format),
        "Read": (frame.inputs - frame.refused).map("{:,}".format), "Failures": frame.failures,
        "Longest, s": frame.slowest.map("{:.2f}".format), "In all, s": frame.seconds.map("{:,.0f}".format),
        "Memory, MB": (frame.peak / MB).round().astype(int), "Bound, MB": frame.bound // MB, "Commit": frame.commit,
    })  # fmt: skip
    text = (
        "# Hostile input\n\nValid files with parts changed, doubled or taken out, values of other types, numbers without "
        "measure, bytes cut out, put in and written over, put to every reader of files from outside. Refused: by one line. "
        "Read: the damage left a file that means something. A failure would be anything else: another exception, a write "
        "outside the reader's folder, a program started, a pickle opened, a hang, memory beyond the bound (the most that "
        "one input took beside what the process had). Seconds are those of the processor. "
        f"`make fuzz`: {len(frame)} readers, {frame.inputs.sum():,} hostile inputs, "
        f"{frame.inputs.min():,} or more each; {frame.refused.sum():,} refused, {frame.failures.sum():,} failures."
    )
    write_text(out.with_suffix(".md"), f"{text}\n\n{markdown_table(shown)}\n")
    return f"{markdown_table(shown)}\n\n{text.rpartition('. ')[2]}"


if __name__ == "__main__":
    print(report())
