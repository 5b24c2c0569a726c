"""A model to keep: complete in its folder, with a card that tells what it is."""

import numpy as np
import pages
import parameters
import pytest
import yaml
from projects import IMAGES, KEPT, MODELS
from transformers import AutoImageProcessor, pipeline

from har.app.export import export
from har.app.fiftyone import write_dataset
from har.app.predict import load
from har.core.errors import HarError
from har.core.files import write_parquet
from har.core.readers import read_json
from har.data.manifest import write_manifest
from har.data.split import write_split
from har.evaluation.predictions import read_predictions
from har.models.registry import named
from har.reporting.model_card import card


def photographs(project, count: int = len(IMAGES)) -> list[str]:
    return [str(project / f"data/sample/images/{i:012d}.jpg") for i in IMAGES[:count]]


def predictions(project, name: str):
    return read_predictions(project / f"data/sample/predictions/{name}.parquet")


def made(project, name: str, profile: str = "sample") -> tuple[str, dict]:
    """The card of a model of the sample, as if that were `profile`, and what is in its front matter."""
    text = card(named(name, "sample", project), parameters.profile(profile), predictions(project, name))
    assert text.startswith("---\n")
    return text, yaml.safe_load(text.split("---\n")[1])


@pytest.mark.parametrize("model", MODELS)
def test_an_exported_model_needs_no_project_and_predicts_the_same(project, tmp_path, monkeypatch, model):
    name = f"activity-{model}"
    told = export(name, tmp_path / "kept", root=project)
    assert {"README.md", "config.json", "model.safetensors", "har.json"} <= set(told)
    assert not [name for name in told if not name.endswith((".md", ".json", ".safetensors"))]
    frame = predictions(project, name)
    expected = frame[(frame.seed == KEPT) & frame.image_id.isin(IMAGES[:4])].sort_values("image_id").filter(like="p_")
    monkeypatch.chdir(tmp_path)  # no params.yaml, no data
    found = load("kept").predict(photographs(project, 4))
    np.testing.assert_allclose([list(one.probabilities.values()) for one in found], expected, atol=1e-5)


@pytest.mark.parametrize("model", ["vit", "clip_patches"])
def test_the_hubs_pipeline_gives_the_same_probabilities(project, tmp_path, model):
    folder, files = tmp_path / "kept", photographs(project)
    export(f"activity-{model}", folder, root=project)
    ours = load(folder)
    ours.short_side = None  # which the hub does not know
    resized = AutoImageProcessor.from_pretrained(folder, backend="pil")  # by Pillow, as here
    classify = pipeline("image-classification", model=str(folder), image_processor=resized, device="cpu")
    for mine, theirs in zip(ours.predict(files), classify(files, top_k=99), strict=True):
        assert mine.probabilities == pytest.approx({row["label"]: row["score"] for row in theirs}, abs=1e-5)


def test_a_folder_that_holds_something_is_left_alone(project, tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(HarError, match="not empty"):
        export("activity-clip", tmp_path, root=project)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    assert "README.md" in export("activity-cnn_base", tmp_path / "empty", root=project)
    assert read_json(tmp_path / "empty/har.json", "") == {"name": "activity-cnn_base", "short_side": 48}


def test_an_export_that_fails_leaves_nothing(project, tmp_path, monkeypatch):
    monkeypatch.setattr("har.app.export._fill", lambda one, folder: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(HarError, match="disk full"):
        export("activity-clip", tmp_path / "kept", root=project)
    assert not list(tmp_path.iterdir())


def test_a_card_says_what_a_hub_reads_and_how_the_weights_open(project):
    text, front = made(project, "activity-clip")
    assert (front["pipeline_tag"], front["library_name"]) == ("image-classification", "transformers")
    assert front["license"] == "apache-2.0"
    scores = front["model-index"][0]["results"][0]["metrics"]
    assert [one["type"] for one in scores] == ["balanced_accuracy", "accuracy"] * 3
    assert "pipeline(" not in text
    assert "`head.weight` and `head.bias`" in text
    assert "seeds:" in text
    assert not [name for name in ("jobs:", "backend:", "ray:") if name in text]  # of the machine that trained
    assert "the one that texts are compared with" in text
    assert str(project) not in text
    assert made(project, "activity-feature")[1]["library_name"] == "har-still"
    assert 'pipeline("image-classification", model=".")' in made(project, "activity-clip_patches")[0]
    # its head starts from texts
    assert 'pipeline("zero-shot-image-classification", model=".")' in made(project, "activity-siglip2")[0]


def test_the_scores_are_those_of_the_weights_that_are_passed_on(project):
    frame = predictions(project, "activity-clip")
    kept = frame[(frame.seed == KEPT) & (frame.split == "test")]
    hits = kept.filter(like="p_").idxmax(axis=1) == "p_" + kept.label
    text, _ = made(project, "activity-clip")
    row = next(line for line in text.splitlines() if line.startswith("| test"))
    assert row.split("|")[3].split()[0] == f"{hits.groupby(kept.label).mean().mean():.3f}"
    assert row.split("|")[4].strip() == f"{hits.mean():.3f}"
    assert f"seed {KEPT}" in text


def test_photographs_and_foreign_weights_keep_their_own_licences(project):
    text, front = made(project, "activity-clip", "coco")
    clip = parameters.profile("coco").backbones["clip"]
    assert front["license"] == "other"
    assert front["base_model"] == clip.id
    assert clip.revision in text
    assert "non-commercial" in text
    assert "generated" not in text


def test_for_fiftyone_samples_carry_label_split_and_the_ensembles_prediction(tmp_path):
    made, data = pages.source(tmp_path / "made", 24), tmp_path / "data/sample"
    parameters.write(tmp_path)
    texts = {"captions_for_label": 1, "captions_total": 5, "rule": "", "evidence": "[]"}
    write_manifest(made.manifest.assign(**texts), data / "manifest.csv")
    write_split(made.split, data / "split.csv")
    frame = made.predictions["activity", "clip"]
    write_parquet(data / "predictions/activity-clip.parquet", frame)
    with pytest.raises(HarError, match="activity-nothing has no predictions"):
        write_dataset("activity-nothing", tmp_path / "out", profile="sample", root=tmp_path)
    assert write_dataset("activity-clip", tmp_path / "out", profile="sample", root=tmp_path) == 24
    assert read_json(tmp_path / "out/metadata.json", "")["media_type"] == "image"
    samples = read_json(tmp_path / "out/samples.json", "")["samples"]
    means = frame.groupby("image_id")[[c for c in frame if c.startswith("p_")]].mean()
    for sample, (_, row) in zip(samples, made.split.iterrows(), strict=True):
        assert (sample["image_id"], sample["tags"]) == (row.image_id, [row.split])
        assert sample["ground_truth"] == {"_cls": "Classification", "label": row.label}
        assert ("prediction" in sample) == (row.image_id in means.index)
        if "prediction" in sample:
            assert sample["prediction"]["label"] == means.loc[row.image_id].idxmax().removeprefix("p_")
            assert sample["prediction"]["confidence"] == pytest.approx(means.loc[row.image_id].max(), abs=1e-6)
