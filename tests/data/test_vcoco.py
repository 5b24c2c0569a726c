"""V-COCO's verbs become activities of persons; what is no such file is refused in one line."""

import hashlib
import json

import pytest

from har.core.errors import HarError
from har.data.coco import vcoco

VERBS = ("hold", "stand", "sit", "walk", "run", "look")
# image, person, verbs; person 7 holds two things
PEOPLE = [
    (11, 1, {"walk", "stand"}), (11, 2, {"run", "stand", "look"}), (12, 3, {"sit", "hold"}), (12, 4, {"stand"}),
    (13, 5, {"look"}), (14, 6, {"sit", "stand"}), (15, 7, {"hold"}), (15, 7, {"hold", "stand"}),
    (16, 8, {"sit", "walk", "stand"}), (17, 9, {"walk", "run"}),
]  # fmt: skip


def actions(people=PEOPLE):
    """The file's content: each action names all persons anew."""
    return [
        {
            "action_name": verb,
            "image_id": [image for image, _, _ in people],
            "ann_id": [person for _, person, _ in people],
            "label": [int(verb in verbs) for _, _, verbs in people],
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
        (11, 1, "walking_running", True), (11, 2, "walking_running", True), (12, 3, "sitting", True),
        (12, 4, "standing", True), (13, 5, "", True),  # looked at, and doing none of them
        (14, 6, "sitting", True), (14, 6, "standing", True), (15, 7, "standing", True), (16, 8, "sitting", True),
        (16, 8, "walking_running", True), (17, 9, "walking_running", True),
    ]  # fmt: skip


def changed(row, **cells):
    content = actions()
    content[row] |= cells
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<html>not found</html>", "cannot be read as JSON"),
        ([], "action run is missing"),
        ([one for one in actions() if one["action_name"] != "walk"], "action walk is missing"),
        (changed(2, label=[2] + [0] * 9), "action sit has no whole numbers"),
        (changed(3, image_id=[1.5] * 10), "action walk has no whole numbers"),
        (changed(4, label=[0]), "shorter than"),
        (changed(0, ann_id=[9] * 10), "occurs in two images"),
    ],
)
def test_garbage_is_refused(content, message, tmp_path):
    path = written(tmp_path, content)
    with pytest.raises(HarError, match=message) as caught:
        vcoco.read_people(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


BODY = json.dumps(actions()).encode()
PIN = {"sha256": hashlib.sha256(BODY).hexdigest(), "size": len(BODY)}


def test_the_pinned_file_is_fetched_once_and_again_where_it_changed_in_the_cache(tmp_path):
    source = written(tmp_path, actions())
    path = vcoco.fetch(source.as_uri(), tmp_path / "cache", **PIN)
    source.unlink()
    assert vcoco.fetch(source.as_uri(), tmp_path / "cache", **PIN).read_bytes() == BODY
    path.write_text("[]")
    with pytest.raises(HarError, match="no such file"):
        vcoco.fetch(source.as_uri(), tmp_path / "cache", **PIN)
    written(tmp_path, actions(PEOPLE[1:]))
    with pytest.raises(HarError, match="expected"):
        vcoco.fetch(source.as_uri(), tmp_path / "cache", **PIN)
