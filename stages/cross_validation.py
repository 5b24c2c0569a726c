"""Repeated stratified k-fold over the drawn images, three activities: predictions, scores and their pairs."""

from functools import partial
from pathlib import Path

from har.core.files import write_parquet
from har.data.groups import with_groups
from har.data.split import read_split
from har.evaluation.clips import of_clips
from har.evaluation.ensemble import combined
from har.reporting.table import write_tables
from har.studies.cross_validation.fit import MAJORITY, resample
from har.studies.cross_validation.report import cross_validation_tables
from har.training.refit import fit_all
from stages.lib.context import Context
from stages.lib.recipes import recipes
from stages.lib.resumed import resumed


@resumed
def cross_validation(context: Context, *, keep: Path) -> None:
    profile, classes = context.profile, context.profile.tasks["activity"]
    split = read_split(context.data / "split.csv")
    drawn = split[(split.split != "extended") & split.label.isin(classes)].sort_values("image_id", ignore_index=True)
    wanted, rows = profile.cross_validation.models, profile.rows
    ensembles = {name: rows[name].members for name in wanted if name in rows and rows[name].kind == "ensemble"}
    fitted = dict.fromkeys(name for one in wanted for name in ensembles.get(one, [one]))
    models = recipes(context, list(fitted), drawn, classes)
    how = {"training": profile.training, "strength": profile.augmentation, "keep": keep}
    fit = partial(fit_all, name="cross_validation", **how)
    frames = resample(models, drawn, classes, profile.cross_validation, fit)
    for name, members in ensembles.items():
        frames[name] = combined([frames[member] for member in members], ["repeat", "fold", "image_id"])
    frames = {name: frame for name, frame in frames.items() if name in (MAJORITY, *wanted)}
    for name, frame in frames.items():
        write_parquet(context.data / "cross_validation" / f"{name}.parquet", frame)
    random = [
        name for name in frames if any(models[one].random for one in ensembles.get(name, [name]) if one in models)
    ]
    units = {key: of_clips(with_groups(one, drawn), profile.report.clips) for key, one in frames.items()}
    tables = cross_validation_tables(units, random, context.header, profile.report.confidence)
    write_tables(tables, context.reports / "cross_validation")
    print(tables["cross_validation"].markdown())
