"""Frozen embeddings: unit rows, cosines in the order of a task's classes, zero-shot by the nearest prompts."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import CLASSES
from torch.nn.functional import normalize

import har.training.embed
from har.config.models import Crops, Embed
from har.core.errors import HarError
from har.data.crops import BOXES, EDGES, View, write_boxes
from har.models.encoder import Encoder
from har.models.preprocess import Preprocess
from har.training import embeddings
from har.training.embed import prompt_ensemble

PROMPTS = {
    "walking": ["a person walking", "two people walking"],
    "sitting": ["a person sitting on a bench"],
    "standing": ["a person standing", "a person standing near a dog"],
}
SETTINGS = Embed(
    batch_size=3, person_margin=0.2, crops=[Crops(share=0.75, number=1), Crops(share=0.5, number=2)], prompts={}
)
IDS = [3, 5, 7, 12]


def embed(folder, store, out, ids=IDS, jobs=1, **options):
    har.training.embed.embed(folder, store, ids, PROMPTS, out, SETTINGS, jobs=jobs, device="cpu", **options)


def units(encoder, store, ids) -> np.ndarray:
    """What the encoder itself gives for images, at unit length."""
    return normalize(encoder.images(torch.from_numpy(encoder.preprocess.load(store, ids))), dim=-1).numpy()


def same_files(one, other):
    for file in one.iterdir():
        assert (other / file.name).read_bytes() == file.read_bytes()


@pytest.fixture(scope="module")
def folders(checkpoints, store, tmp_path_factory):
    root = tmp_path_factory.mktemp("embeddings")
    for name, folder in checkpoints.items():
        embed(folder, store, root / name)
    return {name: root / name for name in checkpoints}


@pytest.mark.parametrize("name", ["clip", "siglip2", "vit"])
def test_image_features_are_the_encoders_at_unit_length(checkpoints, folders, store, name):
    rows = embeddings.read(folders[name]).rows([12, 3], "image", CLASSES)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(rows, units(Encoder(checkpoints[name]), store, [12, 3]), atol=1e-5)


@pytest.mark.parametrize("name", ["clip", "siglip2"])
class TestText:
    def test_zero_shot_takes_the_nearest_prompts_in_the_order_of_the_tasks_classes(self, checkpoints, folders, name):
        found = embeddings.read(folders[name])
        parts = pd.DataFrame({"image_id": [3, 5, 12], "label": ["sitting", "standing", "sitting"], "split": "test"})
        classes = ["standing", "sitting"]
        cosines = found.rows(parts.image_id, "similarity", classes)
        texts = dict(zip(PROMPTS, np.load(folders[name] / "texts.npy"), strict=True))
        expected = found.rows(parts.image_id, "image", classes) @ np.stack([texts[c] for c in classes]).T
        np.testing.assert_allclose(cosines, expected, atol=1e-5)
        told = found.zero_shot(parts, classes)
        assert [c for c in told.columns if c.startswith("p_")] == ["p_standing", "p_sitting"]
        odds = np.exp(found.logit_scale * (cosines[:, 0] - cosines[:, 1]).astype(float))
        np.testing.assert_allclose(told.p_standing, odds / (1 + odds), rtol=1e-4)
        assert found.logit_scale == pytest.approx(Encoder(checkpoints[name]).logit_scale)

    def test_a_class_is_the_mean_of_its_prompts_unit_vectors(self, checkpoints, name):
        encoder = Encoder(checkpoints[name])
        alone = [[encoder.texts([text])[0] for text in texts] for texts in PROMPTS.values()]  # in no company
        means = torch.stack([torch.stack([t / t.norm() for t in texts]).mean(0) for texts in alone])
        ensemble = prompt_ensemble(encoder, PROMPTS)
        np.testing.assert_allclose(ensemble, means / means.norm(dim=1, keepdim=True), atol=1e-5)
        assert torch.isfinite(encoder.texts(["a dog " * 50])).all()  # one that is too long is cut


def test_probabilities_equal_those_of_transformers_clip(checkpoints, store):
    """One prompt a class: softmax over CLIPModel's own logits_per_image."""
    from transformers import AutoTokenizer, CLIPModel

    encoder, model = Encoder(checkpoints["clip"]), CLIPModel.from_pretrained(checkpoints["clip"]).eval()
    texts = [PROMPTS[c][0] for c in CLASSES]
    tokens = AutoTokenizer.from_pretrained(checkpoints["clip"])(texts, padding=True, return_tensors="pt")
    pixels = encoder.preprocess.normalise(torch.from_numpy(encoder.preprocess.load(store, [7, 12])))
    with torch.inference_mode():
        theirs = model(tokens["input_ids"], pixels, attention_mask=tokens["attention_mask"]).logits_per_image
    ensemble = prompt_ensemble(encoder, {c: PROMPTS[c][:1] for c in CLASSES})
    ours = encoder.logit_scale * units(encoder, store, [7, 12]) @ ensemble.numpy().T
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_views_are_means_of_unit_embeddings_and_stand_side_by_side(checkpoints, store, tmp_path):
    write_boxes(store.folder / BOXES, pd.DataFrame([[7, 0.25, 0.25, 0.5, 0.75]], columns=["image_id", *EDGES]))
    ids, encoder = [3, 7], Encoder(checkpoints["clip"])
    embed(checkpoints["clip"], store, tmp_path, ids, views=["image", "flip", "crops", "person"])

    def cut(how):
        return units(encoder, View(store.folder, how), ids)

    def corner(whole, x, y):
        height, width = len(whole) // 2, whole.shape[1] // 2
        return whole[y * (len(whole) - height) :, x * (whole.shape[1] - width) :][:height, :width]

    np.testing.assert_allclose(np.load(tmp_path / "flip.npy"), cut(lambda whole: whole[:, ::-1]), atol=1e-5)
    corners = [cut(lambda whole, x=x, y=y: corner(whole, x, y)) for x in (0, 1) for y in (0, 1)]
    crops = np.load(tmp_path / "crops.npy")
    centre = 5 * crops - sum(corners)  # what is left is the unit embedding of the one window at the centre
    np.testing.assert_allclose(np.linalg.norm(centre, axis=1), 1, atol=1e-4)
    whole, person = np.load(tmp_path / "image.npy"), np.load(tmp_path / "person.npy")
    np.testing.assert_allclose(person[0], whole[0], atol=1e-5)  # no box
    assert np.abs(person[1] - whole[1]).max() > 1e-3
    found = embeddings.read(tmp_path, ["image", "crops"])
    unit = crops / np.linalg.norm(crops, axis=1, keepdims=True)
    np.testing.assert_allclose(found.rows(ids, "image", CLASSES), np.hstack([whole, unit]), atol=1e-5)
    cosines = (whole + crops) / 2 @ found.text_rows(CLASSES).T  # the mean of all views' and windows' log-probabilities
    np.testing.assert_allclose(found.rows(ids, "similarity", CLASSES), cosines, atol=1e-5)


def test_what_is_missing_is_named(checkpoints, folders, tmp_path):
    with pytest.raises(HarError, match="no text tower"):
        Encoder(checkpoints["vit"]).texts(["a dog"])
    assert not (folders["vit"] / "texts.npy").exists()
    with pytest.raises(HarError, match="choose clip or siglip2"):
        embeddings.read(folders["vit"]).rows([3], "similarity", CLASSES)
    with pytest.raises(HarError, match="image 404 has no embedding"):
        embeddings.read(folders["clip"]).rows([3, 404], "image", CLASSES)
    with pytest.raises(HarError, match=r"about\.json: no such file; expected what a folder of embeddings holds"):
        embeddings.read(tmp_path)


def test_embedding_again_with_other_jobs_gives_the_same_bytes(checkpoints, store, folders, tmp_path):
    embed(checkpoints["clip"], store, tmp_path, jobs=2)
    same_files(folders["clip"], tmp_path)


def test_an_interruption_costs_one_shard(checkpoints, store, folders, tmp_path, monkeypatch):
    monkeypatch.setattr(har.training.embed, "SHARD", 3)
    load, calls, most = Preprocess.load, [], [1]

    def told(self, store, ids):
        if len(calls) == most[0]:
            raise KeyboardInterrupt
        calls.append(list(ids))
        return load(self, store, ids)

    monkeypatch.setattr(Preprocess, "load", told)
    with pytest.raises(KeyboardInterrupt):
        embed(checkpoints["clip"], store, tmp_path, keep=tmp_path / "keep")
    assert calls == [[3, 5, 7]]
    assert not (tmp_path / "image.npy").exists()
    most[0] = 2
    embed(checkpoints["clip"], store, tmp_path, keep=tmp_path / "keep")
    assert calls == [[3, 5, 7], [12]]
    same_files(folders["clip"], tmp_path)


def test_an_architecture_without_weights_embeds_the_same_each_time(checkpoints, store, tmp_path):
    bare = shutil.copytree(checkpoints["clip"], tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors"))
    for out in ("a", "b"):
        torch.rand(7)
        embed(bare, store, tmp_path / out)
    same_files(tmp_path / "a", tmp_path / "b")
