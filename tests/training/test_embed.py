"""Frozen embeddings: unit rows, cosines in the order of a task's classes, zero-shot by the nearest prompts."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import CLASSES

import har.training.embed
from har.config.models import Crops, Embed
from har.core.errors import HarError
from har.data.crops import BOXES, EDGES, View, windows, write_boxes
from har.models.encoder import Encoder
from har.models.preprocess import Preprocess
from har.training import embeddings
from har.training.embed import embed, prompt_ensemble

PROMPTS = {
    "walking": ["a person walking", "two people walking"],
    "sitting": ["a person sitting on a bench"],
    "standing": ["a person standing", "a person standing near a dog"],
}
SETTINGS = Embed(
    batch_size=3, person_margin=0.2, crops=[Crops(share=0.75, number=1), Crops(share=0.5, number=2)], prompts={}
)


@pytest.fixture(scope="module")
def folders(checkpoints, store, tmp_path_factory):
    root = tmp_path_factory.mktemp("embeddings")
    for name, folder in checkpoints.items():
        embed(folder, store, [3, 5, 7, 12], PROMPTS, root / name, SETTINGS, jobs=1, device="cpu")
    return {name: root / name for name in checkpoints}


@pytest.mark.parametrize("name", ["clip", "siglip2", "vit"])
def test_image_features_are_the_encoders_at_unit_length(checkpoints, folders, store, name):
    encoder = Encoder(checkpoints[name])
    direct = encoder.images(torch.from_numpy(encoder.preprocess.load(store, [12, 3]))).numpy()
    rows = embeddings.read(folders[name]).rows([12, 3], "image", CLASSES)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(rows, direct / np.linalg.norm(direct, axis=1, keepdims=True), atol=1e-5)


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
        scale = Encoder(checkpoints[name]).model.logit_scale
        assert found.logit_scale == pytest.approx(float(scale.detach().exp()))

    def test_a_class_is_the_mean_of_its_prompts_unit_vectors(self, checkpoints, name):
        encoder = Encoder(checkpoints[name])
        units = [[t / t.norm() for t in encoder.texts(texts)] for texts in PROMPTS.values()]
        means = torch.stack([torch.stack(one).mean(0) for one in units])
        ensemble = prompt_ensemble(encoder, PROMPTS)
        np.testing.assert_allclose(ensemble, means / means.norm(dim=1, keepdim=True), atol=1e-5)
        np.testing.assert_allclose(ensemble.norm(dim=1), 1, atol=1e-5)

    def test_a_text_does_not_depend_on_its_company(self, checkpoints, name):
        """Padding to the longest text of a batch must not change an embedding."""
        encoder = Encoder(checkpoints[name])
        together = encoder.texts(["a dog", "two people sitting on a bench near a dog"])
        np.testing.assert_allclose(encoder.texts(["a dog"])[0], together[0], atol=1e-5)
        assert torch.isfinite(encoder.texts(["a dog " * 50])).all()  # one that is too long is cut


def test_probabilities_equal_those_of_transformers_clip(checkpoints, store, folders):
    """One prompt a class: softmax over CLIPModel's own logits_per_image."""
    from transformers import AutoTokenizer, CLIPModel

    encoder, model = Encoder(checkpoints["clip"]), CLIPModel.from_pretrained(checkpoints["clip"]).eval()
    texts = [PROMPTS[c][0] for c in CLASSES]
    tokens = AutoTokenizer.from_pretrained(checkpoints["clip"])(texts, padding=True, return_tensors="pt")
    pixels = encoder.preprocess.normalise(torch.from_numpy(encoder.preprocess.load(store, [7, 12])))
    with torch.inference_mode():
        theirs = model(tokens["input_ids"], pixels, attention_mask=tokens["attention_mask"]).logits_per_image
    images = torch.nn.functional.normalize(encoder.images(torch.from_numpy(encoder.preprocess.load(store, [7, 12]))))
    ours = encoder.logit_scale * images @ prompt_ensemble(encoder, {c: PROMPTS[c][:1] for c in CLASSES}).T
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_views_are_means_of_unit_embeddings_and_stand_side_by_side(checkpoints, store, tmp_path):
    write_boxes(store.folder / BOXES, pd.DataFrame([[7, 0.25, 0.25, 0.5, 0.75]], columns=["image_id", *EDGES]))
    views, ids = ["image", "flip", "crops", "person"], [3, 7]
    embed(checkpoints["clip"], store, ids, PROMPTS, tmp_path, SETTINGS, views=views, jobs=1, device="cpu")
    encoder = Encoder(checkpoints["clip"])

    def units(store):
        rows = encoder.images(torch.from_numpy(encoder.preprocess.load(store, ids)))
        return torch.nn.functional.normalize(rows, dim=-1).numpy()

    flipped = units(View(store.folder, lambda _, whole: whole[:, ::-1]))
    np.testing.assert_allclose(np.load(tmp_path / "flip.npy"), flipped, atol=1e-5)

    def corner(x, y):
        def cut(_, whole):
            height, width = len(whole) // 2, whole.shape[1] // 2
            return whole[y * (len(whole) - height) :, x * (whole.shape[1] - width) :][:height, :width]

        return units(View(store.folder, cut))

    corners = [corner(x, y) for x in (0, 1) for y in (0, 1)]
    crops = np.load(tmp_path / "crops.npy")
    assert len(windows([(0.75, 1), (0.5, 2)])) == 5
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
    torch.manual_seed(123)
    embed(checkpoints["clip"], store, [3, 5, 7, 12], PROMPTS, tmp_path, SETTINGS, jobs=2, device="cpu")
    for file in folders["clip"].iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_an_interruption_costs_one_shard(checkpoints, store, folders, tmp_path, monkeypatch):
    monkeypatch.setattr(har.training.embed, "SHARD", 3)
    load, calls, most = Preprocess.load, [], [1]

    def told(self, store, ids):
        if len(calls) == most[0]:
            raise KeyboardInterrupt
        calls.append(list(ids))
        return load(self, store, ids)

    def run():
        keep = tmp_path / "keep"
        embed(checkpoints["clip"], store, [3, 5, 7, 12], PROMPTS, tmp_path, SETTINGS, jobs=1, device="cpu", keep=keep)

    monkeypatch.setattr(Preprocess, "load", told)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert calls == [[3, 5, 7]]
    assert not (tmp_path / "image.npy").exists()
    most[0] = 2
    run()
    assert calls == [[3, 5, 7], [12]]
    for file in folders["clip"].iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_an_architecture_without_weights_embeds_the_same_each_time(checkpoints, store, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in checkpoints["clip"].iterdir():
        if file.suffix != ".safetensors":
            (bare / file.name).write_bytes(file.read_bytes())
    for out in ("a", "b"):
        torch.rand(7)
        embed(bare, store, [3, 12], PROMPTS, tmp_path / out, SETTINGS, jobs=1, device="cpu")
    assert (tmp_path / "a" / "image.npy").read_bytes() == (tmp_path / "b" / "image.npy").read_bytes()
