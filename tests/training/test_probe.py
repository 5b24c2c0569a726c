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
CLASSES = ["walking_running", "sitting", "standing"]


def data(counts=(12, 10, 8), width=5, seed=0, shift=1.5):
    y = np.repeat(np.arange(len(counts)), counts)
    x = np.random.default_rng(seed).normal(size=(len(y), width))
    x[np.arange(len(y)), y] += shift
    return x, y


def test_c_has_the_lowest_log_loss_on_inner_folds_of_standardised_rows():
    x, y = data()
    fitted = probe.fit(x * 100 + 7, y, 3, CONFIG)
    scaled = StandardScaler().fit_transform(x * 100 + 7)
    search = GridSearchCV(
        LogisticRegression(), {"C": sorted(CONFIG.c)}, cv=StratifiedKFold(4), scoring="neg_log_loss"
    ).fit(scaled, y)
    assert fitted.c == search.best_params_["C"]
    np.testing.assert_allclose(fitted.probabilities(x * 100 + 7), search.predict_proba(scaled), atol=2e-3)
    assert fitted.note == ""


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 0.01), (6.0, 1.0)], ids=["noise", "clear classes"])
def test_c_follows_the_data(shift, expected):
    x, y = data((30, 30, 30), width=20, shift=shift)
    assert probe.fit(x, y, 3, CONFIG).c == expected


def test_the_smallest_c_wins_a_tie():
    x, y = data()
    assert probe.fit(np.zeros_like(x), y, 3, CONFIG).c == 0.01


class TestHeldOutRows:
    def images(self):
        x, y = data((14, 14, 14))
        part = np.array(["train", "train", "validation", "test", "train", "extended"] * 7)
        ids = np.arange(len(y)) + 1
        return x, pd.DataFrame({"image_id": ids, "label": np.array(CLASSES)[y], "split": part})

    def test_what_is_held_out_changes_no_prediction_of_others(self):
        x, images = self.images()
        first, fitted = fitted_row(x, images, CLASSES, CONFIG)
        other = x.copy()
        held_out = (images["split"] != "train").to_numpy()
        other[held_out] = 1e3
        second, again = fitted_row(other, images, CLASSES, CONFIG)
        assert fitted.c == again.c
        train = first["split"] == "train"
        pd.testing.assert_frame_equal(first[train], second[train], check_exact=True)
        assert not first[~train].equals(second[~train])


class TestFewImages:
    def test_a_class_with_fewer_images_than_folds_gets_fewer_folds(self):
        x, y = data((9, 9, 2))
        fitted = probe.fit(x, y, 3, CONFIG)
        assert fitted.note == "A class has 2 training images: 2 inner folds instead of 4."
        assert fitted.c in CONFIG.c

    def test_a_single_image_of_a_class_takes_the_smallest_c(self):
        x, y = data((9, 9, 1))
        fitted = probe.fit(x, y, 3, CONFIG)
        assert (fitted.c, "single training image" in fitted.note) == (0.01, True)

    def test_a_missing_class_gets_no_probability(self):
        x, y = data((9, 0, 9))
        told = probe.fit(x, y, 3, CONFIG).probabilities(x)
        assert (told[:, 1] == 0).all()
        np.testing.assert_allclose(told.sum(1), 1)

    def test_one_class_alone_is_always_predicted(self):
        x, y = data((0, 6, 0))
        fitted = probe.fit(x, y, 3, CONFIG)
        np.testing.assert_array_equal(fitted.probabilities(x + 9), np.tile([0.0, 1.0, 0.0], (6, 1)))
        assert fitted.c is None
        assert "one class" in fitted.note

    def test_a_single_c_needs_no_folds(self):
        x, y = data()
        fitted = probe.fit(x, y, 3, Probe(c=[0.5], folds=4))
        assert (fitted.c, fitted.note) == (0.5, "")


@pytest.mark.parametrize("counts", [(20, 15, 12), (0, 15, 12), (0, 15, 0)])
def test_its_weights_alone_give_its_probabilities(counts):
    x, y = data(counts)
    fitted = probe.fit(x, y, 3, CONFIG)
    weights, biases = fitted.linear()
    scores = np.exp((scores := x @ weights.T + biases) - scores.max(1, keepdims=True))
    np.testing.assert_allclose(scores / scores.sum(1, keepdims=True), fitted.probabilities(x), atol=1e-9)


class TestMetadata:
    MANIFEST = pd.DataFrame(
        {"image_id": [3, 1, 2], "width": [640, 320, 480], "height": [480, 640, 480], "persons": [2, 0, 5],
         "person_area": [0.25, 0.0, 1.0]}
    )  # fmt: skip

    def test_rows_follow_the_images_asked_for_and_are_finite(self):
        told = probe.metadata_features(self.MANIFEST, [1, 3])
        expected = [
            [np.log(320), np.log(640), np.log(0.5), 0, np.log(probe.SMALLEST_AREA)],
            [np.log(640), np.log(480), np.log(4 / 3), 2, np.log(0.25)],
        ]
        np.testing.assert_allclose(told, expected)

    def test_an_image_without_row_or_size_is_named(self):
        with pytest.raises(HarError, match="image 9 is not in the manifest"):
            probe.metadata_features(self.MANIFEST, [1, 9])
        with pytest.raises(HarError, match="image 2 has no width or height"):
            probe.metadata_features(self.MANIFEST.replace({"width": {480: 0}}), [1, 2])
