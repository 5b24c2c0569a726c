"""Builders of all trainable models: `build(config, classes, ...) -> (model, preprocess)`.

The pair comes from one call, so a model never meets another model's preprocessing.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from har.config.models import Model
from har.models import networks
from har.models.preprocess import Preprocess, from_folder

Built = tuple[nn.Module, Preprocess | None]


def _on_pixels(network: Callable[[Model, int], nn.Module]) -> Callable[..., Built]:
    def built(config: Model, classes: Sequence[str], **_) -> Built:
        return network(config, len(classes)), Preprocess(size=config.input_size, fit=config.fit)

    return built


def _mlp(config: Model, classes: Sequence[str], *, features: int, **_) -> Built:
    return networks.mlp(config, features, len(classes)), None


def _finetune(config: Model, classes: Sequence[str], *, backbone: Path, **_) -> Built:
    from har.models import classifier, encoder  # transformers costs seconds: only where it is used

    model, preprocess = classifier.classifier(backbone, classes, config.pool, config.pretrained), from_folder(backbone)
    encoder.require_fit(backbone, model, preprocess, model)
    return model, preprocess


# `kind` of a model in params.yaml to what builds it: (config, classes, *, backbone, features) to the network and its
# preprocessing, None for one that reads embeddings. The first layer of such a one standardises (networks.mlp).
ARCHITECTURES: dict[str, Callable[..., Built]] = {
    "cnn": _on_pixels(networks.cnn),
    "dense": _on_pixels(networks.dense),
    "mlp": _mlp,
    "finetune": _finetune,
}


def build(config: Model, classes: Sequence[str], backbone: Path | None = None, features: int = 0) -> Built:
    """A freshly initialised model for `classes` and its preprocessing.

    backbone: the folder of a pretrained checkpoint, for one that is fine-tuned. features: the input width of one that
    reads embeddings. Draws initial weights from torch's global generator.
    """
    return ARCHITECTURES[config.kind](config, classes, backbone=backbone, features=features)


def logits(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """[n, classes], from a plain network or a transformers classifier."""
    out = model(x)
    return out if isinstance(out, torch.Tensor) else out.logits


def parameter_count(model: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
