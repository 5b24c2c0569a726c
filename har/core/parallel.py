"""Calls side by side, in processes of this machine or on a cluster."""

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from joblib import Parallel, effective_n_jobs


def side_by_side(training, tasks: int, modules: Sequence[str] = ()) -> Callable[[Iterable], Iterator]:
    """A pool for `tasks` calls, made by joblib's `delayed`, as `training` asks for it; results come one after the
    other, in the order of the calls.

    training: anything with `backend`, `jobs` and, for Ray, `ray`, as the block `training` of params.yaml.
    modules: what the calls import. Backend "processes" imports these once and forks, where that is safe (Linux):
    torch and transformers take each fresh process 3 to 4 s to load. Elsewhere it is joblib's loky. Backend "ray" leaves
    it to the cluster how many go side by side (see har.core.ray).
    """
    if training.backend == "ray":
        from har.core.ray import on_ray

        return partial(on_ray, training.ray)
    jobs = max(1, min(training.jobs, tasks))
    if training.backend == "sequential" or jobs == 1:
        return Parallel(n_jobs=1, return_as="generator")
    if training.backend == "processes" and sys.platform == "linux":
        for name in modules:
            importlib.import_module(name)
        return partial(forked, jobs)
    # short and long calls stand in one queue, and a batch sized by the short ones would be too long
    return Parallel(n_jobs=jobs, backend="loky", return_as="generator", batch_size=1)


def forked(jobs: int, work: Iterable) -> Iterator:
    """The results of `work`, calls made by joblib's `delayed`, in their order, by processes forked from this one where
    that is safe (Linux), elsewhere by joblib's.

    joblib's own fork-based backend gives all results at the end, or none. Forked processes have the calls and
    their arrays already; only which one, and its result, goes through a pipe. jobs: -1 for all cores."""
    jobs = effective_n_jobs(jobs)
    if jobs == 1 or sys.platform != "linux":
        yield from Parallel(n_jobs=jobs, return_as="generator")(work)
        return
    calls = list(work)
    with ProcessPoolExecutor(jobs, get_context("fork"), initializer=_inherit, initargs=(calls,)) as pool:
        yield from pool.map(_inherited, range(len(calls)))


_calls: list = []  # of the pool that a forked process works for


def _inherit(calls: list) -> None:
    _calls[:] = calls


def _inherited(place: int):
    call, args, options = _calls[place]
    return call(*args, **options)
