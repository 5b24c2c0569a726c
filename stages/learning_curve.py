"""Accuracy against the number of training images, three activities."""

from har.learning_curve import curve_table, draw_curve, learn, scores, told_splits, write_curve
from har.splits import read_split
from har.tables import profile_header, write_tables
from stages.context import Context, stage
from stages.recipes import recipes


def learning_curve(context: Context) -> None:
    profile, classes = context.profile, context.profile.tasks["activity"]
    split = read_split(context.data / "split.csv")
    needed = split.label.isin(classes) & split.split.isin(["train", *told_splits(split)])
    split = split[needed].sort_values("image_id", ignore_index=True)
    models = recipes(context, "learning_curve.models", profile.learning_curve.models, split, classes)
    frame = learn(
        models, split, classes, profile.learning_curve, training=profile.training, strength=profile.augmentation
    )
    write_curve(context.data / "learning_curve.csv", frame)
    report, out = profile.report, context.reports / "learning_curve"
    rows = scores(frame, report.resamples, report.seed, report.confidence)
    sources = {name: profile.backbones[name].source for name in context.params.run.encoders}
    table = curve_table(rows, profile_header(context.params.profile, sources), report.confidence)
    write_tables({table.name: table}, out)
    title = f"Accuracy against training images, profile {context.params.profile}"
    draw_curve(rows, out / "learning_curve.png", title, len(classes), report.confidence)
    print(table.markdown())


if __name__ == "__main__":
    stage(learning_curve)
