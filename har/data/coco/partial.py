"""An unfinished download: a file that waits for the next try, locked, with the version it is of."""

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from har.core.errors import HarError
from har.core.files import replacing
from har.core.readers import read_json

VALIDATOR = re.compile(r"[\x20-\x7e]{1,1000}")  # an ETag or a date, as it goes into a header


class Partial:
    """The unfinished file, locked against other processes, with the validator of the version it is of."""

    def __init__(self, path: Path, stream, keep: bool):
        self.path, self.stream, self.keep = path, stream, keep
        self.memo = path.with_name(path.name + ".json")
        self.validator: str | None = None
        if keep and self.memo.exists():
            try:
                self.validator = read_json(self.memo, "the version of an unfinished download").get("validator")
            except HarError:
                pass
            if not isinstance(self.validator, str) or not VALIDATOR.fullmatch(self.validator):
                self.discard()

    @classmethod
    @contextmanager
    def open(cls, url: str, dest: Path, folder: str | Path | None) -> Iterator["Partial"]:
        stream = None
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
            path = Path(folder) / f"{dest.name}.{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"
            stream = _open_locked(path)
        keep = stream is not None
        if not keep:  # nowhere to keep it, or another process is at this very file
            path = dest.with_name(f".{dest.name}.{os.getpid()}-{threading.get_ident()}.part")
            stream = open(path, "w+b")
        part = cls(path, stream, keep)
        try:
            yield part
        finally:
            if not (keep and part.size()):
                part.path.unlink(missing_ok=True)
                part.memo.unlink(missing_ok=True)
            stream.close()

    def size(self) -> int:
        self.stream.flush()
        return os.fstat(self.stream.fileno()).st_size if self.path.exists() else 0

    def discard(self) -> None:
        self.stream.seek(0)
        self.stream.truncate()
        self.validator = None
        self.memo.unlink(missing_ok=True)

    def remember(self, validator: str | None) -> None:
        self.validator = validator if validator and VALIDATOR.fullmatch(validator) else None
        if self.keep and self.validator:
            with replacing(self.memo) as temporary:
                temporary.write_text(json.dumps({"validator": self.validator}))

    def publish(self, dest: Path) -> None:
        self.stream.flush()
        os.fsync(self.stream.fileno())
        try:
            os.replace(self.path, dest)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with replacing(dest) as temporary:  # partial_dir lies on another file system
                shutil.copyfile(self.path, temporary)
            self.path.unlink()
        self.memo.unlink(missing_ok=True)


def _open_locked(path: Path):
    """`path` opened for reading and writing under an exclusive lock; None if another process holds it."""
    while True:
        stream = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.close()
            return None
        # the holder before us may have renamed this very file to its destination
        if path.exists() and os.path.samestat(os.fstat(stream.fileno()), os.stat(path)):
            return stream
        stream.close()
