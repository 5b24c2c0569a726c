"""Models fitted again and again, with other seeds or on other images: what training and the studies share.

This module loads no torch of its own; the processes that train do, once for all their fits.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import delayed
from tqdm import tqdm

from har.config.models import Model, Probe
from har.config.training import Augmentation, Training
from har.core.cache import kept_calls, lasting
from har.core.errors import HarError
from har.core.parallel import side_by_side
from har.data.groups import assign_folds, group_codes, with_groups
from har.evaluation.predictions import OUT_OF_FOLD, in_split, predictions_frame
from har.training import probe
from har.training.run import LOADED, Inputs, TrainingResult

WEIGHTS = "weights"  # of a fit, in its folder
STOPPING = 10  # early stopping looks at a share of 1 / 9 of the other folds, about as much as in the paper's split


@dataclass(frozen=True)
class Recipe:
    """How a model is fitted, and on what. config: None where nothing is fitted, and x holds the probabilities [n,
    classes]; x: its inputs, a row for each image; backbone: a checkpoint's folder;
    groups: a number for each image, equal where images belong together (har.data.groups);
    texts: the classes' text embeddings, where its head starts from these."""

    config: Model | Probe | None
    x: np.ndarray
    backbone: Path | None = None
    groups: np.ndarray | None = field(default=None, kw_only=True)
    texts: np.ndarray | None = field(default=None, kw_only=True)

    @property
    def random(self) -> bool:
        """Whether two fits on the same images differ."""
        return not isinstance(self.config, Probe | None)


@dataclass(frozen=True)
class Fit:
    """One fit of recipe `model`. train, predict_rows: row numbers of the images it learns from, and predicts.
    validation: those that early stopping looks at, none where nothing is stopped."""

    model: str
    train: np.ndarray
    validation: np.ndarray
    predict_rows: np.ndarray
    seed: int


def fit_all(
    fits: Sequence[Fit],
    recipes: Mapping[str, Recipe],
    y: np.ndarray,
    classes: Sequence[str],
    *,
    training: Training,
    strength: Augmentation,
    name: str,
    keep: Path | None = None,
) -> list[TrainingResult]:
    """What comes of each of `fits`, in their order.

    y: class index of each image. All fits go through one pool of processes, so that each loads torch once. What
    comes out does not depend on the number of jobs. keep: a folder in which finished fits and how far the others have
    come outlive an interruption (har.core.cache). Raises HarError where a loss is not finite, or where a fine-tuned
    model has no training image of a class.
    """
    # what needs torch goes first: a worker that loads it late has grown so much that loky takes that for a leak and
    # starts another, which loads it again; then long before short, so that all processes end together
    order = sorted(range(len(fits)), key=lambda place: (not recipes[fits[place].model].random, -len(fits[place].train)))
    done = fit_each([fits[place] for place in order], recipes, y, classes, training, strength, name, keep)
    found = {place: result for place, (result, _) in zip(order, done, strict=True)}
    return [found[place] for place in range(len(fits))]


def fit_each(
    fits: Sequence[Fit],
    recipes: Mapping[str, Recipe],
    y: np.ndarray,
    classes: Sequence[str],
    training: Training,
    strength: Augmentation,
    name: str,
    keep: Path | None,
    weights: bool = False,
) -> Iterator[tuple[TrainingResult, Path]]:
    """As `fit_all`, one after the other as they are finished, with the folder of each: below it WEIGHTS, if asked for,
    as long as this goes on."""
    options = {"strength": strength, "device": training.device, "weights": weights}
    work = [delayed(_fit)(recipes[fit.model], y, list(classes), fit, **options) for fit in fits]
    with lasting(keep) as room, tqdm(total=len(fits), desc=name, unit="fit") as progress:
        calls, folders = kept_calls(work, room, own_folder=True)
        results = side_by_side(training, len(fits), LOADED)(calls)
        for result, folder in zip(results, folders, strict=True):
            progress.update()
            yield result, folder


def fold_fits(
    recipes: Mapping[str, Recipe], labels: np.ndarray, fold: np.ndarray, seed: int, groups: np.ndarray | None = None
) -> list[Fit]:
    """For each of `recipes` a fit for each fold on the images of the others, which predicts its own and those of no
    fold. Where a recipe's settings stop early, a part of the other folds is for that.

    labels, groups: of all images [n]. fold: of each image [n], -1 for one of none. seed: of every fit.
    """
    fits = []
    for (model, recipe), one in product(recipes.items(), range(fold.max() + 1)):
        train, validation = np.flatnonzero((fold != one) & (fold >= 0)), np.empty(0, int)
        if getattr(recipe.config, "patience", 0):
            train, validation = hold_out(train, labels, STOPPING, seed, groups)
        fits.append(Fit(model, train, validation, np.flatnonzero((fold == one) | (fold < 0)), seed))
    return fits


def dev_folds(split: pd.DataFrame, folds: int, seed: int) -> np.ndarray:
    """The fold of each image of train and validation (whole groups; as many folds as the rarest class has images or as
    there are groups, if these are fewer), -1 of any other. split: image_id, label and split (and group where there are
    any)."""
    dev, groups = in_split(split, OUT_OF_FOLD), group_codes(split)
    labels, fold = split["label"].to_numpy()[dev], np.full(len(split), -1)
    groups = None if groups is None else groups[dev]
    folds = min(folds, *np.unique(labels, return_counts=True)[1])  # few images end no run
    if groups is not None:
        folds = min(folds, len(np.unique(groups)))
    fold[dev] = assign_folds(labels, groups, folds, seed)
    return fold


def fold_predictions(
    fit: Fit, fitted: TrainingResult, split: pd.DataFrame, fold: np.ndarray, classes: Sequence[str]
) -> pd.DataFrame:
    """What a fit of `fold_fits` predicts: its own fold as run 0, images of none as the run of that number."""
    own, images = fold[fit.predict_rows], split.iloc[fit.predict_rows]
    frame = predictions_frame(images["image_id"], images["label"], images["split"], fitted.probabilities, classes)
    return with_groups(frame.assign(seed=np.where(own < 0, own.max(), 0)), split)


def hold_out(
    rows: np.ndarray, labels: np.ndarray, folds: int, seed: int, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Training rows cut into (train, validation), stratified; validation as large as a test fold of `folds`,
    as in the paper's split. labels, groups: of all rows."""
    from sklearn.model_selection import StratifiedKFold

    if groups is not None:
        inner = assign_folds(labels[rows], groups[rows], max(2, min(folds - 1, len(np.unique(groups[rows])))), seed)
        return rows[inner != 0], rows[inner == 0]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        most = np.unique(labels[rows], return_counts=True)[1].max()  # of few images a larger part
        cut = StratifiedKFold(max(2, min(folds - 1, most)), shuffle=True, random_state=seed)
        train, validation = next(cut.split(rows, labels[rows]))
    return rows[train], rows[validation]


def _fit(
    recipe: Recipe,
    y: np.ndarray,
    classes: list[str],
    fit: Fit,
    *,
    strength: Augmentation,
    device: str,
    weights: bool,
    keep: Path,
) -> TrainingResult:
    """One fit, on a copy of the images that it needs and no others."""
    if recipe.config is None:
        return TrainingResult(recipe.x[fit.predict_rows])
    if isinstance(recipe.config, Probe):
        groups = None if recipe.groups is None else recipe.groups[fit.train]
        fitted = probe.fit(recipe.x[fit.train], y[fit.train], len(classes), recipe.config, groups)
        return TrainingResult(fitted.probabilities(recipe.x[fit.predict_rows]))
    missing = set(range(len(classes))) - set(y[fit.train].tolist())
    if missing and recipe.config.fine_tuned:  # its head starts as a regression on all classes
        raise HarError(f"{fit.model}: a fit has no training image of class {classes[min(missing)]}")
    from har.training.loop import train  # torch takes seconds to load: in the process that trains, not before

    # where nothing is stopped early a training image stands in: the loop logs a loss, nothing is chosen by it
    validation = fit.validation if len(fit.validation) else fit.train[:1]
    rows, places = np.unique(np.concatenate([fit.train, validation, fit.predict_rows]), return_inverse=True)
    inputs = Inputs(recipe.x[rows], y[rows], *np.split(places, np.cumsum([len(fit.train), len(validation)])))
    options = {"backbone": recipe.backbone, "texts": recipe.texts, "strength": strength, "device": device}
    checkpoint = keep / WEIGHTS if weights else None
    return train(recipe.config, classes, inputs, fit.seed, checkpoint=checkpoint, keep=keep, **options)
