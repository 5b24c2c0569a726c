"""Relevance maps: LeGrad against torch-cam and against finite differences, rollout, and the laws they keep."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from conftest import CLASSES
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

from har.core.errors import HarError
from har.models.classifier import classifier, head_of
from har.studies.explain.legrad import (
    CENTRE_WIDTH,
    anatomy,
    centre_map,
    legrad,
    min_max,
    random_maps,
    relevance,
    rollout,
)

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


def parts(model) -> dict:
    """A classifier's weights under one set of names, in float64: a second reading of the three architectures."""
    w = {name: value.double() for name, value in model.state_dict().items()}
    kind = model.config.model_type
    if kind == "vit":
        body, patch = "vit.layers", "vit.embeddings.patch_embeddings.projection"
        names = ("attention.", "layernorm_before", "layernorm_after", "o_proj")
        class_token, position = w["vit.embeddings.cls_token"], w["vit.embeddings.position_embeddings"]
        before, after = None, "vit.layernorm"
    else:
        body, patch = "vision_model.encoder.layers", "vision_model.embeddings.patch_embedding"
        names = ("self_attn.", "layer_norm1", "layer_norm2", "out_proj")
        clip = kind.startswith("clip")
        class_token = w["vision_model.embeddings.class_embedding"].view(1, 1, -1) if clip else None
        position = w["vision_model.embeddings.position_embedding.weight"][None]
        before = "vision_model.pre_layrnorm" if clip else None
        after = None if kind == "clip" else "vision_model.post_layernorm"
    config = getattr(model.config, "vision_config", model.config)

    def linear(name):
        return w[f"{name}.weight"], w.get(f"{name}.bias")

    blocks = []
    for i in range(config.num_hidden_layers):
        at, norm1, norm2, out = names
        root = f"{body}.{i}."
        blocks.append(
            {
                "q": linear(f"{root}{at}q_proj"), "k": linear(f"{root}{at}k_proj"), "v": linear(f"{root}{at}v_proj"),
                "out": linear(root + at + out), "norm1": linear(root + norm1), "norm2": linear(root + norm2),
                "fc1": linear(f"{root}mlp.fc1"), "fc2": linear(f"{root}mlp.fc2"),
            }
        )  # fmt: skip
    return {
        "patch": linear(patch), "stride": config.patch_size, "class_token": class_token, "position": position,
        "before": before and linear(before), "after": after and linear(after), "blocks": blocks,
        "head": linear("classifier" if "classifier.weight" in w else "head"), "weights": w,
        "heads": config.num_attention_heads, "eps": config.layer_norm_eps,
        "kind": kind,
    }  # fmt: skip


def norm(x, weights, eps):
    return x if weights is None else F.layer_norm(x, x.shape[-1:], *weights, eps)


def embedded(p, x):
    tokens = F.conv2d(x, *p["patch"], stride=p["stride"]).flatten(2).transpose(1, 2)
    if p["class_token"] is not None:
        tokens = torch.cat([p["class_token"].expand(len(tokens), -1, -1), tokens], 1)
    return norm(tokens + p["position"], p["before"], p["eps"])


def split_heads(p, x, weights):
    return F.linear(x, *weights).unflatten(-1, (p["heads"], -1)).transpose(1, 2)  # [n, heads, tokens, width / heads]


def attention_of(p, block, tokens):
    x = norm(tokens, block["norm1"], p["eps"])
    q, k = split_heads(p, x, block["q"]), split_heads(p, x, block["k"])
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)


def after_block(p, block, tokens, attention):
    """The block's output with these attention probabilities, whatever they are."""
    v = split_heads(p, norm(tokens, block["norm1"], p["eps"]), block["v"])
    tokens = tokens + F.linear((attention @ v).transpose(1, 2).flatten(2), *block["out"])
    hidden = F.gelu(F.linear(norm(tokens, block["norm2"], p["eps"]), *block["fc1"]))
    return tokens + F.linear(hidden, *block["fc2"])


def scored(p, tokens, shares=None):
    """A block's scores; shares: the attention of SigLIP's pooling head, whatever it is."""
    tokens, w = norm(tokens, p["after"], p["eps"]), p["weights"]
    pooled = {
        "vit": lambda: tokens[:, 0],
        "clip": lambda: tokens[:, 1:].mean(1),
        "clip_vision_model": lambda: F.normalize(F.linear(tokens[:, 0], w["visual_projection.weight"]), dim=-1),
        "siglip": lambda: tokens.mean(1),
        "siglip_vision_model": lambda: F.normalize(pooled_by_attention(p, tokens, shares), dim=-1),
    }
    return F.linear(pooled[p["kind"]](), *p["head"])


def pooling_head(p):
    """Its weights by their own names, and those of query, key and value."""
    root = "vision_model.head."
    w = {name.removeprefix(root): value for name, value in p["weights"].items() if name.startswith(root)}
    return w, list(zip(w["attention.in_proj_weight"].chunk(3), w["attention.in_proj_bias"].chunk(3), strict=True))


def pooling_attention(p, tokens):
    w, (query, key, _) = pooling_head(p)
    tokens = norm(tokens, p["after"], p["eps"])
    q, k = split_heads(p, w["probe"], query), split_heads(p, tokens, key)
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)  # [n, heads, 1, tokens]


def pooled_by_attention(p, tokens, shares=None):
    """As torch's own class attends, or with `shares`; tokens after the final norm."""
    w, (_, _, value) = pooling_head(p)
    out = w["attention.out_proj.weight"], w["attention.out_proj.bias"]
    if shares is None:
        own = nn.MultiheadAttention(w["probe"].shape[-1], p["heads"], batch_first=True).double().eval()
        own.load_state_dict({n.removeprefix("attention."): v for n, v in w.items() if n.startswith("attention.")})
        x = own(w["probe"].expand(len(tokens), -1, -1), tokens, tokens)[0][:, 0]
    else:
        x = F.linear((shares @ split_heads(p, tokens, value)).transpose(1, 2).flatten(2), *out)[:, 0]
    hidden = F.layer_norm(x, x.shape[-1:], w["layernorm.weight"], w["layernorm.bias"], p["eps"])
    hidden = F.gelu(F.linear(hidden, w["mlp.fc1.weight"], w["mlp.fc1.bias"]))
    return x + F.linear(hidden, w["mlp.fc2.weight"], w["mlp.fc2.bias"])


def by_finite_differences(model, image, step=1e-5):
    """What each block adds to LeGrad of one image [3, size, size], from nothing but block outputs at perturbed
    attention: [blocks, classes, side²]."""
    p = parts(model)
    tokens, found = embedded(p, image[None].double()), []
    for block in p["blocks"]:
        attention = attention_of(p, block, tokens)
        after = after_block(p, block, tokens, attention)
        pooling = p["kind"] == "siglip_vision_model"
        nudged = pooling_attention(p, after) if pooling else attention
        size = nudged.numel()
        nudge = torch.eye(size, dtype=torch.double).reshape(size, *nudged.shape[1:]) * step
        up, down = (
            scored(p, after.expand(size, -1, -1), nudged + s * nudge)
            if pooling
            else scored(p, after_block(p, block, tokens, attention + s * nudge))
            for s in (1, -1)
        )
        slope = ((up - down) / (2 * step)).T.reshape(len(CLASSES), *nudged.shape[1:])
        found.append(slope.clamp(min=0).mean((1, 2)))
        tokens = after
    return torch.stack(found)[..., int(p["class_token"] is not None) :]


def torchvision_vit(p):
    """torchvision's own ViT with these weights, in float64."""
    first = p["blocks"][0]
    side = round((p["position"].shape[1] - 1) ** 0.5) * p["stride"]
    model = VisionTransformer(
        side, p["stride"], len(p["blocks"]), p["heads"], hidden_dim=p["position"].shape[2],
        mlp_dim=len(first["fc1"][0]), num_classes=len(p["head"][0]), norm_layer=partial(nn.LayerNorm, eps=p["eps"]),
    ).double().eval()  # fmt: skip

    def put(layer, weights):
        layer.weight.copy_(weights[0])
        layer.bias.copy_(weights[1])

    with torch.no_grad():
        put(model.conv_proj, p["patch"])
        model.class_token.copy_(p["class_token"])
        model.encoder.pos_embedding.copy_(p["position"])
        put(model.encoder.ln, p["after"])
        put(model.heads.head, p["head"])
        for layer, block in zip(model.encoder.layers, p["blocks"], strict=True):
            for own, name in ((layer.ln_1, "norm1"), (layer.ln_2, "norm2"), (layer.mlp[0], "fc1")):
                put(own, block[name])
            put(layer.mlp[3], block["fc2"])
            put(layer.self_attention.out_proj, block["out"])
            for place, values in enumerate(zip(block["q"], block["k"], block["v"], strict=True)):
                (layer.self_attention.in_proj_weight, layer.self_attention.in_proj_bias)[place].copy_(torch.cat(values))
    return model


class TestLeGrad:
    def test_equals_finite_differences_of_the_block_scores(self, model, pixels):
        found = relevance(model, pixels)
        assert found.dtype == torch.float32
        torch.testing.assert_close(legrad(model, pixels), min_max(found.sum(1)))
        for place in (0, 2):
            expected = by_finite_differences(model, pixels[place])
            torch.testing.assert_close(found[place].flatten(2).double(), expected, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("model", ["vit"], indirect=True)
    def test_equals_torch_cam_on_torchvision_s_vit(self, model, pixels):
        cams = pytest.importorskip("torchcam.methods", reason="torch-cam is a development dependency")
        other = torchvision_vit(parts(model))
        torch.testing.assert_close(other(pixels.double()).float(), model(pixels).logits, rtol=1e-4, atol=1e-4)
        found = legrad(model, pixels)
        project = lambda tokens: other.heads(other.encoder.ln(tokens)[:, 0])  # noqa: E731
        with cams.LeGrad(other, list(other.encoder.layers), score_projection=project) as extract:
            for label in range(len(CLASSES)):
                expected = extract(label, other(pixels.double()))[0].float()
                torch.testing.assert_close(found[:, label], expected, rtol=1e-4, atol=1e-4)

    def test_prompts_are_further_classes_of_a_head_without_bias(self, model, pixels):
        texts = torch.nn.functional.normalize(torch.randn(2, head_of(model).in_features), dim=1)
        found = relevance(model, pixels, texts)
        torch.testing.assert_close(found[:, :, : len(CLASSES)], relevance(model, pixels))
        other = copy.deepcopy(model)
        head = head_of(other)
        with torch.no_grad():
            head.weight[:2], head.bias[:] = texts, 0
        torch.testing.assert_close(found[:, :, len(CLASSES) :], relevance(other, pixels)[:, :, :2])

    def test_frozen_weights_any_mode_and_no_trace_left(self, model, pixels):
        expected = legrad(model, pixels)
        frozen = copy.deepcopy(model).requires_grad_(False).train()
        implementation = frozen.config._attn_implementation
        with torch.inference_mode():
            torch.testing.assert_close(legrad(frozen, pixels.clone()), expected)
        assert frozen.training
        assert frozen.config._attn_implementation == implementation == "sdpa"
        assert not pixels.requires_grad
        assert all(p.grad is None for p in model.parameters())

    def test_a_head_that_pools_otherwise_stops_the_run(self, model, pixels, monkeypatch):
        own = anatomy(model)
        wrong = own._replace(read=lambda tokens: own.read(tokens[:, 1:]))
        monkeypatch.setattr("har.studies.explain.legrad.anatomy", lambda model: wrong)
        with pytest.raises(HarError, match="not the model's own logits"):
            legrad(model, pixels)

    def test_another_architecture_is_told(self):
        from transformers import ResNetConfig, ResNetForImageClassification

        small = ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic")
        with pytest.raises(HarError, match="cannot look into a resnet classifier"):
            legrad(ResNetForImageClassification(small), torch.zeros(1, 3, 32, 32))


class TestRollout:
    def test_equals_the_product_of_mixed_attentions(self, model, pixels):
        p = parts(model)
        found = rollout(model, pixels)
        assert found.shape == (4, 4, 4)
        for place in (0, 3):
            tokens, chain = embedded(p, pixels[place : place + 1].double()), None
            for block in p["blocks"]:
                attention = attention_of(p, block, tokens)
                step = 0.5 * attention[0].mean(0).numpy() + 0.5 * np.eye(attention.shape[-1])
                chain = step if chain is None else step @ chain
                tokens = after_block(p, block, tokens, attention)
            assert chain.sum(1) == pytest.approx(np.ones(len(chain)))
            first, patches = chain[0], chain[int(p["class_token"] is not None) :].mean(0)
            row = {"vit": first, "clip_vision_model": first, "clip": patches, "siglip": patches}.get(p["kind"])
            if row is None:
                row = pooling_attention(p, tokens)[0].mean(0)[0].numpy() @ chain
            row = row[p["class_token"] is not None :].reshape(4, 4)
            expected = (row - row.min()) / (row.max() - row.min())
            np.testing.assert_allclose(found[place], expected, atol=1e-4)

    def test_needs_no_gradient_and_leaves_none(self, model, pixels):
        with torch.inference_mode():
            assert not rollout(model, pixels).requires_grad


class TestReferences:
    @given(st.lists(st.integers(1, 10**9), min_size=1, max_size=5, unique=True), st.integers(1, 8), st.integers(0, 9))
    def test_random_maps_depend_on_seed_and_image_alone(self, ids, side, seed):
        maps = random_maps(ids, side, seed)
        assert maps.shape == (len(ids), side, side)
        assert ((maps >= 0) & (maps < 1)).all()
        np.testing.assert_array_equal(random_maps(ids[::-1], side, seed)[::-1], maps)
        assert (random_maps(ids, side, seed + 1) != maps).any()

    def test_the_centre_map_is_the_gaussian_it_says(self):
        at = (np.arange(5) + 0.5) / 5 - 0.5
        expected = np.exp(-(at[:, None] ** 2 + at**2) / (2 * CENTRE_WIDTH**2))
        np.testing.assert_allclose(centre_map(5), expected, rtol=1e-6)


class TestMinMax:
    @given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=4, max_size=4))
    def test_lies_between_0_and_1_and_keeps_the_order(self, values):
        raw = torch.tensor(values).view(1, 2, 2)
        found = min_max(raw)
        assert ((found >= 0) & (found <= 1)).all()
        assert torch.isfinite(found).all()
        assert found.max().item() in (0.0, 1.0)
        order = raw.flatten().argsort(stable=True)
        assert (found.flatten()[order].diff() >= 0).all()

    @pytest.mark.parametrize("value", [0.0, 0.3, -7.0])
    def test_a_constant_map_becomes_zero_also_with_rounding(self, value):
        flat = torch.full((2, 3, 3), value)
        flat[1, 0, 0] *= 1 + 1e-7
        assert (min_max(flat) == 0).all()
