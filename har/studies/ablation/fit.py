"""Variants of a model trained and evaluated side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from har.config.overrides import shown
from har.config.training import Augmentation, Training
from har.core.errors import HarError
from har.data.split import require_classes
from har.evaluation.predictions import predictions_frame
from har.training.refit import Fit, Recipe, fit_all


def ablate(
    variants: Mapping[str, Recipe],
    split: pd.DataFrame,
    classes: Sequence[str],
    seeds: Sequence[int],
    *,
    training: Training,
    strength: Augmentation,
    keep: Path | None = None,
) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """Predictions of each variant, trained on train with each of `seeds`, on all other images, and the number of
    parameters that it trained.

    split: image_id, label and split of the rows of each recipe's `x`. All variants of a seed see the same order of
    images. keep: see har.training.refit.fit_all. Raises HarError where a class is missing from train or validation.
    """
    classes = list(classes)
    require_classes(split, classes, "ablation")
    rows = {part: np.flatnonzero(split["split"] == part) for part in ("train", "validation")}
    predict_rows = np.flatnonzero(split["split"] != "train")
    fits = [Fit(name, rows["train"], rows["validation"], predict_rows, seed) for name in variants for seed in seeds]
    y = pd.Index(classes).get_indexer(split["label"])
    found = fit_all(fits, variants, y, classes, training=training, strength=strength, name="ablation", keep=keep)
    images, frames, parameters = split.iloc[predict_rows], {name: [] for name in variants}, {}
    for fit, fitted in zip(fits, found, strict=True):
        parameters[fit.model] = fitted.parameters
        frames[fit.model].append(
            predictions_frame(
                images["image_id"], images["label"], images["split"], fitted.probabilities, classes, seed=fit.seed
            )
        )
    return {name: pd.concat(parts, ignore_index=True) for name, parts in frames.items()}, parameters


def changes(model: str, base: Mapping[str, object], variant: Mapping[str, object], reference: bool) -> str:
    """What a variant replaces in the settings `base` of `model`, for people: "clip; head text (not probe)"."""
    if base.keys() != variant.keys():
        raise HarError(f"ablation: a variant of {model} has other settings than it")
    changes = [f"{key} {shown(value)} (not {shown(base[key])})" for key, value in variant.items() if value != base[key]]
    return "; ".join([model, *(changes or (["as in models"] if reference else ["nothing changed"]))])
