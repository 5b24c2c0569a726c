"""The backbone door: whatever the source, one folder that the models can open, or one line that says why not."""

import pytest
import torch
from conftest import CLASSES

from har.config.models import Backbone
from har.core.errors import HarError
from har.models import backbone, classifier


def config(**changes) -> Backbone:
    base = {"source": "pretrain", "architecture": "pretrain", "id": "owner/name", "revision": "0" * 40, "sha256": None}
    return Backbone(**(base | {"folder": ""} | changes))


SOURCES = pytest.mark.parametrize(("name", "source"), [("clip", "pretrain"), ("siglip2", "folder"), ("vit", "folder")])


@SOURCES
def test_a_provided_backbone_has_the_weights_of_its_source(checkpoints, tmp_path, name, source):
    chosen = config(source=source, folder="" if source == "pretrain" else str(checkpoints[name]))
    pretrained = checkpoints[name] if source == "pretrain" else tmp_path / "nowhere"
    backbone.provide(chosen, tmp_path / name, pretrained=pretrained)
    given, made = (folder / "model.safetensors" for folder in (checkpoints[name], tmp_path / name))
    assert made.read_bytes() == given.read_bytes()
    assert classifier.head_of(classifier.classifier(tmp_path / name, CLASSES)).out_features == 3


@SOURCES
def test_random_is_the_architecture_without_weights(checkpoints, tmp_path, name, source):
    folder = "" if source == "pretrain" else str(checkpoints[name])
    backbone.provide(config(), tmp_path / name, pretrained=checkpoints[name])  # does not linger
    chosen = config(source="random", architecture=source, folder=folder)
    backbone.provide(chosen, tmp_path / name, pretrained=checkpoints[name])
    assert not list((tmp_path / name).glob("*.safetensors*"))
    models = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        models.append(classifier.classifier(tmp_path / name, CLASSES).state_dict())
    first, again, other = models
    learned = classifier.classifier(checkpoints[name], CLASSES).state_dict()
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not any(torch.equal(first[k], one[k]) for one in (other, learned) for k in first if first[k].ndim > 1)
    assert {v.dtype for v in first.values()} == {torch.float32}


def test_a_missing_miniature_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(HarError, match="dvc repro pretrain@clip"):
        backbone.provide(config(), tmp_path / "out", pretrained=tmp_path / "clip")


def test_a_hub_backbone_comes_at_its_revision_with_a_size_limit_and_a_hash(monkeypatch, checkpoints, tmp_path):
    """The protocol itself is tested in test_hub.py; here, that the door passes on what it was given."""
    asked = {}

    def fetch(repo, revision, out, choose, max_bytes):
        asked.update(repo=repo, revision=revision, max_bytes=max_bytes)
        backbone.fetch_folder(checkpoints["clip"], out, max_bytes=max_bytes, choose=choose)

    def provide(**changes):
        chosen = config(revision="a" * 40, **changes)
        backbone.provide(chosen, tmp_path / "clip", pretrained=tmp_path)

    monkeypatch.setattr(backbone, "fetch_hub", fetch)
    provide(source="hub")
    assert (asked["repo"], asked["revision"]) == ("owner/name", "a" * 40)
    assert asked["max_bytes"] < 20e9
    with pytest.raises(HarError, match=r"model\.safetensors has sha256 [0-9a-f]{64}, expected b{64}"):
        provide(source="hub", sha256="b" * 64)
    assert not (tmp_path / "clip").exists()
    provide(source="random", architecture="hub")
    assert not (tmp_path / "clip/model.safetensors").exists()
