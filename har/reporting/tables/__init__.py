"""What the predictions support: scores with intervals, each class, calibration, tests, pairs of models, and how
far the small test set lies from the larger one. Each is a `har.reporting.table.Table`, and one figure.

Everything derives from predictions frames. Where a figure is not defined its cell is empty and a note says why.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from har.core.errors import HarError
from har.evaluation.bootstrap import RESAMPLES
from har.evaluation.scored import Key, Scored, scored
from har.evaluation.summary import Estimate
from har.reporting.table import Table
from har.reporting.tables.claims import claims_table
from har.reporting.tables.over_runs import over_runs_table
from har.reporting.tables.pairs import pairs_table
from har.reporting.tables.reliability import calibration_table, reliability_figure
from har.reporting.tables.scores import per_class_table, scores_table
from har.reporting.tables.test_against_extended import small_test_table

__all__ = ["TABLES", "Evidence", "reliability_figure", "significance_tables"]


@dataclass(frozen=True)
class Evidence:
    """What a table is made from: the models on each split and on validation, the class shares, and
    what the caller of significance_tables gave."""

    scored: Mapping[str, Mapping[Key, Scored]]
    shares: Mapping
    validated: Mapping[Key, Estimate]
    header: str
    level: float
    margin: float
    seed: int
    papers: bool
    protocol: str
    recommended: str


# One more table is one more entry; har.reporting.contents.SECTIONS says where results show it.
TABLES: list[Callable[[Evidence], Table | None]] = [
    lambda of: claims_table(
        of.scored, of.validated, of.header, of.level, of.margin, of.seed, of.protocol, of.recommended
    ),
    lambda of: scores_table(of.scored, of.shares, of.header, of.level),
    lambda of: per_class_table(of.scored, of.header, of.level),
    lambda of: calibration_table(of.scored, of.validated, of.header),
    lambda of: over_runs_table(of.scored, of.header, of.level, of.papers),
    lambda of: pairs_table(of.scored, of.header, of.level, of.margin, of.seed),
    lambda of: small_test_table(of.scored, of.header, of.level),
]


def significance_tables(
    predictions: Mapping[Key, pd.DataFrame],
    labels: Sequence[str],
    header: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
    margin: float = 0.05,
    papers: bool = True,
    protocol: str = "",
    recommended: str = "",
) -> dict[str, Table]:
    """Every table by name: claims (where its models were made), scores, per_class, calibration, tests, pairs,
    small_test.

    Args:
        predictions: (task, model) to its frame.
        labels: those of all images that satisfy the caption rule, drawn or not.
        header: what made the tables.
        resamples, seed, level: of the intervals.
        margin: a difference below it is of no importance.
        papers: whether the paper's values stand beside its tests.
        protocol: whether the settings are those of docs/protocol.md, in words.
        recommended: the row that `har predict` takes.

    Raises:
        HarError: no model has predictions on test or extended.
    """
    found, shares, validated = scored(predictions, labels, resamples, seed, level)
    if not any(found.values()):
        raise HarError("significance: no model has predictions on test or extended")
    of = Evidence(found, shares, validated, header, level, margin, seed, papers, protocol, recommended)
    return {table.name: table for make in TABLES if (table := make(of))}
