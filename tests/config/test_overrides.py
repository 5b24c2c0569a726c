"""A profile laid over the base values: what is merged, what is replaced, and under which key a mistake is told."""

import parameters
import pytest

from har.config.overrides import alike, differing, merged
from har.core.errors import HarError

BASE = {
    "models": {"clip": {"epochs": 3, "hidden": [1]}, "vit": {"epochs": 3}},
    "tasks": {"activity": ["a", "b"], "posture": ["a", "b"]},
    "report": {"seed": 0},
    "policies": {"none": [], "flip": ["flip"]},
}


@pytest.mark.parametrize(
    ("over", "key", "expected"),
    [
        ({"models": {"clip": {"epochs": 5}}}, "models", {"clip": {"epochs": 5, "hidden": [1]}, "vit": {"epochs": 3}}),
        ({"models": {"clip": {"hidden": [9]}}}, "models", {"clip": {"epochs": 3, "hidden": [9]}, "vit": {"epochs": 3}}),
        ({"models": {"vit": None}}, "models", {"clip": {"epochs": 3, "hidden": [1]}}),
        ({"models": {"new": {"epochs": 1}}}, "models", BASE["models"] | {"new": {"epochs": 1}}),
        ({"tasks": {"activity": ["x", "y"]}}, "tasks", {"activity": ["x", "y"]}),
        ({"policies": {"flip": None}}, "policies", {"none": []}),
        ({"policies": {"gone": None}}, "policies", BASE["policies"]),
        ({"report": {"seed": None}}, "report", {"seed": None}),  # a value may be empty
        ({}, "report", {"seed": 0}),
    ],
)  # fmt: skip
def test_mappings_merge_and_all_else_is_replaced(over, key, expected):
    before = repr(BASE)
    found = merged(BASE, over)
    assert found[key] == expected
    assert list(found) == list(BASE)
    assert repr(BASE) == before
    assert merged(BASE, differing(BASE, over)) == found


def test_an_entry_may_start_from_another():
    block = {"a": {"x": 1, "y": {"z": 2}}, "b": {"like": "a", "y": {"z": 3}}}
    assert alike(block, "p.yaml")["b"] == {"x": 1, "y": {"z": 3}}
    for like in ("c", "b", 7):
        with pytest.raises(HarError, match=r"p.yaml: b\.like names .*, expected one of a"):
            alike(block | {"b": {"like": like}}, "p.yaml")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"profiles.coco.models.clip.epochs": "many"}, "yaml, profile coco: models.clip.epochs: input should be"),
        ({"profiles.coco.models.clip.epoch": 3}, "unknown key models.clip.epoch; the nearest valid key is models.clip"),
        ({"profiles.coco.models.cnn_base.input_size": 999}, "profile coco: models.cnn_base.input_size is 999, more"),
        ({"policies.b.like": "none"}, "policies.b.like names 'none', expected one of"),  # no list of mappings
        ({"profiles.coco.data.source": "csv"}, "profile coco: data: source csv needs the keys csv.file"),
        ({"data.source": "folder", "data.folder.root": "photos"}, "is folder, but tables of sample speak of its own"),
        ({"profiles.coco.tasks": {"posture": ["sitting", "standing"]}}, "profile coco: tasks lacks activity"),
        ({"profiles.sample": None}, "profiles.sample: input should be a valid dictionary, got None"),
        ({"profiles.Mine": {}}, "profiles.Mine: string should match pattern"),
        ({"profile": "mien"}, "profile names 'mien', expected one of sample, coco"),
        ({"models.b.like": "nobody"}, "models.b.like names 'nobody', expected one of"),
        ({"pretrain.models.clip.like": "nobody"}, "pretrain.models.clip.like names 'nobody', expected one of vit"),
        ({"run.train.posture-vit.task": "pose"}, "run.train.posture-vit.task names 'pose', expected one of"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tmp_path, changes, said):
    assert said in parameters.error(tmp_path, {"models.clip.epochs": 3} | changes)
