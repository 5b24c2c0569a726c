"""Wrong labels: what is drawn, what confident learning leaves out, and what the table says of the remedies."""

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSES
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from har.config.models import Probe
from har.config.studies import LabelNoise
from har.data.groups import group_codes
from har.studies.noise.labels import confident, corrupted, mentions, out_of_fold, study, table

CONFIG = LabelNoise(shares=[0.3], draws=2, seed=0)


def images(y: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"image_id": range(len(y)), "label": [CLASSES[k] for k in y]})


def clouds(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of three classes that lie well apart."""
    random, y = np.random.default_rng(seed), np.arange(n) % 3
    return 4 * np.eye(3, 8)[y] + random.normal(0, 1, (n, 8)), y


@given(st.integers(2, 60), st.floats(0, 1), st.integers(2, 5))
def test_exactly_a_share_of_labels_becomes_another_class(n, share, classes):
    y = np.arange(n) % classes
    found = corrupted(y, share, classes, np.random.default_rng(n))
    assert (found != y).sum() == round(share * n)
    assert ((found >= 0) & (found < classes)).all()


def test_mentions_are_of_the_images_asked_and_of_known_classes():
    said = ["walking", "walking+sitting", None, "flying", "standing"]
    evidence = pd.DataFrame({"image_id": [5, 5, 5, 7, 9], "caption_index": 0, "caption": "", "mentions": said})
    rows, found = mentions(evidence, [7, 5], CLASSES)
    assert rows.tolist() == [1, 1, 1]
    assert [CLASSES[c] for c in found] == ["walking", "walking", "sitting"]


def test_confident_learning_leaves_out_the_wrong_labels():
    true = np.arange(90) % 3
    given_labels = corrupted(true, 0.2, 3, np.random.default_rng(0))
    chances = np.full((90, 3), 0.1)
    chances[np.arange(90), true] = 0.8
    np.testing.assert_array_equal(confident(chances, given_labels), given_labels == true)
    assert confident(chances, true).all()
    assert confident(np.full((6, 3), 1 / 3), np.array([0, 0, 1, 1, 1, 1])).any()


def test_remedies_help_where_labels_are_wrong_and_the_table_says_so():
    (x, y), (held, truth) = clouds(90, 0), clouds(150, 1)
    said = np.repeat(np.arange(90), 5), np.repeat(y, 5)
    asked = x, images(y), said, held, images(truth), CLASSES, CONFIG, Probe(c=[1.0], folds=3), "probability"
    found = study(*asked)
    mean = found.groupby(["share", "method"])["right"].mean()
    assert mean[0.3, "soft"] > mean[0.3, "plain"] + 0.05
    assert mean[0.3, "confident"] > mean[0.3, "plain"]
    assert mean[0.0].min() > 0.95
    shown = table(found, "clip", 2, "header")
    row = shown.frame.set_index(["share", "method"]).loc[(0.3, "soft")]
    assert row["gain"] == pytest.approx(mean[0.3, "soft"] - mean[0.3, "plain"], abs=1e-6)
    assert "Soft labels by captions' votes: shows no effect at 0%, helps at 30%" in shown.notes[0]
    pd.testing.assert_frame_equal(study(*asked), found)


@pytest.mark.parametrize("n", [3, 4, 12])
def test_few_training_images_end_no_run(n):
    x, y = clouds(n, 0)
    asked = x, images(y), (np.arange(n), y), x, images(y), CLASSES, CONFIG, Probe(c=[0.1, 1.0], folds=5), "vote"
    assert len(study(*asked)) == 2 * 3 * n


def test_frames_are_told_by_clip_and_their_folds_and_intervals_are_of_groups():
    x, y = clouds(90, 0)
    frames = images(y).assign(clip=[f"c{i // 9}{k}" for i, k in enumerate(y)], group=[f"g{i // 18}" for i in range(90)])
    model = make_pipeline(LogisticRegression())
    whole = out_of_fold(model, x, y, 3, 5, group_codes(frames))
    first = (frames.group == "g0").to_numpy()
    np.testing.assert_allclose(whole[first], model.fit(x[~first], y[~first]).predict_proba(x[first]))
    asked = x, frames, (np.arange(90), y), x, frames, CLASSES, CONFIG, Probe(c=[0.1, 1.0], folds=5), "probability"
    found = study(*asked)
    assert len(found) == 2 * 3 * 30
    gains = table(found, "clip", 2, "header").frame, table(found.drop(columns="group"), "clip", 2, "header").frame
    widths = [(one.accuracy_high - one.accuracy_low)[1] for one in gains]
    assert widths[0] != widths[1]
