"""Models fitted on ever more training images, three activities; the statistics stage tells their accuracy."""

from functools import partial
from pathlib import Path

from har.core.files import write_parquet
from har.data.split import read_split
from har.studies.learning_curve.fit import learn
from har.training.refit import fit_all
from stages.lib.context import Context
from stages.lib.recipes import recipes
from stages.lib.resumed import resumed


@resumed
def learning_curve(context: Context, *, keep: Path) -> None:
    profile, classes = context.profile, context.profile.tasks["activity"]
    split = read_split(context.data / "split.csv")
    split = split[split.label.isin(classes)].sort_values("image_id", ignore_index=True)
    models = recipes(context, profile.learning_curve.models, split, classes)
    fit = partial(fit_all, training=profile.training, strength=profile.augmentation, name="learning curve", keep=keep)
    frame = learn(models, split, classes, profile.learning_curve, fit)
    write_parquet(context.data / "learning_curve.parquet", frame)
