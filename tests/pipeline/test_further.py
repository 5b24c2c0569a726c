"""A further source, architecture, mask shape, fill, statistical test and table, each registered here alone, go through
the stages to the page. What params.yaml may name besides is a word in har/config."""

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import parameters
from contexts import changed, small
from PIL import Image
from pydantic import Field
from torch import nn

from har.config.load import Block
from har.config.models import Fit, Model
from har.core.files import write_json
from har.data.sources import SOURCES, Source
from har.evaluation.anova import Result
from har.models.build import ARCHITECTURES
from har.models.preprocess import Preprocess
from har.reporting import contents, tables
from har.reporting.table import Column, Table
from har.reporting.tables import over_runs
from har.studies.masking import regions, shapes
from stages import annotations, curate, evaluate, images, masking, page, significance, split, train
from stages.lib.results import trained

TEXTS = ("a man walking", "a man sitting", "a man standing")
EACH, PLACE = 24, [3, 3, 20, 20]  # images of a class; where the man is


class Straight(Fit):
    about = "a linear model on pixels"
    kind: Literal["straight"]
    input_size: int
    fit: Literal["squash"]


class Settings(Block):
    config: Annotated[Straight | Model, Field(discriminator="kind")]


def straight(config: Straight, classes, **_):
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * config.input_size**2, len(classes)))
    return network, Preprocess(config.input_size, config.fit)


def write_annotations(data, out: Path, jobs: int, cache: Path):
    about = {"width": 60, "height": 40, "license": 1, "coco_url": "http://x/a.jpg", "flickr_url": "http://x/b"}
    found = [{"id": i, "file_name": f"{i:012d}.png", **about} for i in range(1, 3 * EACH + 1)]
    captions = [{"id": n, "image_id": 1 + n // 5, "caption": TEXTS[(1 + n // 5) % 3]} for n in range(5 * len(found))]
    x, y, w, h = PLACE
    outline = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    man = {"category_id": 1, "bbox": PLACE, "area": w * h, "iscrowd": 0, "segmentation": outline}
    persons = [{"id": image["id"], "image_id": image["id"], **man} for image in found]
    write_json(out / "captions.json", {"images": found, "annotations": captions})
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "chair"}]
    write_json(out / "instances.json", {"images": found, "annotations": persons, "categories": categories})
    return ["one colour each"]


def write_photographs(data, manifest: pd.DataFrame, folder: Path, **_):
    for row in manifest.itertuples():
        colour = tuple(int(v) for v in np.random.default_rng(row.image_id).integers(0, 256, 3))
        Image.new("RGB", (row.width, row.height), colour).save(folder / row.file_name)
        yield {"image_id": row.image_id, "source": "drawn on the spot", "sha256": ""}


def diagonal(x, y, rng, share: float, count: int) -> np.ndarray:
    return x + y


def largest_gap(scores, alpha: float) -> Result:
    means = [runs.mean() for runs in scores.values()]
    return Result(f"{len(means)} models", statistic=float(np.ptp(means)))


def seeds_table(of: tables.Evidence) -> Table:
    rows = [{"model": model, "seeds": len(one.cells.seeds)} for (_, model), one in of.scored["test"].items()]
    return Table("seeds", "Seeds of each model", of.header, rows, [Column("model", "Model"), Column("seeds", "Seeds")])


def registered(monkeypatch):
    monkeypatch.setitem(SOURCES, "colours", Source(write_annotations, write_photographs, "colours", "Nobody's."))
    monkeypatch.setitem(ARCHITECTURES, "straight", straight)
    monkeypatch.setattr("har.models.registry.Settings", Settings)
    monkeypatch.setitem(shapes.SHAPES, "diagonal", diagonal)
    monkeypatch.setitem(regions.FILLS, "white", lambda images, masks: np.where(masks[:, None], 255, images))
    monkeypatch.setattr(over_runs, "TESTS", [*over_runs.TESTS, ("Largest gap", "gap", "", largest_gap)])
    monkeypatch.setattr(tables, "TABLES", [*tables.TABLES, seeds_table])
    monkeypatch.setitem(contents.SECTIONS, "Further", ("", ["significance/seeds.md", "masking/masking.md"]))


def test_further_ones_go_through_the_stages_to_the_page(tmp_path, monkeypatch, capsys):
    registered(monkeypatch)
    whole = parameters.profile()
    shared = {name: getattr(whole.models["cnn_base"], name) for name in Fit.model_fields}
    linear = Straight(kind="straight", input_size=16, fit="squash", **shared | {"epochs": 2})
    context = small(
        tmp_path, {"straight": linear, "further": linear},
        {
            "data.source": "colours", "curate.extended": 24, "masking.images": 6, "masking.kinds": ["diagonal"],
            "curate.classes": {name: changed(one, {"count": EACH - 8}) for name, one in whole.curate.classes.items()},
            "masking.fills": ["black", "white"], "masking.relevance.models": [],
        },
    )  # fmt: skip
    for step in (annotations.annotations, curate.curate, images.images, split.split):
        step(context)
    assert "one colour each" in capsys.readouterr().out
    assert set(pd.read_csv(context.data / "provenance.csv").source) == {"drawn on the spot"}
    for model in context.profile.models:
        train.train(context, "activity", model)
    evaluate.evaluate(context)
    masking.masking(context)
    labels = pd.read_csv(context.data / "manifest.csv").label.tolist()
    significance.tables(context, trained(context), labels)
    page.page(context)

    found = json.loads((context.reports / "metrics/activity-straight.json").read_text())
    assert found["parameters"] == 3 * (3 * 16**2 + 1)
    hidden = pd.read_parquet(context.data / "masking/straight.parquet").condition
    assert {"diagonal-10", "hide_box-white"} <= set(hidden)
    assert "Largest gap" in set(pd.read_csv(context.reports / "significance/tests.csv").test)
    shown = (context.published / "index.html").read_text()
    assert "Seeds of each model" in shown
    assert "diagonal" in shown.lower()
