"""All seeds of the work in this folder, from JPEG files to predictions and weights: `python -m har.bench.ours`."""

from pathlib import Path

from har import experiment, store
from har.bench import work
from har.evaluate import write_predictions
from har.memory import keep_memory


def main() -> None:
    keep_memory()  # as a stage does, which here finds nothing loaded for it
    given, images = work.read(".")
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
    write_predictions("ours.csv", predictions)


if __name__ == "__main__":
    main()
