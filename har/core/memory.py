"""How glibc deals with memory that is freed: keep it for the next tensor, or return it to the system. Nothing happens
where there is no glibc."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of malloc.h


def keep_memory() -> None:
    """Keep what is freed. Each large block is otherwise returned to the kernel at once, which clears its pages for the
    next tensor of that size: a fifth of the time of a small transformer."""
    if hasattr(libc := _libc(), "mallopt"):
        for parameter, size in ((M_MMAP_THRESHOLD, 32 << 20), (M_TRIM_THRESHOLD, 1 << 30), (M_TOP_PAD, 64 << 20)):
            libc.mallopt(parameter, size)


def return_memory() -> None:
    """Return what is free now: between two large tables, of which little is kept. Even what is returned at once lies
    between small blocks that stay."""
    if hasattr(libc := _libc(), "malloc_trim"):
        libc.malloc_trim(0)


def _libc() -> object:
    return ctypes.CDLL(None) if sys.platform == "linux" else None
