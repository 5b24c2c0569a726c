"""Clips as the unit: what a model says of a clip is the mean of what it says of the clip's frames."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from har.evaluation.predictions import FLOOR

# What is averaged of a frame's probabilities [n, C]: they themselves, their logarithms (the clip's are scaled to sum to
# 1 again), or which is the largest.
AVERAGED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "probability": lambda chances: chances,
    "log_probability": lambda chances: np.log(chances.clip(FLOOR)),
    "vote": lambda chances: np.eye(chances.shape[1])[chances.argmax(1)],
}


def unit_of(images: pd.DataFrame) -> pd.Series:
    """What each image stands for: the clip that it is a frame of, or itself."""
    alone = images["image_id"].astype(str)
    return images["clip"].where(images["clip"] != "", alone) if "clip" in images else alone


def of_clips(frame: pd.DataFrame, how: str) -> pd.DataFrame:
    """Predictions with a row for each clip in the place of those of its frames (a further column `clip` names it, ''
    where an image is no frame); the same object where there is no such column.

    how: one of AVERAGED. image_id is the least of the frames', `covered` their mean; every other column (seed, split,
    label, group, ...) tells rows of a clip apart that are not averaged.
    """
    if "clip" not in frame.columns:
        return frame
    chances = [name for name in frame.columns if name.startswith("p_")]
    alone = unit_of(frame)
    first = frame["image_id"].groupby(alone).transform("min")  # the same whichever frames a condition has
    averaged = pd.DataFrame(AVERAGED[how](frame[chances].to_numpy(float)), frame.index, chances)
    keys = [name for name in frame.columns if name not in (*chances, "covered")]
    told = frame.assign(image_id=first, clip=alone, **averaged)
    found = told.groupby(keys, sort=False, observed=True, dropna=False).mean().reset_index()
    if how == "log_probability":
        shares = np.exp(found[chances])
        found[chances] = shares.div(shares.sum(axis=1), axis=0)
    return found[[name for name in frame.columns if name != "clip"]]
