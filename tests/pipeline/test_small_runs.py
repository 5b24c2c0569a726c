"""Small runs go through the stages to the page: one of a further source, architecture, mask shape, fill, statistical
test and table, each registered here alone (what params.yaml may name besides is a word in har/config), and one of
clips."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import parameters
import pytest
from conftest import one_by_one
from pages import read_script
from PIL import Image
from pydantic import Field
from torch import nn

from har.config.load import Block
from har.config.models import Fit, Model
from har.config.training import TrainRun
from har.core.files import write_json
from har.data.sources import SOURCES, Source
from har.evaluation.anova import Result
from har.evaluation.predictions import read_predictions
from har.models.build import ARCHITECTURES
from har.models.preprocess import Preprocess
from har.reporting import contents, tables
from har.reporting.table import Column, Table
from har.reporting.tables import over_runs
from har.studies.masking import regions, shapes
from stages import annotations, curate, evaluate, images, masking, page, significance, split, train

TEXTS = ("a man walking", "a man sitting", "a man standing")
EACH, PLACE = 24, [3, 3, 20, 20]  # images of a class; where the man is


def changed(block: Block, changes: Mapping) -> Block:
    """A copy with `changes` (dotted key to value), which need not be what params.yaml may name."""
    for key, value in changes.items():
        name, _, rest = key.partition(".")
        block = block.model_copy(update={name: changed(getattr(block, name), {rest: value}) if rest else value})
    return block


def small(root: Path, models: Mapping, changes: Mapping) -> SimpleNamespace:
    """A run of `models` for activity on profile sample with `changes`, in `root`."""
    fewer = {
        "store.short_side": 32, "store.jobs": 1, "models": models, "training": one_by_one(seeds=[0, 1]),
        "report.resamples": 100, "policies": {}, "page.jobs": 1,
    }  # fmt: skip
    runs = {f"activity-{name}": TrainRun(task="activity", model=name, input="store") for name in models}
    run = SimpleNamespace(train=runs, encoders=[], generative=[], tasks=["activity"])
    return SimpleNamespace(
        profile=changed(parameters.profile(), fewer | changes), params=SimpleNamespace(profile="sample", run=run),
        data=root / "data", reports=root / "data/reports", published=root / "reports", sources={}, already=[],
        protocol="", papers=False, header="Drawn images", digest="", titled=str,
    )  # fmt: skip


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
    significance.tables(context, significance.trained(context))
    page.page(context)

    found = json.loads((context.reports / "metrics/activity-straight.json").read_text())
    assert found["parameters"] == 3 * (3 * 16**2 + 1)
    hidden = pd.read_parquet(context.data / "masking/straight.parquet").condition
    assert {"diagonal-10", "hide_box-white"} <= set(hidden)
    assert "Largest gap" in set(pd.read_csv(context.reports / "significance/tests.csv").test)
    shown = (context.published / "index.html").read_text()
    assert "Seeds of each model" in shown
    assert "diagonal" in shown.lower()


@pytest.mark.slow
def test_clips_go_through_the_stages_to_the_page(tmp_path):
    """Drawn, encoded, decoded, split by groups, told of as clips."""
    groups, each, frames = 3, 2, 3
    profile = parameters.profile()
    context = small(
        tmp_path, {"cnn_base": profile.models["cnn_base"].model_copy(update={"input_size": 16, "epochs": 1})},
        {
            "data.source": "clips", "data.clips.groups": groups, "data.clips.each": each, "data.video.frames": frames,
            "curate.classes": {name: changed(one, {"count": None, "keywords": []})
                               for name, one in profile.curate.classes.items()},
            "split.train": 0.4, "split.validation": 0.3, "split.test": 0.3,
        },
    )  # fmt: skip
    for step in (annotations.annotations, curate.curate, images.images, split.split):
        step(context)
    assert len(list((context.data / "annotations/clips").glob("*/v_*_g0?_c0?.avi"))) == 3 * groups * each
    parts = pd.read_csv(context.data / "split.csv")
    assert len(parts) == 3 * groups * each * frames
    assert (parts.groupby("group").split.nunique() == 1).all()
    train.train(context, "activity", "cnn_base")
    told = read_predictions(context.data / "predictions/activity-cnn_base.parquet")
    assert (told[told.split == "test"].groupby("seed").size() == 3 * each * frames).all()
    evaluate.evaluate(context)
    found = json.loads((context.reports / "metrics/activity-cnn_base.json").read_text())
    assert found["test"]["n"] == 3 * each
    seconds = pd.read_csv(context.data / "manifest.csv").set_index("image_id").second
    every = significance.trained(context, frames=True)
    significance.frames.write(every, seconds, context.profile.report, context.reports / "significance", "x", "x")
    worth = pd.read_csv(context.reports / "significance/frames.csv")
    assert worth.frames.tolist() == [1, 2, frames]
    assert worth.score.iloc[-1] == found["test"]["balanced_accuracy"]
    page.page(context)
    shown = read_script(context.published / "page/data/images/0.js")
    assert [len(one) for one in shown["frames"]] == [frames] * 3 * groups * each
    text = (context.published / "index.html").read_text()
    assert "What are several frames worth?" in text
    assert f"{3 * groups * each} drawn clips" in text
