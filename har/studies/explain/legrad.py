"""Relevance maps, one value for each patch of the image as the network sees it.

LeGrad (Bousselham et al. 2024, arXiv 2404.03214) and attention rollout (Abnar & Zuidema 2020) of transformers'
`*ForImageClassification`, and two maps that know nothing of the image, which a method has to beat.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from har.core.errors import HarError

if TYPE_CHECKING:
    from torch import Tensor, nn  # torch takes seconds to load: in the functions that need it

METHODS = {
    "legrad": "LeGrad",
    "rollout": "Attention rollout",
    "random": "Random map",
    "centre": "Centre bias",
}
CENTRE_WIDTH = 0.25  # standard deviation of the centre bias, a share of each side: most people are within it


class Anatomy(NamedTuple):
    """How a classifier turns the tokens after its last block into what its linear head takes: the mean over
    `queries` of the normalised tokens. `prefix`: tokens before the first patch."""

    norm: "Callable[[Tensor], Tensor]"
    queries: slice
    prefix: int

    def pool(self, tokens: "Tensor") -> "Tensor":
        """[n, tokens, width] to [n, width]"""
        return self.norm(tokens)[:, self.queries].mean(1)


def anatomy(model: "nn.Module") -> Anatomy:
    """As transformers' classes pool. Raises HarError for another architecture than ViT, CLIP and SigLIP."""
    match model.config.model_type:
        case "vit":
            return Anatomy(model.vit.layernorm, slice(0, 1), 1)
        case "clip":  # its final norm serves the unused pooled output alone, the head sees raw patch tokens
            return Anatomy(lambda tokens: tokens, slice(1, None), 1)
        case "siglip":
            return Anatomy(model.vision_model.post_layernorm, slice(None), 0)
    raise HarError(f"explain: cannot look into a {model.config.model_type} classifier, expected vit, clip or siglip")


def legrad(model: "nn.Module", pixels: "Tensor", blocks: int = 0, scaled: bool = True) -> "Tensor":
    """LeGrad maps of all classes, float32 [n, classes, side, side].

    pixels: normalised images [n, 3, size, size]. For each of the last `blocks` blocks (0: all, as the paper does)
    that block's tokens are pooled and scored as if it were the last; the gradient of a class's score with respect
    to that block's attention probabilities, its positive part, is averaged over heads and queries; blocks add up.
    scaled: each map from 0 to 1 (`min_max`), otherwise the sums themselves, never negative. Weights may be frozen
    and the model in any mode; it is left as it was. Raises HarError for an architecture without `anatomy`, more
    `blocks` than the model has, or patches that form no square.
    """
    import torch

    body = anatomy(model)
    with _attentive(model), torch.inference_mode(False), torch.enable_grad():
        x = pixels.detach().clone().requires_grad_()  # a graph even where all weights are frozen
        out = model(pixel_values=x, output_attentions=True, output_hidden_states=True)
        depth = len(out.attentions)
        if not 0 <= blocks <= depth:
            raise HarError(f"explain.blocks is {blocks}, this model has {depth} (0 uses all)")
        scores = model.classifier(body.pool(out.hidden_states[depth]))
        if not torch.allclose(scores, out.logits, rtol=1e-3, atol=1e-4):
            raise HarError(
                "explain: the last block's scores are not the model's own logits, this version pools otherwise"
            )
        total = torch.zeros(())
        for block in range(depth - blocks if blocks else 0, depth):
            scores = model.classifier(body.pool(out.hidden_states[block + 1]))  # [n, classes]
            total = total.to(scores) + torch.stack([_relevance(s, out.attentions[block]) for s in scores.unbind(1)], 1)
    maps = _grid(total[..., body.prefix :].detach())
    return min_max(maps) if scaled else maps


def _relevance(scores: "Tensor", attention: "Tensor") -> "Tensor":
    """One class's scores [n] and a block's attention [n, heads, queries, keys] to the relevance of keys [n, keys]."""
    import torch

    (gradient,) = torch.autograd.grad(scores.sum(), attention, retain_graph=True)
    return gradient.relu().mean((1, 2))


def rollout(model: "nn.Module", pixels: "Tensor") -> "Tensor":
    """Attention rollout, the same for every class: float32 [n, side, side], each from 0 to 1.

    Each block passes on (attention averaged over heads + identity) / 2; their product says how much of each patch
    reaches the tokens that the head pools (Abnar & Zuidema 2020, §3). No gradient.
    """
    import torch

    body = anatomy(model)
    with _attentive(model), torch.no_grad():
        attentions = model(pixel_values=pixels, output_attentions=True).attentions
        passed = torch.eye(attentions[0].shape[-1], device=pixels.device)
        for attention in attentions:
            mixed = (attention.mean(1) + torch.eye(attention.shape[-1], device=pixels.device)) / 2
            passed = mixed @ passed  # [n, tokens, tokens]
        return min_max(_grid(passed[:, body.queries].mean(1)[:, body.prefix :]))


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


def min_max(maps: "Tensor") -> "Tensor":
    """Each map [..., side, side] stretched from 0 to 1; a constant one, but for rounding, becomes 0 everywhere."""
    import torch

    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    spread = high - low
    varies = spread > 1e-6 * torch.maximum(high.abs(), low.abs())
    return torch.where(varies, (maps - low) / torch.where(varies, spread, torch.ones_like(spread)), 0.0)


def _grid(values: "Tensor") -> "Tensor":
    """[..., patches] to [..., side, side], in float32"""
    side = round(values.shape[-1] ** 0.5)
    if side * side != values.shape[-1]:
        raise HarError(f"explain: {values.shape[-1]} patches form no square")
    return values.float().reshape(*values.shape[:-1], side, side)


@contextmanager
def _attentive(model: "nn.Module") -> Iterator[None]:
    """Evaluation mode and eager attention, the only one that tells its probabilities, until the block ends."""
    training, implementation = model.training, model.config._attn_implementation
    model.eval()
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(implementation)
        model.train(training)
