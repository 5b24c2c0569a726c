"""What a model of params.yaml, a row or the metadata model is fitted on: images as its preprocessing wants them, frozen
features, or what needs no pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from har.config.models import Model
from har.data.groups import group_codes
from har.data.manifest import read_manifest
from har.data.store import Store
from har.training import embeddings, experiment, probe
from har.training.refit import Recipe
from stages.lib.context import Context

# What of a model's settings decides which array it learns from.
SEEN = ("kind", "backbone", "features", "input_size", "fit", "view", "person_margin", "head")


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


def recipes(context: Context, names: Sequence[str], images: pd.DataFrame, classes: Sequence[str]) -> dict[str, Recipe]:
    """A recipe for each of `names`, ensembles apart, its inputs in the order of `images` (image_id, label, split, and
    group where there are any)."""
    manifest, found, groups = read_manifest(context.data / "manifest.csv"), {}, group_codes(images)
    for name in dict.fromkeys(names):
        row = context.profile.rows.get(name)
        if name == probe.METADATA:
            x = probe.metadata_features(manifest, images.image_id)
            found[name] = Recipe(context.profile.probe, x, groups=groups)
        elif row is not None and row.kind == "probe":
            x = probe.features(row, context.data / "embeddings", images.image_id)
            found[name] = Recipe(context.profile.probe, x, groups=groups)
        elif row is not None:
            told = embeddings.read(context.data / "embeddings" / row.backbone, row.views).zero_shot(images, classes)
            found[name] = Recipe(None, told[[f"p_{label}" for label in classes]].to_numpy())
        else:
            found[name] = replace(inputs(context, context.profile.models[name], images, classes), groups=groups)
    return found


def variants(
    context: Context, models: Mapping[str, Model], images: pd.DataFrame, classes: Sequence[str]
) -> dict[str, Recipe]:
    """A recipe for each of the ablation's variants; those that see the same share one array."""
    given, found = {}, {}
    for name, config in models.items():
        seen = tuple(str(getattr(config, key, "")) for key in SEEN)
        if seen not in given:
            given[seen] = inputs(context, config, images, classes)
        found[name] = replace(given[seen], config=config)
    return found
