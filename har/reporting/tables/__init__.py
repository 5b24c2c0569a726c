"""What the predictions support: scores with intervals, each class, calibration, tests, pairs of models, and how
far the small test set lies from the larger one. Each is a `har.reporting.table.Table`, and one figure.

Everything derives from predictions frames. Where a figure is not defined its cell is empty and a note says why.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from har.core.errors import HarError
from har.evaluation.bootstrap import RESAMPLES
from har.evaluation.scored import Key, scored
from har.reporting.table import Table
from har.reporting.tables.claims import claims_table
from har.reporting.tables.over_runs import over_runs_table, tukey_differences
from har.reporting.tables.pairs import pairs_table
from har.reporting.tables.reliability import calibration_table, reliability_figure
from har.reporting.tables.scores import per_class_table, scores_table
from har.reporting.tables.test_against_extended import small_test_table

__all__ = ["reliability_figure", "significance_tables"]


def significance_tables(
    predictions: Mapping[Key, pd.DataFrame],
    labels: Sequence[str],
    header: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
    papers: bool = True,
    protocol: str = "",
) -> dict[str, Table]:
    """Every table by name: claims (where its models were made), scores, per_class, calibration, tests, pairs,
    small_test.

    Args:
        predictions: (task, model) to its frame.
        labels: those of all images that satisfy the caption rule, drawn or not.
        header: what made the tables.
        resamples, seed, level: of the intervals.
        papers: whether the paper's values stand beside its tests.
        protocol: whether the settings are those of docs/protocol.md, in words.

    Raises:
        HarError: no model has predictions on test or extended.
    """
    found, shares, validated = scored(predictions, labels, resamples, seed, level)
    if not any(found.values()):
        raise HarError("significance: no model has predictions on test or extended")
    tukeys = tukey_differences(found)
    tables = [
        claims_table(found, validated, header, level, protocol),
        scores_table(found, shares, header, level),
        per_class_table(found, header, level),
        calibration_table(found, validated, header),
        over_runs_table(found, tukeys, header, level, papers),
        pairs_table(found, tukeys, header, level),
        small_test_table(found, header, level),
    ]
    return {table.name: table for table in tables if table}
