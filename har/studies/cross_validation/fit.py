"""Repeated stratified k-fold over the drawn images: scores that do not hang on one test set of 29 images.

A frame of resampled predictions has one row for each repeat, run and image, predicted by a model that was fitted
without that image's fold: `repeat, fold, seed, image_id, label, p_<class>...`. Everything else derives from it.

The scores of J = folds x repeats test folds are no independent sample: their training sets overlap. Nadeau &
Bengio (2003, "Inference for the generalization error", §5) correct the variance of their mean, s² / J, to
s² (1/J + n_test/n_train), with J - 1 degrees of freedom; Bouckaert & Frank (2004) found the test with repeated
k-fold the most replicable.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from har.config.studies import CrossValidation
from har.core.errors import HarError
from har.data.groups import assign_folds as whole_folds
from har.data.groups import group_codes
from har.evaluation.predictions import majority_predictions
from har.training.refit import Fit, Recipe, hold_out
from har.training.run import TrainingResult

KEYS = ["repeat", "fold", "seed"]
MAJORITY = "majority"


def as_predictions(frame: pd.DataFrame) -> pd.DataFrame:
    """Resampled predictions in the contract of har.evaluation.predictions: a "seed" for each repeat and run, all
    "test".

    The folds of one repeat hold every image once, so each such seed covers all images.
    """
    run = frame.groupby(["repeat", "fold"])["seed"].rank("dense").astype(int) - 1
    return frame.drop(columns=KEYS).assign(seed=frame["repeat"] * (run.max() + 1) + run, split="test")


def assign_folds(
    labels: Sequence[str], folds: int, repeats: int, seed: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """The fold in which each image is tested, int [repeats, n]: stratified by label, drawn anew in each repeat, the
    images of one of `groups` [n] in one fold.

    A class with fewer images than folds is missing from some test folds. HarError where that holds for all.
    """
    from sklearn.model_selection import RepeatedStratifiedKFold

    labels = np.asarray(labels)
    most = pd.Series(labels).value_counts().max() if len(labels) else 0
    if most < folds:
        raise HarError(f"cross_validation.folds: {folds} folds, but no class has more than {most} images")
    if groups is not None:
        try:
            return np.stack([whole_folds(labels, groups, folds, seed + repeat) for repeat in range(repeats)])
        except HarError as error:
            raise HarError(f"cross_validation.folds: {error}") from None
    out = np.empty((repeats, len(labels)), int)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")  # stands in the table's notes
        drawn = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
        for place, (_, test) in enumerate(drawn.split(labels, labels)):
            out[place // folds, test] = place % folds
    return out


def plan(
    images: pd.DataFrame, recipes: Mapping[str, Recipe], settings: CrossValidation
) -> tuple[list[tuple[int, int, Fit]], np.ndarray]:
    """(repeat, fold, fit) of all that is to be fitted, and the folds [repeats, n] of `images`."""
    labels = images["label"].to_numpy()
    groups = group_codes(images)
    folds = assign_folds(labels, settings.folds, settings.repeats, settings.seed, groups)
    planned = []
    for (model, recipe), repeat, fold in product(recipes.items(), range(settings.repeats), range(settings.folds)):
        test, train = (np.flatnonzero(chosen) for chosen in (folds[repeat] == fold, folds[repeat] != fold))
        if not recipe.random:
            planned.append((repeat, fold, Fit(model, train, train[:0], test, 0)))
            continue
        for run in range(settings.runs):
            # another seed in every fold: how a model starts is no property that folds share
            seed, parts = settings.seed + (repeat * settings.folds + fold) * settings.runs + run, (train, train[:0])
            if recipe.config.patience:
                parts = hold_out(train, labels, settings.folds, seed, groups)
            planned.append((repeat, fold, Fit(model, *parts, test, seed)))
    return planned, folds


def resample(
    recipes: Mapping[str, Recipe],
    images: pd.DataFrame,
    classes: Sequence[str],
    settings: CrossValidation,
    fit_all: Callable[..., list[TrainingResult]],
) -> dict[str, pd.DataFrame]:
    """Resampled predictions of each of `recipes` and of the majority class.

    images: image_id and label (and group where there are any) of the rows of each recipe's `x`, in order of image_id
    so that the folds do not depend on anything else. fit_all: that of har.training.refit, with how it runs.
    """
    if not images["image_id"].is_monotonic_increasing:
        raise HarError("cross_validation: images must stand in order of image_id")
    names = [f"p_{name}" for name in classes]
    planned, folds = plan(images, recipes, settings)
    parts: dict[str, list[pd.DataFrame]] = {MAJORITY: [], **{name: [] for name in recipes}}
    for repeat, fold in np.ndindex(settings.repeats, settings.folds):
        split = np.where(folds[repeat] == fold, "test", "train")
        majority = majority_predictions(images.assign(split=split), classes).query("split == 'test'")
        parts[MAJORITY].append(majority.assign(repeat=repeat, fold=fold))
    found = fit_all([fit for *_, fit in planned], recipes, pd.Index(classes).get_indexer(images["label"]), classes)
    for (repeat, fold, fit), fitted in zip(planned, found, strict=True):
        part = images.iloc[fit.predict_rows].assign(repeat=repeat, fold=fold, seed=fit.seed)
        parts[fit.model].append(part.assign(**dict(zip(names, fitted.probabilities.T, strict=True))))
    columns = [*KEYS, "image_id", "label", *names]
    return {name: pd.concat(each, ignore_index=True)[columns] for name, each in parts.items()}
