"""What a model of params.yaml learns from: images as its preprocessing wants them, or frozen features."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from har.config.models import Model
from har.data.store import Store
from har.training import embeddings, experiment
from stages.lib.context import Context


class Given(NamedTuple):
    """x in the order of the images, uint8 [n, 3, size, size] or float32 [n, width]; the folder of the checkpoint to
    fine-tune, None for other models; the classes' text embeddings times the temperature, where the head starts from
    these."""

    x: np.ndarray
    backbone: Path | None
    texts: np.ndarray | None


def inputs(context: Context, config: Model, images: pd.DataFrame, classes: Sequence[str]) -> Given:
    """What `config` is given of `images` (image_id)."""
    if not config.sees_images:
        found = embeddings.read(context.data / "embeddings" / config.backbone)
        return Given(found.rows(images.image_id, config.features, classes), None, None)
    store, backbone, texts = Store(context.data / "store"), None, None
    if config.fine_tuned:
        backbone = context.data / "backbones" / config.backbone
        if config.of_texts:
            embedded = embeddings.read(context.data / "embeddings" / config.backbone)
            texts = embedded.logit_scale * embedded.text_rows(classes)
    return Given(experiment.images(config, store, images.image_id, backbone), backbone, texts)
