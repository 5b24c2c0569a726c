"""What both sides are given: photographs as JPEG files, their split, a checkpoint and a recipe, in one folder.

images.csv  image_id, label, split, file
work.json   everything else
"""

from collections.abc import Iterable
from itertools import count, islice
from pathlib import Path

import pandas as pd

from har.config.load import Block
from har.config.models import Finetune
from har.config.profile import Profile
from har.config.report import Report
from har.config.training import Augmentation, Training
from har.core.errors import HarError
from har.core.files import write_csv, write_json
from har.data import split
from har.data.folder.find import find_in_folder
from har.models.preprocess import from_folder

# Of what this project does, that which Trainer has an option for: a head that starts at random, and one learning rate
# for all layers. It is between the sample's for a head and for what lies below: with the lower one a new head learns
# nothing in three epochs.
PLAIN = {
    "pretrained": True, "pool": "patches", "head": "random", "adapt": "full", "layer_decay": 1.0, "view": "image",
    "patience": 0, "augmentation": ["horizontal_flip"], "learning_rate": 3e-4, "head_learning_rate": 3e-4,
}  # fmt: skip


class Work(Block):
    """The recipe of one fine-tuning, and where its checkpoint lies."""

    classes: list[str]
    checkpoint: str
    model: Finetune
    training: Training
    strength: Augmentation
    report: Report
    short_side: int


def read(folder: str | Path) -> tuple[Work, pd.DataFrame]:
    """The work in `folder` and its images, which are the rows of images.csv."""
    folder = Path(folder)
    work = Work.model_validate_json((folder / "work.json").read_text(encoding="utf-8"))
    return work, pd.read_csv(folder / "images.csv", dtype={"label": str})


def make(folder: Path, profile: Profile, name: str, checkpoint: Path, images: pd.DataFrame, jobs: int) -> Work:
    """Write what `read` reads. name: of the model in params.yaml whose recipe it is; images: image_id, label, file."""
    drawn = images.assign(part="drawn")
    parts = split.split(drawn, fractions=_fractions(profile, len(images)), mode="stratified", seed=profile.split.seed)
    work = Work(
        classes=sorted(images.label.unique()),
        checkpoint=str(checkpoint.resolve()),
        model=profile.models[name].model_copy(update=PLAIN),
        training=profile.training.model_copy(update={"jobs": min(jobs, len(profile.training.seeds))}),
        strength=profile.augmentation,
        report=profile.report,
        short_side=short_side(checkpoint, profile.store.short_side),
    )
    write_json(folder / "work.json", work.model_dump(mode="json"))
    write_csv(folder / "images.csv", parts.merge(images[["image_id", "file"]], on="image_id", validate="1:1"))
    return work


def short_side(checkpoint: Path, least: int) -> int:
    """Pixels of a store's images that `checkpoint` neither has to enlarge nor to do with less than it could see."""
    preprocess = from_folder(checkpoint)
    return max(least, round(preprocess.size / preprocess.crop_pct))


def _fractions(profile: Profile, images: int) -> dict[str, float]:
    """As many images to train and validate on as the profile has; the others tell how right a model is."""
    drawn = sum(one.count for one in profile.curate.classes.values() if one.count)
    sizes = split.split_sizes(drawn, {name: getattr(profile.split, name) for name in split.SPLITS[:3]})
    if images <= sizes["train"] + sizes["validation"]:
        raise HarError(f"{images} images, expected over {sizes['train'] + sizes['validation']}")
    shares = {name: sizes[name] / images for name in ("train", "validation")}
    return shares | {"test": 1 - sum(shares.values())}


def drawn(folder: Path, profile: Profile, images: int, jobs: int) -> pd.DataFrame:
    """So many scenes of the generated world as JPEG files in `folder`: image_id, label, file."""
    from har.synthetic import activity, sample_scene
    from har.synthetic.files import draw_files

    world = profile.data.world
    told = ((i, activity(sample_scene(world.seed, i))) for i in count(world.first_id))
    found = list(islice(((i, label) for i, label in told if label), images))
    folder.mkdir(parents=True)
    files = draw_files(world.seed, [i for i, _ in found], folder, jobs)
    rows = [(i, label, folder / one["file_name"]) for (i, label), one in zip(found, files, strict=True)]
    return _frame(rows)


def found(folder: str | Path) -> pd.DataFrame:
    """The images in `folder`/<class>/: image_id, label, file."""
    return _frame((one.image_id, one.label, one.path) for one in find_in_folder(folder, groups="").images)


def _frame(rows: Iterable[tuple[int, str, Path]]) -> pd.DataFrame:
    rows = [(i, label, str(file.resolve())) for i, label, file in rows]
    return pd.DataFrame(rows, columns=["image_id", "label", "file"])
