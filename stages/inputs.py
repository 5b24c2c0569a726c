"""What a model of params.yaml learns from: images as its preprocessing wants them, or frozen features."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from har import embeddings, experiment
from har.params.schema import Model
from har.store import Store
from stages.context import Context


def inputs(
    context: Context, config: Model, images: pd.DataFrame, classes: Sequence[str]
) -> tuple[np.ndarray, Path | None]:
    """x in the order of `images` (image_id), uint8 [n, 3, size, size] or float32 [n, width], and the folder of the
    checkpoint to fine-tune, None for other models."""
    if config.kind == "mlp":
        found = embeddings.read(context.data / "embeddings" / config.backbone)
        return found.rows(images.image_id, config.features, classes), None
    backbone = context.data / "backbones" / config.backbone if config.kind == "finetune" else None
    return experiment.images(config, Store(context.data / "store"), images.image_id, backbone), backbone
