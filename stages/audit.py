"""Do the splits share pictures, and do caption labels say what people do?"""

from pathlib import Path

from har.core.readers import read_table
from har.data.manifest import read_manifest
from har.data.sources import SOURCES
from har.data.split import read_split
from har.data.store import Store
from har.reporting.table import write_tables
from har.studies.audit.duplicates import (
    date_check,
    embedding_check,
    file_check,
    flickr_check,
    hash_check,
    leakage_tables,
    pixel_check,
    read_dates,
)
from har.studies.audit.labels import label_tables, vcoco_reference, world_reference
from har.training.embeddings import read
from stages.lib.context import CACHE, Context


def audit(context: Context) -> None:
    profile, data = context.profile, context.data
    rule, world = profile.audit, SOURCES[profile.data.source].drawn
    images = read_split(data / "split.csv")
    ids = images.image_id
    manifest = read_manifest(data / "manifest.csv").set_index("image_id")
    files = read_table(data / "provenance.csv", {"image_id": "int64", "sha256": "str"}).set_index("image_id")
    dates, store = read_dates(data / "annotations/captions.json"), Store(data / "store")
    drawn = "the images are drawn, not photographed: their dates follow from their ids" if world else ""
    checks = [
        file_check(files.sha256.loc[ids]),
        pixel_check(store, ids),
        hash_check(store, ids, rule.hash_bits),
        embedding_check(read(data / "embeddings" / rule.encoder).rows(ids, "image", ()), rule.similarity, rule.encoder),
        date_check([dates.get(i, "") for i in ids], rule.seconds, drawn),
        flickr_check(manifest.flickr_url.loc[ids]),
    ]
    tables = leakage_tables(images, checks, context.header)
    # other labels have no second source to be held against: V-COCO numbers images as COCO does
    if (world and not profile.data.own) or context.papers:
        scenes = profile.data.world
        reference = world_reference(scenes.seed, ids, scenes.hard) if world else vcoco_reference(lambda: vcoco(context))
        tables |= label_tables(images, reference, profile.tasks["activity"], context.header, profile.report)
    write_tables(tables, context.reports / "audit")
    for name in ("leakage", "labels", "visible"):
        if name in tables:
            print(tables[name].markdown())


def vcoco(context: Context) -> Path:
    from har.data.coco.vcoco import fetch

    pin = context.profile.audit.vcoco
    return fetch(pin.url, CACHE / "downloads", sha256=pin.sha256, size=pin.bytes)
