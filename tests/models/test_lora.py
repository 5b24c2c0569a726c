"""How a backbone is used: what is trained, and a head that starts as CLIP's zero-shot classifier."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import CLASSES, picture
from PIL import Image
from test_loop import images, run
from test_models import FINETUNE, NAMES
from transformers import ResNetConfig, ResNetForImageClassification, pipeline

from har.core.errors import HarError
from har.models import classifier, encoder, preprocess
from har.models.lora import TARGETS, adapt
from har.training.embed import prompt_ensemble
from har.training.loop import predict

PROMPTS = {"walking": ["a person walking"], "sitting": ["two people sitting"], "standing": ["a dog near a person"]}


def settings(**changes):
    return FINETUNE.model_copy(update=changes)


def head_names(model) -> set[str]:
    return {f"{classifier._head_name(model)}.{part}" for part in ("weight", "bias")}


def moved(before, after) -> set[str]:
    return {key for key, value in before.items() if not torch.equal(value, after[key])}


def saved_probabilities(folder, inputs) -> np.ndarray:
    prepare = preprocess.from_folder(folder).normalise
    scores = predict(classifier.finetuned(folder), torch.tensor(inputs.x), prepare)
    return torch.softmax(scores.double(), 1).numpy()


@pytest.mark.parametrize("name", NAMES)
class TestAdapt:
    def test_low_rank_updates_start_at_nothing_and_stand_in_every_layer(self, checkpoints, name):
        model, x = classifier.classifier(checkpoints[name], CLASSES).eval(), torch.randn(2, 3, 32, 32)
        with torch.inference_mode():
            plain = model(x).logits
            adapt(model, settings(adapt="lora", lora_rank=2))
            # torch takes another path through SigLIP's pooling where no weight is trained
            torch.testing.assert_close(plain, model(x).logits)
        trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        updates = [p for n, p in trained.items() if n not in head_names(model)]
        assert len(updates) == 2 * len(TARGETS) * 2  # an A and a B for each target in each of two layers
        assert {min(p.shape) for p in updates} == {2}

    @pytest.mark.parametrize("how", ["lora", "head"])
    def test_training_moves_what_is_named_and_nothing_else(self, checkpoints, name, how, strength, tmp_path):
        config = settings(adapt=how, backbone=name, epochs=2, learning_rate=0.05, weight_decay=0.1)
        folder, inputs = checkpoints[name], images(size=32)
        outcome = run(config, inputs, strength, backbone=folder, checkpoint=tmp_path)
        model, start = classifier.finetuned(tmp_path), classifier.classifier(folder, CLASSES).state_dict()
        expected = {key for key in start if any(f".{t}.weight" in key for t in TARGETS)} if how == "lora" else set()
        assert moved(start, model.state_dict()) == expected | head_names(model)
        assert not any("lora" in p.name or "adapter" in p.name for p in tmp_path.iterdir())
        np.testing.assert_allclose(saved_probabilities(tmp_path, inputs), outcome.probabilities, atol=1e-5)
        head = 3 * classifier.head_of(model).in_features + 3
        assert outcome.parameters == head + 2 * len(expected) * config.lora_rank * 32


def test_a_network_without_such_projections_is_told():
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", num_labels=3)
    with pytest.raises(HarError, match=r"needs layers called q_proj and v_proj, .*; ResNetForImageClassification has"):
        adapt(ResNetForImageClassification(config), settings(adapt="lora"))


STILL = {"epochs": 1, "learning_rate": 1e-12, "head_learning_rate": 1e-12}


def texts_of(folder) -> np.ndarray:
    model = encoder.Encoder(folder)
    return model.logit_scale * prompt_ensemble(model, PROMPTS).numpy()


class TestTextHead:
    @pytest.mark.parametrize("name", ["clip", "siglip2"])
    def test_training_starts_as_zero_shot_exactly(self, checkpoints, name, strength):
        folder, inputs = checkpoints[name], images(size=32)
        config, texts = settings(backbone=name, head="text", **STILL), texts_of(folder)
        unit = torch.nn.functional.normalize(encoder.Encoder(folder).images(torch.tensor(inputs.x)), dim=-1)
        expected = torch.softmax(unit.double() @ torch.tensor(texts).double().T, 1)
        for each in (inputs, replace(inputs, y=(inputs.y + 1) % 3)):  # whatever the labels
            outcome = run(config, each, strength, backbone=folder, texts=texts)
            np.testing.assert_allclose(outcome.probabilities, expected, atol=1e-5)

    @pytest.mark.parametrize(("name", "head"), [("clip", "text"), ("siglip2", "frozen_text")])
    def test_what_is_saved_is_a_plain_checkpoint_with_the_head_beside(
        self, checkpoints, name, head, strength, tmp_path
    ):
        folder, inputs, texts = checkpoints[name], images(size=32), texts_of(checkpoints[name])
        config = settings(backbone=name, head=head, learning_rate=1e-3, head_learning_rate=1e-6)
        outcome = run(config, inputs, strength, backbone=folder, texts=texts, checkpoint=tmp_path)
        model = classifier.finetuned(tmp_path)
        assert list(model.config.id2label.values()) == CLASSES
        assert torch.equal(model.head.weight, torch.tensor(texts)) == (head == "frozen_text")
        np.testing.assert_allclose(saved_probabilities(tmp_path, inputs), outcome.probabilities, atol=1e-5)

        photo = picture(3, 32, 32)
        pixels = torch.tensor(photo.copy()).permute(2, 0, 1)[None]
        scores = predict(model, pixels, preprocess.from_folder(tmp_path).normalise)[0]
        order = [CLASSES[i] for i in scores.argsort(descending=True)]
        if name == "clip":  # the pipeline pads SigLIP's texts to 64 tokens, more than a tiny one reads
            opened = pipeline("zero-shot-image-classification", model=str(tmp_path), device="cpu")
            prompts = {prompt: label for label, (prompt,) in PROMPTS.items()}
            found = opened(Image.fromarray(photo), candidate_labels=list(prompts), hypothesis_template="{}")
            assert [prompts[row["label"]] for row in found] == order
        alone = encoder.Encoder(tmp_path)
        similar = (prompt_ensemble(alone, PROMPTS) @ alone.images(pixels).T)[:, 0]
        assert [CLASSES[i] for i in similar.argsort(descending=True)] == order
        changed = moved(encoder.Encoder(folder).model.state_dict(), alone.model.state_dict())
        assert changed
        assert all(key.startswith(("vision_model.", "visual_projection.")) for key in changed)


def test_texts_of_another_width_are_told(checkpoints, strength):
    config, texts = settings(backbone="vit", head="text", **STILL), np.eye(3, 7, dtype=np.float32)
    with pytest.raises(HarError, match="head text needs a CLIP or SigLIP"):
        run(config, images(size=32), strength, backbone=checkpoints["vit"], texts=texts)
