"""What tests ask of predictions."""

import pandas as pd

from har.evaluation.metrics import cells, metrics_from_confusion


def seed_scores(predictions: pd.DataFrame, split: str = "test", metric: str = "accuracy") -> pd.Series:
    """One metric of each run on `split` (or HELD_OUT), indexed by seed."""
    one = cells(predictions, split)
    return pd.Series(metrics_from_confusion(one.confusions())[metric][0], index=one.seeds)
