"""The one exception a user meets, what a machine may lack, and how a program ends with either in one line."""

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class HarError(Exception):
    """A user's mistake or an outside fault, told in one line, whatever names or values stand in it."""

    def __init__(self, message: str):
        super().__init__("".join(c if c.isprintable() else " " for c in message))


@contextmanager
def exit_with_message(name: str) -> Iterator[None]:
    """End the program with exit code 1 and `name: message` where a HarError leaves the block."""
    try:
        yield
    except HarError as error:
        sys.exit(f"{name}: {error}")


FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is too large",
}
# How torch's allocators, which raise RuntimeError, say that there is no memory.
NO_MEMORY = re.compile("DefaultCPUAllocator|not enough memory|out of memory|CUBLAS_STATUS_ALLOC_FAILED")


def machine_fault(error: BaseException, remedy: str) -> str | None:
    """What the machine lacked, in one line, where that is why `error` came; None for any other error.

    remedy: what to do where memory is short, as "lower training.jobs"."""
    names = {kind.__name__ for kind in type(error).__mro__}
    number = getattr(error, "errno", None) or next(map(int, re.findall(r"\(os error (\d+)\)", str(error))), None)
    if number in FULL:  # the second is how safetensors tells it
        return f"{FULL[number]}: {getattr(error, 'filename', None) or os.strerror(number)}"
    if "BrokenProcessPool" in names:
        return f"one of its processes was killed (out of memory? then {remedy})"
    if "MemoryError" in names or number == errno.ENOMEM:
        return f"out of memory; {remedy}"
    if "OutOfMemoryError" in names or ("RuntimeError" in names and NO_MEMORY.search(str(error))):  # torch's own
        where = " on the GPU" if re.search("CUDA|CUBLAS|MPS|HIP", str(error)) else ""
        return f"out of memory{where}; {remedy}"
    return None
