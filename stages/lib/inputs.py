"""What a model of params.yaml learns from: images as its preprocessing wants them, or frozen features."""

from collections.abc import Sequence

import pandas as pd

from har.config.models import Model
from har.data.store import Store
from har.training import embeddings, experiment
from har.training.refit import Recipe
from stages.lib.context import Context


def inputs(context: Context, config: Model, images: pd.DataFrame, classes: Sequence[str]) -> Recipe:
    """What `config` is given of `images` (image_id), in their order."""
    if not config.sees_images:
        found = embeddings.read(context.data / "embeddings" / config.backbone)
        return Recipe(config, found.rows(images.image_id, config.features, classes))
    store, backbone, texts = Store(context.data / "store"), None, None
    if config.fine_tuned:
        backbone = context.data / "backbones" / config.backbone
        if config.of_texts:
            embedded = embeddings.read(context.data / "embeddings" / config.backbone)
            texts = embedded.logit_scale * embedded.text_rows(classes)
    return Recipe(config, experiment.images(config, store, images.image_id, backbone), backbone, texts=texts)
