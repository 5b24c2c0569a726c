"""Tables 2 to 7 beside the paper's values, and every model's distance from CNN_base."""

from har.core.machine import processor
from har.models.registry import metrics_of
from har.reporting.table import write_tables
from har.reporting.tables.paper_tables import build_tables
from stages.lib.context import Context, stage
from stages.lib.header import header
from stages.lib.results import augmented, trained


def tables(context: Context) -> None:
    profile = context.profile
    counts = {}
    for name, run in context.params.run.train.items():
        counts[run.model] = metrics_of(context.reports, name)["parameters"]
    built = build_tables(
        trained(context),
        augmented(context),
        counts,
        profile.tasks["activity"],
        header(context),
        resamples=profile.report.resamples,
        seed=profile.report.seed,
        level=profile.report.confidence,
        processor=processor(),
    )
    write_tables(built, context.reports / "tables")
    if "summary" in built:
        print(built["summary"].markdown())


if __name__ == "__main__":
    stage(tables)
