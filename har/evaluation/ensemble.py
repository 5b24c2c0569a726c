"""What a model says of an image, all of its runs together, or several models.

One definition for tables, figures and the page: a model's prediction is its ensemble's, the class of the largest mean
probability over runs. Blind rows take no part where images are counted that models miss.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from har.core.errors import HarError
from har.evaluation.predictions import FLOOR

BLIND = ("majority", "metadata")  # they see no picture: what they miss says nothing about one


def is_blind(model: str) -> bool:
    return model in BLIND


def is_reference(model: str) -> bool:
    """A row that trains no network, which is one run and so takes no part in tests over runs. har.config.rows sees to
    it that names of rows, and of no other model, start like this."""
    return is_blind(model) or model.startswith(("zero_shot", "probe_", "ensemble_"))


def ensemble(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The predicted class [n] and the mean probabilities [n, C] of runs' `probabilities` [n, S, C]."""
    mean = probabilities.mean(1)
    return mean.argmax(-1), mean


def combined(members: Sequence[pd.DataFrame], keys: Sequence[str] = ("split", "image_id")) -> pd.DataFrame:
    """One run of predictions from those of several models: of each image the mean of log-probabilities, first over a
    model's runs, then over models, scaled to sum to 1.

    keys: the columns that tell images apart. Raises HarError where the models do not predict the same images.
    """
    columns = [name for name in members[0].columns if name.startswith("p_")]
    logs = [np.log(frame[columns].clip(lower=FLOOR)).groupby([frame[key] for key in keys]).mean() for frame in members]
    if not all(one.index.equals(logs[0].index) for one in logs):
        raise HarError("an ensemble's members predict different images")
    shares = np.exp(sum(logs) / len(logs))
    out = members[0].drop_duplicates(list(keys)).assign(seed=0)
    found = shares.loc[pd.MultiIndex.from_frame(out[list(keys)])]
    return out.assign(**found.div(found.sum(axis=1), axis=0).reset_index(drop=True).set_index(out.index))
