"""What was measured, as a table named by the hardware."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from har.core.files import write_csv, write_text
from har.core.machine import processor
from har.reporting.table import NONE, markdown_table

PACKAGES = ("torch", "transformers", "open_clip_torch", "dvc")


@dataclass(frozen=True)
class Comparison:
    """One thing done in two ways, in turn: a number for each repeat, in `unit` (s, or images/s).

    said: what the ratio is called, "faster" (times as fast), "longer" (times as long) or "share" (of the other's rate).
    bytes: at most, of ours and of the other; none where one of them was not looked at.
    """

    what: str
    beside: str
    unit: str
    said: str
    ours: Sequence[float]
    other: Sequence[float]
    bytes: tuple[int, int] | None = None

    @property
    def ratios(self) -> np.ndarray:
        """One for each repeat: what speeds the machine up or slows it down for a while is in both."""
        ours, other = np.asarray(self.ours), np.asarray(self.other)
        faster = ours / other if self.unit == "images/s" else other / ours
        return 1 / faster if self.said == "longer" else faster


def table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """As people read it: medians, and the smallest and largest ratio."""
    rows = []
    for one in comparisons:
        memory = " / ".join(f"{size / 1e9:.1f} GB" for size in one.bytes) if one.bytes else NONE
        cells = [one.what, _value(one.ours, one.unit), one.beside, _value(one.other, one.unit), _ratio(one), memory]
        rows.append(cells)
    return pd.DataFrame(rows, columns=["", "Ours", "Beside it", "Its", "Ours is", "Peak memory, ours / its"])


def _value(values: Sequence[float], unit: str) -> str:
    value = float(np.median(values))
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def _ratio(one: Comparison) -> str:
    low, middle, high = np.quantile(one.ratios, [0, 0.5, 1])
    if one.said == "share":
        return f"{100 * middle:.0f} % of it [{100 * low:.0f}, {100 * high:.0f}]"
    name = {"faster": "as fast", "longer": "as long"}[one.said]
    return f"{middle:.2f} × {name} [{low:.2f}, {high:.2f}]"


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The numbers themselves: what, beside, unit, repeat, ours, other."""
    rows = [
        (one.what, one.beside, one.unit, repeat, ours, other)
        for one in comparisons
        for repeat, (ours, other) in enumerate(zip(one.ours, one.other, strict=True), 1)
    ]
    return pd.DataFrame(rows, columns=["what", "beside", "unit", "repeat", "ours", "other"])


def write(comparisons: Sequence[Comparison], notes: Sequence[str], folder: Path) -> Path:
    """NAME.md, which README.md quotes, and NAME.csv in `folder`; NAME tells the hardware. Returns the first."""
    title, name = hardware(), file_name()
    used = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    lines = [f"**{title}** ({used})", "", markdown_table(table(comparisons)), "", *(f"- {note}" for note in notes)]
    write_csv(folder / f"{name}.csv", frame(comparisons))
    write_text(folder / f"{name}.md", "\n".join(lines) + "\n")
    return folder / f"{name}.md"


def file_name() -> str:
    """`hardware` as the name of a file."""
    return re.sub(r"[^a-z0-9]+", "-", hardware().lower()).strip("-")


def hardware() -> str:
    """The processor's model, the number of cores that this process may use, and the GPU."""
    import torch

    parts = [processor(), f"{joblib.cpu_count()} cores"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join(parts)
