"""Large tables between two stages row by row: of a manifest and its captions, no stage needs all at a time."""

import csv
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from har.core.errors import HarError
from har.core.readers import TABLE, one_line, ordinary_size, reading

LONGEST = 1 << 20  # characters of a line


def read_rows(path: str | Path, columns: Mapping[str, Callable[[str], Any]], unique: bool = True) -> Iterator[tuple]:
    """Each row's cells in `columns` (name to int, float, str or sys.intern) of the CSV file `path`: a table as
    `har.core.readers.read_table` reads it, of any length. The first column numbers the images: rows ascend by it,
    and none stands twice if `unique`.

    Raises HarError, at the latest with the last row, for what is no such table.
    """
    expected, last = f"a table with {', '.join(columns)}, as its stage makes it", None
    ordinary_size(Path(path), expected, TABLE // 2, str(path))
    with reading(str(path), expected), open(path, encoding="utf-8-sig", newline="") as stream:
        rows = csv.reader(iter(partial(stream.readline, LONGEST), ""))  # the rest of a longer line is a row too many
        try:
            header = next(rows, [])
            if missing := [name for name in columns if header.count(name) != 1]:
                raise HarError(f"{path}: column {missing[0]!r} is missing or stands twice; expected {expected}")
            places = [(header.index(name), name, kind) for name, kind in columns.items()]
            for row in filter(None, rows):
                if len(row) != len(header):
                    raise HarError(f"{path}: line {rows.line_num}: {len(row)} cells, expected {len(header)}")
                found = tuple([kind(row[place]) for place, _, kind in places])
                if last is not None and not (last < found[0] or (last == found[0] and not unique)):
                    told = one_line(f"{places[0][1]} {found[0]} follows {last}")
                    raise HarError(f"{path}: line {rows.line_num}: {told}")
                last = found[0]
                yield found
        except csv.Error as error:
            raise HarError(f"{path}: cannot be read as CSV ({one_line(error)}); expected {expected}") from None
        except ValueError as error:
            raise HarError(f"{path}: line {rows.line_num}: {one_line(error)}; expected {expected}") from None
