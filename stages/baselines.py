"""Rows without fine-tuning, for each task: the majority class, zero-shot and logistic regressions on frozen embeddings
(har.config.rows), and one on metadata alone."""

import numpy as np
import pandas as pd

from har.config.models import Probe
from har.core.files import write_json
from har.data.groups import group_codes, with_groups
from har.data.manifest import read_manifest
from har.data.split import read_split
from har.evaluation.predictions import majority_predictions, predictions_frame, write_predictions
from har.training import embeddings, probe
from stages.lib.context import Context, stage


def baselines(context: Context) -> None:
    data, split = context.data, read_split(context.data / "split.csv")
    manifest = read_manifest(data / "manifest.csv")
    for task in context.params.run.tasks:
        classes, about = context.profile.tasks[task], {}
        images = split[split.label.isin(classes)]
        found, seen = {"majority": majority_predictions(images, classes)}, {}
        for name, row in context.profile.rows.items():
            if row.kind == "probe":
                seen[name] = probe.features(row, data / "embeddings", images.image_id)
            elif row.kind == "zero_shot":
                embedded = embeddings.read(data / "embeddings" / row.backbone, row.views)
                if embedded.texts is not None:  # only an encoder with text knows classes that it was not shown
                    found[name] = embedded.zero_shot(images[images.split != "train"], classes)
        seen[probe.METADATA] = probe.metadata_features(manifest, images.image_id)
        for name, x in seen.items():
            found[name], fitted = fitted_row(x, images, classes, context.profile.probe)
            about[name] = {} if fitted.c is None else {"c": fitted.c}
            print(f"{task} {name}: C {fitted.c} {fitted.note}".rstrip())
        for name, predictions in found.items():
            predictions = with_groups(predictions[predictions.split != "train"], images)
            write_predictions(data / "baselines" / f"{task}-{name}.parquet", predictions)
            write_json(data / "baselines" / f"{task}-{name}.json", about.get(name, {}))


def fitted_row(
    x: np.ndarray, images: pd.DataFrame, classes: list[str], config: Probe
) -> tuple[pd.DataFrame, probe.Fitted]:
    """Predictions of all `images` (image_id, label, split) by a regression fitted on those in train."""
    y, train = pd.Index(classes).get_indexer(images.label), (images.split == "train").to_numpy()
    groups = group_codes(images)
    fitted = probe.fit(x[train], y[train], len(classes), config, None if groups is None else groups[train])
    told = predictions_frame(images.image_id, images.label, images.split, fitted.probabilities(x), classes)
    return told, fitted


if __name__ == "__main__":
    stage(baselines)
