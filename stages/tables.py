"""Tables 1 to 7 beside the paper's values, the paper's tests, and every model's distance from CNN_base."""

from har.core.files import write_text
from har.data.manifest import read_manifest
from har.models.registry import metrics_of
from har.reporting.comparison import for_task
from har.reporting.tables.paper_tables import build_tables, profile_header, summary_markdown, write_tables
from har.studies.eda import size_table, size_tests
from stages.lib.context import Context, stage
from stages.lib.results import augmented, trained


def tables(context: Context) -> None:
    profile, out = context.profile, context.reports / "tables"
    manifest, classes = read_manifest(context.data / "manifest.csv"), profile.tasks["activity"]
    counts = {}
    for name, run in context.params.run.train.items():
        counts[run.model] = metrics_of(context.reports, name)["parameters"]
    sources = {name: profile.backbones[name].source for name in context.params.run.encoders}
    built = build_tables(
        trained(context),
        augmented(context),
        counts,
        size_table(manifest, classes),
        size_tests(manifest, classes),
        profile_header(context.params.profile, sources),
        resamples=profile.report.resamples,
        seed=profile.report.seed,
        level=profile.report.confidence,
    )
    built = for_task(built, classes)
    write_tables(built, out)
    summary = summary_markdown(built)
    write_text(out / "summary.md", summary)
    print(summary)


if __name__ == "__main__":
    stage(tables)
