"""The one exception a user meets, and how a program ends with it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class HarError(Exception):
    """A user's mistake or an outside fault, told in one line."""


@contextmanager
def told_in_one_line(name: str) -> Iterator[None]:
    """End the program with exit code 1 and `name: message` where a HarError leaves the block."""
    try:
        yield
    except HarError as error:
        sys.exit(f"{name}: {error}")
