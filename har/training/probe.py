"""Logistic regression on standardised frozen features: embeddings of an encoder, or what needs no pixels.

A linear probe tells what an encoder's features hold without any fine-tuning (Alain & Bengio 2016, "Understanding
intermediate layers using linear classifier probes"). The same regression on image size, person count and person
area, "metadata", tells what these confounds alone give: a model that does not beat it may have learnt no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from har.config.models import Probe
from har.config.rows import ProbeRow
from har.core.errors import HarError
from har.data.groups import inner_folds
from har.evaluation.metrics import negative_log_likelihood
from har.training import embeddings

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

METADATA = "metadata"
PREFIX = "probe_"
SMALLEST_AREA = 1e-4  # share of the image: the logarithm of an image without a person box must be finite


def metadata_features(manifest: pd.DataFrame, image_ids: Sequence[int]) -> np.ndarray:
    """Log width, log height, log aspect ratio, number of persons and log person area, float64 [n, 5]. Without
    annotated persons, as in own images, the last two are constant: then only sizes tell.

    Raises HarError for an image that the manifest lacks or that has no size.
    """
    at = pd.Index(manifest.image_id).get_indexer(pd.Index(image_ids))
    if (at < 0).any():
        raise HarError(f"metadata: image {list(image_ids)[int(np.argmin(at))]} is not in the manifest")
    rows = manifest.iloc[at]
    size = rows[["width", "height"]].to_numpy(float)
    if (empty := (size <= 0).any(1)).any():
        raise HarError(f"metadata: image {rows.image_id.iloc[int(empty.argmax())]} has no width or height")
    width, height = np.log(size).T
    area = np.log(np.maximum(rows.person_area.to_numpy(float), SMALLEST_AREA))
    return np.column_stack([width, height, width - height, rows.persons.to_numpy(float), area])


def features(row: ProbeRow, folder: Path, image_ids: Sequence[int]) -> np.ndarray:
    """What `row` sees of the images, float64 [n, width]. folder: one folder of embeddings an encoder."""
    found = embeddings.read(folder / row.backbone, row.views)
    return found.rows(image_ids, "image", found.classes).astype(float)


@dataclass(frozen=True)
class Fitted:
    """A fitted pipeline for `classes` classes; c: the inverse strength of its L2 penalty, None where there was
    nothing to fit; note: empty, or one sentence that says what was not done as params.yaml asks and why."""

    pipeline: "Pipeline"
    classes: int
    c: float | None
    note: str = ""

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """float64 [n, classes]; a class that no training row has gets 0."""
        out = np.zeros((len(x), self.classes))
        out[:, self.pipeline.classes_] = self.pipeline.predict_proba(x)
        return out

    def linear(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights [classes, width] and biases [classes], of whose scores `probabilities` are the softmax."""
        scaler, model = self.pipeline[0], self.pipeline[-1]
        if not hasattr(model, "coef_"):  # one class alone
            coefficients, intercepts = np.zeros((1, len(scaler.scale_))), np.zeros(1)
        elif len(model.coef_) == 1:  # of two classes: scores of the second against the first
            coefficients, intercepts = np.vstack([0 * model.coef_, model.coef_]), np.append(0, model.intercept_)
        else:
            coefficients, intercepts = model.coef_, model.intercept_
        weights, biases = np.zeros((self.classes, len(scaler.scale_))), np.full(self.classes, -1e4)
        weights[self.pipeline.classes_] = coefficients / scaler.scale_
        biases[self.pipeline.classes_] = intercepts - coefficients @ (scaler.mean_ / scaler.scale_)
        return weights, biases


def _log_likelihood(model, x: np.ndarray, y: np.ndarray) -> float:
    """Mean log probability of the true class: scikit-learn's "neg_log_loss", without the checks that cost as much
    as the fits of a small set."""
    return -float(negative_log_likelihood(model.predict_proba(x), np.searchsorted(model.classes_, y)).mean())


def fit(x: np.ndarray, y: np.ndarray, classes: int, config: Probe, groups: np.ndarray | None = None) -> Fitted:
    """Standardise and fit on the training rows x [n, width] with class indices y [n], and nothing else.

    C is the one with the lowest mean log loss over `config.folds` stratified folds of these rows, the smallest of
    several at a tie. Where a class has fewer rows there are as many folds as it has rows, and with a single row
    no folds: then the smallest C, which trusts few rows the least. Nothing is drawn: the inner folds follow the
    order of the rows. One thread, so that sums come out the same wherever it runs. groups [n]: rows of one group
    are in one inner fold, as C is to be chosen on images unlike those it was fitted on.
    """
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    classes_present, strengths = len(np.unique(y)), sorted(set(config.c))
    cut = inner_folds(y, groups, config.folds) if classes_present > 1 else []
    # newton-cg gets closer to the optimum than lbfgs in less time at these sizes
    options = {"solver": "newton-cg", "max_iter": 1000}
    note = ""
    if classes_present == 1:
        model = DummyClassifier(strategy="prior")
        note = "All training images are of one class: it is always predicted."
    elif not cut or len(strengths) == 1:
        model = LogisticRegression(C=strengths[0], **options)
        if len(strengths) > 1:
            few = "a single training image" if groups is None else "too few groups of training images"
            note = f"A class has {few}: no inner folds, the smallest C ({strengths[0]:g}) is taken."
    else:
        options |= {"Cs": strengths, "cv": cut, "scoring": _log_likelihood}
        model = LogisticRegressionCV(l1_ratios=(0.0,), use_legacy_attributes=False, **options)
        if len(cut) < config.folds:
            few = f"{len(cut)} training images" if groups is None else "few groups of training images"
            note = f"A class has {few}: {len(cut)} inner folds instead of {config.folds}."
    pipeline = make_pipeline(StandardScaler(), model)
    with threadpool_limits(limits=1):
        pipeline.fit(x, y)
    c = getattr(model, "C_", getattr(model, "C", None))  # what was chosen, or given
    return Fitted(pipeline, classes, None if c is None else float(c), note)
