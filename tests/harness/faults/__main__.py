"""`make faults MOMENTS=100`: run the reduced pipeline undisturbed, through faults, and compare byte by byte."""

import argparse
import os
import platform
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from faults import kills
from faults.project import clone, log_of, lost, recover, snapshot, start
from har.core.files import write_text
from har.core.machine import processor
from har.reporting.table import markdown_table

SIZES = (0.02, 0.1, 0.5, 2, 5)  # megabytes to which a file may grow, in turn


def full(
    source: Path, folder: Path, targets: Sequence[str], truth: dict
) -> tuple[list[str], list[str], dict[str, int]]:
    """`dvc repro` where no file may grow beyond a size, as on a disk that is full, with ever larger sizes and at last
    none: what it said, which results were half written, and which differ at the end."""
    made, said, broken = clone(source, folder), [], []
    for size in SIZES:
        bound = (int(size * 2**20), resource.RLIM_INFINITY)
        process = start(made, targets, preexec_fn=lambda bound=bound: resource.setrlimit(resource.RLIMIT_FSIZE, bound))
        code = process.wait()
        if kills.clear(process.pid, made):
            raise RuntimeError(f"a process outlived the full disk: {log_of(made)}")
        broken += kills.torn(made, truth)
        recover(made)
        if code:
            lines = log_of(made).read_text(errors="replace").replace(str(made), ".").splitlines()
            said.append(next((line for line in lines if "too large" in line or "ERROR" in line), "nothing")[:160])
            print(f"{size:5g} MB  {said[-1]}", flush=True)
    if start(made, targets).wait():
        raise RuntimeError(f"dvc repro failed with room enough: see {log_of(made)}")
    return said, broken, lost(made, truth)


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--moments", type=int, default=100, help="at which dvc repro is killed (default: 100)")
    parser.add_argument("--seed", type=int, default=2017, help="of the moments, the victims and the signals")
    parser.add_argument("--folder", type=Path, default=Path("build/faults"), help="for the clones")
    parser.add_argument("--report", type=Path, default=Path("reports/faults.md"))
    parser.add_argument("targets", nargs="*", help="stages to run (default: all), as in dvc repro")
    asked = parser.parse_args()
    folder, source, begun = asked.folder.resolve(), Path.cwd(), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], capture_output=True, check=True).stdout:
        print("faults: what is not committed is not tried")

    sound = clone(source, folder / "undisturbed")
    if start(sound, asked.targets).wait():
        raise RuntimeError(f"dvc repro failed: see {log_of(sound)}")
    whole, truth = time.monotonic() - begun, snapshot(sound)
    print(f"undisturbed: {whole:.0f} s, {len(truth)} results", flush=True)
    struck, missing = kills.suffer(source, folder / "killed", asked.targets, truth, asked.moments, asked.seed, whole)
    said, broken, short = full(source, folder / "full", asked.targets, truth)

    hit = pd.DataFrame(struck)
    half = [f"{name} was half written" for one in struck for name in one.get("torn", [])]
    left = sum(one.get("left", 0) for one in struck)
    failures = [f"after the kills {name} differs or is missing ({size} bytes)" for name, size in missing.items()]
    failures += [*half, *[f"{left} processes outlived DVC"] * bool(left)]
    failures += [f"full disk: {name} differs, is missing or was half written" for name in {*broken, *short}]
    table = markdown_table(pd.DataFrame([
        {"Fault": f"killed at a random moment ({', '.join(kills.SIGNALS)}; {', '.join(kills.VICTIMS)})",
         "Tried": f"{len(hit)} moments, {hit.ended.sum()} ended DVC",
         "Bytes lost": f"{sum(missing.values()):,}; half written: {len(half)}"},
        {"Fault": f"no file may grow beyond {', '.join(map(str, SIZES))} MB", "Tried": f"{len(said)} times full",
         "Bytes lost": f"{sum(short.values()):,}; half written: {len(broken)}"},
    ]))  # fmt: skip
    who = pd.crosstab(hit.victim, hit.signal).rename_axis(index="Victim").reset_index()
    removed = Counter(name for one in struck for name in one.get("removed", []))
    stages = Counter(hit.stage.str.partition("@")[0])
    parts = [
        "# Faults",
        "The sample pipeline with few images and few epochs, run once undisturbed and through the faults below, each "
        "followed by `dvc repro`. Then all results (predictions, metrics, tables, figures, page, weights) are compared "
        f"byte by byte: {sum(size for _, size in truth.values()):,} bytes in {len(truth):,} files. `make faults` does "
        "it again.",
        table,
        f"{os.cpu_count()} cores, {processor()}, {platform.system()}, Python {platform.python_version()}; "
        f"{whole:.0f} s undisturbed, {(time.monotonic() - begun) / 60:.0f} minutes in all, seed {asked.seed}.",
        "## Who was hit with what",
        markdown_table(who),
        "A stage that collects has no worker, and while DVC stores what a stage made there is no stage: then the next "
        "one above is hit. Workers pass over SIGINT (Ctrl-C), which their stage answers, and DVC while a stage runs.",
        "## Stages hit",
        ", ".join(f"{name} {count}" for name, count in sorted(stages.items())) + ".",
        "## What had to be removed before the next run",
        (", ".join(f"{name}: {count}" for name, count in removed.most_common()) or "nothing") + ".",
        "## What was said where no file could grow",
        "\n".join(f"- `{line}`" for line in dict.fromkeys(said)),
        *(["## Failures", "\n".join(f"- {one}" for one in failures)] if failures else []),
    ]
    write_text(asked.report, "\n\n".join(parts) + "\n")
    print("\n".join([table, *failures]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
