"""Models fitted on ever more of the training images, for the learning curve.

Each run draws nested stratified subsets of train, so that a larger one only adds images; all sizes and runs stop
early on the same validation images. The epochs are those of params.yaml at every size: fewer images are fewer
steps, as for a reader who has only these images.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from har.config.studies import LearningCurve
from har.config.training import Augmentation, Training
from har.core.errors import HarError
from har.data.groups import with_groups
from har.data.split import require_classes
from har.studies.learning_curve.report import DIGITS, KEYS, validate_curve
from har.training.refit import Fit, Recipe, fit_all


def predicted_splits(split: pd.DataFrame) -> tuple[str, str]:
    """The splits that are predicted: the larger test set first, then validation."""
    return "extended" if (split["split"] == "extended").any() else "test", "validation"


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


def plan(split: pd.DataFrame, recipes: Mapping[str, Recipe], settings: LearningCurve) -> list[tuple[int, int, Fit]]:
    """(size, run, fit) of all that is to be fitted, the largest first, so that none is left over at the end."""
    rows = {name: np.flatnonzero(split["split"] == name) for name in ("train", *predicted_splits(split))}
    labels = split["label"].to_numpy()[rows["train"]]
    predict_rows = np.sort(np.concatenate([rows[name] for name in predicted_splits(split)]))
    seeds = [settings.seed + run for run in range(settings.runs)]
    orders = [nested_order(labels, seed) for seed in seeds]
    return [
        # in order of the rows, so that the whole of train is the same training set in every run
        (
            size,
            run,
            Fit(model, rows["train"][np.sort(orders[run][:size])], rows["validation"], predict_rows, seeds[run]),
        )
        for size in reversed(fitting_sizes(settings.sizes, labels))
        for model in recipes
        for run in range(settings.runs)
    ]


def learn(
    recipes: Mapping[str, Recipe],
    split: pd.DataFrame,
    classes: Sequence[str],
    settings: LearningCurve,
    *,
    training: Training,
    strength: Augmentation,
    keep: Path | None = None,
) -> pd.DataFrame:
    """Predictions of each of `recipes` after each number of training images, on validation and the larger test
    set, in order of model, size, run and image.

    split: image_id, label and split of the rows of each recipe's `x`, in order of image_id. keep: see
    har.training.refit.fit_all.
    """
    classes = list(classes)
    if not split["image_id"].is_monotonic_increasing:
        raise HarError("learning curve: images must stand in order of image_id")
    require_classes(split, classes, "learning curve")
    planned = plan(split, recipes, settings)
    y = pd.Index(classes).get_indexer(split["label"])
    fits = [fit for _, _, fit in planned]
    parts = {}
    found = fit_all(fits, recipes, y, classes, training=training, strength=strength, name="learning curve", keep=keep)
    for (size, run, fit), fitted in zip(planned, found, strict=True):
        part = with_groups(split.iloc[fit.predict_rows][["image_id", "split", "label"]].reset_index(drop=True), split)
        for place, (key, value) in enumerate(zip(KEYS, (fit.model, size, run), strict=True)):
            part.insert(place, key, value)
        part[[f"p_{name}" for name in classes]] = fitted.probabilities.round(DIGITS)
        parts[list(recipes).index(fit.model), size, run] = part
    return validate_curve(pd.concat([parts[key] for key in sorted(parts)], ignore_index=True))
