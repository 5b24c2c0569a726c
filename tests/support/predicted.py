"""Made-up predictions, and what tests ask of predictions."""

import numpy as np
import pandas as pd

from har.config.report import Report
from har.evaluation.metrics import cells, metrics_from_confusion
from har.evaluation.paired import estimated_difference
from har.evaluation.predictions import predictions_frame
from har.evaluation.summary import estimates

TASKS = {"activity": ("walking_running", "sitting", "standing"), "posture": ("sitting", "standing")}
SIZES = {"train": 30, "validation": 18, "test": 29, "extended": 90}
REPORT = Report(confidence=0.95, resamples=100, equivalence_margin=0.05, clips="probability", seed=0)


def seed_scores(predictions: pd.DataFrame, split: str = "test", metric: str = "accuracy") -> pd.Series:
    """One metric of each run on `split` (or HELD_OUT), indexed by seed."""
    one = cells(predictions, split)
    return pd.Series(metrics_from_confusion(one.confusions())[metric][0], index=one.seeds)


def difference(
    a: pd.DataFrame, b: pd.DataFrame, split: str = "test", metric: str = "accuracy", resamples: int = 100, level=0.95
) -> dict:
    """a minus b, predictions of the same images."""
    return estimated_difference(*(estimates(cells(frame, split), resamples)[metric] for frame in (a, b)), level)


def labelled(task: str, sizes: dict[str, int] = SIZES) -> pd.DataFrame:
    """Images of the splits, labelled with the classes of `task` in turn."""
    classes, n = TASKS[task], sum(sizes.values())
    split = np.repeat(list(sizes), list(sizes.values()))
    return pd.DataFrame({"image_id": range(n), "label": np.array(classes)[np.arange(n) % len(classes)], "split": split})


def simulate(task: str, skill: float, seed: int = 0, runs: int = 3, sizes: dict[str, int] = SIZES) -> pd.DataFrame:
    """Predictions of `labelled` images, those of train left out: some are easier for all runs; `skill` helps the true
    class."""
    frame, classes = labelled(task, sizes), TASKS[task]
    truth = pd.Index(classes).get_indexer(frame["label"])
    random, out = np.random.default_rng(seed), []
    easy = random.normal(0, 0.3, (len(frame), len(classes)))
    for run in range(runs):
        weights = np.exp(easy + random.normal(0, 0.8, easy.shape) + skill * np.eye(len(classes))[truth])
        shares = weights / weights.sum(1, keepdims=True)
        out.append(predictions_frame(frame["image_id"], frame["label"], frame["split"], shares, classes, run))
    found = pd.concat(out, ignore_index=True)
    return found[found["split"] != "train"].reset_index(drop=True)
