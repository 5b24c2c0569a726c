"""What stages are given, for as many images as one likes: `python -m har.dev.bench.scaled PART`.

In a folder of its own:
scenes        the sample's images of the generated world, as JPEG files with their annotations
given IMAGES  a project in the folder IMAGES, where stages run: annotations of so many images, each the copy of a scene
              under an id of its own
In such a project:
predictions   after stages curate and split: what the trainings and stage errors leave, drawn at random
store         the photographs decoded, as stage images does it
page          stage page; its photographs are links
"""

import json
import runpy
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import count, cycle, islice
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from har.config.profile import Profile, load_params
from har.core.files import link_or_copy, replacing, write_json, write_parquet
from har.data.manifest import read_manifest
from har.data.split import read_split

DATA = Path("data/sample")
PROJECT = Path(__file__).resolve().parents[3]  # in such a project har is a link
MODELS = ("cnn_base", "vit", "clip", "siglip2")  # whose predictions there are, of all seeds, for the task activity
ENCODER = "clip"
SHARPNESS = 1.5  # of the predictions that are drawn: accuracies about those of the sample


def sample() -> Profile:
    return load_params(PROJECT / "params.yaml").profiles["sample"]


def scenes() -> None:
    """The annotations of all scenes, and as a file below scenes/ each that the sample draws."""
    from har.synthetic import coco_annotations
    from har.synthetic.files import draw_files

    world, jobs = sample().data.world, sample().store.jobs
    for name, content in coco_annotations(
        world.seed, count(world.first_id), jobs, hard=world.hard, images=world.images
    ).items():
        write_json(Path(f"{name}.json"), content)
    project(Path("sample"), extended=0)
    for name in ("captions", "instances"):
        link_or_copy(Path(f"{name}.json"), Path("sample") / DATA / f"annotations/{name}.json")
    subprocess.run([sys.executable, "-m", "stages.curate"], cwd="sample", check=True)
    draw_files(world.seed, drawn(), "scenes", jobs)


def drawn() -> list[int]:
    """The images of the sample, from which all others are copied."""
    return read_manifest(Path("sample") / DATA / "manifest.csv").image_id.tolist()


def project(folder: Path, extended: int) -> None:
    """This project in `folder`, with at most so many extended images, of the models MODELS alone; no data yet."""
    folder.mkdir()
    params = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    keys = [f"activity-{model}" for model in MODELS]
    params["run"] |= {"train": {key: params["run"]["train"][key] for key in keys}, "generative": []}
    params |= {"profile": "sample"}
    params["curate"]["extended"] = extended
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    for name in ("docs", "har", "stages", "dvc.yaml"):
        (folder / name).symlink_to(PROJECT / name)
    for name in ("annotations", "backbones"):
        (folder / DATA / name).mkdir(parents=True)
    (folder / DATA / "backbones" / ENCODER).symlink_to(PROJECT / "data/pretrained" / ENCODER)
    subprocess.run([sys.executable, "-m", "stages.lib.run", "check"], cwd=folder, check=True)


def given(images: str) -> None:
    folder = Path(images)
    project(folder, extended=int(images))
    for name in ("captions", "instances"):
        source = json.loads(Path(f"{name}.json").read_text(encoding="utf-8"))
        copied(source, drawn(), int(images), folder / DATA / f"annotations/{name}.json")


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


def predictions() -> None:
    from har.evaluation.predictions import predictions_frame, write_predictions
    from har.studies.error_analysis.outcomes import factor_frame, outcome_frame

    settings, random = sample(), np.random.default_rng(0)
    split, classes = read_split(DATA / "split.csv"), settings.tasks["activity"]
    told = split[split.split != "train"]

    def runs(told: pd.DataFrame, seeds: Iterable[int]) -> pd.DataFrame:
        truth = np.eye(len(classes))[pd.Index(classes).get_indexer(told.label)]
        logits, frames = truth + SHARPNESS * random.normal(size=truth.shape), []
        for seed in seeds:
            weights = np.exp(logits + 0.5 * random.normal(size=truth.shape))
            shares = weights / weights.sum(1, keepdims=True)
            frames.append(predictions_frame(told.image_id, told.label, told.split, shares, classes, seed))
        return pd.concat(frames, ignore_index=True)

    trained = {("activity", model): runs(told, settings.training.seeds) for model in MODELS}
    for (task, model), frame in trained.items():
        write_predictions(DATA / f"predictions/{task}-{model}.parquet", frame)
    traits = {name: random.random(len(split)) for name in ("labelled_joints", "hidden_joints", "overlap")}
    factors = factor_frame(read_manifest(DATA / "manifest.csv"), split[["image_id"]].assign(**traits))
    write_parquet(DATA / "errors.parquet", outcome_frame(trained, factors))
    curve = settings.learning_curve
    parts = [
        runs(told, range(curve.folds)).rename(columns={"seed": "run"}).round(6).assign(model=model, size=size)
        for model in curve.models
        for size in sorted(curve.sizes)
    ]
    write_parquet(DATA / "learning_curve.parquet", pd.concat(parts, ignore_index=True))


def files(image_ids: Iterable[int]) -> dict[int, Path]:
    """Scenes as their photographs: image k is scene k, and again from the first after the last."""
    scenes = sorted(Path("../scenes").glob("*.jpg"))
    return {i: scenes[(i - 1) % len(scenes)] for i in image_ids}


def store() -> None:
    from har.data.store import build

    settings = sample().store
    build(files(read_manifest(DATA / "manifest.csv").image_id), DATA / "store", settings.short_side, settings.jobs)


def page() -> None:
    from har.reporting.page import build

    build.write_photographs = linked(build.write_photographs)
    sys.argv = ["stages", "page"]
    runpy.run_module("stages.lib.run", run_name="__main__")


def linked(write):
    """`write` (write_photographs) for the first image of each scene; the others are further names of its files."""

    def links(of: Iterable[tuple[int, Path]], images: int, folder: Path, settings, turn: bool) -> None:
        scenes = files(image_id for image_id, _ in of)
        first = {path: image_id for image_id, path in reversed(scenes.items())}
        write([(image_id, path) for path, image_id in first.items()], len(first), folder, settings, turn)
        for image_id, path in scenes.items():
            if image_id != first[path]:
                for name in ("thumbnails", "images"):
                    link_or_copy(folder / name / f"{first[path]}.jpg", folder / name / f"{image_id}.jpg")

    return links


PARTS = {one.__name__: one for one in (scenes, given, predictions, store, page)}

if __name__ == "__main__":
    PARTS[sys.argv[1]](*sys.argv[2:])
