"""Candidates of a model's settings, compared on images that they did not learn from, none of them held out: folds of
train and validation."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import sem

from har.config.studies import Tune
from har.data.groups import assign_folds, group_codes
from har.evaluation.clips import unit_of
from har.evaluation.metrics import negative_log_likelihood
from har.reporting.names import model_name
from har.reporting.table import Column, Table, number
from har.training.refit import Recipe, fold_fits
from har.training.run import TrainingResult


def out_of_fold(
    recipes: Mapping[str, Recipe],
    images: pd.DataFrame,
    classes: Sequence[str],
    settings: Tune,
    fit_all: Callable[..., list[TrainingResult]],
) -> dict[str, np.ndarray]:
    """What each candidate says of each image without its fold, probabilities [n, runs, classes].

    Args:
        recipes: candidates by what they set.
        images: image_id and label (and group where there are any) of the rows of each recipe's `x`.
        classes: in the order of the probabilities.
        settings: folds, runs and seed.
        fit_all: that of har.training.refit, with how it runs.
    Raises:
        HarError: a class has fewer images, or there are fewer groups, than folds.
    """
    y, labels, groups = pd.Index(classes).get_indexer(images.label), images.label.to_numpy(), group_codes(images)
    fold = assign_folds(labels, groups, settings.folds, settings.seed)
    seeds = range(settings.seed, settings.seed + settings.runs)
    fits = [fit for seed in seeds for fit in fold_fits(recipes, labels, fold, seed, groups)]
    found = {name: np.empty((len(y), settings.runs, len(classes))) for name in recipes}
    for fit, outcome in zip(fits, fit_all(fits, recipes, y, classes), strict=True):
        found[fit.model][fit.predict_rows, fit.seed - settings.seed] = outcome.probabilities
    return found


def scores(probabilities: Mapping[str, np.ndarray], images: pd.DataFrame, classes: Sequence[str]) -> list[dict]:
    """A row for each candidate, the lowest log loss first, which is the one that is chosen: log_loss,
    balanced_accuracy, and the paired difference in log loss from the first, each a mean over runs, with standard errors
    over images (`_se`), or over clips, of which the mean of the frames' probabilities is taken.

    probabilities, images, classes: as of `out_of_fold`.
    """
    units, first, of = np.unique(unit_of(images), return_index=True, return_inverse=True)
    if len(units) < len(images):
        probabilities = {
            name: np.stack([one[of == unit].mean(0) for unit in range(len(units))])
            for name, one in probabilities.items()
        }
        images = images.iloc[first]
    y = pd.Index(classes).get_indexer(images.label)
    truth = y[:, None].repeat(next(iter(probabilities.values())).shape[1], axis=1)
    losses = {name: negative_log_likelihood(one, truth).mean(1) for name, one in probabilities.items()}
    order, rows = sorted(losses, key=lambda name: losses[name].mean()), []
    for name in order:
        hits, gap = (probabilities[name].argmax(-1) == truth).mean(1), losses[name] - losses[order[0]]
        of_class = [hits[y == label] for label in np.unique(y)]
        variance = sum(one.var() / len(one) for one in of_class) / len(of_class) ** 2
        rows.append(
            {
                "settings": name,
                "n": len(y),
                "log_loss": losses[name].mean(),
                "log_loss_se": sem(losses[name], ddof=0),
                "difference": gap.mean() if name != order[0] else None,
                "difference_se": sem(gap, ddof=0),
                "balanced_accuracy": np.mean([one.mean() for one in of_class]),
                "balanced_accuracy_se": variance**0.5,
            }
        )
    return rows


def tune_table(model: str, rows: Sequence[Mapping], settings: Tune, header: str) -> Table:
    """The rows of `scores`."""

    def with_error(value: float, error: float) -> str:
        return f"{number(value)} ± {number(error)}"

    columns = [
        Column("settings", "Settings", lambda text: text.replace("_", " ")),
        Column("n"),
        Column(("log_loss", "log_loss_se"), "Log loss", with_error),
        Column(("difference", "difference_se"), "Minus the first", with_error),
        Column(("balanced_accuracy", "balanced_accuracy_se"), "Balanced accuracy", with_error),
    ]
    notes = [
        f"Out of fold: {rows[0]['n']} images of train and validation in {settings.folds} folds, each predicted by "
        f"{settings.runs} {'run' if settings.runs == 1 else 'runs'} on the others. Mean ± standard error over images; "
        "differences are paired. No held-out image is looked at. The lowest log loss stands first; a model keeps its "
        "settings of params.yaml unless that is lower by more than two standard errors and costs no balanced accuracy."
    ]
    return Table(model, f"Settings of {model_name(model)}, out of fold", header, rows, columns, notes)
