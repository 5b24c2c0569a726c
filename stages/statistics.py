"""What the predictions support: scores, classes, calibration, tests, pairs of models, the small test set, and how
accuracy grows with the number of training images."""

from har.coco.manifest import read_manifest
from har.comparison import for_task
from har.evidence import build_evidence, reliability_figure
from har.learning_curve import curve_table, draw_curve, read_curve, scores, with_all_of_train
from har.splits import read_split
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
    # drawn and extended images together: all that satisfy the labelling rule, as far as curation kept them
    labels = read_manifest(context.data / "manifest.csv")["label"]
    header = profile_header(context.params.profile, sources)
    tables = build_evidence(predictions, labels, header, **options)
    title = f"Reliability, profile {context.params.profile}"
    reliability_figure(predictions, out / "reliability.png", title, **options)

    curve = read_curve(context.data / "learning_curve.csv")
    train = int((read_split(context.data / "split.csv").split == "train").sum())
    points = scores(with_all_of_train(curve, predictions, train), **options)
    tables["learning_curve"] = curve_table(points, header, options["level"])
    title, classes = f"Accuracy against training images, profile {context.params.profile}", profile.tasks["activity"]
    draw_curve(points, out / "learning_curve.png", title, len(classes), options["level"])
    write_tables(for_task(tables, classes), out)


if __name__ == "__main__":
    stage(statistics)
