"""What a model says of an image, all of its runs together, and which images every model misses.

One definition for tables, figures and the page: a model's prediction is its ensemble's, the class of the largest mean
probability over runs. Blind rows take no part where images are counted that models miss.
"""

import numpy as np
import pandas as pd

BLIND = ("majority", "metadata")  # they see no picture: what they miss says nothing about one


def is_blind(model: str) -> bool:
    return model in BLIND


def is_reference(model: str) -> bool:
    """A row without fine-tuning, which is one run and so takes no part in tests over runs."""
    return is_blind(model) or model.startswith(("zero_shot", "probe_"))


def ensemble(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The predicted class [n] and the mean probabilities [n, C] of runs' `probabilities` [n, S, C]."""
    mean = probabilities.mean(1)
    return mean.argmax(-1), mean


def missed_by_every(misses: pd.DataFrame | np.ndarray) -> pd.Series | np.ndarray:
    """Whether every model misses an image, bool [n], from whether each does, bool [n, models], models > 0."""
    return misses.all(axis=1)
