"""Test the statistics themselves on simulated predictions of which the truth is known, for every profile."""

from pathlib import Path

from har.reporting.table import write_tables
from har.studies.simulation.report import coverage_table, families_table, rejection_table, simulation_figure
from har.studies.simulation.simulate import coverage, families, rejection
from stages.lib.context import Context

REPORTS = Path("reports/simulation")


def simulate(context: Context) -> None:
    params = context.params.simulation
    covered = coverage(params.experiments, params.resamples, params.seed)
    rejected = rejection(params.experiments, params.resamples, params.seed)
    together = families(params.experiments // 2, params.resamples, params.seed)
    header = f"simulated predictions, known truth; {params.resamples:,} bootstrap samples each, seed {params.seed}; "
    many, half = (f"{header}{count:,} experiments" for count in (params.experiments, params.experiments // 2))
    tables = (coverage_table(covered, many), rejection_table(rejected, many), families_table(together, half))
    write_tables({table.name: table for table in tables}, REPORTS, html=False)
    simulation_figure(covered, rejected, REPORTS / "simulation.svg")
    for table in tables:
        print(table.markdown())
