"""What a training run takes and gives, free of torch, so that a process that only collects need not load it."""

import importlib
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
from joblib import Parallel

from har.params.schema import Model, Probe, Training

# by work on trained models; torch's optimisers load _dynamo, for 2 s, when the first one is made
LOADED = ("har.models.pretrained", "har.training", "torch._dynamo", "transformers.modeling_utils")


@dataclass(frozen=True)
class Inputs:
    """What a run sees. x: uint8 images [n, 3, size, size] or float32 features [n, width]; y: class
    indices [n], -1 where unknown; train, validation, told: row numbers of x, told those to predict."""

    x: np.ndarray
    y: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    told: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """seed; probabilities float64 [n, classes] of the rows to predict; history, one dict an epoch; the
    epoch kept and its validation loss; trainable parameters; seconds."""

    seed: int
    probabilities: np.ndarray
    history: list[dict]
    epoch: int
    validation_loss: float
    parameters: int
    seconds: float


def side_by_side(
    training: Training, tasks: int, modules: Sequence[str] = (), batch_size: int | str = "auto"
) -> Callable[[Iterable], Iterator]:
    """A pool for `tasks` calls, made by joblib's `delayed`, as `training` asks for it; results come one after the
    other, in the order of the calls. batch_size: as in joblib.Parallel.

    modules: what the calls import. Backend "processes" imports these once and forks, where that is safe (Linux):
    torch and transformers take each fresh process 3 to 4 s to load. Elsewhere it is joblib's loky. Backend "ray" leaves
    it to the cluster how many go side by side (see har.cluster).
    """
    if training.backend == "ray":
        from har.cluster import on_ray

        return partial(on_ray, training.ray)
    jobs = max(1, min(training.jobs, tasks))
    if training.backend == "sequential" or jobs == 1:
        return Parallel(n_jobs=1, return_as="generator")
    if training.backend == "processes" and sys.platform == "linux":
        for name in modules:
            importlib.import_module(name)
        return partial(forked, jobs)
    return Parallel(n_jobs=jobs, backend="loky", return_as="generator", batch_size=batch_size)


def forked(jobs: int, work: Iterable) -> Iterator:
    """The results of `work`, calls made by joblib's `delayed`, in their order, by processes forked from this one where
    that is safe (Linux), elsewhere by joblib's.

    joblib's own fork-based backend gives all results at the end, or none. Forked processes have the calls and
    their arrays already; only which one, and its result, goes through a pipe."""
    if jobs == 1 or sys.platform != "linux":
        yield from Parallel(n_jobs=jobs, return_as="generator")(work)
        return
    calls = list(work)
    with ProcessPoolExecutor(jobs, get_context("fork"), initializer=_inherit, initargs=(calls,)) as pool:
        waiting = deque(pool.submit(_inherited, place) for place in range(len(calls)))
        try:
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


_calls: list = []  # of the pool that a forked process works for


def _inherit(calls: list) -> None:
    _calls[:] = calls


def _inherited(place: int):
    call, args, options = _calls[place]
    return call(*args, **options)


def loaded_by(configs: Iterable[Model | Probe]) -> list[str]:
    """The modules that training or fitting `configs` imports: what takes a fresh process seconds."""
    modules = set()
    for config in configs:
        kind = getattr(config, "kind", "probe")
        modules |= {"sklearn.linear_model"} if kind == "probe" else {"har.training", "torch._dynamo"}
        if kind == "finetune":
            modules |= {"har.models.pretrained", "transformers.modeling_utils"}
            if config.head == "probe":
                modules.add("sklearn.linear_model")
    return sorted(modules)
