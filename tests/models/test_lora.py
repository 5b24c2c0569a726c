"""How a backbone is used: what is trained, and a head that starts as CLIP's zero-shot classifier."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import CLASSES
from test_loop import images, run
from test_models import FINETUNE, NAMES
from transformers import AutoModelForImageClassification

from har.core.errors import HarError
from har.models import classifier, encoder, preprocess
from har.models.lora import TARGETS, adapt, merge
from har.models.text_head import text_head
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


@pytest.mark.parametrize("name", NAMES)
class TestAdapt:
    def test_the_head_alone(self, checkpoints, name):
        model, _ = adapted(checkpoints[name], adapt="head")
        assert {n for n, p in model.named_parameters() if p.requires_grad} == {"classifier.weight", "classifier.bias"}

    def test_low_rank_updates_start_at_nothing_and_stand_in_every_layer(self, checkpoints, name):
        x = torch.randn(2, 3, 32, 32)
        with torch.inference_mode():
            plain = classifier.classifier(checkpoints[name], CLASSES).eval()
            model, _ = adapted(checkpoints[name], adapt="lora", lora_rank=2)
            plain.classifier.load_state_dict(model.classifier.state_dict())
            assert torch.equal(plain(x).logits, model.eval()(x).logits)
        trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        updates = {n: p for n, p in trained.items() if not n.startswith("classifier.")}
        assert len(updates) == 2 * len(TARGETS) * 2  # an A and a B for each target in each of two layers
        assert {min(p.shape) for p in updates.values()} == {2}

    @pytest.mark.parametrize("how", ["lora", "head"])
    def test_training_moves_what_is_named_and_nothing_else(self, checkpoints, name, how, strength, tmp_path):
        config = settings(adapt=how, backbone=name, epochs=2, learning_rate=0.05, weight_decay=0.1)
        folder = checkpoints[name]
        outcome = run(config, images(size=32), strength, backbone=folder, checkpoint=tmp_path / "saved")
        saved = AutoModelForImageClassification.from_pretrained(tmp_path / "saved").state_dict()
        start = classifier.classifier(folder, CLASSES).state_dict()
        moved = {key for key, value in saved.items() if not torch.equal(value, start[key])}
        expected = {key for key in start if any(f".{t}.weight" in key for t in TARGETS)} if how == "lora" else set()
        assert moved == expected | {"classifier.weight", "classifier.bias"}
        head = 3 * 32 + 3
        assert outcome.parameters == head + (2 * len(expected) * config.lora_rank * 32 if how == "lora" else 0)

    def test_what_is_saved_tells_the_same_without_peft(self, checkpoints, name, strength, tmp_path):
        config, inputs = settings(adapt="lora", backbone=name, learning_rate=0.05), images(size=32)
        outcome = run(config, inputs, strength, backbone=checkpoints[name], checkpoint=tmp_path / "saved")
        assert not any("lora" in p.name or "adapter" in p.name for p in (tmp_path / "saved").iterdir())
        model = AutoModelForImageClassification.from_pretrained(tmp_path / "saved")
        prepare = preprocess.from_folder(checkpoints[name]).normalise
        told = torch.softmax(predict(model, torch.tensor(inputs.x), prepare).double(), 1)
        np.testing.assert_allclose(told, outcome.probabilities, atol=1e-5)


def test_merging_a_plain_model_leaves_it_alone(checkpoints):
    model = classifier.classifier(checkpoints["vit"], CLASSES)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    merge(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_low_rank_training_repeats_to_the_byte(checkpoints, strength):
    config, inputs = settings(adapt="lora", backbone="clip", head="probe"), images(size=32)
    first, again, other = (run(config, inputs, strength, seed, backbone=checkpoints["clip"]) for seed in (0, 0, 1))
    assert first.probabilities.tobytes() == again.probabilities.tobytes() != other.probabilities.tobytes()


def test_without_pretraining_no_weight_is_the_checkpoints(checkpoints):
    known = encoder.Encoder(checkpoints["clip"]).model.state_dict()
    torch.manual_seed(5)
    model = classifier.classifier(checkpoints["clip"], CLASSES, weights=False)
    drawn = {n: p for n, p in model.state_dict().items() if p.ndim > 1 and n in known}
    assert len(drawn) > 10
    assert not any(torch.equal(value, known[name]) for name, value in drawn.items())


class TestTextHead:
    @pytest.fixture(scope="class")
    def start(self, checkpoints):
        torch.manual_seed(0)
        model = classifier.classifier(checkpoints["clip"], CLASSES).eval()
        texts = prompt_ensemble(encoder.Encoder(checkpoints["clip"]), PROMPTS).numpy()
        return model, texts, checkpoints["clip"]

    def zero_shot(self, folder, x, texts):
        """CLIP's own logits for head inputs x: norm, projection, unit length, texts, temperature."""
        clip = encoder.Encoder(folder).model
        z = clip.visual_projection(clip.vision_model.post_layernorm(x))
        return clip.logit_scale.exp() * torch.nn.functional.normalize(z, dim=-1) @ torch.as_tensor(texts).T

    def test_it_is_clips_own_classifier_but_for_the_norms_of_an_image(self, start):
        model, texts, folder = start
        # head inputs of one length, each also turned round: the two norms are the same for all, their mean is exact
        x = torch.randn(8, 32)
        x = x - x.mean(1, keepdim=True)
        x = x / x.norm(dim=1, keepdim=True)
        with torch.no_grad():
            model.vision_model.post_layernorm.bias.zero_()
            text_head(model, torch.cat([x, -x]), texts, folder)
            clip = encoder.Encoder(folder).model
            z = clip.visual_projection(clip.vision_model.post_layernorm(torch.cat([x, -x])))
            exact = self.zero_shot(folder, x, texts) * (z[:8].norm(dim=1, keepdim=True) / z.norm(dim=1).mean())
            np.testing.assert_allclose(model.classifier(x), exact, atol=1e-3, rtol=1e-3)

    def test_each_class_starts_at_the_same_mean_over_the_training_images(self, start):
        model, texts, folder = start
        x = torch.randn(20, 32) + 3
        text_head(model, x, texts, folder)
        logits = model.classifier(x).detach()
        np.testing.assert_allclose(logits.mean(0), np.zeros(3), atol=1e-4)
        assert logits.std() > 0.01

    def test_labels_do_not_matter_and_training_starts_there(self, start, strength):
        _, texts, folder = start
        inputs, config = images(size=32), settings(backbone="clip", head="text", epochs=1, learning_rate=1e-12)
        config = config.model_copy(update={"head_learning_rate": 1e-12})
        told = [
            train(config, CLASSES, each, 0, strength=strength, backbone=folder, texts=texts).probabilities
            for each in (inputs, replace(inputs, y=(inputs.y + 1) % 3))
        ]
        np.testing.assert_allclose(told[0], told[1], atol=1e-6)
        swapped = train(config, CLASSES, inputs, 0, strength=strength, backbone=folder, texts=texts[[1, 0, 2]])
        np.testing.assert_allclose(swapped.probabilities[:, [1, 0, 2]], told[0], atol=1e-6)

    @pytest.mark.parametrize("name", ["siglip2", "vit"])
    def test_a_checkpoint_without_clips_projection_is_told(self, checkpoints, name):
        model = classifier.classifier(checkpoints[name], CLASSES)
        with pytest.raises(HarError, match="head text needs a CLIP"):
            text_head(model, torch.randn(4, 32), np.eye(3, 16, dtype=np.float32), checkpoints[name])

    def test_weights_in_several_files_are_found(self, start, tmp_path):
        from transformers import AutoModel

        model, texts, folder = start
        AutoModel.from_pretrained(folder).save_pretrained(tmp_path, max_shard_size="20KB")
        assert len(list(tmp_path.glob("*.safetensors"))) > 1
        x = torch.randn(6, 32)
        heads = []
        for source in (folder, tmp_path):
            text_head(model, x, texts, source)
            heads.append(model.classifier.weight.detach().clone())
        assert torch.equal(*heads)
