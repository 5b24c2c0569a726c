"""A configuration trained with all its seeds: the runs side by side, their predictions in one frame.

This module starts no torch of its own; the processes that train do.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from har.config.models import Model
from har.config.training import Augmentation, Training
from har.core.files import link_or_copy, replacing_folder
from har.data.crops import PersonStore
from har.data.groups import with_groups
from har.data.split import require_classes
from har.data.store import Store
from har.evaluation.predictions import collapsed_runs, predictions_frame
from har.models.preprocess import Preprocess, from_folder
from har.training.refit import WEIGHTS, Fit, Recipe, fit_each
from har.training.run import TrainingResult

CURVE_COLUMNS = ("seed", "epoch", "train_loss", "validation_loss", "validation_accuracy", "learning_rate")


def images(config: Model, store: Store, image_ids: Sequence[int], backbone: Path | None) -> np.ndarray:
    """The store's images as the model of `config` wants them: uint8 [n, 3, size, size]."""
    if getattr(config, "view", "image") == "person":
        store = PersonStore(store.folder, config.person_margin)
    preprocess = from_folder(backbone) if config.fine_tuned else Preprocess(config.input_size, config.fit)
    return preprocess.load(store, image_ids)


class Trained(NamedTuple):
    """Predictions of validation, test and extended images, learning curves (CURVE_COLUMNS), and {parameters,
    kept_seed, epochs}."""

    predictions: pd.DataFrame
    curves: pd.DataFrame
    description: dict


def run(recipe: Recipe, classes: Sequence[str], split: pd.DataFrame, *, name: str, **options) -> Trained:
    """One configuration: as `run_all` of it alone."""
    ((_, found),) = run_all({name: recipe}, classes, split, **options)
    return found


def run_all(
    recipes: Mapping[str, Recipe],
    classes: Sequence[str],
    split: pd.DataFrame,
    *,
    training: Training,
    strength: Augmentation,
    checkpoint: Path | None = None,
    keep: Path | None = None,
) -> Iterator[tuple[str, Trained]]:
    """Train each of `recipes` once per seed, all runs in one pool; name and outcome of each, in their order.

    split: image_id, label, split of the images in the rows of a recipe's `x`. The run with the lowest validation loss
    leaves its weights in `checkpoint` (one recipe only). keep: as in har.training.refit.fit_all. Raises HarError where
    a class is missing from train or validation.
    """
    require_classes(split, list(classes), " ".join(recipes))
    train, validation = (np.flatnonzero(split.split == part) for part in ("train", "validation"))
    told, seeds = np.flatnonzero(split.split != "train"), training.seeds
    fits = [Fit(name, train, validation, told, seed) for name in recipes for seed in seeds]
    y, title = pd.Index(classes).get_indexer(split.label), " ".join(recipes) if len(recipes) == 1 else "train"
    done = fit_each(fits, recipes, y, classes, training, strength, title, keep, weights=checkpoint is not None)
    for name in recipes:
        runs = []
        for outcome, folder in islice(done, len(seeds)):
            runs.append((outcome, folder))
            last = outcome.history[outcome.epoch - 1]
            tqdm.write(
                f"{name} seed {outcome.seed}: kept epoch {outcome.epoch} of {len(outcome.history)}, validation "
                f"loss {outcome.validation_loss:.3f}, accuracy {last['validation_accuracy']:.3f}, "
                f"{outcome.seconds:.0f} s"
            )
        trained = _trained(runs, classes, split, checkpoint)
        for seed, label in collapsed_runs(trained.predictions).items():
            tqdm.write(f"{name} seed {seed}: collapsed, it predicts {label} for every image")
        yield name, trained


def _trained(
    runs: list[tuple[TrainingResult, Path]], classes: Sequence[str], split: pd.DataFrame, checkpoint: Path | None
) -> Trained:
    """runs: what came of each, and its folder."""
    outcomes = [outcome for outcome, _ in runs]
    kept, folder = min(runs, key=lambda run: (run[0].validation_loss, run[0].seed))
    if checkpoint is not None:
        with replacing_folder(checkpoint) as fresh:
            for file in sorted((folder / WEIGHTS).iterdir()):
                link_or_copy(file, fresh / file.name)
    parts = split[split.split != "train"]
    frames = [
        predictions_frame(parts.image_id, parts.label, parts.split, one.probabilities, classes, seed=one.seed)
        for one in outcomes
    ]
    predictions = with_groups(pd.concat(frames, ignore_index=True), split)
    curves = pd.DataFrame([row for one in outcomes for row in one.history], columns=list(CURVE_COLUMNS))
    digits = {name: 6 for name in curves if name != "learning_rate"}  # which may be far below 1e-6
    epochs = float(np.mean([one.epoch for one in outcomes]))
    description = {"parameters": kept.parameters, "kept_seed": kept.seed, "epochs": epochs}
    return Trained(predictions, curves.round(digits), description)
