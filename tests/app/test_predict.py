"""A prediction is the pipeline's own number for the photograph, whatever the model, the batch and the company."""

import shutil

import numpy as np
import pandas as pd
import parameters
import pytest
import torch
from clips import write_clip
from projects import IMAGES, KEPT

from har.app.network import open_checkpoint, stored_short_side
from har.app.predict import load
from har.config.rows import ProbeRow, ZeroShotRow
from har.core.errors import HarError
from har.core.files import write_json
from har.data.store import Store
from har.data.video.decode import read_clip
from har.evaluation.ensemble import combined
from har.evaluation.predictions import read_predictions
from har.models import registry
from har.training import rows
from har.training.embed import embed


@pytest.fixture
def files(project):
    return [project / f"data/sample/images/{i:012d}.jpg" for i in IMAGES]


def kept(project, name) -> pd.DataFrame:
    """What the pipeline stored of the run whose weights were kept."""
    frame = read_predictions(project / f"data/sample/predictions/{name}.parquet")
    return frame[frame.seed == KEPT].sort_values("image_id")


def shares(found) -> np.ndarray:
    return np.array([list(one.probabilities.values()) for one in found])


@pytest.mark.parametrize("name", ["activity-cnn_base", "activity-clip", "activity-feature", "posture-vit"])
def test_predictions_are_those_that_the_pipeline_stored(project, files, name):
    model = load(name, root=project)
    for size in (5, 100):  # whatever the company
        found = model.predict(files, batch_size=size)
        assert [one.path for one in found] == list(map(str, files))
        np.testing.assert_allclose(shares(found), kept(project, name).filter(like="p_"), atol=1e-5)


def test_a_network_that_computes_no_number_names_no_class(project, files):
    model = load("activity-cnn_base", root=project)
    model.network.logits = lambda images: torch.tensor([[0.0, 1.0, 2.0], [0.0, float("inf"), 2.0]])
    good, bad = model.predict(files[:2])
    assert good.label == model.classes[2]
    assert (bad.label, bad.probabilities) == (None, None)
    assert bad.error.startswith(f"{files[1]}: activity-cnn_base gives NaN or infinity for it")


def test_a_long_list_is_taken_as_it_goes(project, files):
    asked, threads = 0, torch.get_num_threads()

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
    assert torch.get_num_threads() == threads


def test_the_default_is_the_best_out_of_fold_then_on_validation_and_test_plays_no_part(project, tmp_path):
    def write(folder, name, **metrics):
        write_json(tmp_path / f"data/sample/{folder}/{name}/config.json", {})
        reports = tmp_path / "reports/sample/metrics" / ("" if folder == "models" else "baselines")
        write_json(reports / f"{name}.json", metrics)

    def scores(balanced):
        return {"accuracy": 0.5, "balanced_accuracy": balanced, "f1": 0.5}

    write("models", "activity-a", validation=scores(0.5), test=scores(0.9))
    write("models", "activity-b", validation=scores(0.6), test=scores(0.1))
    write("models", "posture-c", validation=scores(0.9), test=scores(0.9))
    assert registry.best("sample", tmp_path).name == "activity-b"
    write("baselines", "activity-probe", dev={"log_loss": 0.8})
    write("ensembles", "activity-ensemble", dev={"log_loss": 0.7})
    assert registry.best("sample", tmp_path).name == "activity-ensemble"
    assert load(root=project).name == registry.best("sample", project).name


class TestRows:
    """Rows that train no network predict a file as stages baselines and ensemble did."""

    @pytest.fixture(scope="class")
    def made(self, project, tmp_path_factory):
        """A copy of the project with rows, and their predictions of its images."""
        root = tmp_path_factory.mktemp("rows")
        shutil.copytree(project, root, dirs_exist_ok=True)
        data, profile = root / "data/sample", parameters.profile()
        views, classes = ["image", "flip", "crops"], profile.tasks["activity"]
        prompts = {name: [f"a person {name}", "a person"] for name in classes}
        options = {"views": views, "jobs": 1, "device": "cpu"}
        images = Store(data / "store")
        embed(data / "backbones/clip", images, IMAGES, prompts, data / "embeddings/clip", profile.embed, **options)
        labels = [classes[i % 3] for i in IMAGES]
        split = pd.DataFrame({"image_id": IMAGES, "label": labels, "split": ["train"] * 9 + ["test"] * 3})
        frames = {}
        for kind, settings in (("probe", ProbeRow), ("zero_shot", ZeroShotRow)):
            row = settings(kind=kind, backbone="clip", views=views)
            told = rows.predict(row, data / "embeddings", split, classes, profile.probe, profile.tune)
            assert told.dev is None or row.kind == "zero_shot"  # three images of a class are too few for folds
            rows.save(data / f"baselines/activity-{kind}", row, classes, profile.embed.crops, told.linear)
            frames[kind] = told.frame
        whole = {"classes": classes, "config": {"kind": "ensemble", "members": [*frames, "clip"]}}
        write_json(data / "ensembles/activity-ensemble/config.json", whole)
        frames["ensemble"] = combined([*frames.values(), kept(root, "activity-clip").assign(split=split.split.values)])
        return root, frames

    @pytest.mark.parametrize("name", ["probe", "zero_shot", "ensemble"])
    def test_predictions_are_those_of_the_stage(self, made, files, name):
        root, frames = made
        found = load(f"activity-{name}", root=root).predict(files, batch_size=5)
        np.testing.assert_allclose(shares(found), frames[name].filter(like="p_"), atol=1e-4)

    def test_a_lost_member_or_weight_is_named(self, made, tmp_path):
        data = tmp_path / "data/sample"
        shutil.copytree(made[0] / "data/sample", data)
        shutil.rmtree(data / "models/activity-clip")
        with pytest.raises(HarError, match="its member clip is missing, expected it in"):
            open_checkpoint(data / "ensembles/activity-ensemble")
        (data / "baselines/activity-probe/model.safetensors").write_bytes(b"no weights")
        with pytest.raises(HarError, match="activity-probe"):
            open_checkpoint(data / "baselines/activity-probe")


def test_an_unknown_model_is_answered_with_the_nearest(project):
    with pytest.raises(HarError, match="no trained model 'xxx"):
        load("x" * 5000, root=project)
    with pytest.raises(HarError, match="nearest is activity-clip"):
        load("activity-clib", root=project)
    with pytest.raises(HarError, match="no checkpoint there"):
        load(project / "nowhere", root=project)
    with pytest.raises(HarError, match=r"profile coco has no trained model.*dvc repro"):
        load("activity-clip", profile="coco", root=project)


@pytest.mark.parametrize(("name", "said"), [("clip", "names no classes"), ("vit", "one class per photograph")])
def test_an_encoder_is_no_classifier(project, name, said):
    with pytest.raises(HarError, match=said):  # a ViT tells several things at once
        load(project / "data/sample/backbones" / name)


def test_the_short_side_is_that_of_the_training_images(project, tmp_path):
    assert stored_short_side(project / "data/sample/models/activity-clip") == 48
    assert stored_short_side(tmp_path) is None  # a model from elsewhere: full size
    (tmp_path / "models/one").mkdir(parents=True)
    with pytest.raises(HarError, match="dvc pull"):
        stored_short_side(tmp_path / "models/one")


def test_a_clip_is_the_mean_of_its_frames(project, tmp_path):
    clip = write_clip(tmp_path / "a clip.MP4", codec="libx264", size=(96, 64))
    frames = []
    for second, image in read_clip(clip, 8):
        image.save(tmp_path / f"{second}.png")
        frames.append(tmp_path / f"{second}.png")
    model = load("activity-clip", root=project)
    alone = shares(model.predict(frames))
    for size in (1, 3):  # a batch of none that can be read, and one with such in the middle
        whole, bad, photograph = model.predict([clip, tmp_path / "none.mp4", frames[0]], batch_size=size)
        np.testing.assert_allclose(shares([whole, photograph]), [alone.mean(0), alone[0]], atol=1e-6)
        assert "none.mp4: no such file" in bad.error
        assert bad.label is None
    each = list(model.stream([clip], by_frame=True))
    assert [one.path for one in each] == [f"{clip}#t={frame.stem}" for frame in frames]
    np.testing.assert_allclose(shares(each), alone, atol=1e-6)
