"""Files that others wrote: read whole and within stated bounds, or refused in one line that names the file."""

import codecs
import io
import json
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from har.core.errors import HarError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd  # what reads no table does not pay for it

MB = 1 << 20
# Bytes of a file. JSON of nothing but brackets takes 25 times as much as Python objects, a CSV file up to 20 times.
SETTINGS = 4 * MB  # configurations, metrics, notes of a stage
TOKENIZER = 64 * MB  # the largest tokenizer.json in use has 38 MB
ANNOTATIONS = 4096 * MB  # read row by row; COCO's largest file, instances_train2017, has 470 MB
TABLE = 512 * MB
UNFOLDED = 4096 * MB  # what a Parquet file may take in memory
DEPTH = 1000  # of lists and objects in a file that is read row by row
COLUMNS = 1000


def one_line(error: BaseException | str, most: int = 200) -> str:
    """What an exception or a text says, in one line; the name of an exception that says nothing."""
    text = "".join(c if c.isprintable() else " " for c in str(error))
    said = " ".join(text.split())[:most]
    return said if said or isinstance(error, str) else type(error).__name__


def read_bytes(path: str | Path, expected: str, most: int) -> bytes:
    """The bytes of the ordinary file `path`, at most so many. expected: what it should be.

    Raises HarError where there is no such file, and for a folder, device or pipe, which could go on for ever.
    """
    size = ordinary_size(path, expected, most)
    with reading(path, expected), open(path, "rb") as stream:
        data = stream.read(size + 1)
    if len(data) > size:
        raise HarError(f"{path}: longer than it says, somebody writes to it; expected {expected}")
    return data


def ordinary_size(path: str | Path, expected: str, most: int, name: str | Path = "") -> int:
    """The bytes of the ordinary file `path`; HarError as `read_bytes` raises it, for `name` where that is given."""
    name = name or path
    with reading(name, expected):
        about = Path(path).stat()
    if not stat.S_ISREG(about.st_mode):
        raise HarError(f"{name}: not a file; expected {expected}")
    if about.st_size > most:
        raise HarError(f"{name}: {about.st_size:,} bytes, at most {most:,} allowed for {expected}")
    return about.st_size


@contextmanager
def reading(name: str | Path, expected: str) -> Iterator[None]:
    """HarError for whatever the system refuses about the file `name` in the block."""
    try:
        yield
    except FileNotFoundError:
        raise HarError(f"{name}: no such file; expected {expected}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or one_line(error)
        raise HarError(f"{name}: cannot be read ({reason}); expected {expected}") from None


def read_json(path: str | Path, expected: str, kind: type = dict, most: int = SETTINGS) -> Any:
    """The JSON file `path`, of at most so many bytes, as a dict (or list, as `kind` says).

    Numbers are those of Python's json: NaN, infinity and whole numbers of any size are the caller's to refuse.
    Raises HarError for what is no JSON of that kind.
    """
    return parse_json(read_bytes(path, expected, most), str(path), expected, kind)


def parse_json(data: bytes, name: str, expected: str, kind: type = dict) -> Any:
    """`read_json` of bytes that are called `name`."""
    try:
        value = json.loads(data)
        if b"\\u" in data:  # "\\ud800", half a character, is JSON but no text that a library takes
            json.dumps(value, ensure_ascii=False).encode()
    # no JSON, no UTF-8, a number of thousands of digits, or a thousand lists within lists
    except (ValueError, RecursionError) as error:
        raise HarError(f"{name}: cannot be read as JSON ({one_line(error)}); expected {expected}") from None
    if not isinstance(value, kind):
        wanted = "object" if kind is dict else "list"
        raise HarError(f"{name}: not a JSON {wanted}; expected {expected}")
    return value


def read_json_rows(path: str | Path, key: str, expected: str) -> Iterator[Any]:
    """The elements of the list `key` of the object in the JSON file `path`, one at a time, as such a file may be larger
    than memory. Whole numbers beyond 64 bits, NaN and infinity are refused.

    Raises HarError, at the latest after the last element, for what is no such file.
    """
    import ijson

    ordinary_size(path, expected, ANNOTATIONS)

    def chunks(stream: BinaryIO) -> Iterator[bytes]:
        """Small, so that no depth is missed: what ijson takes grows with its square."""
        depth, in_text = 0, False
        stream.seek(3 * (stream.read(3) == codecs.BOM_UTF8))
        while data := stream.read(1 << 14):
            if (len(data) - len(data.rstrip(b"\\"))) % 2:  # ends within an escape
                data += stream.read(1)
            pieces = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')  # outside and inside of text in turn
            brackets = b"".join(pieces[in_text::2])
            in_text ^= len(pieces) % 2 == 0
            depth += sum(map(brackets.count, b"[{")) - sum(map(brackets.count, b"]}"))
            if depth > DEPTH:
                raise ValueError(f"lists within lists deeper than {DEPTH:,}")
            yield data

    def items(prefix: str) -> Iterator[Any]:
        with reading(path, expected), open(path, "rb") as stream:
            try:
                yield from ijson.items(ijson.from_iter(chunks(stream)), prefix, use_float=True)
            except (ijson.JSONError, ValueError, OverflowError) as error:
                raise HarError(f"{path}: cannot be read as JSON ({one_line(error)}); expected {expected}") from None

    rows = items(f"{key}.item")
    first = next(rows, rows)
    if first is not rows:
        yield first
        yield from rows
    elif next(items(key), None) != []:
        raise HarError(f"{path}: {key!r} is missing or not a list; expected {expected}")


def is_whole(value: object, least: int = 0, most: int = 2**63 - 1) -> bool:
    """Whether a value from JSON is a whole number (true and false are none) within bounds."""
    return type(value) is int and least <= value <= most


def is_number(value: object, most: float = 1e300) -> bool:
    """Whether a value from JSON is a finite number of at most that size."""
    return type(value) in (int, float) and -most <= value <= most  # NaN compares as False


def is_text(value: object) -> bool:
    """Whether a value from JSON is text that a file can hold: half of a surrogate pair is none."""
    return isinstance(value, str) and (value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value))


def read_csv(path: str | Path, expected: str, text: bool = True) -> "pd.DataFrame":
    """The CSV file `path`, UTF-8 with or without a byte order mark. text: every cell is text and an empty one '';
    otherwise numbers where a column holds nothing else, read back to the same bits.

    Raises HarError for what is no table: no header, a column named twice, rows longer than the header, over 1,000
    columns.
    """
    import pandas as pd

    data = read_bytes(path, expected, TABLE)
    if data.partition(b"\n")[0].count(b",") >= COLUMNS:
        raise HarError(f"{path}: more than {COLUMNS:,} columns; expected {expected}")
    options = {"dtype": "str", "keep_default_na": False} if text else {"float_precision": "round_trip"}
    try:
        # without a header of its own, a duplicated name stays as it is
        head = pd.read_csv(io.BytesIO(data), encoding="utf-8-sig", header=None, nrows=1, dtype="str", na_filter=False)
        frame = pd.read_csv(io.BytesIO(data), encoding="utf-8-sig", low_memory=False, **options)
    except (ValueError, OverflowError) as error:
        raise HarError(f"{path}: cannot be read as CSV ({one_line(error)}); expected {expected}") from None
    names = head.iloc[0].tolist()
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise HarError(f"{path}: column {twice!r:.60} is duplicated; expected {expected}")
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes the first columns for names of rows
        raise HarError(f"{path}: rows are longer than the header; expected {expected}")
    return frame


def read_parquet(path: str | Path, expected: str, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """The Parquet file `path`, or some of its `columns`: numbers, truth values and text; an empty cell is NaN.

    Raises HarError for what is no such file, lacks a column, or would take more memory than a table may.
    """
    import pyarrow as pa
    from pyarrow import compute, parquet

    def refuse(what: str) -> None:
        raise HarError(f"{path}: {what}; expected {expected}")

    ordinary_size(path, expected, TABLE)
    try:
        about = parquet.read_metadata(path)
        schema = about.schema.to_arrow_schema()
        for name in (names := list(columns or schema.names)):
            if schema.names.count(name) != 1:
                refuse(f"column {name!r:.60} is missing or duplicated")
        schema = pa.schema([schema.field(name) for name in names])
        text = [field.name for field in schema if pa.types.is_string(field.type)]
        for field in schema:
            if field.name not in text and not pa.types.is_primitive(field.type):
                refuse(f"column {field.name!r:.60} holds neither numbers nor text")
        # text stays its distinct values and their places until it is known how much memory it takes in full
        cells = about.num_rows * 8
        if cells * len(names) <= UNFOLDED:
            table = parquet.read_table(path, columns=names, read_dictionary=text)
            table.validate(full=True)
            values = (chunk.dictionary for name in text for chunk in table[name].chunks)
            cells *= max((compute.max(compute.binary_length(one)).as_py() or 0 for one in values), default=1)
        if cells * len(names) > UNFOLDED:
            refuse(f"{about.num_rows:,} rows of {len(names):,} columns would take more memory than any table")
        return table.cast(schema).to_pandas()
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        refuse(f"cannot be read as Parquet ({one_line(error)})")


def read_table(
    path: str | Path, columns: dict[str, str], optional: dict[str, str] | None = None, unique: bool = True
) -> "pd.DataFrame":
    """A CSV file between two stages: exactly typed `columns`, those of `optional` that it has, and, if `unique`, no
    image id twice. HarError names file and column."""
    frame = read_csv(path, f"a table with {', '.join(columns)}, as its stage makes it")
    columns = columns | {name: dtype for name, dtype in (optional or {}).items() if name in frame.columns}
    for column, dtype in columns.items():
        if column not in frame.columns:
            raise HarError(f"{path}: column {column!r} is missing; expected {', '.join(columns)}")
        try:
            frame[column] = frame[column].astype(dtype)
        except (ValueError, OverflowError, TypeError):
            raise HarError(f"{path}: column {column!r} holds something else than {dtype}") from None
    twice = frame["image_id"][frame["image_id"].duplicated()]
    if unique and len(twice):
        raise HarError(f"{path}: image_id {twice.iloc[0]} occurs twice")
    return frame[list(columns)]


def listed(names: Iterable[object]) -> str:
    """Names for a message, the first few, in one line."""
    names = [one_line(str(name), 40) for name in list(names)]
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")


def read_array(path: str | Path, expected: str, shape: tuple[int | None, ...], mapped: bool = False) -> "np.ndarray":
    """The numbers in the .npy file `path`; None in `shape` stands for any length. mapped: left on disk until used.

    Raises HarError for pickled objects, another shape, other than floats, a header that tells more than the file
    holds, and NaN or infinity (where not `mapped`).
    """
    import numpy as np

    try:
        # mapped, a header can't ask for memory that the file does not fill
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise HarError(f"{path}: no such file; expected {expected}") from None
    except Exception as error:  # numpy parses the header as Python source, which fails in many ways
        raise HarError(f"{path}: not an array of numbers ({one_line(error)}); expected {expected}") from None
    fits = isinstance(array, np.ndarray) and array.ndim == len(shape) and array.dtype.kind == "f"
    if not fits or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True)):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        found = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
        raise HarError(f"{path}: holds {found:.200}, expected numbers [{wanted}], {expected}")
    if mapped:
        return array
    array = np.array(array)
    if not np.isfinite(array).all():
        raise HarError(f"{path}: holds NaN or infinity; expected {expected}")
    return array
