"""The probe: C is chosen inside the training rows, few rows are no error, and metadata sees no pixel."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from har.config.models import Probe
from har.core.errors import HarError
from har.training import probe
from har.training.rows import fitted_row

CONFIG = Probe(c=[1.0, 0.01, 0.1], folds=4)
SINGLE = "A class has a single training image: no inner folds, the smallest C (0.01) is taken."
CLASSES = ["walking_running", "sitting", "standing"]


def data(counts=(12, 10, 8), width=5, shift=1.5):
    y = np.repeat(np.arange(len(counts)), counts)
    x = np.random.default_rng(0).normal(size=(len(y), width))
    x[np.arange(len(y)), y] += shift
    return x, y


@pytest.mark.parametrize(("shift", "c"), [(0.0, 0.01), (1.5, None), (6.0, 1.0)], ids=["noise", "some", "clear classes"])
def test_c_has_the_lowest_log_loss_on_inner_folds_of_standardised_rows(shift, c):
    x, y = data(shift=shift)
    x = x * 100 + 7
    fitted = probe.fit(x, y, 3, CONFIG)
    scaled = StandardScaler().fit_transform(x)
    search = GridSearchCV(
        LogisticRegression(), {"C": sorted(CONFIG.c)}, cv=StratifiedKFold(4), scoring="neg_log_loss"
    ).fit(scaled, y)
    assert fitted.c == search.best_params_["C"] == (c or fitted.c)
    np.testing.assert_allclose(fitted.probabilities(x), search.predict_proba(scaled), atol=2e-3)
    assert fitted.note == ""


def test_the_smallest_c_wins_a_tie():
    x, y = data()
    assert probe.fit(np.zeros_like(x), y, 3, CONFIG).c == 0.01


def test_what_is_held_out_changes_no_prediction_of_others():
    x, y = data((14, 14, 14))
    part = np.array(["train", "train", "validation", "test", "train", "extended"] * 7)
    images = pd.DataFrame({"image_id": np.arange(len(y)) + 1, "label": np.array(CLASSES)[y], "split": part})
    first, fitted = fitted_row(x, images, CLASSES, CONFIG)
    other = np.where((part != "train")[:, None], 1e3, x)
    second, again = fitted_row(other, images, CLASSES, CONFIG)
    assert fitted.c == again.c
    train = first["split"] == "train"
    pd.testing.assert_frame_equal(first[train], second[train], check_exact=True)
    assert not first[~train].equals(second[~train])


@pytest.mark.parametrize(
    ("counts", "config", "c", "note"),
    [
        ((9, 9, 2), CONFIG, None, "A class has 2 training images: 2 inner folds instead of 4."),
        ((9, 9, 1), CONFIG, 0.01, SINGLE),
        ((9, 0, 9), CONFIG, None, ""),
        ((0, 6, 0), CONFIG, None, "All training images are of one class: it is always predicted."),
        ((12, 10, 8), Probe(c=[0.5], folds=4), 0.5, ""),
    ],
)
def test_few_images_are_no_error(counts, config, c, note):
    x, y = data(counts)
    fitted = probe.fit(x, y, 3, config)
    assert fitted.note == note
    assert fitted.c == (c or fitted.c)
    assert (fitted.c in config.c) == (counts != (0, 6, 0))
    told = fitted.probabilities(x)
    np.testing.assert_allclose(told.sum(1), 1)
    assert (told[:, np.array(counts) == 0] == 0).all()  # a class without an image gets no probability


@pytest.mark.parametrize("counts", [(20, 15, 12), (0, 15, 12), (0, 15, 0)])
def test_its_weights_alone_give_its_probabilities(counts):
    x, y = data(counts)
    fitted = probe.fit(x, y, 3, CONFIG)
    weights, biases = fitted.linear()
    scores = np.exp((scores := x @ weights.T + biases) - scores.max(1, keepdims=True))
    np.testing.assert_allclose(scores / scores.sum(1, keepdims=True), fitted.probabilities(x), atol=1e-9)


def test_metadata_are_finite_in_the_order_asked_for_and_what_lacks_them_is_named():
    manifest = pd.DataFrame(
        {"image_id": [3, 1, 2], "width": [640, 320, 480], "height": [480, 640, 480], "persons": [2, 0, 5],
         "person_area": [0.25, 0.0, 1.0]}
    )  # fmt: skip
    expected = [
        [np.log(320), np.log(640), np.log(0.5), 0, np.log(probe.SMALLEST_AREA)],
        [np.log(640), np.log(480), np.log(4 / 3), 2, np.log(0.25)],
    ]
    np.testing.assert_allclose(probe.metadata_features(manifest, [1, 3]), expected)
    with pytest.raises(HarError, match="image 9 is not in the manifest"):
        probe.metadata_features(manifest, [1, 9])
    with pytest.raises(HarError, match="image 2 has no width or height"):
        probe.metadata_features(manifest.replace({"width": {480: 0}}), [1, 2])
