"""Calls as tasks of a Ray cluster (the extra `ray`): several machines, or GPUs dealt out among runs.

joblib's own Ray backend is no help here: it deals calls to actors, which die with their node, and it gives results
all at the end. A task whose node dies is made again elsewhere.
"""

import importlib.util
import os
import re
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from har.core.errors import HarError

ATTEMPTS = 10  # at a call whose node or process dies; what it raises itself is raised at once
TIMEOUT = 10.0  # seconds to wait for a cluster's answer


def require() -> None:
    """HarError where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise HarError("training.backend is ray, which is not installed: pip install -e '.[ray]', or take processes")


def on_ray(settings, work: Iterable) -> Iterator:
    """The results of `work`, calls made by joblib's `delayed`, in the order of the calls.

    As many go side by side as the cluster has room for. A call runs in a folder of this process's name: all nodes
    need the project there, as on a shared file system. An object that several calls are given travels once.
    Raises HarError where there is no cluster at `settings.address`, and where a call's process died ATTEMPTS times.
    """
    require()
    import ray

    _connect(ray, settings)
    task = ray.remote(_call).options(num_cpus=settings.cpus, num_gpus=settings.gpus, max_retries=ATTEMPTS - 1)
    kept: dict[int, tuple] = {}  # the object with its reference: its id stays its own

    def sent(value):
        if id(value) not in kept:
            kept[id(value)] = (value, ray.put(value))
        return kept[id(value)][1]

    waiting = deque(
        task.remote(os.getcwd(), call, tuple(options), *map(sent, [*arguments, *options.values()]))
        for call, arguments, options in work
    )
    try:
        while waiting:
            yield ray.get(waiting.popleft())
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, HarError) else error from None
    except ray.exceptions.RayError as error:
        raise HarError(f"training.backend ray: {_first_line(error)}") from None
    finally:
        for reference in waiting:
            ray.cancel(reference, force=True)


def _connect(ray, settings) -> None:
    """To the cluster, or one of this machine's cores and GPUs, which ends with this process."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # reports to Ray's makers
    if not ray.is_initialized():
        try:
            if match := re.search(r"([^/]+):(\d+)$", settings.address):  # where nobody listens, Ray tries for minutes
                socket.create_connection((match[1], int(match[2])), timeout=TIMEOUT).close()
            ray.init(settings.address or "local", logging_level="error", log_to_driver=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise HarError(f"training.ray.address: {settings.address!r}: {_first_line(error)}") from None
    wanted = {"CPU": settings.cpus, "GPU": settings.gpus}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(name, 0) >= count for name, count in wanted.items()) for node in nodes):
        # not an error: the cluster may grow on demand
        print(f"training.ray: no node has {settings.cpus} CPU and {settings.gpus:g} GPU; waiting", file=sys.stderr)


def _call(folder: str, call: Callable, names: tuple[str, ...], *values):
    """`call` in `folder`. values: its positional arguments, then those called `names`."""
    os.chdir(Path(folder))
    cut = len(values) - len(names)
    return call(*values[:cut], **dict(zip(names, values[cut:], strict=True)))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
