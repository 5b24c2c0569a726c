"""Generated clips go through the stages: drawn, encoded, decoded, split by groups, told of as clips."""

import json

import pandas as pd
import parameters
import pytest
from contexts import changed, small
from pages import read_script

from har.evaluation.predictions import read_predictions
from stages import annotations, curate, evaluate, images, page, significance, split, train

GROUPS, EACH, FRAMES = 3, 2, 3


@pytest.mark.slow
def test_clips_go_through_the_stages_to_the_page(tmp_path):
    profile = parameters.profile()
    context = small(
        tmp_path, {"cnn_base": profile.models["cnn_base"].model_copy(update={"input_size": 16, "epochs": 1})},
        {
            "data.source": "clips", "data.clips.groups": GROUPS, "data.clips.each": EACH, "data.video.frames": FRAMES,
            "curate.classes": {name: changed(one, {"count": None, "keywords": []})
                               for name, one in profile.curate.classes.items()},
            "split.train": 0.4, "split.validation": 0.3, "split.test": 0.3,
        },
    )  # fmt: skip
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
    every = significance.trained(context, frames=True)
    significance.frames(every, seconds, "probability", context.reports / "significance", "x", "x", **options)
    worth = pd.read_csv(context.reports / "significance/frames.csv")
    assert worth.frames.tolist() == [1, 2, FRAMES]
    assert worth.score.iloc[-1] == found["test"]["balanced_accuracy"]
    page.page(context)
    shown = read_script(context.published / "page/data/images/0.js")
    assert [len(one) for one in shown["frames"]] == [FRAMES] * 3 * GROUPS * EACH
    text = (context.published / "index.html").read_text()
    assert "What are several frames worth?" in text
    assert f"{3 * GROUPS * EACH} drawn clips" in text
