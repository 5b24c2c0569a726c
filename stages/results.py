"""The predictions of all trained models and baselines of a run, as tables and figures need them."""

from collections.abc import Mapping

import pandas as pd

from har.evaluate import read_predictions
from har.stored_predictions import StoredPredictions
from stages.context import Context


def trained(context: Context) -> Mapping[tuple[str, str], pd.DataFrame]:
    """(task, model) to predictions: the models of params.yaml's `run`, then the baselines. Read when asked for."""
    files, tasks, predictions = {}, context.profile.tasks, context.data / "predictions"
    for name, run in context.params.run.train.items():
        files[run.task, run.model] = predictions / f"{name}.csv", tasks[run.task]
    for name in context.params.run.generative:
        for model in (f"{name}_zero_shot", f"{name}_lora"):
            files["activity", model] = predictions / f"activity-{model}.csv", tasks["activity"]
    for task in context.params.run.tasks:
        # whatever rows the baselines stage made for the encoders of this run
        for path in sorted((context.data / "baselines").glob(f"{task}-*.csv")):
            files[task, path.stem.removeprefix(f"{task}-")] = path, tasks[task]
    return StoredPredictions(files)


def augmented(context: Context) -> dict[str, pd.DataFrame]:
    """policy to CNN_base's predictions under it."""
    folder, classes = context.data / "augment/predictions", context.profile.tasks["activity"]
    return {policy: read_predictions(folder / f"{policy}.csv", classes) for policy in context.params.run.policies}
