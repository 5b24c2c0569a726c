"""A prediction is the pipeline's own number for the photograph, whatever the model, the batch and the company."""

import json

import numpy as np
import pytest
import torch
from projects import IMAGES, KEPT, MODELS

from har.app.network import open_checkpoint, stored_short_side
from har.app.predict import load
from har.core.errors import HarError
from har.evaluation.predictions import read_predictions
from har.models import registry


@pytest.fixture
def files(project):
    return [project / f"data/sample/images/{i:012d}.jpg" for i in IMAGES]


def stored(project, name) -> np.ndarray:
    frame = read_predictions(project / f"data/sample/predictions/{name}.parquet")
    kept = frame[frame.seed == KEPT].sort_values("image_id")
    return kept.filter(like="p_").to_numpy()


@pytest.mark.parametrize("name", [*(f"activity-{model}" for model in MODELS), "posture-vit"])
def test_predictions_are_those_that_the_pipeline_stored(project, files, name):
    model = load(name, root=project)
    found = [list(one.probabilities.values()) for one in model.predict(files, batch_size=5)]
    np.testing.assert_allclose(found, stored(project, name), atol=1e-5)


def test_batches_change_no_number_and_no_order(project, files):
    model = load("activity-clip", root=project)
    one_by_one = [model.predict([file])[0] for file in files]
    for size in (1, 3, 100):
        together = model.predict(files, batch_size=size)
        assert [one.path for one in together] == [str(file) for file in files]
        for mine, other in zip(together, one_by_one, strict=True):
            assert mine.label == other.label
            assert list(mine.probabilities.values()) == pytest.approx(list(other.probabilities.values()), abs=1e-6)


def test_what_cannot_be_read_has_its_row_and_stops_nothing(project, files, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    paths = [tmp_path / "bad.jpg", files[0], tmp_path / "missing.jpg", files[1]]
    for size in (1, 2, 4):
        found = load("activity-vit", root=project).predict(paths, batch_size=size)
        assert [one.error is None for one in found] == [False, True, False, True]
        assert [one.label is None for one in found] == [True, False, True, False]
        assert "bad.jpg" in found[0].error


def test_a_long_list_is_taken_as_it_goes(project, files):
    asked = 0

    def endless():
        nonlocal asked
        while True:
            asked += 1
            yield files[asked % len(files)]

    stream = load("activity-fnn_base", root=project).stream(endless(), batch_size=2, workers=2)
    for _ in range(10):
        next(stream)
    stream.close()
    assert asked <= 10 + 2 * 2 * 2 + 2  # what was given out, and two batches for each of two workers


def test_threads_are_as_they_were(project, files):
    before = torch.get_num_threads()
    load("activity-cnn_base", root=project).predict(files[:2])
    assert torch.get_num_threads() == before


def test_the_default_is_the_best_on_validation_and_test_plays_no_part(project, tmp_path):
    def write(name, validation, test):
        (tmp_path / "data/sample/models" / name).mkdir(parents=True)
        (tmp_path / "data/sample/models" / name / "config.json").write_text("{}")
        path = tmp_path / "reports/sample/metrics" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        balanced = {"validation": validation, "test": test}
        scores = {split: {"accuracy": 0.5, "balanced_accuracy": one, "f1": 0.5} for split, one in balanced.items()}
        path.write_text(json.dumps(scores))

    write("activity-a", 0.5, 0.9)
    write("activity-b", 0.6, 0.1)
    write("posture-c", 0.9, 0.9)
    assert registry.best("sample", tmp_path).name == "activity-b"
    assert load(root=project).name == registry.best("sample", project).name


def test_an_unknown_model_is_answered_with_the_nearest(project):
    with pytest.raises(HarError, match="no trained model 'xxx"):
        load("x" * 5000, root=project)
    with pytest.raises(HarError, match="nearest is activity-clip"):
        load("activity-clib", root=project)
    with pytest.raises(HarError, match="no checkpoint there"):
        load(project / "nowhere", root=project)
    with pytest.raises(HarError, match=r"profile coco has no trained model.*dvc repro"):
        load("activity-clip", profile="coco", root=project)


def test_an_encoder_is_no_classifier(project):
    with pytest.raises(HarError, match=r"names no classes|lack|one class per photograph"):
        load(project / "data/sample/backbones/clip")
    with pytest.raises(HarError, match="one class per photograph"):  # it tells several things at once
        load(project / "data/sample/backbones/vit")


@pytest.mark.parametrize("model", ["cnn_base", "clip"])
def test_damaged_weights_are_told_in_one_line(project, tmp_path, model):
    source = project / f"data/sample/models/activity-{model}"
    for file in source.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(HarError, match=str(tmp_path)) as told:
        open_checkpoint(tmp_path)
    assert "\n" not in str(told.value)
    weights.unlink()
    with pytest.raises(HarError, match=r"model\.safetensors|No such file"):
        open_checkpoint(tmp_path)


def test_the_short_side_is_that_of_the_training_images(project, tmp_path):
    assert stored_short_side(project / "data/sample/models/activity-clip") == 48
    assert stored_short_side(tmp_path) is None  # a model from elsewhere: full size
    (tmp_path / "models/one").mkdir(parents=True)
    with pytest.raises(HarError, match="dvc pull"):
        stored_short_side(tmp_path / "models/one")


def test_files_of_explanations_are_apart_whatever_the_classes():
    from har.app.explain import _file_names

    names = _file_names(["坐着", "站立", "a b", "a_b", "A b", "a/b", "..", "x" * 300, "nan"])
    assert len({name.casefold() for name in names}) == len(names)
    assert all("/" not in name and "." not in name and len(name) < 70 for name in names)
    assert (names[0], names[1], names[-1]) == ("坐着", "站立", "nan")
