"""A run says whether its settings are those that docs/protocol.md fixes, and names what differs."""

import copy

import parameters
import pytest

from har.config.protocol import papers_images, settings, state
from har.config.resolved import resolved
from har.core.files import write_json

COCO = resolved(parameters.params().model_copy(update={"profile": "coco"}))


@pytest.fixture
def fixed(tmp_path):
    """The settings that docs/protocol.md fixes: COCO's."""
    write_json(tmp_path / "p.json", settings(COCO))
    return tmp_path / "p.json"


def test_what_differs_is_named(fixed):
    other = copy.deepcopy(COCO)
    other["models"]["clip"]["epochs"] += 1
    other["probe"]["c"] = [1.0]
    del other["backbones"]["vit"]["id"]
    told = state(other, fixed)
    assert told == "Settings differ from docs/protocol.md in: backbones.vit.id, models.clip.epochs, probe.c."


def test_the_machine_and_further_studies_play_no_part(fixed):
    other = copy.deepcopy(COCO)
    other["training"] |= {"jobs": 64, "device": "cuda"}
    other["data"]["server"]["url"] = "file:///mirror"
    other["masking"]["images"] = 3
    assert state(other, fixed) == state(COCO, fixed)
    assert state(COCO, fixed).startswith("Settings are those of docs/protocol.md (sha256 ")
    assert not any(key.startswith(("page", "store.jobs", "training.jobs", "masking")) for key in settings(COCO))


def test_another_profile_is_not_the_protocols():
    assert state(resolved(parameters.params())) == ""
    assert state(COCO | {"profile": "mine", "data": {"source": "folder"}}) == ""


def test_only_val2017_as_coco_has_it_is_the_papers(fixed):
    assert papers_images(COCO | {"profile": "mine"}, fixed)
    for key, value in (("source", "world"), ("server", COCO["data"]["server"] | {"images": "train2017"})):
        other = COCO | {"data": COCO["data"] | {key: value}}
        assert not papers_images(other, fixed)
    assert not papers_images(COCO | {"tasks": {"activity": ["lying", "sitting"]}}, fixed)


def test_the_header_says_what_was_used():
    assert COCO["header"] == "Profile coco: photographs of COCO val2017"
    text = "Profile sample: drawn scenes, miniature models; no number here is COCO's"
    assert resolved(parameters.params())["header"] == text
