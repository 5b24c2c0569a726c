"""The fuzz harness itself: what it must take for a failure, and counts that outlive an interruption."""

import mmap
import subprocess

import fuzzing
import pytest
from fuzzing import MB, Escape, Fuzz
from hypothesis import strategies as st

from har.core.errors import HarError


def refuse(text):
    raise HarError(text)


def held(size):
    with mmap.mmap(-1, size) as room:  # fresh pages, not what the allocator kept of earlier tests
        for place in range(0, size, mmap.PAGESIZE):
            room[place] = 1


@pytest.fixture
def fuzz(tmp_path):
    (tmp_path / "room").mkdir()
    return Fuzz("a reader", tmp_path / "room", 32 * MB)


def test_one_line_is_a_refusal(fuzz):
    assert fuzz.attempt(lambda: refuse("a.json: no JSON")) == "a.json: no JSON"
    assert fuzz.attempt(lambda: held(MB)) is None
    assert (fuzz.counts.inputs, fuzz.counts.refused) == (2, 1)


@pytest.mark.parametrize("text", ["two\nlines", "a\rb", "long " * 400])
def test_other_refusals_fail(fuzz, text):
    with pytest.raises(AssertionError):
        fuzz.attempt(lambda: refuse(text))


def test_another_exception_fails(fuzz):
    with pytest.raises(KeyError):
        fuzz.attempt(lambda: {}["a"])


def test_nothing_is_written_outside_of_the_folder(fuzz):
    fuzz.attempt(lambda: (fuzz.folder / "inside").write_bytes(b"x"))
    for outside in (fuzz.folder.parent / "outside", fuzz.folder / "../outside"):
        with pytest.raises(Escape):
            fuzz.attempt(lambda path=outside: path.write_bytes(b"x"))
        with pytest.raises(Escape):
            fuzz.attempt(lambda path=outside: (fuzz.folder / "inside").rename(path))
    assert [path.name for path in fuzz.folder.parent.iterdir()] == ["room"]


def test_an_escape_that_the_reader_hides_is_one(fuzz):
    def hide():
        try:
            (fuzz.folder.parent / "outside").mkdir()
        except BaseException:
            return

    with pytest.raises(AssertionError):
        fuzz.attempt(hide)


def test_no_program_is_started(fuzz):
    with pytest.raises(Escape):
        fuzz.attempt(lambda: subprocess.run(["true"], check=True))


def test_memory_is_bounded(fuzz):
    with pytest.raises(AssertionError, match="at most 32 allowed"):
        fuzz.attempt(lambda: held(64 * MB))


def test_counts_outlive_an_interruption_and_a_failure_starts_anew(fuzz, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzzing, "REPORT", tmp_path / "fuzz.csv")
    monkeypatch.setattr(fuzzing, "LONG", 200)
    monkeypatch.setattr(fuzzing, "BATCH", 100)
    monkeypatch.setattr(fuzzing, "code", lambda: "abc1234")

    def run(at=None, error=None):
        seen = []

        def read(case):
            seen.append(case)
            if error and fuzz.counts.inputs >= at:
                raise error

        fuzz.run(st.integers(), read, 0)
        return len(seen) - 1  # without the good one

    with pytest.raises(KeyboardInterrupt):
        run(150, KeyboardInterrupt)
    assert fuzzing.known("a reader").inputs == 150
    assert run() == 60  # by twenties
    assert run() == 0
    monkeypatch.setattr(fuzzing, "LONG", 300)
    with pytest.raises(ZeroDivisionError):
        run(250, ZeroDivisionError)
    assert fuzzing.known("a reader").inputs == 0
