"""A linear head that starts as CLIP's zero-shot classifier (Radford et al. 2021, §3.1.4)."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from har.core.errors import HarError
from har.core.readers import TOKENIZER, read_json
from har.models.checks import opening
from har.models.hub_files import check_model

PROJECTION, SCALE = "visual_projection.weight", "logit_scale"


def text_head(model: nn.Module, features: torch.Tensor, texts: np.ndarray, folder: Path) -> None:
    """Set the head of `model`, a CLIP classifier from `folder`, to the classes' unit text embeddings `texts`
    [classes, projection]; features: what the head sees of the training images [n, width].

    CLIP scores an image by s T z / |z| with z = P LN(x), x its class token before the last norm, P the visual
    projection, s the temperature. Two things keep a linear head from being that: CLIPForImageClassification gives it
    the mean patch token, and applies neither norm. So x is taken for the mean patch token (never trained to lie
    where the texts do: the approximation that costs most); the two norms' divisors, one an image, become their means
    over the training images; and each class's mean logit over these images becomes 0, which takes away the constant
    offset between the two tokens (and, where classes are not about balanced, what the texts say of their shares).
    No label is used. With gamma the norm's gains and C what subtracts the mean over channels:

        W = s T P diag(gamma) C / (mean |z| mean std),    b = -W mean(x)

    Raises HarError for a checkpoint that is no CLIP with text.
    """
    norm = getattr(model.vision_model, "post_layernorm", None) if hasattr(model, "vision_model") else None
    projection, scale = _tensor(folder, PROJECTION), _tensor(folder, SCALE)
    if norm is None or projection is None or scale is None:
        raise HarError(f"{folder}: head text needs a CLIP with its projection, this model has no {PROJECTION}")
    if projection.shape != (texts.shape[1], features.shape[1]):
        raise HarError(
            f"{folder}: {PROJECTION} has shape {tuple(projection.shape)}, the texts' embeddings {texts.shape[1]} "
            f"columns and the head {features.shape[1]} inputs"
        )
    with torch.no_grad():
        x = features.double()
        gain, shift = norm.weight.detach().double().cpu(), norm.bias.detach().double().cpu()
        centred = x - x.mean(1, keepdim=True)
        deviation = (centred.square().mean(1) + norm.eps).sqrt()  # [n]
        z = (centred / deviation.unsqueeze(1) * gain + shift) @ projection.double().T  # [n, projection]
        weight = torch.as_tensor(texts).double() @ projection.double() * gain  # [classes, width]
        weight = weight - weight.mean(1, keepdim=True)  # C on the right: a constant added to x changes nothing
        weight = scale.double().exp() * weight / (z.norm(dim=1).mean() * deviation.mean())
        head = model.classifier
        head.weight.copy_(weight)
        head.bias.copy_(-weight @ x.mean(0))


def _tensor(folder: Path, name: str) -> torch.Tensor | None:
    """One tensor of a checkpoint, None where it has none of that name."""
    from safetensors import safe_open

    index, file = Path(folder) / "model.safetensors.index.json", "model.safetensors"
    check_model(Path(folder))
    with opening(folder, f"a checkpoint with {name}"):
        if index.exists():
            file = read_json(index, "the shards of a model", most=TOKENIZER)["weight_map"].get(name, "")
        path = Path(folder) / Path(file).name  # a name from the index never leaves the folder
        if not path.is_file():
            return None
        with safe_open(path, "pt") as weights:
            return weights.get_tensor(name) if name in weights.keys() else None
