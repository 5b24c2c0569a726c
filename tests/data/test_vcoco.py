"""V-COCO's verbs become activities of persons; what is no such file is refused in one line."""

import hashlib
import json

import pytest
from servers import Site, serving, status

from har.core.errors import HarError
from har.data.coco import vcoco

VERBS = ("hold", "stand", "sit", "walk", "run", "look")
QUICK = {"backoff": 0.001, "timeout": (1.0, 0.3)}
# image, person, verbs; the last two rows are one person who holds two things
PEOPLE = [
    (11, 1, {"walk", "stand"}),
    (11, 2, {"run", "stand", "look"}),
    (12, 3, {"sit", "hold"}),
    (12, 4, {"stand"}),
    (13, 5, {"look"}),
    (14, 6, {"sit", "stand"}),
    (15, 7, {"hold"}),
    (15, 7, {"hold", "stand"}),
]


def actions(people=PEOPLE):
    """The file's content: each action names all persons anew."""
    return [
        {
            "action_name": verb,
            "image_id": [image for image, _, _ in people],
            "ann_id": [person for _, person, _ in people],
            "label": [int(verb in verbs) for _, _, verbs in people],
            "role_name": ["agent", "obj"],
            "role_object_id": [0] * 2 * len(people),
            "include": [[], []],
        }
        for verb in VERBS
    ]


def written(folder, content):
    path = folder / "vcoco_test.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_people_get_their_activities(tmp_path):
    found = vcoco.read_people(written(tmp_path, actions()))
    assert list(found.itertuples(index=False, name=None)) == [
        (11, 1, "walking_running", True),
        (11, 2, "walking_running", True),
        (12, 3, "sitting", True),
        (12, 4, "standing", True),
        (13, 5, "", True),  # looked at, and doing none of them
        (14, 6, "sitting", True),
        (14, 6, "standing", True),
        (15, 7, "standing", True),
    ]


@pytest.mark.parametrize(
    ("verbs", "expected"),
    [
        ({"walk", "stand"}, ["walking_running"]),
        ({"run", "stand"}, ["walking_running"]),
        ({"walk", "run"}, ["walking_running"]),
        ({"stand"}, ["standing"]),
        ({"sit", "stand"}, ["sitting", "standing"]),
        ({"sit", "walk", "stand"}, ["sitting", "walking_running"]),
        (set(), []),
    ],
)
def test_walking_takes_precedence_over_standing_only(verbs, expected):
    assert vcoco.activities(verbs) == expected


def changed(row, **cells):
    content = actions()
    content[row] |= cells
    return content


HOSTILE = {
    "no JSON": ("<html>not found</html>", "cannot be read as JSON"),
    "cut": (json.dumps(actions())[:-20], "cannot be read as JSON"),
    "deep": ("[" * 100_000, "deeper than 64"),
    "an object": ({"actions": actions()}, "list of actions"),
    "empty list": ([], "'walk' is missing"),
    "numbers": ([1, 2], "action 0 is no object"),
    "no name": (changed(1, action_name=None), "action 1 is no object with an action_name"),
    "named twice": (changed(1, action_name="sit"), "'sit' occurs twice"),
    "no walk": ([a for a in actions() if a["action_name"] != "walk"], "'walk' is missing"),
    "no labels": (changed(2, label=None), "'sit': label is no list of 0 and 1"),
    "label 2": (changed(2, label=[2] + [0] * 7), "'sit': label is no list of 0 and 1"),
    "label true": (changed(2, label=[True] + [0] * 7), "'sit': label is no list of 0 and 1"),
    "label nested": (changed(2, label=[[0]] * 8), "'sit': label is no list of 0 and 1"),
    "fraction": (changed(3, image_id=[1.5] * 8), "'walk': image_id is no list of whole numbers"),
    "negative": (changed(3, ann_id=[-1] * 8), "'walk': ann_id is no list of whole numbers"),
    "too large": (changed(3, image_id=[2**63] * 8), "'walk': image_id is no list of whole numbers"),
    "text": (changed(0, image_id="123"), "'hold': image_id is no list of whole numbers"),
    "lengths": (changed(4, label=[0]), "'run': image_id, ann_id, label differ in length"),
    "two images": (changed(0, ann_id=[9] * 8), "occurs in two images"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_garbage_is_refused(case, tmp_path):
    content, message = HOSTILE[case]
    path = written(tmp_path, content)
    with pytest.raises(HarError, match=message) as caught:
        vcoco.read_people(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_huge_file_is_not_read(tmp_path, monkeypatch):
    path = written(tmp_path, actions())
    monkeypatch.setattr(vcoco, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(HarError, match="bytes, at most"):
        vcoco.read_people(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(HarError, match="no such file"):
        vcoco.read_people(tmp_path / "none.json")


BODY = json.dumps(actions()).encode()
PIN = {"sha256": hashlib.sha256(BODY).hexdigest(), "size": len(BODY)}


def test_the_pinned_file_is_fetched_once(tmp_path):
    with serving(Site({"/data/vcoco_test.json": BODY})) as site:
        found = [vcoco.fetch(f"{site.url}/data/vcoco_test.json", tmp_path, **PIN, **QUICK) for _ in range(2)]
        assert len(site.requests) == 1
    assert found[0] == found[1]
    assert found[0].read_bytes() == BODY


def test_a_file_that_changed_in_the_cache_is_fetched_again(tmp_path):
    source = written(tmp_path, actions())
    path = vcoco.fetch(source.as_uri(), tmp_path / "cache", **PIN)
    path.write_text("[]")
    assert vcoco.fetch(source.as_uri(), tmp_path / "cache", **PIN).read_bytes() == BODY


def test_another_file_is_refused(tmp_path):
    with serving(Site({"/v.json": BODY}, routes={"/gone.json": status(404)})) as site:
        with pytest.raises(HarError, match="404"):
            vcoco.fetch(f"{site.url}/gone.json", tmp_path, **PIN, **QUICK)
        with pytest.raises(HarError, match="sha256"):
            vcoco.fetch(f"{site.url}/v.json", tmp_path, sha256="0" * 64, size=len(BODY), **QUICK)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
