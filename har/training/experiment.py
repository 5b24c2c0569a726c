"""A configuration trained with all its seeds: the runs side by side, their predictions in one frame.

This module starts no torch of its own; the processes that train do.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import delayed
from tqdm import tqdm

from har.config.models import Model
from har.config.training import Augmentation, Training
from har.core.cache import kept_calls, lasting
from har.core.files import link_or_copy, replacing_folder
from har.core.parallel import side_by_side
from har.data.crops import PersonStore
from har.data.groups import with_groups
from har.data.split import require_classes
from har.data.store import Store
from har.evaluation.predictions import collapsed_runs, predictions_frame
from har.models.preprocess import Preprocess, from_folder
from har.training.run import Inputs, TrainingResult, loaded_by

WEIGHTS = "weights"  # of a run, in its folder
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


def run(config: Model, classes: Sequence[str], split: pd.DataFrame, x: np.ndarray, *, name: str, **options) -> Trained:
    """One configuration: as `run_all` of it alone."""
    ((_, found),) = run_all({name: config}, classes, split, x, **options)
    return found


def run_all(
    configs: Mapping[str, Model],
    classes: Sequence[str],
    split: pd.DataFrame,
    x: np.ndarray,
    *,
    training: Training,
    strength: Augmentation,
    backbone: Path | None = None,
    checkpoint: Path | None = None,
    texts: np.ndarray | None = None,
    keep: Path | None = None,
) -> Iterator[tuple[str, Trained]]:
    """Train each of `configs` once per seed, all runs in one pool; name and outcome of each, in their order.

    split: image_id, label, split of the images in the rows of `x`. texts: for head "text" (see
    har.training.loop.train).
    The run with the lowest validation loss leaves its weights in `checkpoint` (one configuration only). keep: a
    folder in which finished runs and how far the others have come outlive an interruption (har.core.cache). Raises
    HarError where a class is missing from train or validation.
    """
    classes = list(classes)
    require_classes(split, classes, " ".join(configs))
    rows = {part: np.flatnonzero(split.split == part) for part in ("train", "validation")}
    y = np.array([classes.index(label) for label in split.label])
    predict_rows = np.flatnonzero(split.split != "train")
    inputs = (x, y, rows["train"], rows["validation"], predict_rows)  # one object: a cluster is sent it once
    work = (
        delayed(_run)(
            config,
            classes,
            inputs,
            seed,
            strength=strength,
            device=training.device,
            backbone=backbone,
            texts=texts,
            weights=checkpoint is not None,
        )
        for config in configs.values()
        for seed in training.seeds
    )
    count, title = len(training.seeds), " ".join(configs) if len(configs) == 1 else "train"
    with lasting(keep) as room, tqdm(total=len(configs) * count, desc=title, unit="run") as progress:
        calls, folders = kept_calls(work, room, own_folder=True)
        done = zip(side_by_side(training, len(calls), loaded_by(configs.values()))(calls), folders, strict=True)
        for name in configs:
            runs = []
            for outcome, folder in islice(done, count):
                runs.append((outcome, folder))
                progress.update()
                last = outcome.history[outcome.epoch - 1]
                progress.write(
                    f"{name} seed {outcome.seed}: kept epoch {outcome.epoch} of {len(outcome.history)}, validation "
                    f"loss {outcome.validation_loss:.3f}, accuracy {last['validation_accuracy']:.3f}, "
                    f"{outcome.seconds:.0f} s"
                )
            trained = _trained(runs, classes, split, checkpoint)
            for seed, label in collapsed_runs(trained.predictions).items():
                progress.write(f"{name} seed {seed}: collapsed, it predicts {label} for every image")
            yield name, trained


def _trained(
    runs: list[tuple[TrainingResult, Path]], classes: list[str], split: pd.DataFrame, checkpoint: Path | None
) -> Trained:
    """runs: what came of each, and the folder with its weights."""
    outcomes = [outcome for outcome, _ in runs]
    kept, folder = min(runs, key=lambda run: (run[0].validation_loss, run[0].seed))
    if checkpoint is not None:
        with replacing_folder(checkpoint) as fresh:
            for file in sorted((folder / WEIGHTS).iterdir()):
                link_or_copy(file, fresh / file.name)
    parts = split[split.split != "train"]
    predictions = pd.concat(
        [
            predictions_frame(
                parts.image_id, parts.label, parts.split, outcome.probabilities, classes, seed=outcome.seed
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
    digits = {name: 6 for name in curves if name != "learning_rate"}  # which may be far below 1e-6
    return Trained(predictions, curves.round(digits), description)


def _run(
    config: Model,
    classes: list[str],
    inputs: tuple[np.ndarray, ...],
    seed: int,
    *,
    weights: bool,
    keep: Path,
    **options,
) -> TrainingResult:
    from har.training.loop import train  # torch takes seconds to load: in the process that trains, not before

    checkpoint = keep / WEIGHTS if weights else None
    return train(config, classes, Inputs(*inputs), seed, checkpoint=checkpoint, keep=keep, **options)
