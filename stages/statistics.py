"""What the predictions support: scores, classes, calibration, tests, pairs of models, the small test set."""

from har.coco.manifest import read_manifest
from har.evidence import build_evidence, reliability_figure
from har.tables import profile_header, write_tables
from stages.context import Context, stage
from stages.results import trained


def statistics(context: Context) -> None:
    profile, out, predictions = context.profile, context.reports / "statistics", trained(context)
    sources = {name: profile.backbones[name].source for name in context.params.run.encoders}
    options = {
        "resamples": profile.report.resamples,
        "seed": profile.report.seed,
        "level": profile.report.confidence,
    }
    # drawn and extended images together: all that satisfy the caption rule, as far as curation kept them
    labels = read_manifest(context.data / "manifest.csv")["label"]
    header = profile_header(context.params.profile, sources)
    write_tables(build_evidence(predictions, labels, header, **options), out)
    title = f"Reliability, profile {context.params.profile}"
    reliability_figure(predictions, out / "reliability.png", title, **options)


if __name__ == "__main__":
    stage(statistics)
