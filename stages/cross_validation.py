"""Repeated stratified k-fold over the drawn images, three activities: predictions, scores and their pairs."""

from pathlib import Path

from har.data.split import read_split
from har.reporting.table import write_tables
from har.studies.cross_validation.fit import resample, write_resampled
from har.studies.cross_validation.report import cross_validation_tables
from stages.lib.context import Context, stage
from stages.lib.header import header
from stages.lib.recipes import recipes
from stages.lib.resumed import resumed


@resumed
def cross_validation(context: Context, *, keep: Path) -> None:
    profile, classes = context.profile, context.profile.tasks["activity"]
    split = read_split(context.data / "split.csv")
    drawn = split[(split.split != "extended") & split.label.isin(classes)].sort_values("image_id", ignore_index=True)
    models = recipes(context, profile.cross_validation.models, drawn, classes)
    options = {"training": profile.training, "strength": profile.augmentation, "keep": keep}
    frames = resample(models, drawn, classes, profile.cross_validation, **options)
    for name, frame in frames.items():
        write_resampled(context.data / "cross_validation" / f"{name}.parquet", frame)
    random = [name for name, recipe in models.items() if recipe.random]
    tables = cross_validation_tables(frames, random, header(context), profile.report.confidence)
    write_tables(tables, context.reports / "cross_validation")
    print(tables["cross_validation"].markdown())


if __name__ == "__main__":
    stage(cross_validation)
