"""Class-specific noise for a trained model, and what it is compared with: nothing, ablations, training on masks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from har.core.files import replacing, write_csv, write_parquet
from har.data.manifest import read_evidence
from har.data.split import read_split, require_classes
from har.evaluation.clips import of_clips
from har.evaluation.predictions import HELD_OUT, in_split
from har.models.registry import settings
from har.reporting.table import write_tables
from har.studies.masking.predict import choose_images
from har.studies.masking.predictors import Trained
from har.studies.noise.labels import mentions
from har.studies.noise.labels import study as label_study
from har.studies.noise.labels import table as label_table
from har.studies.noise.report import build_tables, draw
from har.studies.noise.select import study
from har.training import embeddings
from stages.lib.context import Context
from stages.lib.resumed import resumed


@resumed
def noise(context: Context, *, keep: Path) -> None:
    profile, data, config = context.profile, context.data, context.profile.noise
    model = context.params.run.noise
    masks, classes, split = profile.masking, profile.tasks["activity"], read_split(data / "split.csv")
    require_classes(split, classes, "noise")
    # the images of the masking study; what is learnt and chosen comes from train and validation alone
    fitted = split[split.label.isin(classes) & split.split.isin(["train", "validation"])]
    images = pd.concat([fitted, choose_images(split, classes, masks.images, masks.seed)], ignore_index=True)
    trained = Trained(model, data / "models" / f"activity-{model}")
    found = study(trained, images, classes, data / "store", masks, config, profile.training, keep)
    out, reports = data / "noise", context.reports / "noise"
    for method, learnt in found.best.items():
        write_parquet(out / f"{method}.parquet", learnt.predictions)
        if learnt.patterns is not None:
            with replacing(out / f"{method}.npy") as partial:
                np.save(partial, learnt.patterns)
    write_csv(out / "candidates.csv", found.candidates)

    report = profile.report
    units = {
        name: replace(one, predictions=of_clips(one.predictions, report.clips)) for name, one in found.best.items()
    }
    found = replace(found, best=units)
    tables = build_tables(found, classes, masks.shares, model, context.header, report)
    folder = data / "embeddings" / getattr(settings(trained.folder), "backbone", "")
    if (folder / "about.json").exists():  # the model has an encoder
        labels = label_noise(context, folder, split[split.label.isin(classes)])
        write_csv(out / "labels.csv", labels)
        tables["labels"] = label_table(labels, folder.name, config.labels.draws, context.header, report.confidence)
    write_tables(tables, reports)
    title = context.titled("Class-specific noise")
    draw(found, classes, masks.shares, reports / "noise.svg", title, report.confidence)
    print(tables["noise"].markdown())


def label_noise(context: Context, folder: Path, images: pd.DataFrame) -> pd.DataFrame:
    """har.studies.noise.labels.study on the embeddings in `folder`."""
    profile, classes, embedded = context.profile, context.profile.tasks["activity"], embeddings.read(folder)
    train, held = images[images.split == "train"], images[in_split(images, HELD_OUT)]
    x, others = (embedded.rows(part.image_id, "image", classes).astype(float) for part in (train, held))
    said = mentions(read_evidence(context.data / "evidence.csv"), train.image_id, classes)
    config, clips = profile.noise.labels, profile.report.clips
    return label_study(x, train, said, others, held, classes, config, profile.probe, clips)
