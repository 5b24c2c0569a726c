"""The backbone door: whatever the source, one folder that the models can open, or one line that says why not."""

import pytest
import torch
from conftest import CLASSES

from har.config.models import Backbone
from har.core.errors import HarError
from har.models import backbone, classifier, encoder


def config(**changes) -> Backbone:
    base = {"source": "pretrain", "architecture": "pretrain", "id": "owner/name", "revision": "0" * 40, "sha256": None}
    return Backbone(**(base | {"folder": ""} | changes))


@pytest.mark.parametrize(("name", "source"), [("clip", "pretrain"), ("siglip2", "folder"), ("vit", "folder")])
def test_a_provided_backbone_has_the_weights_of_its_source(checkpoints, tmp_path, name, source):
    where = {"pretrained": checkpoints[name]} if source == "pretrain" else {"pretrained": tmp_path / "nowhere"}
    folder = "" if source == "pretrain" else str(checkpoints[name])
    backbone.provide(config(source=source, folder=folder), tmp_path / name, **where)
    assert (tmp_path / name / "model.safetensors").read_bytes() == (
        checkpoints[name] / "model.safetensors"
    ).read_bytes()
    assert classifier.head_of(classifier.classifier(tmp_path / name, CLASSES)).out_features == 3
    assert encoder.Encoder(tmp_path / name).has_text == (name != "vit")


@pytest.mark.parametrize(("name", "architecture"), [("clip", "pretrain"), ("siglip2", "folder"), ("vit", "folder")])
def test_random_is_the_architecture_without_weights(checkpoints, tmp_path, name, architecture):
    folder = "" if architecture == "pretrain" else str(checkpoints[name])
    backbone.provide(config(source="pretrain"), tmp_path / name, pretrained=checkpoints[name])  # does not linger
    chosen = config(source="random", architecture=architecture, folder=folder)
    backbone.provide(chosen, tmp_path / name, pretrained=checkpoints[name])
    assert not list((tmp_path / name).glob("*.safetensors*"))
    models = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        models.append(classifier.classifier(tmp_path / name, CLASSES).state_dict())
    first, again, other = models
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not any(torch.equal(first[k], other[k]) for k in first if first[k].ndim > 1)
    assert {v.dtype for v in first.values()} == {torch.float32}
    learned = classifier.classifier(checkpoints[name], CLASSES).state_dict()
    assert not any(torch.equal(first[k], learned[k]) for k in first if first[k].ndim > 1)


def test_a_folder_without_weights_serves_random_only(checkpoints, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in checkpoints["clip"].glob("*.json"):
        (bare / file.name).write_bytes(file.read_bytes())
    options = {"pretrained": tmp_path}
    backbone.provide(config(source="random", architecture="folder", folder=str(bare)), tmp_path / "a", **options)
    with pytest.raises(HarError, match=r"model\.safetensors is missing"):
        backbone.provide(config(source="folder", folder=str(bare)), tmp_path / "b", **options)


def test_a_missing_miniature_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(HarError, match="dvc repro pretrain@clip"):
        backbone.provide(config(), tmp_path / "out", pretrained=tmp_path / "clip")


def test_a_hub_backbone_comes_at_its_revision_with_a_size_limit_and_a_hash(monkeypatch, checkpoints, tmp_path):
    """The protocol itself is tested in test_hub.py; here, that the door passes on what it was given."""
    asked = {}

    def fetch(repo, revision, out, choose, max_bytes):
        asked.update(repo=repo, revision=revision, max_bytes=max_bytes)
        backbone.fetch_folder(checkpoints["clip"], out, max_bytes=max_bytes, choose=choose)

    monkeypatch.setattr(backbone, "fetch_hub", fetch)
    chosen = config(source="hub", revision="a" * 40)
    backbone.provide(chosen, tmp_path / "clip", pretrained=tmp_path)
    assert (asked["repo"], asked["revision"]) == ("owner/name", "a" * 40)
    assert asked["max_bytes"] < 20e9
    with pytest.raises(HarError, match=r"model\.safetensors has sha256 [0-9a-f]{64}, expected b{64}"):
        backbone.provide(chosen.model_copy(update={"sha256": "b" * 64}), tmp_path / "clip", pretrained=tmp_path)
    assert not (tmp_path / "clip").exists()
    backbone.provide(
        chosen.model_copy(update={"source": "random", "architecture": "hub"}), tmp_path / "clip", pretrained=tmp_path
    )
    assert not (tmp_path / "clip/model.safetensors").exists()
