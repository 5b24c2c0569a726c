"""`har export --fiftyone`: every image once, with its label, its split, and what the model says where it was asked."""

import json
from pathlib import Path

import pytest
from pages import source

from har.app.fiftyone import write_dataset
from har.core.errors import HarError
from har.core.files import write_parquet


@pytest.fixture
def project(tmp_path):
    made = source(tmp_path / "made", 24)
    (tmp_path / "params.yaml").write_text(Path("params.yaml").read_text())
    data = tmp_path / "data/sample"
    data.mkdir(parents=True)
    texts = {"captions_for_label": 1, "captions_total": 5, "rule": "", "evidence": "[]"}
    made.manifest.assign(**texts).to_csv(data / "manifest.csv", index=False)
    made.split.to_csv(data / "split.csv", index=False)
    write_parquet(data / "predictions/activity-clip.parquet", made.predictions["activity", "clip"])
    return tmp_path, made


def test_samples_carry_label_split_and_the_ensembles_prediction(project, tmp_path):
    root, made = project
    assert write_dataset("activity-clip", tmp_path / "out", profile="sample", root=root) == 24
    samples = json.loads((tmp_path / "out/samples.json").read_text())["samples"]
    frame = made.predictions["activity", "clip"]
    means = frame.groupby("image_id")[[c for c in frame if c.startswith("p_")]].mean()
    for sample, (_, row) in zip(samples, made.split.iterrows(), strict=True):
        assert (sample["image_id"], sample["tags"]) == (row.image_id, [row.split])
        assert sample["ground_truth"] == {"_cls": "Classification", "label": row.label}
        assert ("prediction" in sample) == (row.image_id in means.index)
        if "prediction" in sample:
            assert sample["prediction"]["label"] == means.loc[row.image_id].idxmax().removeprefix("p_")
            assert sample["prediction"]["confidence"] == pytest.approx(means.loc[row.image_id].max(), abs=1e-6)
    assert json.loads((tmp_path / "out/metadata.json").read_text())["media_type"] == "image"


def test_what_is_not_there_is_named(project, tmp_path):
    with pytest.raises(HarError, match="activity-nothing has no predictions"):
        write_dataset("activity-nothing", tmp_path / "out", profile="sample", root=project[0])
    with pytest.raises(HarError, match="exists and is not empty"):
        write_dataset("activity-clip", project[0], profile="sample", root=project[0])
