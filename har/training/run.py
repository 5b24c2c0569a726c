"""What a training run takes and gives, free of torch, so that a process that only collects need not load it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

# what takes a process that trains, or works on trained models, seconds to import; torch's optimisers load _dynamo
LOADED = (
    "har.models.classifier",
    "har.training.loop",
    "sklearn.linear_model",
    "torch._dynamo",
    "transformers.modeling_utils",
)


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
