"""Rows that train no network (har.config.rows): their predictions, and what `har predict` needs of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from har.config.models import Crops, Probe
from har.config.rows import PERSON, ProbeRow
from har.config.studies import Tune
from har.core.errors import HarError
from har.core.files import write_bytes, write_json
from har.data.groups import assign_folds, group_codes
from har.evaluation.predictions import OUT_OF_FOLD, in_split, predictions_frame
from har.training import embeddings, probe

Linear = tuple[np.ndarray, np.ndarray]  # weights [classes, width] and biases [classes]


class Predicted(NamedTuple):
    """Predictions of all images; those of train and validation by a fit without them (None where a class has too few);
    the weights and biases of scores; the probe, None for zero-shot."""

    frame: pd.DataFrame
    dev: pd.DataFrame | None
    linear: Linear
    fitted: probe.Fitted | None


def predict(
    row: ProbeRow, folder: Path, images: pd.DataFrame, classes: list[str], config: Probe, tune: Tune
) -> Predicted | None:
    """What `row` says of `images` (image_id, label, split, and group where there are any), a probe fitted on those in
    train. folder: one folder of embeddings an encoder; tune: the folds of `out_of_fold`. None for zero-shot by an
    encoder without text tower."""
    if row.kind == "probe":
        x = probe.features(row, folder, images.image_id)
        frame, fitted = fitted_row(x, images, classes, config)
        return Predicted(frame, out_of_fold(x, images, classes, config, tune), fitted.linear(), fitted)
    found = embeddings.read(folder / row.backbone, row.views)
    if found.texts is None:
        return None
    frame = found.zero_shot(images, classes)
    weights = found.text_rows(classes) * found.logit_scale
    return Predicted(frame, frame[in_split(frame, OUT_OF_FOLD)], (weights, np.zeros(len(classes))), None)


def fitted_row(
    x: np.ndarray, images: pd.DataFrame, classes: list[str], config: Probe
) -> tuple[pd.DataFrame, probe.Fitted]:
    """Predictions of all `images` (image_id, label, split) by a regression fitted on those in train."""
    y, train = pd.Index(classes).get_indexer(images.label), (images.split == "train").to_numpy()
    groups = group_codes(images)
    fitted = probe.fit(x[train], y[train], len(classes), config, None if groups is None else groups[train])
    told = predictions_frame(images.image_id, images.label, images.split, fitted.probabilities(x), classes)
    return told, fitted


def out_of_fold(
    x: np.ndarray, images: pd.DataFrame, classes: list[str], config: Probe, tune: Tune
) -> pd.DataFrame | None:
    """Predictions of the images of train and validation, each by a regression on the other folds of these (whole
    groups); None where some class has fewer images, or there are fewer groups, than folds."""
    rows = np.flatnonzero(in_split(images, OUT_OF_FOLD))
    images, x = images.iloc[rows], x[rows]
    y, groups = pd.Index(classes).get_indexer(images.label), group_codes(images)
    units = images if groups is None else images.assign(unit=groups).drop_duplicates(["unit", "label"])
    if units.label.value_counts().reindex(classes, fill_value=0).min() < tune.folds:
        return None
    try:
        fold = assign_folds(images.label, groups, tune.folds, tune.seed)
    except HarError:  # groups too few or too uneven
        return None
    chances = np.empty((len(rows), len(classes)))
    for one in range(tune.folds):
        train, test = fold != one, fold == one
        inner = None if groups is None else groups[train]
        chances[test] = probe.fit(x[train], y[train], len(classes), config, inner).probabilities(x[test])
    return predictions_frame(images.image_id, images.label, images.split, chances, classes)


def save(folder: Path, row: ProbeRow, classes: Sequence[str], crops: Sequence[Crops], linear: Linear) -> None:
    """What `har predict` needs of a row beside its encoder; nothing of one that needs person boxes."""
    from safetensors.numpy import save as as_bytes

    if PERSON in row.views:
        return
    seen = {"crops": [one.model_dump() for one in crops]}
    weights, biases = (np.ascontiguousarray(part, np.float32) for part in linear)
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / "model.safetensors", as_bytes({"weight": weights, "bias": biases}))
    write_json(folder / "config.json", {"classes": list(classes), "config": row.model_dump()} | seen)
