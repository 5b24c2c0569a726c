"""Variants of a model trained and evaluated side by side."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from har.config.overrides import shown
from har.config.studies import Ablation
from har.core.errors import HarError
from har.data.groups import group_codes
from har.data.split import require_classes
from har.reporting.names import model_name
from har.training.refit import Recipe, dev_folds, fold_fits, fold_predictions
from har.training.run import TrainingResult

WORDS = {
    "adapt": {
        "full": "all weights trained",
        "lora": "adapters trained (LoRA)",
        "head": "the head alone trained",
    },
    "head": {
        "random": "a head of random weights",
        "probe": "the frozen probe as head",
        "text": "texts of the classes as head",
        "frozen_text": "texts of the classes as fixed head",
    },
    "view": {"image": "the whole image", "person": "the largest person's box"},
    "pretrained": {True: "pre-trained weights", False: "weights drawn at random"},
}


def ablate(
    variants: Mapping[str, Recipe],
    split: pd.DataFrame,
    classes: Sequence[str],
    settings: Ablation,
    fit_all: Callable[..., list[TrainingResult]],
) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """Predictions of each variant, and the number of parameters that it trained: of train and validation without an
    image's fold, one run; of all other images by each of these fits, a run each.

    split: image_id, label and split (and group where there are any) of the rows of each recipe's `x`. fit_all: that of
    har.training.refit, with how it runs. Raises HarError where a class is missing from train or validation.
    """
    require_classes(split, classes, "ablation")
    labels, fold = split["label"].to_numpy(), dev_folds(split, settings.folds, settings.seed)
    fits = fold_fits(variants, labels, fold, settings.seed, group_codes(split))
    frames, parameters = {name: [] for name in variants}, {}
    found = fit_all(fits, variants, pd.Index(classes).get_indexer(labels), classes)
    for fit, fitted in zip(fits, found, strict=True):
        parameters[fit.model] = fitted.parameters
        frames[fit.model].append(fold_predictions(fit, fitted, split, fold, classes))
    return {name: pd.concat(parts, ignore_index=True) for name, parts in frames.items()}, parameters


def changes(model: str, base: Mapping[str, object], variant: Mapping[str, object], reference: bool) -> str:
    """What a variant replaces in the settings `base` of `model`, in words: "CLIP: only the head trained (not all
    weights trained)"."""
    if base.keys() != variant.keys():
        raise HarError(f"ablation: a variant of {model} has other settings than it")
    changes = []
    for key, value in variant.items():
        if value != base[key]:
            new, old = (WORDS[key][one] if key in WORDS else shown(one).replace("_", " ") for one in (value, base[key]))
            changes.append(f"{'' if key in WORDS else key.replace('_', ' ') + ' '}{new} (not {old})")
    return f"{model_name(model)}: {'; '.join(changes) or ('as in the tables' if reference else 'as in params.yaml')}"
