"""Relevance maps, one value for each patch of the image as the network sees it.

LeGrad (Bousselham et al. 2024, arXiv 2404.03214) and attention rollout (Abnar & Zuidema 2020) of transformers'
`*ForImageClassification`, and two maps that know nothing of the image, which a method has to beat.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from har.core.errors import HarError
from har.models.classifier import head_of

METHODS = {"legrad": "LeGrad", "rollout": "Attention rollout", "random": "Random map", "centre": "Centre bias"}
CENTRE_WIDTH = 0.25  # standard deviation of the centre bias, a share of each side: most people are within it


class Anatomy(NamedTuple):
    """How a classifier turns the tokens after its last block into what its linear head takes.

    read: tokens [n, tokens, width] to that, [n, features], and the share of each token in it, [n, heads, 1, tokens].
    attends: whether these shares are the attention of a pooling head, which the features follow from. prefix: tokens
    before the first patch.
    """

    read: Callable[[Tensor], tuple[Tensor, Tensor]]
    attends: bool
    prefix: int


def anatomy(model: nn.Module) -> Anatomy:
    """As transformers' classes and EmbeddingClassifier pool. Raises HarError for another architecture than ViT, CLIP
    and SigLIP."""

    def mean(queries: slice, then: Callable[[Tensor], Tensor], prefix: int) -> Anatomy:
        def read(tokens: Tensor) -> tuple[Tensor, Tensor]:
            shares = tokens.new_zeros(len(tokens), 1, 1, tokens.shape[1])
            shares[..., queries] = 1
            return then(tokens)[:, queries].mean(1), shares / shares.sum(-1, keepdim=True)

        return Anatomy(read, False, prefix)

    tower, kind = getattr(model, "vision_model", None), model.config.model_type
    if kind == "vit":
        return mean(slice(0, 1), model.vit.layernorm, 1)
    if kind == "clip_vision_model":
        return mean(slice(0, 1), lambda tokens: model.unit(tower.post_layernorm(tokens)), 1)
    if kind == "clip":  # its final norm serves the unused pooled output alone, the head sees raw patch tokens
        return mean(slice(1, None), lambda tokens: tokens, 1)
    if kind == "siglip":
        return mean(slice(None), tower.post_layernorm, 0)
    if kind == "siglip_vision_model":

        def attend(tokens: Tensor) -> tuple[Tensor, Tensor]:
            pooled, shares = _attended(tower.head, tower.post_layernorm(tokens))
            return model.unit(pooled), shares

        return Anatomy(attend, True, 0)
    raise HarError(f"explain: cannot look into a {kind} classifier, expected vit, clip or siglip")


def _attended(head: nn.Module, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """What SigLIP's pooling head makes of tokens, [n, width], and its attention [n, heads, 1, tokens], which torch's
    own class gives outside of the graph."""
    of = head.attention
    sources = (head.probe.expand(len(tokens), -1, -1), tokens, tokens)
    query, key, value = (
        linear(source, *weights).unflatten(-1, (of.num_heads, -1)).transpose(1, 2)  # [n, heads, tokens, width / heads]
        for source, *weights in zip(sources, of.in_proj_weight.chunk(3), of.in_proj_bias.chunk(3), strict=True)
    )
    shares = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)
    pooled = of.out_proj((shares @ value).transpose(1, 2).flatten(2))
    return (pooled + head.mlp(head.layernorm(pooled)))[:, 0], shares


def legrad(model: nn.Module, pixels: Tensor) -> Tensor:
    """LeGrad maps of all classes by the model's own head and all blocks, as the paper has it: float32
    [n, classes, side, side], each from 0 to 1."""
    return min_max(relevance(model, pixels).sum(1))


def relevance(model: nn.Module, pixels: Tensor, texts: Tensor | None = None) -> Tensor:
    """What each block adds to LeGrad's maps, float32 [n, blocks, classes, side, side], never negative.

    pixels: normalised images [n, 3, size, size]. A block's tokens are pooled and scored as if it were the last; the
    gradient of a class's score with respect to that block's attention probabilities, its positive part, is averaged
    over heads and queries. Where a head of attention pools (SigLIP's embedding) it is that head's attention to the
    block's tokens. texts: unit vectors [classes, width] of prompts; the similarities with them are further classes,
    after those of the model's own head. Weights may be frozen and the model in any mode; it is left as it was. Raises
    HarError for an architecture without `anatomy`, or patches that form no square.
    """
    body, head = anatomy(model), head_of(model)
    with _attentive(model), torch.inference_mode(False), torch.enable_grad():
        x = pixels.detach().clone().requires_grad_()  # a graph even where all weights are frozen
        out = model(pixel_values=x, output_attentions=True, output_hidden_states=True)
        scores = head(body.read(out.hidden_states[-1])[0])
        if not torch.allclose(scores, out.logits, rtol=1e-3, atol=1e-4):
            raise HarError(
                "explain: the last block's scores are not the model's own logits, this version pools otherwise"
            )
        blocks = []
        for tokens, attention in zip(out.hidden_states[1:], out.attentions, strict=True):
            features, shares = body.read(tokens)
            scores = [head(features), *(features @ text[:, None] for text in (() if texts is None else texts))]
            attention = shares if body.attends else attention
            maps = []
            for score in torch.cat(scores, 1).unbind(1):  # of one class, [n]
                (gradient,) = torch.autograd.grad(score.sum(), attention, retain_graph=True)
                maps.append(gradient.relu().mean((1, 2)))  # [n, keys]
            blocks.append(torch.stack(maps, 1))
    return _grid(torch.stack(blocks, 1)[..., body.prefix :].detach())


def rollout(model: nn.Module, pixels: Tensor) -> Tensor:
    """Attention rollout, the same for every class: float32 [n, side, side], each from 0 to 1.

    Each block passes on (attention averaged over heads + identity) / 2; their product says how much of each patch
    reaches the tokens that the head pools (Abnar & Zuidema 2020, §3). No gradient.
    """
    body = anatomy(model)
    with _attentive(model), torch.no_grad():
        out = model(pixel_values=pixels, output_attentions=True, output_hidden_states=True)
        passed = torch.eye(out.attentions[0].shape[-1], device=pixels.device)
        for attention in out.attentions:
            mixed = (attention.mean(1) + torch.eye(attention.shape[-1], device=pixels.device)) / 2
            passed = mixed @ passed  # [n, tokens, tokens]
        _, shares = body.read(out.hidden_states[-1])
        return min_max(_grid((shares.mean(1) @ passed)[:, 0, body.prefix :]))


def random_maps(image_ids: Sequence[int], side: int, seed: int = 0) -> np.ndarray:
    """Uniform noise, float32 [n, side, side]: an image's map depends on `seed` and its id, not on its company."""
    draws = [np.random.default_rng([seed, int(i)]).random((side, side), np.float32) for i in image_ids]
    return np.array(draws, np.float32).reshape(-1, side, side)


def centre_map(side: int) -> np.ndarray:
    """A Gaussian at the centre of what the network sees, float32 [side, side] (Judd et al. 2012: photographers
    centre what they show, and a map that knows only this is hard to beat)."""
    at = (np.arange(side) + 0.5) / side - 0.5
    bell = np.exp(-(at**2) / (2 * CENTRE_WIDTH**2))
    return np.outer(bell, bell).astype(np.float32)


def min_max(maps: Tensor) -> Tensor:
    """Each map [..., side, side] stretched from 0 to 1; a constant one, but for rounding, becomes 0 everywhere."""
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    spread = high - low
    varies = spread > 1e-6 * torch.maximum(high.abs(), low.abs())
    return torch.where(varies, (maps - low) / torch.where(varies, spread, torch.ones_like(spread)), 0.0)


def _grid(values: Tensor) -> Tensor:
    """[..., patches] to [..., side, side], in float32"""
    side = round(values.shape[-1] ** 0.5)
    if side * side != values.shape[-1]:
        raise HarError(f"explain: {values.shape[-1]} patches form no square")
    return values.float().reshape(*values.shape[:-1], side, side)


@contextmanager
def _attentive(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and eager attention, the only one that tells its probabilities, until the block ends."""
    training, implementation = model.training, model.config._attn_implementation
    model.eval()
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(implementation)
        model.train(training)
