"""Controls of pre-training: differences are found where they are, prompts are tried one by one."""

import numpy as np
import pandas as pd
import parameters
import pytest
import torch
from conftest import CLASSES

from har.config.studies import Pair
from har.core.files import write_json
from har.studies import controls
from har.training import embeddings

REPORT = parameters.profile().report.model_copy(update={"resamples": 200})


@pytest.fixture
def images():
    """60 images a class, a third of each held out."""
    label = np.repeat(CLASSES, 60)
    split = np.tile(["train"] * 30 + ["validation"] * 10 + ["extended"] * 20, 3)
    return pd.DataFrame({"image_id": np.arange(180) + 1, "label": label, "split": split})


def embedded(folder, images, strength, seed=0):
    """Embeddings in which a class shows by `strength` times the noise."""
    folder.mkdir()
    place = pd.Index(CLASSES).get_indexer(images.label)
    x = np.random.default_rng(seed).normal(size=(len(images), 8)) + strength * np.eye(3, 8)[place]
    np.save(folder / "image.npy", (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32))
    np.save(folder / "texts.npy", np.eye(3, 8, dtype=np.float32))
    images[["image_id"]].to_csv(folder / "index.csv", index=False)
    write_json(folder / "about.json", {"classes": CLASSES, "logit_scale": 10.0, "width": 8})
    return folder


def test_a_difference_is_found_where_there_is_one(tmp_path, images):
    probe, tune = parameters.profile().probe, parameters.profile().tune
    scores = {
        name: controls.probed(embedded(tmp_path / name, images, strength, seed), images, CLASSES, probe, tune, REPORT)
        for name, strength, seed in (("shown", 4, 0), ("silent", 0, 1), ("alike", 4, 2))
    }
    pairs = [Pair(shown="all", encoders=["shown", "silent"]), Pair(shown="nothing", encoders=["shown", "alike"])]
    rows = controls.control_rows(pairs, scores, dict.fromkeys(scores, 1000), 0.95)
    kinds = [("out_of_fold", 120), ("held_out", 60)]
    assert [(row["split"], row["n"]) for row in rows] == kinds * 2
    for row in rows:
        assert row["difference"] == pytest.approx(row["score_a"] - row["score_b"])
        assert (row["difference_low"] > 0.2) == (row["shown"] == "all")
    assert "shown − silent" in controls.controls_table(rows, "made here", 0.95).markdown()


class Encoder:
    """Texts to axes of the embeddings' space: "walking", "sitting", "standing", and "noise" to none of these."""

    def texts(self, texts):
        return torch.eye(8)[[[*CLASSES, "noise"].index(text) for text in texts]]


def test_prompts_are_tried_one_by_one(tmp_path, images):
    found = embeddings.read(embedded(tmp_path / "clip", images, 6))
    sets = {"good": {name: [name] for name in CLASSES}, "mixed": {name: [name, "noise"] for name in CLASSES}}
    rows = controls.prompt_rows(Encoder(), found, images, sets, REPORT)
    assert [(row["prompts"], row["split"], row["n"], row["ways"]) for row in rows] == [
        ("good", "held_out", 60, 1),
        ("good", "out_of_fold", 120, 1),
        ("mixed", "held_out", 60, 8),
        ("mixed", "out_of_fold", 120, 8),
    ]
    good, mixed = rows[0], rows[2]
    assert good["lowest"] == good["highest"] == good["score"] > 0.9
    assert mixed["lowest"] == pytest.approx(1 / 3)
    assert mixed["lowest"] < mixed["median"] < mixed["highest"] == good["score"]
    assert "Lowest" in controls.prompts_table(rows, "made here", 0.95).markdown()
