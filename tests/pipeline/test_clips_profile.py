"""Generated clips go through the stages: drawn, encoded, decoded, split by groups, told of as clips."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import parameters
import pytest
from conftest import one_by_one

from har.config.training import TrainRun
from har.evaluation.predictions import read_predictions
from stages import annotations, curate, evaluate, images, page, split, train
from stages import significance as stage

GROUPS, EACH, FRAMES = 3, 2, 3


def context_of(root: Path) -> SimpleNamespace:
    whole = parameters.profile()
    data = whole.data.model_copy(
        update={
            "source": "clips",
            "clips": whole.data.clips.model_copy(update={"groups": GROUPS, "each": EACH}),
            "video": whole.data.video.model_copy(update={"frames": FRAMES}),
        }
    )
    classes = {
        name: one.model_copy(update={"count": None, "keywords": []}) for name, one in whole.curate.classes.items()
    }
    profile = whole.model_copy(
        update={
            "data": data,
            "curate": whole.curate.model_copy(update={"classes": classes}),
            "split": whole.split.model_copy(update={"train": 0.4, "validation": 0.3, "test": 0.3}),
            "store": whole.store.model_copy(update={"short_side": 32, "jobs": 1}),
            "models": {"cnn_base": whole.models["cnn_base"].model_copy(update={"input_size": 16, "epochs": 1})},
            "training": one_by_one(seeds=[0, 1]),
            "report": whole.report.model_copy(update={"resamples": 100}),
            "policies": {},
            "page": whole.page.model_copy(update={"jobs": 1}),
        }
    )
    runs = {"activity-cnn_base": TrainRun(task="activity", model="cnn_base", input="store")}
    run = SimpleNamespace(train=runs, encoders=[], generative=[], tasks=["activity"])
    return SimpleNamespace(
        profile=profile, params=SimpleNamespace(profile="clips", run=run), data=root / "data", published=root / "page",
        reports=root / "data/reports", sources={}, already=[], protocol="", papers=False, header="Drawn clips",
        digest="",
    )  # fmt: skip


@pytest.mark.slow
def test_clips_go_through_the_stages_to_the_page(tmp_path):
    context = context_of(tmp_path)
    for step in (annotations.annotations, curate.curate, images.images, split.split):
        step(context)
    assert len(list((context.data / "annotations/clips").glob("*/v_*_g0?_c0?.avi"))) == 3 * GROUPS * EACH
    parts = pd.read_csv(context.data / "split.csv")
    assert len(parts) == 3 * GROUPS * EACH * FRAMES
    assert (parts.groupby("group").split.nunique() == 1).all()
    train.train(context, "activity", "cnn_base")
    told = read_predictions(context.data / "predictions/activity-cnn_base.parquet")
    assert (told[told.split == "test"].groupby("seed").size() == 3 * EACH * FRAMES).all()
    evaluate.evaluate(context)
    found = json.loads((context.reports / "metrics/activity-cnn_base.json").read_text())
    assert found["test"]["n"] == 3 * EACH
    seconds = pd.read_csv(context.data / "manifest.csv").set_index("image_id").second
    options = {"resamples": 100, "seed": 0, "level": 0.95}
    every = stage.trained(context, frames=True)
    stage.frames(every, seconds, "probability", context.reports / "significance", "x", "x", **options)
    worth = pd.read_csv(context.reports / "significance/frames.csv")
    assert worth.frames.tolist() == [1, 2, FRAMES]
    assert worth.score.iloc[-1] == found["test"]["balanced_accuracy"]
    page.page(context)
    shown = json.loads((context.published / "page/data/images/0.js").read_text().split("] = ")[1].strip().rstrip(";"))
    assert [len(one) for one in shown["frames"]] == [FRAMES] * 3 * GROUPS * EACH
    text = (context.published / "index.html").read_text()
    assert "What are several frames worth?" in text
    assert f"{3 * GROUPS * EACH} drawn clips" in text
