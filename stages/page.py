"""The page that a run ends in: tables, charts and every photograph with what each model says of it."""

from pathlib import Path

from har.data.manifest import read_evidence, read_manifest
from har.data.sources import SOURCES
from har.data.split import read_split
from har.reporting.page.build import Source, build
from har.reporting.page.gallery import read_traits
from har.reporting.paper import is_the_papers
from stages.lib.context import Context, stage
from stages.lib.header import header
from stages.lib.results import trained


def page(context: Context) -> None:
    profile, data = context.profile, context.data
    papers = is_the_papers(profile.tasks["activity"])
    source = Source(
        profile=context.params.profile,
        header=header(context),
        images=SOURCES[profile.data.source],
        manifest=read_manifest(data / "manifest.csv"),
        split=read_split(data / "split.csv"),
        evidence=read_evidence(data / "evidence.csv"),
        tasks={task: profile.tasks[task] for task in context.params.run.tasks},
        predictions=trained(context),
        photographs=data / "images",
        explain=data / "explain",
        traits=read_traits(data / "errors.parquet"),
        papers=papers,
        deviations=Path("docs/deviations.md").read_text(encoding="utf-8") if papers else "",
    )
    print(f"{build(source, context.reports, profile.page, context.published)} is written: open it in a browser")


if __name__ == "__main__":
    stage(page)
