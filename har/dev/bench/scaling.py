"""How time and memory grow with the images: `python -m har.dev.bench.scaling`, or `make scaling`.

The images are copies of 285 generated scenes under ids of their own, with captions and annotations. Writes
NAME.scaling.md and .csv in reports/bench, where NAME tells the hardware.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import joblib
import pandas as pd
import yaml

from har.core.errors import exit_with_message
from har.core.files import write_csv, write_json, write_text
from har.data.manifest import read_manifest
from har.dev.bench import work
from har.dev.bench.measure import PROJECT, file_name, hardware, run
from har.reporting.table import markdown_table

SCENES = 285
SIZES = (285, 2_850, 28_500, 118_000)  # the last: as many as COCO's train2017 has
DATA = Path("data/sample")
STORE = "from har.dev.bench.scaling import store; store()"
PARTS = {"curate": ["-m", "stages", "curate"], "decode": ["-c", STORE], "embed": ["-m", "stages", "embed", "clip"]}
NOTES = """
- The stages as `dvc repro` runs them, each in a process of its own. curate: every caption and annotation; decode: the
  curated photographs to the store (of stage images); embed: CLIP's embeddings (the sample's).
- Memory: the most that a stage and its processes had at a time, what several share counted once.
"""


def given(folder: Path, annotations: dict[str, dict], images: int) -> None:
    """A project in `folder` with the annotations of so many images, copies of scenes; packages are links."""
    for name in ("annotations", "backbones"):
        (folder / DATA / name).mkdir(parents=True)
    params = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8")) | {"profile": "sample"}
    params["curate"]["extended"] = images
    for one in params["curate"]["classes"].values():
        one["count"] = 60  # of each class 285 scenes have more
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    for name in ("docs", "har", "stages", "dvc.yaml"):
        (folder / name).symlink_to(PROJECT / name)
    (folder / DATA / "backbones/clip").symlink_to(PROJECT / "data/pretrained/clip")
    run([sys.executable, "-m", "stages", "check"], folder)
    for name in ("captions", "instances"):
        write_json(folder / DATA / f"annotations/{name}.json", copies(annotations[name], images))


def copies(source: dict, images: int) -> dict:
    """COCO's file `source` with so many images: its own in turn, again and again, under ids from 1 on."""
    rows = defaultdict(list)
    for row in source["annotations"]:
        rows[row["image_id"]].append(row)
    chosen = [(i + 1, source["images"][i % len(source["images"])]) for i in range(images)]
    copied = [row | {"image_id": number} for number, old in chosen for row in rows[old["id"]]]
    return source | {
        "images": [old | {"id": number, "file_name": f"{number:012d}.jpg"} for number, old in chosen],
        "annotations": [row | {"id": number} for number, row in enumerate(copied, 1)],
    }


def store() -> None:
    """What stage images leaves in this project: image k is scene k, and again from the first after the last."""
    from har.data.coco.annotations import read_records
    from har.data.crops import BOXES, largest_persons, write_boxes
    from har.data.store import build

    scenes, settings = sorted(Path("../scenes").glob("*.jpg")), work.profile().store
    files = {i: scenes[(i - 1) % len(scenes)] for i in read_manifest(DATA / "manifest.csv").image_id}
    build(files, DATA / "store", settings.short_side, settings.jobs)
    records = read_records(DATA / "annotations/captions.json", DATA / "annotations/instances.json")
    write_boxes(DATA / "store" / BOXES, largest_persons(records, files))


def main(arguments: list[str] | None = None) -> None:
    from har.synthetic import coco_annotations

    parser = argparse.ArgumentParser(prog="python -m har.dev.bench.scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help=f"numbers of images, at least {SCENES}")
    sizes, rows = parser.parse_args(arguments).sizes, []
    if min(sizes) < SCENES:
        parser.error(f"--sizes: {min(sizes)} images, at least {SCENES}")
    with tempfile.TemporaryDirectory(prefix="har-scaling-") as name:
        folder, jobs = Path(name), joblib.cpu_count()
        scenes = work.scenes(folder / "scenes", SCENES, jobs)
        annotations = coco_annotations(work.profile().data.world.seed, scenes.image_id, jobs)
        for size in sizes:
            given(folder / str(size), annotations, size)
            for part, command in PARTS.items():
                spent = run([sys.executable, *command], folder / str(size))
                rows.append({"stage": part, "images": size, "seconds": spent.seconds, "bytes": spent.bytes})
                print(json.dumps(rows[-1]), flush=True)
            shutil.rmtree(folder / str(size))
    measured = pd.DataFrame(rows)
    cells = [f"{row.seconds:.3g} s, {row.bytes / 1e6:.0f} MB" for row in measured.itertuples()]
    shown = measured.assign(cell=cells).pivot(index="images", columns="stage", values="cell")[list(PARTS)]
    text = f"**{hardware()}**: time and peak memory\n\n{markdown_table(shown.reset_index())}\n{NOTES}"
    out = PROJECT / "reports/bench"
    write_csv(out / f"{file_name()}.scaling.csv", measured)
    write_text(out / f"{file_name()}.scaling.md", text)
    print(f"\n{text}\nwritten to {out / file_name()}.scaling.md")


if __name__ == "__main__":
    with exit_with_message("scaling"):
        main()
