"""Get the selected photographs, note where each came from, decode them once, and note where people are in them."""

from pathlib import Path

import pandas as pd

from har.core.files import write_csv
from har.data import store
from har.data.coco.annotations import read_records
from har.data.crops import BOXES, largest_persons, write_boxes
from har.data.manifest import read_manifest
from har.data.sources import SOURCES
from stages.lib.context import CACHE, Context
from stages.lib.resumed import resumed


@resumed
def images(context: Context, *, keep: Path) -> None:
    data, jobs = context.profile.data, context.profile.store.jobs
    manifest = read_manifest(context.data / "manifest.csv")
    folder = context.data / "images"
    folder.mkdir(parents=True, exist_ok=True)
    provenance = SOURCES[data.source].photographs(
        data, manifest, folder, annotations=context.data / "annotations", jobs=jobs, cache=CACHE, keep=keep
    )
    write_csv(context.data / "provenance.csv", pd.DataFrame(provenance))
    files = {row.image_id: folder / row.file_name for row in manifest.itertuples()}
    side = context.profile.store.short_side
    # COCO's boxes and outlines are drawn on the photographs as stored
    store.build(files, context.data / "store", side, jobs, turn=data.own)
    annotations = context.data / "annotations"
    records = read_records(annotations / "captions.json", annotations / "instances.json")
    write_boxes(context.data / "store" / BOXES, largest_persons(records, manifest.image_id))
