"""What a model of params.yaml, a probe or the metadata model is fitted on, for stages that fit many times."""

from collections.abc import Sequence

import pandas as pd

from har import embeddings, experiment, probe
from har.coco.manifest import read_manifest
from har.errors import HarError
from har.refit import Recipe
from har.store import Store
from stages.context import Context


def recipes(
    context: Context, key: str, names: Sequence[str], images: pd.DataFrame, classes: Sequence[str]
) -> dict[str, Recipe]:
    """A recipe for each of `names`, its inputs in the order of `images` (image_id).

    key: the list of params.yaml that holds `names`, for the message of HarError where one needs an encoder that
    this run leaves out.
    """
    manifest, found = read_manifest(context.data / "manifest.csv"), {}
    for name in dict.fromkeys(names):
        config = context.profile.probe if probe.is_probe(name) else context.profile.models[name]
        encoder = probe.encoder_of(name) or getattr(config, "backbone", None)
        if encoder is not None and encoder not in context.params.run.encoders:
            raise HarError(
                f"{context.params.profile}.{key} names {name}, which needs {encoder}: "
                f"add {encoder} to run.encoders or take {name} out"
            )
        backbone = None
        if probe.is_probe(name):
            x = probe.features(name, context.data / "embeddings", manifest, images.image_id)
        elif config.kind == "mlp":
            read = embeddings.read(context.data / "embeddings" / encoder)
            x = read.rows(images.image_id, config.features, classes)
        else:
            backbone = context.data / "backbones" / encoder if config.kind == "finetune" else None
            x = experiment.images(config, Store(context.data / "store"), images.image_id, backbone)
        found[name] = Recipe(config, x, backbone)
    return found
