"""What a stage does, on as many images as one likes: `python -m har.bench.scaled PART IMAGES`, in a folder of its own.

scenes      the profile's images of the generated world, as JPEG files with their annotations (IMAGES has no effect)
given       annotations and predictions of IMAGES images, each the copy of a scene under an id of its own
curate, embed, statistics, page    what the stage of that name does with them

A part finds what the parts before it wrote in the folder IMAGES.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pandas as pd

from har import splits
from har.coco.manifest import read_manifest
from har.csv_rows import read_rows
from har.files import link_or_copy, replacing, write_csv, write_json
from har.params.schema import Profile, load_params

HEADER = "scaling"
ENCODER = Path(__file__).parents[2] / "data/pretrained/clip"
MODELS = ("cnn_base", "vit", "clip", "siglip2")  # whose predictions there are, of all seeds, for the task activity
SHARPNESS = 1.5  # of the predictions that are drawn: accuracies about those of the sample


def profile() -> Profile:
    return load_params(Path(__file__).parents[2] / "params.yaml").sample


def scenes(images: int) -> None:
    """scenes.json: the records of the drawn images of the sample, and each as a file below scenes/."""
    from har.world import coco_annotations
    from har.world.files import draw_files

    given = profile()
    world, jobs = given.data.world, given.store.jobs
    for name, content in coco_annotations(
        world.seed, range(world.first_id, world.first_id + world.images), jobs
    ).items():
        write_json(Path(f"{name}.json"), content)
    curated(given, Path(), extended=0)
    ids = read_manifest("manifest.csv").image_id
    draw_files(world.seed, ids, "scenes", jobs)


def curated(given: Profile, folder: Path, extended: int | None) -> None:
    from har.coco.curate import curate

    rule = given.curate
    found = curate(
        folder / "captions.json",
        folder / "instances.json",
        classes={label: one.model_dump() for label, one in rule.classes.items()},
        person_words=rule.person_words,
        min_captions=rule.min_captions,
        precedence=rule.precedence,
        require_person=rule.require_person,
        extended=extended,
        seed=rule.seed,
    )
    found.write(folder / "manifest.csv", folder / "evidence.csv")
    write_csv(folder / "funnel.csv", found.funnel)


def given(images: int) -> None:
    folder = Path(str(images))
    folder.mkdir()
    kept = read_manifest("manifest.csv").image_id.tolist()
    for name in ("captions", "instances"):
        source = json.loads(Path(f"{name}.json").read_text(encoding="utf-8"))
        copied(source, kept, images, folder / f"{name}.json")


def copied(source: dict, kept: list[int], images: int, path: Path) -> None:
    """COCO's file `source` with copies of its images `kept`, as many as `images`; written row by row."""
    rows = {image["id"]: (image, []) for image in source["images"]}
    for row in source["annotations"]:
        rows[row["image_id"]][1].append(row)
    chosen = list(enumerate(islice(cycle(kept), images), 1))

    def pictures() -> Iterator[dict]:
        for number, old in chosen:
            yield rows[old][0] | {"id": number, "file_name": f"{number:012d}.jpg"}

    def annotations() -> Iterator[dict]:
        count = 0
        for number, old in chosen:
            for row in rows[old][1]:
                count += 1
                yield row | {"id": count, "image_id": number}

    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as out:
        rest = {key: value for key, value in source.items() if key not in ("images", "annotations")}
        out.write(json.dumps(rest)[:-1])
        for key, values in (("images", pictures()), ("annotations", annotations())):
            out.write(f', "{key}": [')
            for place, value in enumerate(values):
                out.write((", " if place else "") + json.dumps(value))
            out.write("]")
        out.write("}")


def curate(images: int) -> None:
    curated(profile(), Path(str(images)), extended=None)


def files(image_ids: Iterable[int]) -> dict[int, Path]:
    """Copies of scenes as their photographs: image k is scene k, and again from the first after the last."""
    drawn = sorted(Path("scenes").glob("*.jpg"))
    return {i: drawn[(i - 1) % len(drawn)] for i in image_ids}


def embed(images: int) -> None:
    from har import store, warm
    from har.embed import embed

    warm.keep_memory()
    given, folder = profile(), Path(str(images))
    ids = read_manifest(folder / "manifest.csv").image_id
    store.build(files(ids), folder / "store", given.store.short_side, given.store.jobs)
    embed(
        ENCODER,
        store.Store(folder / "store"),
        ids,
        {label: given.embed.prompts[label] for label in given.curate.classes},
        folder / "embeddings",
        batch_size=given.embed.batch_size,
        jobs=given.training.jobs,
        device="cpu",
        keep=folder / "unfinished",
    )


def predictions(images: int) -> None:
    """The split, and predictions as trained models leave them."""
    from har.evaluate import predictions_frame, write_predictions

    given, folder = profile(), Path(str(images))
    manifest, classes = read_manifest(folder / "manifest.csv"), given.tasks["activity"]
    fractions = {name: getattr(given.split, name) for name in splits.SPLITS[:3]}
    parts = splits.split(manifest, fractions=fractions, mode=given.split.mode, seed=given.split.seed)
    write_csv(folder / "split.csv", parts)
    told = parts[parts.split != "train"]
    truth = np.eye(len(classes))[pd.Index(classes).get_indexer(told.label)]
    random = np.random.default_rng(0)
    for model in MODELS:
        logits = truth + SHARPNESS * random.normal(size=truth.shape)
        frames = []
        for seed in given.training.seeds:
            weights = np.exp(logits + 0.5 * random.normal(size=truth.shape))
            shares = weights / weights.sum(1, keepdims=True)
            frames.append(predictions_frame(told.image_id, told.label, told.split, shares, classes, seed))
        write_predictions(folder / f"{model}.csv", pd.concat(frames, ignore_index=True))


def trained(given: Profile, folder: Path) -> Mapping[tuple[str, str], pd.DataFrame]:
    from har.stored_predictions import StoredPredictions

    return StoredPredictions(
        {("activity", model): (folder / f"{model}.csv", given.tasks["activity"]) for model in MODELS}
    )


def statistics(images: int) -> None:
    from har.evidence import build_evidence, reliability_figure
    from har.tables import write_tables

    given, folder = profile(), Path(str(images))
    told = trained(given, folder)
    options = {"resamples": given.report.resamples, "seed": given.report.seed, "level": given.report.confidence}
    labels = [label for _, label in read_rows(folder / "manifest.csv", {"image_id": int, "label": sys.intern})]
    write_tables(build_evidence(told, labels, HEADER, **options), folder / "reports/statistics")
    reliability_figure(told, folder / "reports/statistics/reliability.png", HEADER, **options)


def page(images: int) -> None:
    from har.page import build
    from har.page.photographs import write_photographs

    given, folder = profile(), Path(str(images))
    build.write_photographs = linked(write_photographs)
    source = build.Source(
        profile=HEADER,
        header=HEADER,
        generated=True,
        manifest=folder / "manifest.csv",
        split=splits.read_split(folder / "split.csv"),
        evidence=folder / "evidence.csv",
        tasks={"activity": given.tasks["activity"]},
        predictions=trained(given, folder),
        photographs=folder / "images",
        explain=folder / "explain",
    )
    (folder / "reports").mkdir(exist_ok=True)
    build.build(source, folder / "reports", given.page)


def linked(write):
    """`write` (write_photographs) for the first image of each scene; the others are further names of its files."""

    def links(of: Iterable[tuple[int, Path]], images: int, folder: Path, settings) -> None:
        scenes = files(image_id for image_id, _ in of)
        first = {path: image_id for image_id, path in reversed(scenes.items())}
        write([(image_id, path) for path, image_id in first.items()], len(first), folder, settings)
        for image_id, path in scenes.items():
            if image_id != first[path]:
                for name in ("thumbnails", "images"):
                    link_or_copy(folder / name / f"{first[path]}.jpg", folder / name / f"{image_id}.jpg")

    return links


PARTS = {one.__name__: one for one in (scenes, given, curate, predictions, embed, statistics, page)}

if __name__ == "__main__":
    PARTS[sys.argv[1]](int(sys.argv[2]))
