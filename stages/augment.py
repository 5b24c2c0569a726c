"""Train CNN_base under each augmentation policy (Table 3), but for its own, with which `run` trains it."""

from pathlib import Path

from har.core.files import write_csv, write_json
from har.data.split import read_split
from har.data.store import Store
from har.evaluation.predictions import write_predictions
from har.training import experiment
from har.training.refit import Recipe
from stages.lib.context import Context
from stages.lib.resumed import resumed


@resumed
def augment(context: Context, *, keep: Path) -> None:
    profile, out = context.profile, context.data / "augment"
    base, split = profile.models["cnn_base"], read_split(context.data / "split.csv")
    # policies are compared, and chosen, on validation alone: no test image is predicted here
    split = split[split.split.isin(["train", "validation"])].reset_index(drop=True)
    images = experiment.images(base, Store(context.data / "store"), split.image_id, None)
    recipes = {
        name: Recipe(base.model_copy(update={"augmentation": profile.policies[name]}), images)
        for name in profile.policies
        if name not in context.already
    }
    options = {"training": profile.training, "strength": profile.augmentation, "keep": keep}
    found = experiment.run_all(recipes, profile.tasks["activity"], split, **options)
    out.mkdir(parents=True, exist_ok=True)  # DVC wants it also without a policy
    for policy, (predictions, curves, description) in found:
        write_predictions(out / "predictions" / f"{policy}.parquet", predictions)
        write_csv(out / "curves" / f"{policy}.csv", curves)
        write_json(out / f"{policy}.json", description)
