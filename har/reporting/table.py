"""Result tables as plain numbers for programs and as GitHub Markdown for people."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

NONE = "–"  # an en dash, with a footnote
FIGURE = re.compile(r"\**(?:[+−-]?\.?\d|[\[<>≈≤≥])")  # how a cell opens that holds a figure


@dataclass(frozen=True)
class Table:
    """`frame` holds plain numbers with one column each, `text` the cells as people read them."""

    name: str
    title: str
    header: str  # which profile made it
    frame: pd.DataFrame
    text: pd.DataFrame
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        notes = list(self.notes)
        if (self.text == NONE).any(axis=None):
            papers = any("paper" in str(name).lower() for name in self.text.columns)
            notes.append(f"{NONE}: {'not printed by the paper, or ' if papers else ''}not defined on these data.")
        lines = [f"### {self.title}", "", f"*{self.header}*", "", markdown_table(self.text), ""]
        return "\n".join(lines + [f"- {note}" for note in notes]).rstrip() + "\n"


def markdown_table(text: pd.DataFrame) -> str:
    """A GitHub table, columns of figures right and those of text and the first one left, padded so that it reads well
    unrendered."""
    cells = [[str(name) for name in text.columns], *[[str(cell) for cell in row] for row in text.to_numpy()]]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in cells]
    columns = list(zip(*cells, strict=True))
    widths = [max(3, *map(len, column)) for column in columns]
    right = [place > 0 and _of_figures(column[1:]) for place, column in enumerate(columns)]
    lines = []
    for row in cells:
        padded = [c.rjust(w) if figures else c.ljust(w) for c, w, figures in zip(row, widths, right, strict=True)]
        lines.append("| " + " | ".join(padded) + " |")
    rule = ["-" * (w - 1) + ":" if figures else "-" * w for w, figures in zip(widths, right, strict=True)]
    return "\n".join([lines[0], "| " + " | ".join(rule) + " |", *lines[1:]])


def _of_figures(cells: Iterable[str]) -> bool:
    """Whether all cells that hold something open as a figure does, and at least one holds something."""
    told = [cell for cell in cells if cell not in ("", NONE)]
    return bool(told) and all(map(FIGURE.match, told))


def number(value: float | None, digits: int = 3, sign: bool = False) -> str:
    if value is None or value != value:
        return NONE
    text = f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")
    return text if any(digit in text for digit in "123456789") else text.lstrip("+−")  # no "−0.000"


def interval(low: float | None, high: float | None, sign: bool = False) -> str:
    return NONE if low is None else f"[{number(low, sign=sign)}, {number(high, sign=sign)}]"


def printed_score(value: float | None) -> str:
    """As the paper prints it, four digits, here without the leading 0."""
    return NONE if value is None else f"{value:.4f}".removeprefix("0")


def significant(value: float | None) -> float | None:
    """Six significant digits for the CSV; what is only rounding becomes 0."""
    return None if value is None else 0.0 if abs(value) < 1e-15 else float(f"{value:.6g}")


def p_value(p: float | None) -> str:
    return "< 0.001" if p is not None and p < 0.001 else number(p)


def plain_frame(rows: Iterable[Mapping]) -> pd.DataFrame:
    """Cells keep their types: a float column would turn None into NaN and the counts beside it into floats."""
    frame = pd.DataFrame(list(rows), dtype=object)
    return frame.where(frame.notna(), None)
