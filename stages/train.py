"""Train one model for one task with all seeds: `python -m stages.train activity clip`."""

import sys
from pathlib import Path

from har.core.files import write_csv, write_json
from har.data.split import read_split
from har.evaluation.predictions import write_predictions
from har.evaluation.summary import scalars
from har.training import experiment
from stages.lib.context import Context, stage
from stages.lib.inputs import inputs
from stages.lib.results import CURVES
from stages.lib.resumed import resumed


@resumed
def train(context: Context, task: str, model: str, *, keep: Path) -> None:
    profile, name = context.profile, f"{task}-{model}"
    config, classes = profile.models[model], profile.tasks[task]
    split = read_split(context.data / "split.csv")
    split = split[split.label.isin(classes)].reset_index(drop=True)
    given = inputs(context, config, split, classes)
    predictions, curves, description = experiment.run(
        config,
        classes,
        split,
        given.x,
        training=profile.training,
        strength=profile.augmentation,
        name=name,
        backbone=given.backbone,
        texts=given.texts,
        checkpoint=context.data / "models" / name,
        keep=keep,
    )
    write_predictions(context.data / "predictions" / f"{name}.parquet", predictions)
    write_csv(context.data / "models" / name / CURVES, curves)
    write_json(context.reports / "metrics" / f"{name}.json", scalars(predictions, profile.report) | description)


if __name__ == "__main__":
    stage(train, *sys.argv[1:])
