"""What both sides are given: photographs as JPEG files, their split, a checkpoint and a recipe, in one folder.

images.csv  image_id, label, split, file
work.json   what `theirs` is to know of the recipe

And our side of it, in such a folder: `python -m har.dev.bench.work train CHECKPOINT JOBS` fine-tunes all seeds and
leaves predictions and weights, `... embed ENCODER JOBS` leaves embeddings.
"""

import sys
from itertools import count, islice
from pathlib import Path

import pandas as pd

from har.config.models import Finetune
from har.config.profile import Profile, load_params
from har.core.files import write_csv, write_json
from har.data import split, store
from har.dev.bench.measure import PROJECT
from har.models.preprocess import from_folder

IMAGES = 485  # scenes: 228 to train on, 28 for validation, 229 to compare accuracies
SHARES = {"train": 228 / IMAGES, "validation": 28 / IMAGES, "test": 229 / IMAGES}
# Of what this project does, that which Trainer has an option for: a head that starts at random, and one learning rate
# for all layers. It is between the sample's for a head and for what lies below: with the lower one a new head learns
# nothing in three epochs.
PLAIN = {
    "pretrained": True, "pool": "patches", "head": "random", "adapt": "full", "layer_decay": 1.0, "view": "image",
    "patience": 0, "augmentation": ["horizontal_flip"], "learning_rate": 3e-4, "head_learning_rate": 3e-4,
}  # fmt: skip


def profile() -> Profile:
    return load_params(PROJECT / "params.yaml").profiles["sample"]


def recipe() -> Finetune:
    return profile().models["clip"].model_copy(update=PLAIN)


def read_images(folder: str | Path = ".") -> pd.DataFrame:
    return pd.read_csv(Path(folder) / "images.csv", dtype={"label": str})


def make(folder: Path, checkpoint: Path, jobs: int) -> None:
    """Draw the images and write what both sides read."""
    images = scenes(folder / "images", IMAGES, jobs)
    parts = split.split(images.assign(part="drawn"), **SHARES, mode="stratified", seed=0)
    write_csv(folder / "images.csv", parts.merge(images[["image_id", "file"]], on="image_id", validate="1:1"))
    given = {
        "classes": sorted(images.label.unique()),
        "checkpoint": str(checkpoint.resolve()),
        "flip": profile().augmentation.flip_probability,
        "cpu": profile().training.device == "cpu",
    }
    write_json(folder / "work.json", given | recipe().model_dump(mode="json"))


def scenes(folder: Path, images: int, jobs: int) -> pd.DataFrame:
    """So many scenes of the generated world with one activity, as JPEG files in `folder`: image_id, label, file."""
    from har.synthetic import activity, sample_scene
    from har.synthetic.files import draw_files

    world = profile().data.world
    labelled = ((i, activity(sample_scene(world.seed, i))) for i in count(world.first_id))
    ids, labels = zip(*islice(((i, label) for i, label in labelled if label), images), strict=True)
    folder.mkdir(parents=True)
    files = [str((folder / one["file_name"]).resolve()) for one in draw_files(world.seed, ids, folder, jobs)]
    return pd.DataFrame({"image_id": ids, "label": labels, "file": files})


def short_side(checkpoint: Path) -> int:
    """Pixels of a store's images that `checkpoint` neither has to enlarge nor to do with less than it could see."""
    preprocess = from_folder(checkpoint)
    return round(preprocess.size / preprocess.crop_pct)


def random_vit(folder: Path) -> Path:
    """ViT-B/32 in the hub's format, with random weights: they change no time and are nowhere to be fetched."""
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    ViTModel(ViTConfig(patch_size=32)).save_pretrained(folder)
    ViTImageProcessor().save_pretrained(folder)
    return folder


# --- our side ----------------------------------------------------------------------------------------------


def decoded(checkpoint: Path, jobs: int) -> store.Store:
    images = read_images()
    store.build(dict(zip(images.image_id, images.file, strict=True)), "store", short_side(checkpoint), jobs)
    return store.Store("store")


def train(checkpoint: Path, jobs: int) -> None:
    from har.evaluation.predictions import write_predictions
    from har.training import experiment
    from har.training.refit import Recipe

    images, settings, model = read_images(), profile(), recipe()
    x = experiment.images(model, decoded(checkpoint, jobs), images.image_id, checkpoint)
    predictions, _, _ = experiment.run(
        Recipe(model, x, checkpoint),
        sorted(images.label.unique()),
        images,
        name="bench",
        training=settings.training.model_copy(update={"jobs": jobs}),
        strength=settings.augmentation,
        checkpoint=Path("model"),
    )
    write_predictions("ours.parquet", predictions)


def embed(encoder: Path, jobs: int) -> None:
    from har.training.embed import embed as extract

    ids, settings = read_images().image_id, profile().embed
    extract(encoder, decoded(encoder, jobs), ids, {}, "ours", settings, jobs=jobs, device="auto")


if __name__ == "__main__":
    {"train": train, "embed": embed}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
