"""Train CNN_base under one augmentation policy (Table 3): `python -m stages.augment vertical_flip`."""

import sys

from har import experiment
from har.evaluate import write_predictions
from har.files import write_csv, write_json
from har.metrics import scalars
from har.splits import read_split
from har.store import Store
from stages.context import Context, stage


def augment(context: Context, policy: str) -> None:
    profile, name = context.profile, f"augment-{policy}"
    config = profile.models["cnn_base"].model_copy(update={"augmentation": profile.policies[policy]})
    split = read_split(context.data / "split.csv")
    # policies are compared, and chosen, on validation alone: no test image is predicted here
    split = split[split.split.isin(["train", "validation"])].reset_index(drop=True)
    predictions, curves, description = experiment.run(
        config,
        profile.tasks["activity"],
        split,
        experiment.images(config, Store(context.data / "store"), split.image_id, None),
        training=profile.training,
        strength=profile.augmentation,
        name=name,
    )
    write_predictions(context.data / "predictions" / f"{name}.csv", predictions)
    write_csv(context.data / "curves" / f"{name}.csv", curves)
    write_json(context.reports / "metrics" / f"{name}.json", scalars(predictions, profile.report) | description)


if __name__ == "__main__":
    stage(augment, *sys.argv[1:])
