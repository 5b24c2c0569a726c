"""params.yaml: what is not understood stops the run with one line that names the key."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from har.config.load import read_yaml
from har.config.profile import load_params
from har.core.errors import HarError

TEXT = Path("params.yaml").read_text()


def error(tmp_path, old, new) -> str:
    assert old in TEXT
    file = tmp_path / "params.yaml"
    file.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(HarError) as caught:
        load_params(file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_shipped_file_is_valid_in_both_profiles(tmp_path):
    assert load_params().profile == "sample"
    file = tmp_path / "params.yaml"
    file.write_text(TEXT.replace("profile: sample", "profile: coco"))
    assert load_params(file).active.curate.classes["sitting"].count == 95


def test_both_profiles_have_the_same_keys():
    def keys(value, path=""):
        if not isinstance(value, dict):
            return {path}
        return {k for name, v in value.items() for k in keys(v, f"{path}.{name}")}

    data = read_yaml("params.yaml")
    assert keys(data["sample"]) == keys(data["coco"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    seed: 2017\n", "    sed: 2017\n", "unknown key pretrain.scenes.sed; the nearest valid key is"),
        ("profile: sample", "profle: sample", "unknown key profle; the nearest valid key is profile"),
        ("label_smoothing: 0.0", "label_smooth: 0.0", "nearest valid key is sample.models.cnn_base.label_smoothing"),
        ("fit: squash", "fit: stretch", "models.cnn_base.fit: input should be 'crop' or 'squash', got 'stretch'"),
        ("min_captions: 2", "min_captions: two", "sample.curate.min_captions: input should be a valid integer"),
        ("min_captions: 2", "min_captions: 2.0", "sample.curate.min_captions: input should be a valid integer"),
        ("train: 0.8", "train: 0.9", "sample.split: train, validation and test sum to 1.1, expected 1"),
        ("      backbone: vit", "      backbone: vti", "sample: models.vit.backbone names 'vti', expected one of"),
        ("    - vertical_flip", "    - upside_down", "sample.policies.vertical_flip"),
        ("  encoders:\n  - vit\n", "  encoders:\n", "run.train.activity-vit needs backbone vit"),
        ("      input: backbones/clip", "      input: store", "activity-clip.input is store, expected backbones/clip"),
        ("    - activity-vit\n", "    - activity-feature\n", "explain.models names 'activity-feature', expected"),
        ("revision: 3f49326eb0", "revision: main#", "sample.backbones.vit.revision"),
        ("profile: sample", "profile: &a sample\ncopy: *a", "aliases (*name) are not used here"),
        ("profile: sample", "profile: sample\nprofile: coco", "not valid YAML"),
        ("profile: sample", "profile: !!python/object:os.system sample", "line 13: tags (tag:yaml.org,2002:python"),
        ("profile: sample", "profile: !!int x", "tags (tag:yaml.org,2002:int) are not used here"),
        ("profile: sample", "profile: 2024-13-45", "not valid YAML: month must be in 1..12"),
        ("profile: sample", "profile: 2024-01-01", "profile: date is not used here; quote it"),
        ("profile: sample", f"profile: {'9' * 5000}", "not valid YAML: Exceeds the limit"),
        ("profile: sample", f"profile: {'9' * 400}", "profile: a whole number of more than 64 bits"),
        ("profile: sample", "profile: .inf", "profile: inf is no number to work with"),
        ("profile: sample", f"profile: {'[' * 30}{']' * 30}", "more than 20 levels or 100,000 values"),
        ("profile: sample", f"profile: [{'1, ' * 100_000}]", "more than 20 levels or 100,000 values"),
        ("profile: sample", "profile: sample\n? [1]\n: 2", "expected a name of at most 200 characters"),
        ("profile: sample", "profile: sample\n1: 2", "key 1: expected a name"),
        ("profile: sample", f"profile: sample\n{'x' * 500}: 2", "expected a name of at most 200 characters"),
        ("profile: sample", "profile: sample\nprofile2: sample", "unknown key profile2; the nearest"),
        ("    seed: 42\n", f"    seed: {2**32}\n", "seed: input should be less than 4294967296"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tmp_path, old, new, said):
    if "upside" in new:
        old, new = "    vertical_flip:\n    - vertical_flip", "    vertical_flip:\n    - upside_down"
    assert said in error(tmp_path, old, new)


def test_a_class_without_keywords_is_named(tmp_path):
    block = TEXT[TEXT.index("      sitting:\n        count: 95") : TEXT.index("      standing:\n        count: 92")]
    said = error(tmp_path, block, "      sitting:\n        count: 95\n        keywords: []\n")
    assert "sample: curate.classes.sitting: keywords is empty" in said


def test_numbers_as_dvc_writes_them(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(TEXT.replace("learning_rate: 0.001", "learning_rate: 1e-06", 1))
    assert load_params(file).pretrain.models["vit"].learning_rate == 1e-6


def test_a_missing_or_huge_file_is_told(tmp_path):
    with pytest.raises(HarError, match=r"none\.yaml: no such file; expected parameters in YAML"):
        load_params(tmp_path / "none.yaml")
    (tmp_path / "huge.yaml").write_text("#" * 1_100_000)
    with pytest.raises(HarError, match="1,100,000 bytes, at most 1,000,000 allowed"):
        load_params(tmp_path / "huge.yaml")


def test_the_check_stage_ends_with_one_line(tmp_path):
    (tmp_path / "params.yaml").write_text(TEXT.replace("  report:", "  reprot:", 1))
    done = subprocess.run(
        [sys.executable, "-m", "stages.check"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == "check: params.yaml: unknown key sample.reprot; the nearest valid key is sample.report\n"


@pytest.mark.parametrize(
    "override",
    [
        "sample.models.clip.learning_rate=3e-5",
        "profile=coco",
        "sample.backbones.clip.source=random",
        "coco.split.seed=7",
    ],
)
def test_an_experiment_changes_one_line_of_params_yaml(tmp_path, override):
    from dvc.utils.hydra import apply_overrides  # what `dvc exp run -S` calls

    path = tmp_path / "params.yaml"
    path.write_text(Path("params.yaml").read_text())
    apply_overrides(path, [override])
    pairs = zip(Path("params.yaml").read_text().splitlines(), path.read_text().splitlines(), strict=True)
    changed = [after.split("#")[0].split(":", 1) for before, after in pairs if before != after]
    assert [(key.strip(), float(value) if "rate" in key else value.strip()) for key, value in changed] == [
        (override.split("=")[0].split(".")[-1], float("3e-5") if "rate" in override else override.split("=")[1])
    ]
    load_params(path)
