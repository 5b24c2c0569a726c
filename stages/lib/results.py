"""The predictions of all trained models and baselines of a run, as tables and figures need them."""

from collections.abc import Mapping

import pandas as pd

from har.config.resolved import CNN_BASE
from har.evaluation.predictions import read_predictions
from stages.lib.context import Context

# of a training, beside the weights
CURVES, DESCRIPTION = "curves.csv", "training.json"


def trained(context: Context) -> Mapping[tuple[str, str], pd.DataFrame]:
    """(task, model) to predictions: the models of params.yaml's `run`, then the baselines and ensembles."""
    files, tasks, predictions = {}, context.profile.tasks, context.data / "predictions"
    for name, run in context.params.run.train.items():
        files[run.task, run.model] = predictions / f"{name}.parquet", tasks[run.task]
    for name in context.params.run.generative:
        for model in (f"{name}_zero_shot", f"{name}_lora"):
            files["activity", model] = predictions / f"activity-{model}.parquet", tasks["activity"]
    for task in context.params.run.tasks:
        # whatever rows these stages made for the encoders of this run
        for folder in ("baselines", "ensembles"):
            for path in sorted((context.data / folder).glob(f"{task}-*.parquet")):
                files[task, path.stem.removeprefix(f"{task}-")] = path, tasks[task]
    return {key: read_predictions(path, classes) for key, (path, classes) in files.items()}


def augmented(context: Context) -> dict[str, pd.DataFrame]:
    """policy to CNN_base's predictions of validation under it."""
    folder, classes, found = context.data / "augment/predictions", context.profile.tasks["activity"], {}
    for policy in context.params.run.policies:
        own = policy in context.already
        path = context.data / f"predictions/{CNN_BASE}.parquet" if own else folder / f"{policy}.parquet"
        frame = read_predictions(path, classes)
        found[policy] = frame[frame.split == "validation"].reset_index(drop=True)
    return found
