"""Test the statistics themselves on simulated predictions of which the truth is known, for every profile."""

from pathlib import Path

from har.errors import told_in_one_line
from har.params.loader import read_yaml, validate
from har.params.schema import Simulation
from har.simulation import coverage, coverage_table, rejection, rejection_table, simulation_figure
from har.tables import write_tables

REPORTS = Path("reports/simulation")


def simulate() -> None:
    params = validate(Simulation, read_yaml("params.yaml").get("simulation", {}), "params.yaml: simulation")
    covered = coverage(params.experiments, params.resamples, params.seed)
    rejected = rejection(params.experiments, params.resamples, params.seed)
    header = (
        f"simulated predictions, known truth; {params.experiments:,} experiments, {params.resamples:,} bootstrap "
        f"samples in each, seed {params.seed}"
    )
    tables = (coverage_table(covered, header), rejection_table(rejected, header))
    write_tables({table.name: table for table in tables}, REPORTS)
    simulation_figure(covered, rejected, REPORTS / "simulation.png")
    for table in tables:
        print(table.markdown())


if __name__ == "__main__":
    with told_in_one_line("simulate"):
        simulate()
