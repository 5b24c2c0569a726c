"""Repeated stratified k-fold over the drawn images, three activities: predictions, scores and their pairs."""

from pathlib import Path

from har.data.split import read_split
from har.reporting.tables.paper_tables import profile_header, write_tables
from har.studies.cross_validation.fit import resample, write_resampled
from har.studies.cross_validation.report import resampling_tables
from stages.lib.context import Context, stage
from stages.lib.recipes import recipes
from stages.lib.resumed import resumed


@resumed
def resampling(context: Context, *, keep: Path) -> None:
    profile, classes = context.profile, context.profile.tasks["activity"]
    split = read_split(context.data / "split.csv")
    drawn = split[(split.split != "extended") & split.label.isin(classes)].sort_values("image_id", ignore_index=True)
    models = recipes(context, profile.resampling.models, drawn, classes)
    options = {"training": profile.training, "strength": profile.augmentation, "keep": keep}
    frames = resample(models, drawn, classes, profile.resampling, **options)
    for name, frame in frames.items():
        write_resampled(context.data / "resampling" / f"{name}.parquet", frame)
    sources = {name: profile.backbones[name].source for name in context.params.run.encoders}
    random = [name for name, recipe in models.items() if recipe.random]
    header = profile_header(context.params.profile, sources)
    tables = resampling_tables(frames, random, header, profile.report.confidence)
    write_tables(tables, context.reports / "resampling")
    print(tables["resampling"].markdown())


if __name__ == "__main__":
    stage(resampling)
