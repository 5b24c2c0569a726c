"""Processes that end with the one that started them, however that ends.

Otherwise a killed DVC leaves its stage at work, beside the one that the next DVC starts on the same outs, and a killed
stage leaves its workers waiting for it for ever.
"""

import os
import signal
import threading
import time
from collections.abc import Callable

import psutil

from har.core import warm

SECONDS = 0.25  # between two looks
SHELLS = ("sh", "dash", "bash", "zsh", "fish", "ksh")

_forking = [0]  # the number of the process that forks


def end_with_starter() -> None:
    """Kill this process as soon as the one that started it has gone, and let all that it forks do the same. Forked
    workers pass over Ctrl-C, which this process answers for them."""
    if not warm.forked:  # then the kernel sees to it
        above = starter()
        if os.getsid(above.pid) != os.getsid(0):  # it has gone already, and another one has taken its place
            os.kill(os.getpid(), signal.SIGKILL)
        _end_without(lambda: is_alive(above))
    os.register_at_fork(before=lambda: _forking.__setitem__(0, os.getpid()), after_in_child=_in_worker)


def starter() -> psutil.Process:
    """The parent, or its parent where that is a shell for one command (some shells become their command)."""
    parent = psutil.Process(os.getppid())
    if parent.name() in SHELLS and "-c" in parent.cmdline():
        return parent.parent() or parent
    return parent


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _end_without(alive: Callable[[], bool]) -> None:
    def watch() -> None:
        while alive():
            time.sleep(SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="end_without", daemon=True).start()


def _in_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    master = _forking[0]
    _end_without(lambda: os.getppid() == master)
