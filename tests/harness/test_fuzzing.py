"""The fuzz harness itself: what it must take for a failure."""

import io
import mmap
import os
import pickle
import socket
import subprocess
import sys
import time

import fuzzing
import pytest
from fuzzing import MB, Escape, attempt, hold

from har.core.errors import HarError


def refuse(text):
    raise HarError(text)


def held(size):
    with mmap.mmap(-1, size) as room:  # fresh pages, not what the allocator kept of earlier tests
        for place in range(0, size, mmap.PAGESIZE):
            room[place] = 1


@pytest.fixture
def room(tmp_path):
    (tmp_path / "room").mkdir()
    return tmp_path / "room"


def test_one_line_is_a_refusal(room):
    assert attempt(room, 32 * MB, lambda: refuse("a.json: no JSON"))[0] == "a.json: no JSON"
    assert attempt(room, 32 * MB, lambda: held(MB))[0] is None


def hide(folder):
    try:
        (folder.parent / "outside").mkdir()
    except BaseException:
        return


def fails_inside(folder):
    """The guard, on a path that is none; the reader takes it for a damaged file."""
    try:
        sys.audit("os.rmdir", None, -1)
    except Exception:
        raise HarError("damaged") from None


@pytest.mark.parametrize(
    ("error", "read"),
    [
        (AssertionError, lambda folder: refuse("long " * 400)),
        (AssertionError, lambda folder: refuse("")),
        (KeyError, lambda folder: {}["a"]),
        (Escape, lambda folder: (folder.parent / "outside").write_bytes(b"x")),
        (Escape, lambda folder: (folder / "../outside").write_bytes(b"x")),
        (Escape, lambda folder: io.FileIO(folder.parent / "outside", "w")),
        (Escape, lambda folder: open("/etc/passwd")),
        (Escape, lambda folder: (folder / "inside").rename(folder.parent / "outside")),
        (AssertionError, hide),
        (Escape, lambda folder: subprocess.run(["true"], check=True)),
        (Escape, lambda folder: pickle.loads(pickle.dumps(os.getcwd))),
        (Escape, lambda folder: socket.create_connection(("192.0.2.1", 80), 1)),
        (Escape, fails_inside),
        (AssertionError, lambda folder: held(64 * MB)),
    ],
)
def test_what_fails(room, error, read):
    def allowed():
        with open(room / "inside", "wb") as file:
            file.write(b"xy")
            file.truncate(1)
            os.fchmod(file.fileno(), 0o600)

    attempt(room, 32 * MB, allowed)
    with pytest.raises(error):
        attempt(room, 32 * MB, lambda: read(room))
    assert [path.name for path in room.parent.iterdir()] == ["room"]


def test_a_reader_that_hangs_is_found(room, monkeypatch):
    monkeypatch.setattr(fuzzing, "HANG", 1)
    with pytest.raises(Escape, match="more than 1 s"):
        attempt(room, 32 * MB, lambda: time.sleep(60))


def test_a_reader_that_fails_once_is_found(room):
    def read(number):
        if number > 1000:
            raise KeyError

    with pytest.raises(KeyError):
        hold("a reader", room, lambda draw: draw.randint(0, 2000), read, 0)


def test_a_reader_that_refuses_what_is_valid_is_found(room):
    with pytest.raises(AssertionError, match="a valid input is refused"):
        hold("a reader", room, lambda draw: 1, lambda number: refuse("a.json: no JSON"), 0)
