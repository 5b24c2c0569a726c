"""Large JSON files row by row: of COCO's annotations, 470 MB, a stage keeps a hundredth."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from har.core.errors import HarError
from har.core.readers import DEPTH, is_too_deep, one_line, ordinary_size, reading

CHUNK = 1 << 20  # bytes that are read at a time
LONGEST = 1 << 24  # characters of one row; the outline of a crowd has 100,000
MOST = 1 << 34  # bytes of a file
SPACE = " \t\n\r"
NUMBER = "0123456789.eE+-"


def read_rows(path: str | Path, expected: str) -> Iterator[tuple[str, int | None, object]]:
    """What the object in the JSON file `path` holds, as key, place, value: each element of a list with its place, other
    values with None. A list without elements comes as its key, None and the empty list.

    Raises HarError, at the latest with the last row, as `har.core.readers.read_json` does, for a row of more than 16
    million characters, and for a key that stands twice.
    """
    ordinary_size(Path(path), expected, MOST, str(path))
    with reading(str(path), expected), open(path, "rb") as stream:
        text = _Text(stream, str(path), expected)
        if text.next() != "{":
            text.fail("not a JSON object")
        yield from _members(text)
        if text.next() != "":
            text.fail("cannot be read as JSON (more follows the object)")


def _members(text: "_Text") -> Iterator[tuple[str, int | None, object]]:
    seen: set[str] = set()
    if text.next() == "}":
        return
    text.back()
    while True:
        key = text.value()
        if not isinstance(key, str) or text.next() != ":":
            text.fail("cannot be read as JSON (a key and a colon were expected)")
        if key in seen:
            text.fail(f"the key {key!r:.60} stands twice")
        seen.add(key)
        if text.next() == "[":
            yield from _elements(text, key)
        else:
            text.back()
            yield key, None, text.value()
        if not text.goes_on("}"):
            return


def _elements(text: "_Text", key: str) -> Iterator[tuple[str, int | None, object]]:
    if text.next() == "]":
        yield key, None, []
        return
    text.back()
    place = 0
    while True:
        yield key, place, text.value()
        if not text.goes_on("]"):
            return
        place += 1


class _Text:
    """The characters of a file, of which a few are in memory."""

    def __init__(self, stream: BinaryIO, name: str, expected: str):
        self.stream, self.name, self.expected = stream, name, expected
        first = stream.read(CHUNK)
        self.decoder = codecs.getincrementaldecoder(json.detect_encoding(first))("surrogatepass")
        self.ended = len(first) < CHUNK
        self.buffer, self.at = self._decoded(first), 0
        self.scan = json.JSONDecoder().raw_decode

    def fail(self, what: str) -> None:
        raise HarError(f"{self.name}: {what}; expected {self.expected}")

    def next(self) -> str:
        """The next character that is no space, '' at the end."""
        while True:
            while self.at < len(self.buffer):
                self.at += 1
                if self.buffer[self.at - 1] not in SPACE:
                    return self.buffer[self.at - 1]
            if self.ended:
                return ""
            self._more(CHUNK)

    def back(self) -> None:
        """The character that `next` gave is still to come."""
        self.at -= 1

    def goes_on(self, end: str) -> bool:
        """Whether a comma follows, not `end`."""
        mark = self.next()
        if mark not in (",", end) or not mark:
            self.fail(f"cannot be read as JSON (a comma or {end} was expected)")
        return mark == ","

    def value(self) -> object:
        if self.next():
            self.back()
        size = CHUNK
        while True:
            error = None
            try:
                value, end = self.scan(self.buffer, self.at)
            except RecursionError:
                self.fail(f"lists within lists deeper than {DEPTH}")
            except ValueError as found:
                error = found
            # a number at the end of the buffer may go on behind it: 0 of "0.", which is no number yet
            rest = self.buffer[end : end + 1] if error is None else ""
            if error is None and (self.ended or (rest and not (isinstance(value, int | float) and rest in NUMBER))):
                break
            if self.ended or len(self.buffer) - self.at > LONGEST:
                told = "a row is too long" if error is None or not self.ended else one_line(error)
                self.fail(f"cannot be read as JSON ({told})")
            self._more(size)
            size *= 2
        brackets = sum(self.buffer.count(mark, self.at, end) for mark in "[{")
        self.at = end
        if brackets > DEPTH and is_too_deep(value):  # asked only where it may be
            self.fail(f"lists within lists deeper than {DEPTH}")
        return value

    def _more(self, size: int) -> None:
        data = self.stream.read(size)
        self.ended = len(data) < size
        self.buffer, self.at = self.buffer[self.at :] + self._decoded(data), 0

    def _decoded(self, data: bytes) -> str:
        try:
            return self.decoder.decode(data, self.ended)
        except ValueError as error:
            self.fail(f"cannot be read as JSON ({one_line(error)})")
