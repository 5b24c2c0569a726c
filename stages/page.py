"""The page that a run ends in: tables, charts and every photograph with what each model says of it."""

from pathlib import Path

from har.data.manifest import read_evidence, read_manifest
from har.data.sources import SOURCES
from har.data.split import read_split
from har.reporting.page.about import about
from har.reporting.page.build import Source, build
from har.reporting.page.gallery import read_traits
from har.studies.error_analysis.factors import image_bins
from har.studies.error_analysis.outcomes import factor_frame
from stages.lib.context import Context
from stages.lib.results import trained


def page(context: Context) -> None:
    profile, data = context.profile, context.data
    manifest, traits = read_manifest(data / "manifest.csv"), read_traits(data / "errors.parquet")
    images, encoders = SOURCES[profile.data.source], context.params.run.encoders
    source = Source(
        profile=context.params.profile,
        header=context.header,
        images=images,
        manifest=manifest,
        split=read_split(data / "split.csv"),
        evidence=read_evidence(data / "evidence.csv"),
        tasks={task: profile.tasks[task] for task in context.params.run.tasks},
        predictions=trained(context),
        photographs=data / "images",
        explain=data / "explain",
        traits=traits,
        factors=[] if traits is None else image_bins(factor_frame(manifest, traits), dict(profile.errors.bins)),
        embeddings=data / "embeddings" / ("clip" if "clip" in encoders else encoders[0]) if encoders else None,
        papers=context.papers,
        unit=profile.data.unit,
        about=about(context.digest, Path("CITATION.cff"), list((context.reports / "cards").glob("*.md"))),
        deviations=Path("docs/deviations.md").read_text(encoding="utf-8") if images.listing is None else "",
    )
    print(f"{build(source, context.reports, profile.page, context.published)} is written: open it in a browser")
