"""What the predictions support: scores with intervals, each class, calibration, tests, pairs of models, and how
far the small test set lies from the larger one. Each is a `har.reporting.table.Table`, and one figure.

Everything derives from predictions frames. Where a figure is not defined its cell is empty and a note says why.
"""

from collections.abc import Callable, Mapping

import pandas as pd

from har.config.report import Report
from har.core.errors import HarError
from har.evaluation.scored import Key, scored
from har.reporting.table import Table
from har.reporting.tables.claims import claims_table
from har.reporting.tables.columns import Evidence
from har.reporting.tables.over_runs import over_runs_table
from har.reporting.tables.pairs import pairs_table
from har.reporting.tables.reliability import calibration_table, reliability_figure
from har.reporting.tables.scores import per_class_table, scores_table, small_test_table

__all__ = ["TABLES", "Evidence", "reliability_figure", "significance_tables"]

# One more table is one more entry; har.reporting.contents.SECTIONS says where results show it.
TABLES: list[Callable[[Evidence], Table | None]] = [
    claims_table,
    scores_table,
    per_class_table,
    calibration_table,
    over_runs_table,
    pairs_table,
    small_test_table,
]


def significance_tables(
    predictions: Mapping[Key, pd.DataFrame], header: str, report: Report, **options
) -> dict[str, Table]:
    """Every table by name: claims (where its models were made), scores, per_class, calibration, tests, pairs,
    small_test.

    Args:
        predictions: (task, model) to its frame.
        header: what made the tables.
        report: how intervals are made.
        options: further attributes of `Evidence`.

    Raises:
        HarError: no model has predictions on test or extended.
    """
    found = scored(predictions, report.resamples, report.seed, report.confidence)
    if not any(found[0].values()):
        raise HarError("significance: no model has predictions on test or extended")
    of = Evidence(*found, header, report.confidence, report.equivalence_margin, report.seed, **options)
    return {table.name: table for make in TABLES if (table := make(of))}
