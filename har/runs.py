"""What a training run takes and gives, free of torch, so that a process that only collects need not load it."""

from dataclasses import dataclass

import numpy as np
from joblib import Parallel

from har.params.schema import Training


@dataclass(frozen=True)
class Inputs:
    """What a run sees. x: uint8 images [n, 3, size, size] or float32 features [n, width]; y: class
    indices [n], -1 where unknown; train, validation: row numbers of x."""

    x: np.ndarray
    y: np.ndarray
    train: np.ndarray
    validation: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """seed; probabilities float64 [n, classes] for every row of x; history, one dict an epoch; the
    epoch kept and its validation loss; trainable parameters; seconds."""

    seed: int
    probabilities: np.ndarray
    history: list[dict]
    epoch: int
    validation_loss: float
    parameters: int
    seconds: float


def side_by_side(training: Training, tasks: int, **options) -> Parallel:
    """joblib's pool for `tasks` delayed calls as `training` asks for it; results come one after the other, in the
    order of the calls. `options` as in joblib.Parallel."""
    if training.backend == "sequential":
        return Parallel(n_jobs=1, return_as="generator", **options)
    jobs = max(1, min(training.jobs, tasks))
    return Parallel(n_jobs=jobs, backend=training.backend, return_as="generator", **options)
