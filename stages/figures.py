"""Confusion matrices, learning curves, accuracies with their intervals, and the augmentation study."""

import pandas as pd

from har import figures as draw
from har.evaluate import summarise
from har.paper import model_name
from stages.context import Context, stage
from stages.results import augmented, trained


def figures(context: Context) -> None:
    profile, out, name = context.profile, context.reports / "figures", context.params.profile
    every, report = trained(context), profile.report
    options = {"resamples": report.resamples, "seed": report.seed, "level": report.confidence}
    for task in context.params.run.tasks:
        mine = {model: frame for (t, model), frame in every.items() if t == task}
        shown = {model_name(m): f for m, f in mine.items() if m != "majority"}
        for split in ("test", "extended"):
            if any((f.split == split).any() for f in shown.values()):
                title = f"Confusion, {task}, {split} images, profile {name}"
                draw.confusion_matrices(shown, split, out / f"confusion_{task}_{split}.png", title)
        summaries = {m: summarise(f, ("test", "extended"), **options) for m, f in mine.items()}
        draw.accuracy_overview(
            summaries,
            out / f"accuracy_{task}.png",
            f"Accuracy, {task}, profile {name}",
            len(profile.tasks[task]),
            report.confidence,
        )
    if ("posture", "vit") in every:
        one = {"ViT": every["posture", "vit"]}
        title = f"Sitting or standing, test, profile {name}"
        draw.confusion_matrices(one, "test", out / "figure3_vit_posture.png", title)
    for run in context.params.run.train:
        curves = pd.read_csv(context.reports / "curves" / f"{run}.csv")
        draw.learning_curves(curves, out / f"curves_{run}.png", f"{run}, profile {name}")
    if context.params.run.policies:
        policies = {p: summarise(f, ("validation",), **options) for p, f in augmented(context).items()}
        title = f"Augmentation of CNN_base, profile {name}"
        draw.augmentation_study(policies, out / "augmentation.png", title, report.confidence)


if __name__ == "__main__":
    stage(figures)
