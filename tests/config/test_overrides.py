"""A profile laid over the base values: what is merged, what is replaced, and under which key a mistake is told."""

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
