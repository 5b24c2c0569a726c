"""Trained models, probes and zero-shot rows on masked images, three activities; tables and curves of what is left."""

from pathlib import Path

import pandas as pd
from joblib import delayed

from har.config.training import TrainRun
from har.core.files import write_parquet
from har.core.parallel import side_by_side
from har.data.coco.instances import read_instances
from har.data.groups import group_codes
from har.data.split import read_split
from har.evaluation.clips import of_clips
from har.models.registry import settings
from har.reporting.table import write_tables
from har.studies.masking.figures import draw
from har.studies.masking.predict import choose_images, study
from har.studies.masking.predictors import Frozen, Head, MaskedProbe, Trained, ZeroShot
from har.studies.masking.report import build_tables
from har.training import embeddings, probe
from stages.lib.context import Context
from stages.lib.resumed import resumed


@resumed
def masking(context: Context, *, keep: Path) -> None:
    profile, data = context.profile, context.data
    config, classes, split = profile.masking, profile.tasks["activity"], read_split(data / "split.csv")
    images = choose_images(split, classes, config.images, config.seed)
    instances = read_instances(data / "annotations/instances.json", images.image_id.tolist())
    models = [*trained(context), *frozen(context, split)]
    predictions = study(models, images, classes, data / "store", instances, config, profile.training, keep)
    level, out = profile.report.confidence, context.reports / "masking"
    units = {model: of_clips(frame, profile.report.clips) for model, frame in predictions.items()}
    work = [
        delayed(tables)(context, units),
        delayed(draw)(units, config, out, context.titled(""), level),
        *(delayed(write_parquet)(data / "masking" / f"{model}.parquet", frame) for model, frame in predictions.items()),
    ]
    list(side_by_side(profile.training, len(work))(work))


def tables(context: Context, predictions: dict[str, pd.DataFrame]) -> None:
    found = build_tables(predictions, context.profile.masking, context.header, context.profile.report.confidence)
    write_tables(found, context.reports / "masking")
    print(found["masking"].markdown(), found["context"].markdown(), sep="\n")


def trained(context: Context) -> list[Trained]:
    """The trained models that see pixels, some with their explanation."""
    explained, found = context.profile.masking.relevance.models, []
    for name, run in activity(context).items():
        if settings(context.data / "models" / name).sees_images:
            maps = context.data / "explain" / name if run.model in explained else None
            found.append(Trained(run.model, context.data / "models" / name, maps))
    return found


def activity(context: Context) -> dict[str, TrainRun]:
    return {name: run for name, run in context.params.run.train.items() if run.task == "activity"}


def frozen(context: Context, split: pd.DataFrame) -> list[Frozen]:
    """Each encoder and what reads its embeddings: a probe, fitted again as in stage baselines, one that learns from
    masked images too, the nearest prompts, and the trained MLPs."""
    profile, data, classes = context.profile, context.data, context.profile.tasks["activity"]
    train = split[(split.split == "train") & split.label.isin(classes)]
    y, groups, found = pd.Index(classes).get_indexer(train.label), group_codes(train), []
    for encoder in context.params.run.encoders:
        folder = data / "embeddings" / encoder
        embedded, texts = embeddings.read(folder), None
        x = embedded.rows(train.image_id, "image", classes).astype(float)
        readers = {f"{probe.PREFIX}{encoder}": probe.fit(x, y, len(classes), profile.probe, groups)}
        if profile.masking.train_masks:
            ids = train.image_id.to_numpy()
            alike = ids if groups is None else groups
            masks = MaskedProbe(ids, y, alike, data / "store", profile.masking, profile.probe)
            readers[f"{probe.PREFIX}{encoder}_masked"] = masks
        if embedded.texts is not None:
            texts = embedded.text_rows(classes)
            name = "zero_shot" if encoder == "clip" else f"zero_shot_{encoder}"
            readers[name] = ZeroShot(texts, embedded.logit_scale)
        for name, run in activity(context).items():
            model = settings(data / "models" / name)
            if not model.sees_images and model.backbone == encoder:
                similar = texts if model.features == "similarity" else None
                readers[run.model] = Head(data / "models" / name, classes, similar)
        found.append(Frozen(data / "backbones" / encoder, readers))
    return found
