"""One table from one list of rows: CSV with plain numbers for programs, GitHub Markdown and HTML for people."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd

from har.core.files import write_csv, write_text

NONE = "–"  # an en dash, with a footnote
FIGURE = re.compile(r"\**(?:[+−-]?\.?\d|[\[<>≈≤≥])")  # how a cell opens that holds a figure
MARKUP = re.compile(r"[\\`*_\[\]<>#~&$]")  # characters that Markdown may take for markup
LEAST_P = 1e-300  # a p-value below it is written as this bound, never as 0
# of columns and cells in HTML, in characters
LONG, SLIM = 30, 8  # a row's name that deserves room; rows' names that need none
SHORT = 24  # a text that stays on one line
WIDE = 8  # columns from which on a table is set closer


class Bold(str):
    """A cell that stands out."""


class Quote(str):
    """A cell that others wrote: no character of it is markup."""


class Linked(str):
    """A cell that leads to images in the gallery, in HTML; `query`: their filters, as the page's address holds them."""

    query = ""

    @classmethod
    def to(cls, text: str, **filters: str) -> "Linked":
        cell = cls(text)
        cell.query = urlencode(filters)
        return cell


class ImageId(Linked):
    """A cell that leads to the image."""

    @property
    def query(self) -> str:
        return f"image={self}"


# --- formats: values of a row to the cell that people read -------------------------------------------------


def number(value: float | None, digits: int = 3, sign: bool = False) -> str:
    if value is None or value != value:
        return NONE
    text = f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")
    return text if any(digit in text for digit in "123456789") else text.lstrip("+−")  # no "−0.000"


def interval(low: float | None, high: float | None, sign: bool = False, digits: int = 3) -> str:
    return NONE if _missing(low) else f"[{number(low, digits, sign)}, {number(high, digits, sign)}]"


def estimate(value: float | None, low: float | None, high: float | None, sign: bool = False, digits: int = 3) -> str:
    """0.612 [0.580, 0.644]"""
    return NONE if value is None else f"{number(value, digits, sign)} {interval(low, high, sign, digits)}"


def p_value(p: float | None) -> str:
    return "< 0.001" if p is not None and p < 0.001 else number(p)


def count(value: int) -> str:
    return f"{value:,}"


def percent(value: float, digits: int = 0) -> str:
    return f"{value:.{digits}%}"


def quote(value: object) -> Quote:
    return Quote(" ".join(str(value).split()))


signed = partial(number, sign=True)
signed_estimate = partial(estimate, sign=True)


def printed_score(value: float) -> str:
    """As the paper prints it, four digits, here without the leading 0."""
    return f"{value:.4f}".removeprefix("0")


# --- the table ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """A column of a table, made of one value of a row or of several.

    Attributes:
        name: the value's key in the row, or a tuple of keys; each is a column of the CSV.
        title: what people read above it; "" for what programs alone read.
        format: from the values of `name`, in order, to a cell; not called where the first one is missing.
        csv: whether the CSV has it too.
    """

    name: str | tuple[str, ...]
    title: str = ""
    format: Callable[..., str] = str
    csv: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,) if isinstance(self.name, str) else self.name

    def cell(self, row: Mapping) -> str:
        values = [row.get(name) for name in self.names]
        return NONE if _missing(values[0]) else self.format(*values)

    def plain(self, value: object) -> object:
        """`value` as in the CSV: None for what is missing, six significant digits, 0 for what is only rounding, but a
        p-value never 0."""
        if _missing(value) or not isinstance(value, float):
            return None if _missing(value) else value
        if self.format is p_value:
            value = max(value, LEAST_P)
        elif abs(value) < 1e-15:
            value = 0.0
        return float(f"{value:.6g}")


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)


@dataclass(frozen=True)
class Table:
    """`rows` under `columns`. `lines` are the rows that people read where these are others than the CSV's: some of
    them, or a line for several (`pivoted`).
    """

    name: str
    title: str
    header: str  # which profile made it
    rows: Sequence[Mapping]
    columns: Sequence[Column]
    notes: Sequence[str] = ()
    lines: Sequence[Mapping] | None = None

    @property
    def frame(self) -> pd.DataFrame:
        """The CSV: plain numbers, None where a value is missing."""
        columns = {name: column for column in self.columns if column.csv for name in column.names}
        cells = {name: [column.plain(row.get(name)) for row in self.rows] for name, column in columns.items()}
        return pd.DataFrame(cells, dtype=object)

    @property
    def text(self) -> pd.DataFrame:
        """The cells that people read."""
        shown = {column.title: column for column in self.columns if column.title}
        lines = self.rows if self.lines is None else self.lines
        return pd.DataFrame({title: [c.cell(line) for line in lines] for title, c in shown.items()}, dtype=object)

    def footnotes(self) -> list[str]:
        """Each note once, and what an empty cell means."""
        notes = [note for note in dict.fromkeys(self.notes) if note]
        if (self.text == NONE).any(axis=None):
            papers = any("paper" in str(name).lower() for name in self.text.columns)
            printed = "not printed by the paper, " if papers else ""
            notes.append(f"{NONE}: {printed}not measured, or not defined on these data.")
        return notes

    def markdown(self) -> str:
        lines = [f"### {self.title}", "", f"*{self.header}*", "", markdown_table(self.text), ""]
        return "\n".join(lines + [f"- {note}" for note in self.footnotes()]).rstrip() + "\n"

    def html(self) -> str:
        """A region with the table, then its notes; every text is escaped. Columns are set by class, as the page allows
        no inline style: `n` of figures, of texts `short` where all stay on one line, `long` where one needs several."""
        from har.reporting.glossary import meaning
        from har.reporting.page.html import render, table_id

        columns = [
            (title, "n" if place and _of_figures(cells) else _kind(cells), cells)
            for place, (title, cells) in enumerate(self.text.items())
        ]
        names = columns[0][2] if columns else []
        slim = all(len(name) <= SLIM for name in names)
        return render(
            "table.html.jinja",
            table=self,
            name=table_id(self.title),
            wide=len(columns) >= WIDE,
            columns=columns,
            meaning=meaning,
            rows=[("long" if len(row[0]) > LONG else "slim" if slim else "", row) for row in self.text.to_numpy()],
            kinds={Bold: "bold", Linked: "linked", ImageId: "linked"},
        )


def pivoted(rows: Iterable[Mapping], by: Sequence[str], across: str) -> list[dict]:
    """A line for all `rows` that agree in `by`: the first of them, and each one's values again as <key>_<across>."""
    lines: dict[tuple, dict] = {}
    for row in rows:
        line = lines.setdefault(tuple(row[key] for key in by), dict(row))
        line |= {f"{key}_{row[across]}": value for key, value in row.items()}
    return list(lines.values())


def write_tables(tables: Mapping[str, Table], folder: Path | str, html: bool = True) -> None:
    """<name>.csv and <name>.md for each table, and <name>.html, which the page takes in; publish leaves that out."""
    for table in tables.values():
        write_csv(Path(folder) / f"{table.name}.csv", table.frame)
        write_text(Path(folder) / f"{table.name}.md", table.markdown())
        if html:
            write_text(Path(folder) / f"{table.name}.html", table.html())


def markdown_table(text: pd.DataFrame) -> str:
    """A GitHub table, columns of figures right and those of text and the first one left, padded so that it reads well
    unrendered."""
    cells = [[str(name) for name in text.columns], *[[_marked(cell) for cell in row] for row in text.to_numpy()]]
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


def _marked(cell: object) -> str:
    """A cell in Markdown."""
    if isinstance(cell, Quote):
        return MARKUP.sub(r"\\\g<0>", cell)
    return f"**{cell}**" if isinstance(cell, Bold) else str(cell)


def _of_figures(cells: Iterable[str]) -> bool:
    """Whether all cells that hold something open as a figure does, and at least one holds something."""
    told = [cell for cell in cells if cell not in ("", NONE)]
    return bool(told) and all(map(FIGURE.match, told))


def _kind(cells: Iterable[str]) -> str:
    longest = max(map(len, cells), default=0)
    return "short" if longest <= SHORT else "long" if longest > 2 * SHORT else ""
