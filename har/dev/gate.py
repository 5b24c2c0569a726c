"""The gate of continuous integration: the rebuilt metrics against the committed ones.

    python -m har.dev.gate reports/sample/metrics

compares the JSON files in the folders with those at HEAD, prints a Markdown table (also into the file that
$GITHUB_STEP_SUMMARY names) and exits with 1 if one number moved too far or came or went. The same code with the same
seeds gives the same bytes on one kind of machine; on another, sums round differently and a run drifts away like one
of another seed. So the mean of `runs` seeds may move by har.evaluation.summary.tolerance, with the *committed*
deviation over seeds: a model that became erratic must not widen its own tolerance. Better than allowed is a breach as
well: the committed numbers are then out of date.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from har.core.errors import HarError, exit_with_message
from har.core.readers import is_number, parse_json, read_json
from har.evaluation.summary import tolerance
from har.reporting.table import NONE, Bold, markdown_table

# metric -> the keys of its number of images and of its deviation over seeds
JUDGED = {"accuracy": ("n", "sd"), "balanced_accuracy": ("balanced_n", "balanced_sd"), "f1": ("n", "f1_sd")}
EXACT = ("n", "balanced_n", "runs", "parameters")
METRICS = "metrics of a model"
# Everything else (intervals, deviations, the epoch and seed kept) moves with these and is only required to be there.


def compare(before: Mapping[str, dict], now: Mapping[str, dict]) -> list[dict]:
    """A row for each judged number of two sets of metrics files (name to content), and for what only one of them has:
    file, key, before and now (None where it is not there), the change allowed, the verdict, "ok" or what is wrong."""
    rows = []

    def add(file: str, key: str, old: float | None, new: float | None, allowed: float, verdict: str) -> None:
        shown = {"file": file, "key": key.replace(".", " "), "before": old, "now": new}
        rows.append(shown | {"allowed": allowed, "verdict": verdict})

    for file in sorted(before.keys() | now.keys()):
        if file not in now or file not in before:
            add(file, "(file)", None, None, 0.0, "vanished" if file in before else "not committed")
            continue
        old, new = _flat(before[file], file), _flat(now[file], file)
        for key in dict.fromkeys([*old, *new]):
            path, _, name = key.rpartition(".")
            if key not in new or key not in old:
                add(file, key, old.get(key), new.get(key), 0.0, "vanished" if key in old else "not committed")
            elif name in (*EXACT, *JUDGED):
                allowed, change = 0.0, new[key] - old[key]
                if name in JUDGED:
                    images, sd = JUDGED[name]
                    n, runs = (old.get(f"{path}.{one}", 1) for one in (images, "runs"))
                    allowed = tolerance(n, runs, old.get(f"{path}.{sd}"))
                verdict = "ok" if abs(change) <= allowed + 1e-9 else "higher" if change > 0 else "lower"
                add(file, key, old[key], new[key], allowed, verdict)
    return rows


def breaches(rows: Sequence[Mapping]) -> list[Mapping]:
    return [row for row in rows if row["verdict"] != "ok"]


def _flat(metrics: Mapping, file: str) -> dict[str, float]:
    """The numbers by their path, as "test.accuracy"."""
    flat = pd.json_normalize(metrics).to_dict("records")[0]
    for key, value in flat.items():
        if not is_number(value):
            raise HarError(f"{file}: {key} is {value!r:.60}, expected a finite number")
    return flat


def markdown(rows: Sequence[Mapping], revision: str) -> str:
    """The verdict in one line, the breaches, and all judged scores."""
    found, judged = breaches(rows), [row for row in rows if row["key"].split(" ")[-1] in JUDGED]
    told = f"{len(found)} of {len(rows)} comparisons breached" if found else f"all {len(rows)} comparisons hold"
    allowed = (
        "Allowed is max(0.01, 1 / n, 3 sd sqrt(2 / runs)), with sd over the committed seeds; of balanced accuracy n is "
        "as if every class had as few images as the rarest. Counts must be equal."
    )
    parts = [f"## Metrics against {revision}: {told}", _table(found), allowed, _table(judged)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _table(rows: Sequence[Mapping]) -> str:
    def number(value: float | None, sign: str = "") -> str:
        return NONE if value is None else f"{value:{sign}d}" if isinstance(value, int) else f"{value:{sign}.3f}"

    cells = []
    for row in rows:
        old, new, verdict = row["before"], row["now"], row["verdict"]
        change = None if old is None or new is None else new - old
        cells.append({
            "file": Path(row["file"]).stem, "metric": row["key"], "committed": number(old), "now": number(new),
            "change": number(change, "+"), "allowed": number(row["allowed"]),
            "verdict": verdict if verdict == "ok" else Bold(verdict),
        })  # fmt: skip
    return markdown_table(pd.DataFrame(cells, dtype=object)) if cells else ""


def read_now(folders: Sequence[str]) -> dict[str, dict]:
    """The metrics files in `folders`, path to content."""
    paths = [path.as_posix() for folder in folders for path in sorted(Path(folder).rglob("*.json"))]
    return {path: read_json(path, METRICS) for path in paths}


def read_committed(folders: Sequence[str], revision: str) -> dict[str, dict]:
    """The same files as they are in git at `revision`. HarError where it holds none."""
    folders = [Path(folder).as_posix() for folder in folders]
    names = _git("ls-tree", "-r", "-z", "--name-only", revision, "--", *folders).split(b"\0")
    names = [os.fsdecode(name) for name in names]
    found = {
        name: parse_json(_git("show", f"{revision}:./{name}"), f"{revision}:{name}", METRICS)
        for name in names
        if name.endswith(".json")
    }
    if not found:
        raise HarError(f"{revision} holds no metrics in {', '.join(folders)}: nothing to compare with")
    return found


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise HarError("git is not installed") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines()
        raise HarError(f"git {arguments[0]}: {reason[0] if reason else 'failed'}") from None
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m har.dev.gate", description="Compare metrics with the committed ones"
    )
    parser.add_argument("folders", nargs="+", help="folders of metrics files")
    parser.add_argument("--against", default="HEAD", metavar="REVISION", help="what to compare with (HEAD)")
    options = parser.parse_args(arguments)
    rows = compare(read_committed(options.folders, options.against), read_now(options.folders))
    text = markdown(rows, options.against)
    print(text)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(summary, "a", encoding="utf-8") as out:
            out.write(text + "\n")
    return int(bool(breaches(rows)))


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `make gate | head`: who reads no more ends it without a traceback
    with exit_with_message("gate"):
        sys.exit(main())
