"""params.yaml: what is not understood stops the run with one line that names the key."""

import os
import re
import subprocess
import sys

import parameters
import pytest
from parameters import error

from har.config.load import read_yaml
from har.config.profile import load_params
from har.config.resolved import resolved
from har.config.rows import kept
from har.core.errors import HarError


def test_the_file_is_valid_and_a_profile_is_chosen_by_one_word(tmp_path):
    assert set(parameters.SHIPPED) <= set(load_params(parameters.FILE).profiles)
    for name in parameters.SHIPPED:
        params = load_params(parameters.write(tmp_path, {"profile": name}))
        assert params.active == params.profiles[name] == parameters.profile(name)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("pretrain.scenes.sed", 2017, "unknown key pretrain.scenes.sed; the nearest valid key is pretrain.scenes.seed"),
        ("tasks.posture", ["sitting"], "tasks.posture: expected two classes or more, got 1"),
        ("tasks.posture", ["sitting", "standing", "sitting"], "tasks.posture: an entry is repeated"),
        ("profle", "sample", "unknown key profle; the nearest valid key is profile"),
        ("models.cnn_base.label_smooth", 0.0, "models.cnn_base.label_smoothing"),
        ("models.cnn_base.fit", "stretch", "models.cnn_base.fit: input should be 'crop' or 'squash', got 'stretch'"),
        ("augmentation.blur_sigma", 0.05, "augmentation.blur_sigma: input should be greater than or equal to 0.1"),
        ("curate.min_captions", 2.0, "curate.min_captions: input should be a valid integer"),
        ("models.cnn_gen.min_epochs", 9999, "models.cnn_gen: min_epochs is 9999, more than the"),
        ("split.train", 0.95, "split: train, validation and test sum to"),
        ("models.vit.backbone", "vti", "models.vit.backbone names 'vti', expected one of vit, clip, siglip2"),
        ("models.vit.backbone", "", "models.vit.backbone names '', expected one of vit, clip, siglip2"),
        ("learning_curve.models", ["x"], "expected one of cnn_base, fnn_base, "),
        ("run.encoders", ["clip", "siglip2"], "run.train.activity-vit needs backbone vit"),
        ("run.train.activity-clip.input", "store", "activity-clip.input names 'store', expected"),
        ("explain.models", ["activity-feature"], "explain.models names 'activity-feature', expected"),
        ("backbones.vit.revision", "main#", "backbones.vit.revision"),
        ("backbones.vit.source", "open_clip", "backbones.vit: source open_clip needs the key model"),
        ("backbones.vit", {"source": "open_clip", "model": "ViT-B-32"}, "backbones.vit: pretrained is empty"),
        ("backbones.vit", {"source": "open_clip", "model": "hf-hub:a/b", "pretrained": "x"}, "is of no use with model"),
        ("split.seed", 2**32, "split.seed: input should be less than 4294967296"),
        ("curate.classes.sitting.count", None, "curate.classes.sitting: expected a count, and keywords"),
        ("curate.classes.sitting.keywords", [], "curate.classes.sitting: expected a count, and keywords"),
        ("rows.probe_clip_views.views", ["image", "image"], "rows.probe_clip_views.views: an entry is repeated"),
        ("rows.probe_clip_views.views", ["person"], "rows.probe_clip_views: a row that needs person boxes"),
        ("rows.probe_clip_views.backbone", "clap", "rows.probe_clip_views.backbone names 'clap', expected one of"),
        ("rows.probe_clip_views.backbone", "vit", "expected a name that starts with probe_vit_"),
        ("rows.ensemble_views.members", ["clip", "clop"], "rows.ensemble_views.members names 'clop', expected one of"),
        ("models.multimodal.batch_size", 1, "models.multimodal.batch_size: input should be greater than or equal to 2"),
        ("models.multimodal.augmentation", ["horizontal_flip"], "models.multimodal.augmentation"),
        ("pretrain.scenes.count", 1000, "scenes to train on; scenes.count less scenes.held_out is"),
        ("pretrain.models.clip.samples", [100], "models.clip.samples 100 is less than its batch_size"),
        ("pretrain.models.clip.heads", 5, "width and text_width must be multiples of heads, 5"),
        ("pretrain.models.clip.patch_size", 99, "patch_size 99 exceeds image_size"),
        ("noise.checks", 99, "noise: checks is 99, more than the"),
        ("run.noise", "multimodal", "run.noise names 'multimodal'"),
        ("masking.cues.flying", ["sports ball"], "masking.cues names 'flying'"),
        ("models.b.like", "nobody", "models.b.like names 'nobody', expected one of"),
        ("policies.b.like", "none", "policies.b.like names 'none', expected one of"),  # no list of mappings
        ("pretrain.models.clip.like", "nobody", "pretrain.models.clip.like names 'nobody', expected one of vit"),
        ("run.train.posture-vit.task", "pose", "run.train.posture-vit.task names 'pose', expected one of"),
        ("run.train.posture-vit.task", ["posture"], "run.train.posture-vit.task: input should be a valid string"),
        ("profile", "mien", "profile names 'mien', expected one of sample, coco"),
        ("profiles.sample", None, "profiles.sample: input should be a valid dictionary, got None"),
        ("profiles.Mine", {}, "profiles.Mine: string should match pattern"),
        ("profiles.coco.data.source", "csv", "profile coco: data: source csv needs the keys csv.file"),
        ("profiles.coco.tasks", {"posture": ["sitting", "standing"]}, "profile coco: tasks lacks activity"),
        ("profiles.coco.models.clip.epochs", "many", "yaml, profile coco: models.clip.epochs: input should be"),
        ("profiles.coco.models.clip.epoch", 3, "unknown key models.clip.epoch; the nearest valid key is models.clip"),
        ("profiles.coco.models.cnn_base.input_size", 999, "profile coco: models.cnn_base.input_size is 999, more"),
    ],
)
def test_a_mistake_is_named(tmp_path, key, value, said):
    assert said in error(tmp_path, {key: value})


def test_own_images_need_a_profile_of_another_name(tmp_path):
    told = error(tmp_path, {"data.source": "folder", "data.folder.root": "photos"})
    assert "data.source is folder, but tables of sample speak of its own images" in told


ROWS = {
    "probe_vit_flip": {"kind": "probe", "backbone": "vit", "views": ["flip", "image"]},
    "probe_clip_person": {"kind": "probe", "backbone": "clip", "views": ["person"]},
    "ensemble_both": {"kind": "ensemble", "members": ["probe_vit_flip", "clip"]},
    "ensemble_person": {"kind": "ensemble", "members": ["probe_clip_person", "zero_shot"]},
}


def test_views_that_rows_see_are_embedded_and_rows_that_a_run_cannot_have_left_out_with_the_reason(tmp_path):
    params = load_params(parameters.write(tmp_path, {"rows": ROWS, "cross_validation.models": ["metadata"]}))
    told, rows = resolved(params), params.active.rows
    assert told["views"] == {"vit": ["image", "flip"], "clip": ["image", "person"], "siglip2": ["image"]}
    assert {"zero_shot", "zero_shot_siglip2", "probe_vit", *ROWS} <= set(told["rows"])
    assert list(kept(rows, ["vit", "clip"], own=False)[0]) == list(ROWS)
    found, left_out = map(list, kept(rows, ["vit", "clip"], own=True))
    assert (found, left_out) == (["probe_vit_flip", "ensemble_both"], ["probe_clip_person", "ensemble_person"])
    assert kept(rows, ["clip"], own=False)[1] == {
        "probe_vit_flip": "run.encoders lacks vit", "ensemble_both": "so is its member probe_vit_flip"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("profile: &a sample\ncopy: *a", "line 2: aliases (*name) are not used here"),
        ("profile: sample\nprofile: coco", "not valid YAML"),
        ("profile:\n- !!python/object:os.system sample", "line 2: tags (!name) are not used here"),
        ("profile: !!str 5", "line 1: tags (!name) are not used here"),
        ("profile: 2024-01-01", "profile: input was not a valid JSON value, got datetime.date(2024, 1, 1)"),
        (f"profile: {'9' * 5000}", "not valid YAML: Exceeds the limit"),
        ("profile: 2024-13-45", "not valid YAML: month must be in 1..12"),
        (f"profile: {'[' * 90_000}{']' * 90_000}", "line 1: lists and mappings within each other, more than 100 deep"),
        ("profile: sample\n? [1]\n: 2", "input should be a valid string, got (1,)"),
        ("profile: sample\n? [[1]]\n: 2", "not valid YAML: unhashable type"),
    ],
)  # fmt: skip
def test_what_is_no_plain_yaml_is_refused(tmp_path, text, said):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(HarError) as told:
        read_yaml(tmp_path / "params.yaml")
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_a_missing_or_huge_file_is_told_and_numbers_are_as_dvc_writes_them(tmp_path):
    (tmp_path / "params.yaml").write_text("learning_rate: 1e-06\n")
    assert read_yaml(tmp_path / "params.yaml") == {"learning_rate": 1e-6}
    with pytest.raises(HarError, match=r"none\.yaml: no such file; expected parameters in YAML"):
        load_params(tmp_path / "none.yaml")
    (tmp_path / "huge.yaml").write_text("#" * 300_000)
    with pytest.raises(HarError, match="300,000 bytes, at most 200,000 allowed"):
        load_params(tmp_path / "huge.yaml")


def test_the_check_stage_ends_with_one_line(tmp_path):
    parameters.write(tmp_path, {"profiles.sample.reprot": {}})
    command, environment = [sys.executable, "-m", "stages.lib.run", "check"], os.environ | {"PYTHONPATH": os.getcwd()}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(r"check: params\.yaml, profile sample: unknown key .*report\n", done.stderr)


def test_an_experiment_changes_one_line_of_params_yaml(tmp_path):
    """Its form is the one that -S writes, so that a comparison of two versions shows what was changed."""
    before = parameters.FILE.read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(before, encoding="utf-8")
    changes = {"models.clip.learning_rate": 3.25e-5, "profile": "clips", "profiles.coco.models.clip.epochs": 77}
    parameters.override(tmp_path, changes)
    after = (tmp_path / "params.yaml").read_text(encoding="utf-8")
    changed = [new for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert len(changed) == len(changes)
    assert all(any(str(value) in line for line in changed) for value in changes.values())
