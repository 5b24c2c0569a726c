"""The predictions of all trained models and baselines of a run, as tables and figures need them."""

from collections.abc import Mapping

import pandas as pd

from har.evaluation.predictions import read_predictions
from stages.lib.context import CNN_BASE, Context

CURVES = "curves.csv"  # of a training, beside the weights


def trained(context: Context) -> Mapping[tuple[str, str], pd.DataFrame]:
    """(task, model) to predictions: the models of params.yaml's `run`, then the baselines."""
    files, tasks, predictions = {}, context.profile.tasks, context.data / "predictions"
    for name, run in context.params.run.train.items():
        files[run.task, run.model] = predictions / f"{name}.parquet", tasks[run.task]
    for name in context.params.run.generative:
        for model in (f"{name}_zero_shot", f"{name}_lora"):
            files["activity", model] = predictions / f"activity-{model}.parquet", tasks["activity"]
    for task in context.params.run.tasks:
        # whatever rows the baselines stage made for the encoders of this run
        for path in sorted((context.data / "baselines").glob(f"{task}-*.parquet")):
            files[task, path.stem.removeprefix(f"{task}-")] = path, tasks[task]
    return {key: read_predictions(path, classes) for key, (path, classes) in files.items()}


def augmented(context: Context) -> dict[str, pd.DataFrame]:
    """policy to CNN_base's predictions of validation under it."""
    folder, classes, found = context.data / "augment/predictions", context.profile.tasks["activity"], {}
    own = trained_already(context)
    for policy in context.params.run.policies:
        path = context.data / f"predictions/{own[policy]}.parquet" if policy in own else folder / f"{policy}.parquet"
        frame = read_predictions(path, classes)
        found[policy] = frame[frame.split == "validation"].reset_index(drop=True)
    return found


def trained_already(context: Context) -> dict[str, str]:
    """Policies under which `run` trains CNN_base anyhow, as a model of its own, each with the name of that run."""
    base = context.profile.models["cnn_base"].augmentation
    same = [policy for policy in context.params.run.policies if context.profile.policies[policy] == base]
    # stage augment sees this one run, if there is one
    return dict.fromkeys(same, CNN_BASE) if CNN_BASE in getattr(context.params.run, "train", {}) else {}
