"""Train one model for one task with all seeds: `python -m stages train activity clip`."""

from pathlib import Path

from har.core.files import write_csv, write_json
from har.data.split import read_split
from har.evaluation.predictions import write_predictions
from har.training import experiment
from stages.lib.context import Context
from stages.lib.recipes import inputs
from stages.lib.results import CURVES, DESCRIPTION
from stages.lib.resumed import resumed


@resumed
def train(context: Context, task: str, model: str, *, keep: Path) -> None:
    profile, name = context.profile, f"{task}-{model}"
    config, classes, out = profile.models[model], profile.tasks[task], context.data / "models" / name
    if not classes:
        print(f"{name}: profile {context.params.profile} has no task {task}, so there is nothing to train")
        for path in (out, context.data / "predictions"):
            path.mkdir(parents=True, exist_ok=True)
        (context.data / "predictions" / f"{name}.parquet").touch()
        return
    split = read_split(context.data / "split.csv")
    split = split[split.label.isin(classes)].reset_index(drop=True)
    predictions, curves, description = experiment.run(
        inputs(context, config, split, classes),
        classes,
        split,
        name=name,
        training=profile.training,
        strength=profile.augmentation,
        checkpoint=out,
        keep=keep,
    )
    write_predictions(context.data / "predictions" / f"{name}.parquet", predictions)
    write_csv(out / CURVES, curves)
    write_json(out / DESCRIPTION, description)
