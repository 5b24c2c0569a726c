"""The predictions of all trained models and baselines of a run, as tables and figures need them."""

import pandas as pd

from har.evaluate import read_predictions
from stages.context import Context


def trained(context: Context) -> dict[tuple[str, str], pd.DataFrame]:
    """(task, model) to predictions: the models of params.yaml's `run`, then the baselines."""
    tasks, found = context.profile.tasks, {}
    for name, run in context.params.run.train.items():
        path = context.data / "predictions" / f"{name}.csv"
        found[run.task, run.model] = read_predictions(path, tasks[run.task])
    for name in context.params.run.generative:
        for model in (f"{name}_zero_shot", f"{name}_lora"):
            path = context.data / "predictions" / f"activity-{model}.csv"
            found["activity", model] = read_predictions(path, tasks["activity"])
    for task in context.params.run.tasks:
        # whatever rows the baselines stage made for the encoders of this run
        for path in sorted((context.data / "baselines").glob(f"{task}-*.csv")):
            found[task, path.stem.removeprefix(f"{task}-")] = read_predictions(path, tasks[task])
    return found


def augmented(context: Context) -> dict[str, pd.DataFrame]:
    """policy to CNN_base's predictions under it."""
    folder, classes = context.data / "augment/predictions", context.profile.tasks["activity"]
    return {policy: read_predictions(folder / f"{policy}.csv", classes) for policy in context.params.run.policies}
