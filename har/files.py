"""Atomic writers: a reader, or a pulled plug, sees the old file or the new one, never half of one."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it when the block ends well and removed when it fails.

    The name is in the same folder, as `os.replace` is atomic within one file system only. It is not made by
    `tempfile`, whose files are readable by their owner alone, and keeps the suffix, which some writers look
    at.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}-{threading.get_ident()}{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())  # otherwise the name may reach the disk before the bytes do
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path | str, data: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path | str, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path | str, value: object) -> None:
    """`value` as indented JSON in its own key order; NaN and infinity are no JSON and raise ValueError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path | str, frame: pd.DataFrame) -> None:
    """`frame` without its index. Floats are written in the shortest form that reads back to the same bits
    (with `pandas.read_csv(..., float_precision="round_trip")`); None is an empty cell."""
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))
