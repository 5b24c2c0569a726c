"""Confusion matrices, learning curves, accuracies with their intervals, and the augmentation study."""

from collections.abc import Iterator

import pandas as pd
from joblib import delayed
from tqdm import tqdm

from har.core.files import write_csv
from har.core.parallel import side_by_side
from har.core.readers import read_csv
from har.evaluation.predictions import HELD_OUT, in_split, predicted_classes
from har.evaluation.summary import summarise
from har.reporting.figures import accuracy_overview, augmentation_study, confusion_matrices, learning_curves
from har.reporting.names import model_name, split_name
from stages.lib.context import Context
from stages.lib.results import CURVES, augmented, trained


def figures(context: Context) -> None:
    work = list(drawings(context, trained(context)))
    for _ in tqdm(side_by_side(context.profile.training, len(work))(work), total=len(work), desc="draw", unit="figure"):
        pass


def drawings(context: Context, every: dict) -> Iterator:
    """What is to be drawn; the tables beside it are written at once."""
    profile, out = context.profile, context.reports / "figures"
    report, unit = profile.report, {"unit": profile.data.unit}
    options = {"resamples": report.resamples, "seed": report.seed, "level": report.confidence}
    for task in context.params.run.tasks:
        mine = {model: frame for (t, model), frame in every.items() if t == task}
        shown = {model_name(m): f for m, f in mine.items() if m != "majority"}
        if any(in_split(f, HELD_OUT).any() for f in shown.values()):
            title = context.titled(f"Confusion, {task}, {split_name(HELD_OUT)} {profile.data.unit}")
            yield delayed(confusion_matrices)(shown, HELD_OUT, out / f"confusion_{task}_{HELD_OUT}.svg", title, **unit)
        summaries = {m: summarise(f, ("test", HELD_OUT), **options) for m, f in mine.items()}
        yield delayed(accuracy_overview)(
            summaries,
            out / f"accuracy_{task}.svg",
            context.titled(f"Balanced accuracy, {task}"),
            len(profile.tasks[task]),
            report.confidence,
            **unit,
        )
    if ("posture", "vit") in every:
        one = {"ViT": every["posture", "vit"]}
        title = context.titled(f"Sitting or standing, test {profile.data.unit}")
        yield delayed(confusion_matrices)(one, "test", out / "figure3_vit_posture.svg", title, **unit)
    for run, what in context.params.run.train.items():
        curves = read_csv(context.data / "models" / run / CURVES, "the curves of a training", text=False)
        yield delayed(learning_curves)(
            curves, out / f"curves_{run}.svg", context.titled(f"{model_name(what.model)}, {what.task}")
        )
        # for `dvc plots show` and `dvc plots diff`
        losses = curves.groupby("epoch", as_index=False)[["train_loss", "validation_loss"]].mean()
        write_csv(context.data / "plots/losses" / f"{run}.csv", losses)
        guesses = predicted(every[what.task, what.model])
        write_csv(context.data / "plots/confusion" / f"{run}.csv", guesses)
    if context.profile.policies:
        policies = {p: summarise(f, ("validation",), **options) for p, f in augmented(context).items()}
        title = context.titled("Augmentation of CNN_base")
        path = out / "augmentation.svg"
        yield delayed(augmentation_study)(policies, path, title, report.confidence, context.papers, **unit)


def predicted(frame: pd.DataFrame) -> pd.DataFrame:
    """True and predicted class of the held-out images, a row for each image and run."""
    frame = frame[in_split(frame, HELD_OUT)]
    return pd.DataFrame({"label": frame.label, "predicted": predicted_classes(frame)})
