"""A configuration trained with all its seeds: the runs side by side, their predictions in one frame.

This module starts no torch of its own; the processes that train do.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import delayed
from tqdm import tqdm

from har.evaluate import predictions_frame
from har.groups import with_groups
from har.models.preprocess import Preprocess, from_folder
from har.params.schema import Augmentation, Model, Training
from har.runs import Inputs, Outcome, loaded_by, side_by_side
from har.splits import require_classes
from har.store import Store
from har.views import PersonStore

CURVE_COLUMNS = ("seed", "epoch", "train_loss", "validation_loss", "validation_accuracy", "learning_rate")


def images(
    config: Model, store: Store, image_ids: Sequence[int], backbone: Path | None, boxes: pd.DataFrame | None = None
) -> np.ndarray:
    """The store's images as the model of `config` wants them: uint8 [n, 3, size, size]. boxes: har.views' table of
    persons, for a model that looks at these."""
    if getattr(config, "view", "image") == "person":
        store = PersonStore(store, boxes, config.person_margin)
    preprocess = from_folder(backbone) if config.kind == "finetune" else Preprocess(config.input_size, config.fit)
    return preprocess.load(store, image_ids)


def run(
    config: Model,
    classes: Sequence[str],
    split: pd.DataFrame,
    x: np.ndarray,
    *,
    training: Training,
    strength: Augmentation,
    name: str,
    backbone: Path | None = None,
    checkpoint: Path | None = None,
    texts: np.ndarray | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict]:
    """Train `config` once per seed and predict validation, test and extended images.

    split: image_id, label, split of the images in the rows of `x`. Returns the predictions, the learning
    curves (CURVE_COLUMNS) and a description {parameters, kept_seed, epochs, seconds}. texts: for head "text" (see
    har.training.train). The run with the
    lowest validation loss leaves its weights in `checkpoint`. Raises HarError where a class is missing
    from train or validation.
    """
    classes = list(classes)
    require_classes(split, classes, name)
    rows = {part: np.flatnonzero(split.split == part) for part in ("train", "validation")}
    y = np.array([classes.index(label) for label in split.label])
    inputs = (x, y, rows["train"], rows["validation"])  # one object: a cluster is sent it once
    work = (
        delayed(_run)(
            config,
            classes,
            inputs,
            seed,
            strength=strength,
            device=training.device,
            backbone=backbone,
            checkpoint=checkpoint and checkpoint / f"seed-{seed}",
            texts=texts,
        )
        for seed in training.seeds
    )
    outcomes = []
    progress = tqdm(total=len(training.seeds), desc=name, unit="run")
    for outcome in side_by_side(training, len(training.seeds), loaded_by([config]))(work):
        outcomes.append(outcome)
        progress.update()
        last = outcome.history[outcome.epoch - 1]
        progress.write(
            f"{name} seed {outcome.seed}: kept epoch {outcome.epoch} of {len(outcome.history)}, validation loss "
            f"{outcome.validation_loss:.3f}, accuracy {last['validation_accuracy']:.3f}, {outcome.seconds:.0f} s"
        )
    progress.close()

    kept = min(outcomes, key=lambda o: (o.validation_loss, o.seed))
    if checkpoint is not None:
        for file in (checkpoint / f"seed-{kept.seed}").iterdir():
            file.replace(checkpoint / file.name)
        for outcome in outcomes:
            shutil.rmtree(checkpoint / f"seed-{outcome.seed}")
    told = (split.split != "train").to_numpy()
    parts = split[told]
    predictions = pd.concat(
        [
            predictions_frame(
                parts.image_id, parts.label, parts.split, outcome.probabilities[told], classes, seed=outcome.seed
            )
            for outcome in outcomes
        ],
        ignore_index=True,
    )
    predictions = with_groups(predictions, split)
    curves = pd.DataFrame([row for outcome in outcomes for row in outcome.history], columns=list(CURVE_COLUMNS))
    description = {
        "parameters": kept.parameters,
        "kept_seed": kept.seed,
        "epochs": float(np.mean([outcome.epoch for outcome in outcomes])),
    }
    return predictions, curves.round(6), description


def _run(config: Model, classes: list[str], inputs: tuple[np.ndarray, ...], seed: int, **options) -> Outcome:
    from har.training import train  # torch takes seconds to load: in the process that trains, not before

    return train(config, classes, Inputs(*inputs), seed, **options)
