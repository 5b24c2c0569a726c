"""What was tried and what came of it, as reports/faults.md."""

import os
import platform
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from faults.disk import Full
from faults.kills import SIGNALS, VICTIMS, Struck
from faults.network import RATE, Fetched
from har.core.files import write_text
from har.core.machine import processor
from har.reporting.table import markdown_table


@dataclass(frozen=True)
class Found:
    """seed: of the moments; seconds: of the undisturbed run and of all; results: files and bytes compared; lost: those
    that differ after the kills, with their bytes. network, full: None where not tried, with the reason."""

    seed: int
    stages: int
    seconds: tuple[float, float]
    results: tuple[int, int]
    struck: Sequence[Struck]
    lost: dict[str, int]
    network: Fetched | None
    full: Full | None

    @property
    def failures(self) -> list[str]:
        """What must not be, a line each."""
        told = [f"after the kills {name} differs or is missing ({size} bytes)" for name, size in self.lost.items()]
        told += [f"moment {one.moment.number}: {name} was half written" for one in self.struck for name in one.torn]
        told += [f"moment {one.moment.number}: {one.left} processes outlived it" for one in self.struck if one.left]
        if self.full:
            told += [f"full disk: {name} was half written" for name in self.full.torn]
            told += [f"full disk: {name} differs or is missing" for name in self.full.lost]
        if self.network and self.network.whole < self.network.files:
            told.append(f"network: {self.network.files - self.network.whole} files did not come whole")
        return told


def summary(found: Found) -> str:
    """The table of counts."""
    ended = sum(one.ended for one in found.struck)
    half = sum(len(one.torn) for one in found.struck)
    count, size = found.results
    rows = [
        {
            "Fault": f"killed at a random moment ({', '.join(SIGNALS)}; {', '.join(VICTIMS)})",
            "Tried": f"{len(found.struck):,} moments, {ended:,} ended DVC",
            "Survived": f"{0 if found.lost else sum(not (one.torn or one.left) for one in found.struck):,}",
            "Bytes lost": f"{sum(found.lost.values()):,} of {size:,} in {count:,} files; half written: {half}",
        }
    ]
    if full := found.full:
        bound = "the disk" if full.how == "disk" else "a file"
        rooms = ", ".join("no bound" if room is None else f"{room:g}" for room in full.rooms)
        rows.append(
            {
                "Fault": f"{bound} full, at {rooms} MB",
                "Tried": f"{len(full.told)} times full",
                "Survived": f"{0 if full.torn or full.lost else len(full.told)}",
                "Bytes lost": f"{sum(full.lost.values()):,}; half written: {len(full.torn)}",
            }
        )
    if net := found.network:
        met = sum(net.seen.values())
        rows.append(
            {
                "Fault": f"{RATE:.0%} of a server's answers broken, of {len(net.seen)} kinds; the client killed",
                "Tried": f"{met:,} faults in {net.asked:,} answers, {net.kills} kills",
                "Survived": f"{net.whole:,} of {net.files:,} files, all hashes right",
                "Bytes lost": f"{net.lost:,} of {net.bytes:,}",
            }
        )
    return table_of(rows)


def write(found: Found, path: Path) -> str:
    """Write the report; returns its table of counts."""
    table = summary(found)
    victims = Counter((one.victim, one.moment.signal) for one in found.struck)
    stages = Counter(one.moment.stage.partition("@")[0] for one in found.struck)
    said = [words for one in found.struck for words in one.recovered]
    righted = Counter(re.sub(r"^\d+ ", "", words).partition(" named ")[0].partition(" was ")[0] for words in said)
    alone, all_of_it = found.seconds
    parts = [
        "# Faults",
        "The sample pipeline with few images and few epochs, run once undisturbed and once through the faults below, "
        "each followed by `dvc repro`. Then all results (predictions, metrics, tables, figures, page, weights) are "
        "compared byte by byte. `make faults` does it again.",
        table,
        f"{hardware()}; {found.stages} stages, {alone:.0f} s undisturbed, {all_of_it / 60:.0f} minutes in all, seed "
        f"{found.seed}.",
        "## Who was hit with what",
        table_of([{"Victim": who, **{name: str(victims[who, name]) for name in SIGNALS}} for who in VICTIMS]),
        "A stage that collects has no worker, and while DVC stores what a stage made there is no stage: then the next "
        "one above is hit. Workers pass over SIGINT (Ctrl-C), which their stage answers, and DVC while a stage runs.",
        "## Stages hit",
        ", ".join(f"{name} {count}" for name, count in sorted(stages.items())) + ".",
        "## What had to be removed before it",
        (", ".join(f"{name}: {count}" for name, count in righted.most_common()) or "nothing") + ".",
    ]
    if found.full:
        parts += [
            "## What was said of a full disk",
            "\n".join(f"- `{words}`" for words in dict.fromkeys(found.full.told)),
        ]
    if found.network:
        seen = sorted(found.network.seen.items())
        parts += ["## Faults of servers", ", ".join(f"{name}: {count}" for name, count in seen) + "."]
    if found.failures:
        parts += ["## Failures", "\n".join(f"- {one}" for one in found.failures)]
    write_text(path, "\n\n".join(parts) + "\n")
    return table


def table_of(rows: Sequence[dict[str, str]]) -> str:
    return markdown_table(pd.DataFrame(rows))


def hardware() -> str:
    """This machine in words."""
    return f"{os.cpu_count()} cores, {processor()}, {platform.system()}, Python {platform.python_version()}"
