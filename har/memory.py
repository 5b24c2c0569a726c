"""What is freed goes back to the system."""

import ctypes
import sys


def return_memory() -> None:
    """Have glibc return what is free now: between two large tables, of which little is kept. A stage keeps it otherwise
    (har.warm.keep_memory), and even what is returned at once lies between small blocks that stay."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
