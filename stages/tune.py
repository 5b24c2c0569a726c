"""The candidates of params.yaml for one model, out of fold on train and validation: `python -m stages tune clip`."""

from functools import partial
from pathlib import Path

from har.data.split import read_split
from har.evaluation.predictions import OUT_OF_FOLD, in_split
from har.reporting.table import write_tables
from har.studies.tune import out_of_fold, scores, tune_table
from har.training.refit import fit_all
from stages.lib.context import Context
from stages.lib.recipes import variants
from stages.lib.resumed import resumed


@resumed
def tune(context: Context, name: str, *, keep: Path) -> None:
    profile, classes = context.profile, context.profile.tasks["activity"]
    split = read_split(context.data / "split.csv")
    images = split[in_split(split, OUT_OF_FOLD) & split.label.isin(classes)].sort_values("image_id", ignore_index=True)
    recipes = variants(context, profile.candidates(name), images, classes)
    fit = partial(fit_all, training=profile.training, strength=profile.augmentation, name="tune", keep=keep)
    rows = scores(out_of_fold(recipes, images, classes, profile.tune, fit), images, classes)
    table = tune_table(name, rows, profile.tune, context.header)
    write_tables({name: table}, context.published / "tune", html=False)
    print(table.markdown())
