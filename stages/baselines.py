"""Rows that need no training: the majority class and zero-shot CLIP and SigLIP, for each task."""

from har import embeddings
from har.evaluate import majority_predictions, write_predictions
from har.files import write_json
from har.metrics import scalars
from har.splits import read_split
from stages.context import Context, stage


def baselines(context: Context) -> None:
    split = read_split(context.data / "split.csv")
    for task in context.params.run.tasks:
        classes = context.profile.tasks[task]
        parts = split[split.label.isin(classes) & (split.split != "train")]
        rows = {"majority": majority_predictions(split[split.label.isin(classes)], classes)}
        for encoder, row in (("clip", "zero_shot"), ("siglip2", "zero_shot_siglip2")):
            if encoder in context.params.run.encoders:
                found = embeddings.read(context.data / "embeddings" / encoder)
                rows[row] = found.zero_shot(parts, classes)
        for name, predictions in rows.items():
            predictions = predictions[predictions.split != "train"]
            write_predictions(context.data / "baselines" / f"{task}-{name}.csv", predictions)
            out = context.reports / "metrics-baselines" / f"{task}-{name}.json"
            write_json(out, scalars(predictions, context.profile.report))


if __name__ == "__main__":
    stage(baselines)
