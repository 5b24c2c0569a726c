"""The predictions of all trained models and baselines of a run, as tables and figures need them: of clips, where images
are frames."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from har.config.resolved import CNN_BASE
from har.evaluation.clips import of_clips
from har.evaluation.predictions import read_predictions
from stages.lib.context import Context

# of a training, beside the weights
CURVES, DESCRIPTION = "curves.csv", "training.json"


def read(context: Context, path: Path, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """The predictions at `path`, of clips where images are frames."""
    return of_clips(read_predictions(path, classes), context.profile.report.clips)


def trained(context: Context, frames: bool = False) -> Mapping[tuple[str, str], pd.DataFrame]:
    """(task, model) to predictions: the models of params.yaml's `run`, then the baselines and ensembles; of the frames
    of clips if `frames`."""
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
    if frames:
        return {key: read_predictions(*file) for key, file in files.items()}
    return {key: read(context, *file) for key, file in files.items()}


def augmented(context: Context) -> dict[str, pd.DataFrame]:
    """policy to CNN_base's predictions of validation under it."""
    folder, classes, found = context.data / "augment/predictions", context.profile.tasks["activity"], {}
    for policy in context.profile.policies:
        own = policy in context.already
        path = context.data / f"predictions/{CNN_BASE}.parquet" if own else folder / f"{policy}.parquet"
        frame = read(context, path, classes)
        found[policy] = frame[frame.split == "validation"].reset_index(drop=True)
    return found
