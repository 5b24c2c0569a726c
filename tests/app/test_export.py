"""A model to keep: complete in its folder, with a card that tells what it is."""

import numpy as np
import parameters
import pytest
import yaml
from projects import IMAGES, KEPT, MODELS

from har.app.export import export
from har.app.predict import load
from har.core.errors import HarError
from har.core.readers import read_json
from har.evaluation.predictions import read_predictions
from har.models.registry import named
from har.reporting.model_card import card


def front_matter(text: str) -> dict:
    assert text.startswith("---\n")
    return yaml.safe_load(text.split("---\n")[1])


def made(project, name: str) -> str:
    one, profile = named(name, "sample", project), parameters.profile()
    predictions = read_predictions(project / f"data/sample/predictions/{name}.parquet")
    return card(one, profile, predictions)


@pytest.mark.parametrize("model", MODELS)
def test_an_exported_model_needs_no_project_and_predicts_the_same(project, tmp_path, monkeypatch, model):
    name = f"activity-{model}"
    told = export(name, tmp_path / "kept", root=project)
    assert {"README.md", "config.json", "model.safetensors", "har.json"} <= set(told)
    assert not [name for name in told if not name.endswith((".md", ".json", ".safetensors"))]
    frame = read_predictions(project / f"data/sample/predictions/{name}.parquet")
    expected = frame[(frame.seed == KEPT) & frame.image_id.isin(IMAGES[:4])].sort_values("image_id").filter(like="p_")
    monkeypatch.chdir(tmp_path)  # no params.yaml, no data
    found = load("kept").predict([project / f"data/sample/images/{i:012d}.jpg" for i in IMAGES[:4]])
    np.testing.assert_allclose([list(one.probabilities.values()) for one in found], expected, atol=1e-5)


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
    text = made(project, "activity-clip")
    front = front_matter(text)
    assert (front["pipeline_tag"], front["library_name"]) == ("image-classification", "transformers")
    assert front["license"] == "apache-2.0"
    scores = front["model-index"][0]["results"][0]["metrics"]
    assert [one["type"] for one in scores] == ["balanced_accuracy", "accuracy"] * 3
    assert "pipeline(" not in text
    assert "`head.weight` and `head.bias`" in text
    assert "the one that texts are compared with" in text
    assert front_matter(made(project, "activity-feature"))["library_name"] == "har-still"
    assert 'pipeline("image-classification", model=".")' in made(project, "activity-clip_patches")
    # its head starts from texts
    assert 'pipeline("zero-shot-image-classification", model=".")' in made(project, "activity-siglip2")


def test_the_scores_are_those_of_the_weights_that_are_passed_on(project):
    frame = read_predictions(project / "data/sample/predictions/activity-clip.parquet")
    kept = frame[(frame.seed == KEPT) & (frame.split == "test")]
    shares = kept.filter(like="p_")
    hits = np.array([name[2:] for name in shares.columns])[shares.to_numpy().argmax(1)] == kept.label
    text = made(project, "activity-clip")
    row = next(line for line in text.splitlines() if line.startswith("| test"))
    assert row.split("|")[3].split()[0] == f"{hits.groupby(kept.label).mean().mean():.3f}"
    assert row.split("|")[4].strip() == f"{hits.mean():.3f}"
    assert f"seed {KEPT}" in text


def test_a_card_is_the_same_each_time_and_names_no_place_of_this_machine(project):
    text = made(project, "activity-vit")
    assert text == made(project, "activity-vit")
    assert str(project) not in text
    assert "commit" not in text


def test_photographs_and_foreign_weights_keep_their_own_licences(project):
    profile = parameters.profile("coco")
    one = named("activity-clip", "sample", project)
    predictions = read_predictions(project / "data/sample/predictions/activity-clip.parquet")
    text = card(one, profile, predictions)
    front = front_matter(text)
    assert front["license"] == "other"
    assert front["base_model"] == profile.backbones["clip"].id
    assert profile.backbones["clip"].revision in text
    assert "non-commercial" in text
    assert "generated" not in text
