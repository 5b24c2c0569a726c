"""Rows without fine-tuning, for each task: the majority class, zero-shot and logistic regressions on frozen embeddings
(har.config.rows), and one on metadata alone."""

from har.core.files import write_json
from har.data.groups import with_groups
from har.data.manifest import read_manifest
from har.data.split import read_split
from har.evaluation.clips import of_clips
from har.evaluation.predictions import log_loss, majority_predictions, write_predictions
from har.training import probe, rows
from stages.lib.context import Context


def baselines(context: Context) -> None:
    profile, data, split = context.profile, context.data, read_split(context.data / "split.csv")
    manifest, out = read_manifest(data / "manifest.csv"), data / "baselines"
    for task in context.params.run.tasks:
        classes = profile.tasks[task]
        images = split[split.label.isin(classes)].reset_index(drop=True)
        x = probe.metadata_features(manifest, images.image_id)
        metadata, fitted = rows.fitted_row(x, images, classes, profile.probe)
        found = {"majority": (majority_predictions(images, classes), {}), probe.METADATA: (metadata, about(fitted))}
        for name, row in profile.rows.items():
            if row.kind == "ensemble":
                continue
            told = rows.predict(row, data / "embeddings", images, classes, profile.probe, profile.tune)
            if told is None:  # only an encoder with text knows classes that it was not shown
                continue
            found[name] = told.frame, about(told.fitted)
            note = "" if told.fitted is None else told.fitted.note
            print(f"{task} {name}: {found[name][1]} {note}".rstrip())
            if told.dev is not None:
                dev = with_groups(told.dev, images)
                found[name][1]["dev"] = log_loss(of_clips(dev, "probability"))
                write_predictions(out / "dev" / f"{task}-{name}.parquet", dev)
            rows.save(out / f"{task}-{name}", row, classes, profile.embed.crops, told.linear)
        for name, (predictions, said) in found.items():
            predictions = with_groups(predictions[predictions.split != "train"], images)
            write_predictions(out / f"{task}-{name}.parquet", predictions)
            write_json(out / f"{task}-{name}.json", said)


def about(fitted: probe.Fitted | None) -> dict:
    """What stands in the metrics of a row: the strength that was chosen, where one was."""
    return {} if fitted is None or fitted.c is None else {"c": fitted.c}
