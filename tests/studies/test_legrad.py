"""Relevance maps: LeGrad against finite differences, rollout, and the laws they keep."""

import copy
import itertools
import math
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from conftest import CLASSES
from torch.nn import functional as F

from har.core.errors import HarError
from har.models.classifier import classifier, head_of
from har.studies.explain import legrad

NAMES = ("clip", "clip patches", "siglip2", "siglip2 patches", "vit")


@pytest.fixture(scope="module", params=NAMES)
def model(request, checkpoints):
    """A tiny classifier whose weights are large enough for attention to be far from uniform."""
    torch.manual_seed(3)
    name, _, patches = request.param.partition(" ")
    model = classifier(checkpoints[name], CLASSES, patches or "embedding").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and any(part in name for part in ("proj", "classifier", "head")):
                parameter.normal_(std=0.3)
    return model


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(5))


def eager(model):
    """A copy in float64 that tells its attention."""
    other = copy.deepcopy(model).double()
    other.set_attn_implementation("eager")
    return other


@contextmanager
def softmax_plus(nudge, place):
    """torch's softmax, all attention there is, with `nudge` added to the result of the call number `place`."""
    calls = itertools.count()

    def softmax(x, dim=-1, **_):
        found = x.softmax(dim)
        return found + nudge.reshape(found.shape) if next(calls) == place else found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "softmax", softmax)
        yield


def scored(model, tokens):
    """A block's scores, each family as its paper pools."""
    tower, kind = getattr(model, "vision_model", None), model.config.model_type
    if kind == "vit":
        return model.classifier(model.vit.layernorm(tokens)[:, 0])
    if kind == "clip":
        return model.classifier(tokens[:, 1:].mean(1))
    if kind == "siglip":
        return model.classifier(tower.post_layernorm(tokens).mean(1))
    if kind == "clip_vision_model":
        return model.head(F.normalize(model.visual_projection(tower.post_layernorm(tokens[:, 0])), dim=-1))
    return model.head(F.normalize(tower.head(tower.post_layernorm(tokens)), dim=-1))


def class_tokens(model):
    return int(not model.config.model_type.startswith("siglip"))


def by_finite_differences(model, image, step=1e-5):
    """What each block adds to LeGrad of one image [3, size, size], from nothing but scores at perturbed attention:
    [blocks, classes, side²]."""
    x, pooling, found = image[None].double(), model.config.model_type == "siglip_vision_model", []
    model = eager(model)
    with torch.no_grad():
        out = model(pixel_values=x, output_attentions=True, output_hidden_states=True)
        for block, attention in enumerate(out.attentions):
            shape = (*attention.shape[1:2], 1, attention.shape[-1]) if pooling else attention.shape[1:]
            size = math.prod(shape)
            several, ends = x.expand(size, -1, -1, -1), []
            for nudge in (step * torch.eye(size, dtype=torch.double), -step * torch.eye(size, dtype=torch.double)):
                with softmax_plus(nudge, 0 if pooling else block):
                    if pooling:
                        tokens = out.hidden_states[block + 1].expand(size, -1, -1)
                    else:
                        tokens = model(pixel_values=several, output_hidden_states=True).hidden_states[block + 1]
                    ends.append(scored(model, tokens))
            slope = ((ends[0] - ends[1]) / (2 * step)).T.reshape(len(CLASSES), *shape)
            found.append(slope.clamp(min=0).mean((1, 2)))
    return torch.stack(found)[..., class_tokens(model) :]


class TestLeGrad:
    def test_equals_finite_differences_of_the_block_scores(self, model, pixels):
        found = legrad.relevance(model, pixels)
        assert found.dtype == torch.float32
        torch.testing.assert_close(legrad.legrad(model, pixels), legrad.min_max(found.sum(1)))
        expected = by_finite_differences(model, pixels[2])
        torch.testing.assert_close(found[2].flatten(2).double(), expected, rtol=1e-4, atol=1e-6)

    def test_prompts_are_further_classes_of_a_head_without_bias(self, model, pixels):
        texts = torch.nn.functional.normalize(torch.randn(2, head_of(model).in_features), dim=1)
        found = legrad.relevance(model, pixels, texts)
        torch.testing.assert_close(found[:, :, : len(CLASSES)], legrad.relevance(model, pixels))
        other = copy.deepcopy(model)
        head = head_of(other)
        with torch.no_grad():
            head.weight[:2], head.bias[:] = texts, 0
        torch.testing.assert_close(found[:, :, len(CLASSES) :], legrad.relevance(other, pixels)[:, :, :2])

    def test_frozen_weights_any_mode_and_no_trace_left(self, model, pixels):
        expected = legrad.legrad(model, pixels)
        frozen = copy.deepcopy(model).requires_grad_(False).train()
        implementation = frozen.config._attn_implementation
        with torch.inference_mode():
            torch.testing.assert_close(legrad.legrad(frozen, pixels.clone()), expected)
        assert frozen.training
        assert frozen.config._attn_implementation == implementation == "sdpa"
        assert not pixels.requires_grad
        assert all(p.grad is None for p in model.parameters())

    def test_a_head_that_pools_otherwise_stops_the_run(self, model, pixels, monkeypatch):
        own = legrad.anatomy(model)
        wrong = own._replace(read=lambda tokens: own.read(tokens[:, 1:]))
        monkeypatch.setattr("har.studies.explain.legrad.anatomy", lambda model: wrong)
        with pytest.raises(HarError, match="not the model's own logits"):
            legrad.legrad(model, pixels)

    def test_another_architecture_is_told(self):
        from transformers import ResNetConfig, ResNetForImageClassification

        small = ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic")
        with pytest.raises(HarError, match="cannot look into a resnet classifier"):
            legrad.legrad(ResNetForImageClassification(small), torch.zeros(1, 3, 32, 32))


class TestRollout:
    def test_equals_the_product_of_mixed_attentions(self, model, pixels):
        found, other, prefix = legrad.rollout(model, pixels), eager(model), class_tokens(model)
        with torch.no_grad():
            out = other(pixel_values=pixels.double(), output_attentions=True, output_hidden_states=True)
        chain = torch.eye(16 + prefix, dtype=torch.double)
        for attention in out.attentions:
            chain = (attention.mean(1) / 2 + torch.eye(16 + prefix) / 2) @ chain
        assert chain.sum(-1).numpy() == pytest.approx(1)
        kind = model.config.model_type
        if kind == "siglip_vision_model":
            tower = other.vision_model
            tokens = tower.post_layernorm(out.hidden_states[-1])
            shares = tower.head.attention(tower.head.probe.expand(4, -1, -1), tokens, tokens)[1]
            rows = (shares @ chain)[:, 0]
        else:
            rows = chain[:, 0] if kind in ("vit", "clip_vision_model") else chain[:, prefix:].mean(1)
        expected = legrad.min_max(rows[:, prefix:].reshape(4, 4, 4))
        np.testing.assert_allclose(found, expected.detach(), atol=1e-4)


class TestRivals:
    def test_random_maps_depend_on_seed_and_image_alone(self):
        maps = legrad.random_maps([7, 10**9], 4, 0)
        np.testing.assert_array_equal(legrad.random_maps([10**9], 4, 0), maps[1:])
        for other in (maps[0], legrad.random_maps([10**9], 4, 1)):
            assert (other != maps[1]).any()

    def test_the_centre_map_falls_by_standard_deviations(self):
        outer = np.exp(-((0.4 / legrad.CENTRE_WIDTH) ** 2) / 2)
        found = legrad.centre_map(5)[[2, 2, 0, 0], [2, 4, 2, 0]]
        np.testing.assert_allclose(found, [1, outer, outer, outer**2], rtol=1e-6)


def test_each_map_is_stretched_from_0_to_1_and_a_constant_one_becomes_zero_also_with_rounding():
    assert legrad.min_max(torch.tensor([[-1.0, 0.0], [2.0, 3.0]])).tolist() == [[0, 0.25], [0.75, 1]]
    for value in (0.0, 0.3, -7.0):
        flat = torch.full((2, 3, 3), value)
        flat[1, 0, 0] *= 1 + 1e-7
        assert (legrad.min_max(flat) == 0).all()
