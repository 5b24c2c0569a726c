"""Builders of all trainable models: `build(config, classes, ...) -> (model, preprocess)`.

The pair comes from one call, so a model never meets another model's preprocessing.
"""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from har.models import pretrained, scratch
from har.models.preprocess import Preprocess
from har.params.schema import Model


def build(
    config: Model, classes: Sequence[str], backbone: Path | None = None, features: int = 0
) -> tuple[nn.Module, Preprocess | None]:
    """A freshly initialised model for `classes` and its preprocessing.

    backbone: the folder of a pretrained checkpoint, for kind "finetune". features: the input width of
    kind "mlp", which takes vectors and so has no preprocessing. Draws initial weights from torch's
    global generator.
    """
    match config.kind:
        case "cnn":
            model = scratch.cnn(config, len(classes))
        case "dense":
            model = scratch.dense(config, len(classes))
        case "mlp":
            return scratch.mlp(config, features, len(classes)), None
        case "finetune":
            return pretrained.classifier(backbone, classes), pretrained.preprocess(backbone)
    return model, Preprocess(size=config.input_size, fit=config.fit)


def parameter_count(model: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
