"""All seeds of the work in this folder, from JPEG files to predictions and weights: `python -m har.dev.bench.ours`."""

from pathlib import Path

from har.data import store
from har.dev.bench import task
from har.evaluation.predictions import write_predictions
from har.training import experiment


def main() -> None:
    given, images = task.read(".")
    checkpoint = Path(given.checkpoint)
    store.build(dict(zip(images.image_id, images.file, strict=True)), "store", given.short_side, given.training.jobs)
    predictions, _, _ = experiment.run(
        given.model,
        given.classes,
        images,
        experiment.images(given.model, store.Store("store"), images.image_id, checkpoint),
        training=given.training,
        strength=given.strength,
        name="bench",
        backbone=checkpoint,
        checkpoint=Path("model"),
    )
    write_predictions("ours.parquet", predictions)


if __name__ == "__main__":
    main()
