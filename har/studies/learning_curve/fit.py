"""Models fitted on ever more images, for the learning curve.

For each fold of train and validation nested stratified subsets of the other folds are drawn, so that a larger one only
adds images; all sizes stop early on the same images of these. The epochs are those of params.yaml at every size: fewer
images are fewer steps, as for a reader who has only these images.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from har.config.studies import LearningCurve
from har.core.errors import HarError
from har.data.groups import group_codes
from har.data.split import require_classes
from har.studies.learning_curve.report import DIGITS, KEYS
from har.training.refit import Fit, Recipe, dev_folds, fold_fits, fold_predictions
from har.training.run import TrainingResult


def nested_order(labels: Sequence[str], seed: int) -> np.ndarray:
    """Row numbers in an order of which every start is a stratified subset, within one image a class; any start at
    least as long as the classes are many holds each class."""
    labels = np.asarray(labels)
    rng = np.random.default_rng(seed)
    place, of = np.empty(len(labels)), pd.factorize(labels, sort=True)[0]
    for label in range(of.max() + 1):
        rows = rng.permutation(np.flatnonzero(of == label))
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
        place[rows[0]] = 0  # a rare class comes first too: no model learns a class that it never saw
    return np.lexsort((of, place))


def fitting_sizes(sizes: Sequence[int], labels: Sequence[str]) -> list[int]:
    """The sizes in ascending order, each once. What is more than the training images becomes all of these, what is
    fewer than the classes as many as they are: few images end no run."""
    fewest, most = len(set(labels)), len(labels)
    fitting = sorted({min(max(size, fewest), most) for size in sizes})
    if changed := sorted({size for size in sizes if not fewest <= size <= most}):
        print(
            f"learning_curve.sizes: {', '.join(map(str, changed))} do not fit {most} training images of {fewest} "
            f"classes; taken are {', '.join(map(str, fitting))}"
        )
    return fitting


def plan(
    split: pd.DataFrame, recipes: Mapping[str, Recipe], settings: LearningCurve, fold: np.ndarray
) -> list[tuple[int, Fit]]:
    """(size, fit) of all that is to be fitted: for each recipe and `fold` (of each image) its fit on the other folds,
    with ever more of the images that it would learn from."""
    labels, out = split["label"].to_numpy(), []
    whole = fold_fits(recipes, labels, fold, settings.seed, group_codes(split))
    sizes = fitting_sizes(settings.sizes, min((labels[fit.train] for fit in whole), key=len))
    for fit in whole:
        order = fit.train[nested_order(labels[fit.train], settings.seed)]
        out += [(size, replace(fit, train=np.sort(order[:size]))) for size in sizes]
    return out


def learn(
    recipes: Mapping[str, Recipe],
    split: pd.DataFrame,
    classes: Sequence[str],
    settings: LearningCurve,
    fit_all: Callable[..., list[TrainingResult]],
) -> pd.DataFrame:
    """Predictions of each of `recipes` after each number of training images: of train and validation without an image's
    fold, one run; of all other images by each of these fits, a run each.

    split: image_id, label and split (and group where there are any) of the rows of each recipe's `x`, in order of
    image_id. fit_all: that of har.training.refit, with how it runs.
    """
    if not split["image_id"].is_monotonic_increasing:
        raise HarError("learning curve: images must stand in order of image_id")
    require_classes(split, classes, "learning curve")
    fold = dev_folds(split, settings.folds, settings.seed)
    planned = plan(split, recipes, settings, fold)
    found = fit_all([fit for _, fit in planned], recipes, pd.Index(classes).get_indexer(split["label"]), classes)
    parts = []
    for (size, fit), fitted in zip(planned, found, strict=True):
        part = fold_predictions(fit, fitted, split, fold, classes).rename(columns={"seed": "run"})
        parts.append(part.round({f"p_{name}": DIGITS for name in classes}).assign(model=fit.model, size=size))
    frame = pd.concat(parts, ignore_index=True)
    return frame[[*KEYS, *frame.columns.drop(KEYS)]]
