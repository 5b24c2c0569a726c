"""What a training run takes and gives, free of torch, so that a process that only collects need not load it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from har.config.models import Model, Probe

# by work on trained models; torch's optimisers load _dynamo, for 2 s, when the first one is made
LOADED = ("har.models.classifier", "har.training.loop", "torch._dynamo", "transformers.modeling_utils")


@dataclass(frozen=True)
class Inputs:
    """What a run sees. x: uint8 images [n, 3, size, size] or float32 features [n, width]; y: class
    indices [n], -1 where unknown; train, validation, predict_rows: row numbers of x"""

    x: np.ndarray
    y: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    predict_rows: np.ndarray


@dataclass(frozen=True)
class TrainingResult:
    """probabilities: float64 [n, classes] of the rows to predict. Of what is trained by gradient descent also the
    number of trainable parameters; seed; history, one dict an epoch; the epoch kept and its validation loss; seconds.
    """

    probabilities: np.ndarray
    parameters: int | None = None
    seed: int = 0
    history: Sequence[dict] = ()
    epoch: int = 0
    validation_loss: float = nan
    seconds: float = 0.0


def loaded_by(configs: Iterable[Model | Probe]) -> list[str]:
    """The modules that training or fitting `configs` imports: what takes a fresh process seconds."""
    modules = set()
    for config in configs:
        modules |= {"sklearn.linear_model"} if isinstance(config, Probe) else {"har.training.loop", "torch._dynamo"}
        if getattr(config, "fine_tuned", False):
            modules |= {"har.models.classifier", "transformers.modeling_utils"}
            if config.head == "probe":
                modules.add("sklearn.linear_model")
    return sorted(modules)
