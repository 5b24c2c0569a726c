"""Atomic writers: a reader, or a pulled plug, sees the old file or the new one, never half of one."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd  # what starts often and writes no table does not pay for it


def temporary_beside(path: Path) -> Path:
    """A name beside `path` that no other thread or process takes: `.stem.process-thread.part.suffix`.

    DVC, git and our own readers pass over such names (.dvcignore, .gitignore), so what a killed process leaves is
    never taken for data; DVC removes it with the out that it lies in. It is not made by `tempfile`, whose files are
    readable by their owner alone, and keeps the suffix, which some writers look at.
    """
    return path.with_name(f".{path.stem}.{os.getpid()}-{threading.get_ident()}.part{path.suffix}")


@contextmanager
def replacing(path: Path | str, sync: bool = True) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it when the block ends well and removed when it fails.

    It is in the same folder, as `os.replace` is atomic within one file system only. sync: whether the bytes are on
    the disk before the name is, which a pulled plug asks for and which takes milliseconds; False for the many files of
    a folder that is nothing before it is whole.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        yield temporary
        if sync:
            sync_file(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path | str) -> Iterator[Path]:
    """A new folder beside `path` that takes its place when the block ends well and is removed when it fails."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    room = temporary_beside(path)
    try:
        (room / "new").mkdir(parents=True)
        yield room / "new"
        for file in (room / "new").rglob("*"):
            if file.is_file():
                sync_file(file)
        if path.exists():  # a folder cannot be renamed onto one that holds something
            path.rename(room / "old")
        (room / "new").rename(path)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def sync_file(path: Path) -> None:
    """Wait until the file's bytes are on the disk; otherwise its name may get there before they do."""
    with open(path, "rb") as written:
        os.fsync(written.fileno())


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file as 64 hex digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def link_or_copy(source: Path, dest: Path) -> None:
    """`dest` as a second name of the file `source`, or a copy where file systems allow no such name."""
    with replacing(dest, sync=False) as temporary:
        try:
            os.link(source, temporary)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(source, temporary)


def write_bytes(path: Path | str, data: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path | str, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path | str, value: object) -> None:
    """`value` as indented JSON in its own key order; NaN and infinity are no JSON and raise ValueError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path | str, frame: "pd.DataFrame") -> None:
    """`frame` without its index. Floats are written in the shortest form that reads back to the same bits
    (with `pandas.read_csv(..., float_precision="round_trip")`); None is an empty cell."""
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False, encoding="utf-8", lineterminator="\n")


def write_parquet(path: Path | str, frame: "pd.DataFrame") -> None:
    """`frame` without its index and without notes on the libraries that made it, so that the same rows give the same
    bytes."""
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    with replacing(path) as temporary:
        parquet.write_table(table, temporary, store_schema=False)
