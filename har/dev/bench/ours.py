"""This project at the work of this folder, from JPEG files: `python -m har.dev.bench.ours train CHECKPOINT JOBS` fine-tunes
all seeds and leaves predictions and weights; `... embed ENCODER JOBS` leaves embeddings."""

import sys
from pathlib import Path

from har.data import store
from har.dev.bench import work


def decoded(checkpoint: Path, jobs: int) -> store.Store:
    images = work.read_images()
    store.build(dict(zip(images.image_id, images.file, strict=True)), "store", work.short_side(checkpoint), jobs)
    return store.Store("store")


def train(checkpoint: Path, jobs: int) -> None:
    from har.evaluation.predictions import write_predictions
    from har.training import experiment

    images, profile, model = work.read_images(), work.profile(), work.recipe()
    predictions, _, _ = experiment.run(
        model,
        sorted(images.label.unique()),
        images,
        experiment.images(model, decoded(checkpoint, jobs), images.image_id, checkpoint),
        training=profile.training.model_copy(update={"jobs": min(jobs, len(profile.training.seeds))}),
        strength=profile.augmentation,
        name="bench",
        backbone=checkpoint,
        checkpoint=Path("model"),
    )
    write_predictions("ours.parquet", predictions)


def embed(encoder: Path, jobs: int) -> None:
    from har.training.embed import embed as extract

    prompts = {"one": ["a photo"], "other": ["a person"]}
    ids, settings = work.read_images().image_id, work.profile().embed
    extract(encoder, decoded(encoder, jobs), ids, prompts, "ours", settings, jobs=jobs, device="auto")


if __name__ == "__main__":
    {"train": train, "embed": embed}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
