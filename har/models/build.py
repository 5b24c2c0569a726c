"""All trainable models: `build(config, classes, ...) -> (model, preprocess)`.

The pair comes from one call, so a model never meets another model's preprocessing.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from har.config.models import Model
from har.models import networks
from har.models.preprocess import Preprocess, from_folder


def build(
    config: Model, classes: Sequence[str], backbone: Path | None = None, features: int = 0
) -> tuple[nn.Module, Preprocess | None]:
    """A freshly initialised model for `classes` and its preprocessing, None for one that reads embeddings.

    backbone: the folder of a pretrained checkpoint, for one that is fine-tuned. features: the input width of one that
    reads embeddings; the first layer of such a one standardises (networks.mlp). Draws initial weights from torch's
    global generator.
    """
    if config.kind == "mlp":
        return networks.mlp(config, features, len(classes)), None
    if config.kind == "finetune":
        from har.models import classifier, encoder  # transformers costs seconds: only where it is used

        model = classifier.classifier(backbone, classes, config.pool, config.pretrained)
        preprocess = from_folder(backbone)
        encoder.require_fit(backbone, model, preprocess, model)
        return model, preprocess
    network = {"cnn": networks.cnn, "dense": networks.dense}[config.kind]
    return network(config, len(classes)), Preprocess(size=config.input_size, fit=config.fit)


def logits(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """[n, classes], from a plain network or a transformers classifier."""
    out = model(x)
    return out if isinstance(out, torch.Tensor) else out.logits


def parameter_count(model: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
