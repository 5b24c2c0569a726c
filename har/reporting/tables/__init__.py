"""What the predictions support: scores with intervals, each class, calibration, tests, pairs of models, and how
far the small test set lies from the larger one. Each is a `har.reporting.table.Table`, and one figure.

Everything derives from predictions frames. Where a figure is not defined its cell is empty and a note says why.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from har.core.errors import HarError
from har.evaluation.bootstrap import RESAMPLES
from har.evaluation.scored import SPLITS, Key, scored
from har.reporting.table import Table
from har.reporting.tables.over_runs import honest_differences, tests_table
from har.reporting.tables.pairs import pairs_table
from har.reporting.tables.reliability import calibration_table, reliability_figure
from har.reporting.tables.scores import per_class_table, scores_table
from har.reporting.tables.test_against_extended import small_test_table

__all__ = ["build_evidence", "reliability_figure"]


def build_evidence(
    predictions: Mapping[Key, pd.DataFrame],
    labels: Sequence[str],
    header: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Table]:
    """Every table by name: scores, per_class, calibration, tests, pairs, small_test.

    `predictions` maps (task, model) to its frame; `labels` are those of all images that satisfy the caption
    rule, drawn or not. HarError if no model has predictions on test or extended.
    """
    found, shares, validated = scored(predictions, labels, resamples, seed, level)
    if not any(found.values()):
        raise HarError(f"statistics: no model has predictions on {' or '.join(SPLITS)}")
    honest = honest_differences(found)
    return {
        "scores": scores_table(found, shares, header, level),
        "per_class": per_class_table(found, header, level),
        "calibration": calibration_table(found, validated, header),
        "tests": tests_table(found, honest, header, level),
        "pairs": pairs_table(found, honest, header, level),
        "small_test": small_test_table(found, header, level),
    }
