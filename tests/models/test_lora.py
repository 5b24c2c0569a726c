"""How a backbone is used: what is trained, and a head that starts as CLIP's zero-shot classifier."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import CLASSES, picture
from PIL import Image
from test_loop import images, run
from test_models import FINETUNE, NAMES
from transformers import pipeline

from har.core.errors import HarError
from har.models import classifier, encoder, preprocess
from har.models.lora import TARGETS, adapt
from har.training.embed import prompt_ensemble
from har.training.loop import predict, train

PROMPTS = {"walking": ["a person walking"], "sitting": ["two people sitting"], "standing": ["a dog near a person"]}


def settings(**changes):
    return FINETUNE.model_copy(update=changes)


def adapted(folder, **changes):
    torch.manual_seed(0)
    model = classifier.classifier(folder, CLASSES)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    adapt(model, settings(**changes))
    return model, before


def head_names(model) -> set[str]:
    return {f"{classifier._head_name(model)}.{part}" for part in ("weight", "bias")}


@pytest.mark.parametrize("name", NAMES)
class TestAdapt:
    def test_low_rank_updates_start_at_nothing_and_stand_in_every_layer(self, checkpoints, name):
        x = torch.randn(2, 3, 32, 32)
        with torch.inference_mode():
            plain = classifier.classifier(checkpoints[name], CLASSES).eval()
            model, _ = adapted(checkpoints[name], adapt="lora", lora_rank=2)
            classifier.head_of(plain).load_state_dict(classifier.head_of(model).state_dict())
            # torch takes another path through SigLIP's pooling where no weight is trained
            torch.testing.assert_close(plain(x).logits, model.eval()(x).logits)
        trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        updates = {n: p for n, p in trained.items() if n not in head_names(model)}
        assert len(updates) == 2 * len(TARGETS) * 2  # an A and a B for each target in each of two layers
        assert {min(p.shape) for p in updates.values()} == {2}

    @pytest.mark.parametrize("how", ["lora", "head"])
    def test_training_moves_what_is_named_and_nothing_else(self, checkpoints, name, how, strength, tmp_path):
        config = settings(adapt=how, backbone=name, epochs=2, learning_rate=0.05, weight_decay=0.1)
        folder = checkpoints[name]
        outcome = run(config, images(size=32), strength, backbone=folder, checkpoint=tmp_path / "saved")
        model = classifier.finetuned(tmp_path / "saved")
        saved, start = model.state_dict(), classifier.classifier(folder, CLASSES).state_dict()
        moved = {key for key, value in saved.items() if not torch.equal(value, start[key])}
        expected = {key for key in start if any(f".{t}.weight" in key for t in TARGETS)} if how == "lora" else set()
        assert moved == expected | head_names(model)
        assert not any("lora" in p.name or "adapter" in p.name for p in (tmp_path / "saved").iterdir())
        x, prepare = torch.tensor(images(size=32).x), preprocess.from_folder(folder).normalise
        told = torch.softmax(predict(model, x, prepare).double(), 1)
        np.testing.assert_allclose(told, outcome.probabilities, atol=1e-5)
        head = 3 * classifier.head_of(model).in_features + 3
        assert outcome.parameters == head + (2 * len(expected) * config.lora_rank * 32 if how == "lora" else 0)


def test_low_rank_training_repeats_to_the_byte(checkpoints, strength):
    config, inputs = settings(adapt="lora", backbone="clip", head="probe"), images(size=32)
    first, again, other = (run(config, inputs, strength, seed, backbone=checkpoints["clip"]) for seed in (0, 0, 1))
    assert first.probabilities.tobytes() == again.probabilities.tobytes() != other.probabilities.tobytes()


STILL = {"epochs": 1, "learning_rate": 1e-12, "head_learning_rate": 1e-12}


def texts_of(folder) -> np.ndarray:
    model = encoder.Encoder(folder)
    return model.logit_scale * prompt_ensemble(model, PROMPTS).numpy()


class TestTextHead:
    @pytest.mark.parametrize("name", ["clip", "siglip2"])
    def test_training_starts_as_zero_shot_exactly(self, checkpoints, name, strength):
        folder, inputs = checkpoints[name], images(size=32)
        config, texts = settings(backbone=name, head="text", **STILL), texts_of(folder)
        told = [
            train(config, CLASSES, each, 0, strength=strength, backbone=folder, texts=texts).probabilities
            for each in (inputs, replace(inputs, y=(inputs.y + 1) % 3))  # whatever the labels
        ]
        unit = torch.nn.functional.normalize(encoder.Encoder(folder).images(torch.tensor(inputs.x)), dim=-1)
        expected = torch.softmax(unit.double() @ torch.tensor(texts).double().T, 1)[inputs.predict_rows]
        for each in told:
            np.testing.assert_allclose(each, expected, atol=1e-5)

    @pytest.mark.parametrize(("name", "head"), [("clip", "text"), ("siglip2", "frozen_text")])
    def test_what_is_saved_is_a_plain_checkpoint_with_the_head_beside(
        self, checkpoints, name, head, strength, tmp_path
    ):
        folder, inputs = checkpoints[name], images(size=32)
        config = settings(backbone=name, head=head, learning_rate=1e-3, head_learning_rate=1e-6)
        outcome = train(
            config, CLASSES, inputs, 0, strength=strength, backbone=folder, texts=texts_of(folder), checkpoint=tmp_path
        )
        model = classifier.finetuned(tmp_path)
        assert list(model.config.id2label.values()) == CLASSES
        assert torch.equal(model.head.weight, torch.tensor(texts_of(folder))) == (head == "frozen_text")
        prepare = preprocess.from_folder(tmp_path).normalise
        told = torch.softmax(predict(model, torch.tensor(inputs.x), prepare).double(), 1)[inputs.predict_rows]
        np.testing.assert_allclose(told, outcome.probabilities, atol=1e-5)

        photo = picture(3, 32, 32)
        pixels = torch.tensor(photo.copy()).permute(2, 0, 1)[None]
        order = [CLASSES[i] for i in predict(model, pixels, prepare)[0].argsort(descending=True)]
        prompts = {prompt: label for label, (prompt,) in PROMPTS.items()}
        if name == "clip":  # the pipeline pads SigLIP's texts to 64 tokens, more than a tiny one reads
            opened = pipeline("zero-shot-image-classification", model=str(tmp_path), device="cpu")
            found = opened(Image.fromarray(photo), candidate_labels=list(prompts), hypothesis_template="{}")
            assert [prompts[row["label"]] for row in found] == order
        alone = encoder.Encoder(tmp_path)
        scores = (prompt_ensemble(alone, PROMPTS) @ alone.images(pixels).T)[:, 0]
        assert [CLASSES[i] for i in scores.argsort(descending=True)] == order
        before = encoder.Encoder(folder).model.state_dict()
        after = encoder.Encoder(tmp_path).model.state_dict()
        moved = {key for key in before if not torch.equal(before[key], after[key])}
        assert moved
        assert all(key.startswith(("vision_model.", "visual_projection.")) for key in moved)


def test_texts_of_another_width_are_told(checkpoints, strength):
    config, texts = settings(backbone="vit", head="text", **STILL), np.eye(3, 7, dtype=np.float32)
    with pytest.raises(HarError, match="head text needs a CLIP or SigLIP"):
        train(config, CLASSES, images(size=32), 0, strength=strength, backbone=checkpoints["vit"], texts=texts)
