"""Which scenes are left out: legs that are cut off, hidden or tell nothing, and bystanders who fill the picture."""

from dataclasses import replace
from itertools import count
from math import pi

import numpy as np
import pytest

from har.synthetic import activity, coco_annotations, sample_scene
from har.synthetic.keypoints import PERSON_CODE
from har.synthetic.pose import sitting, standing, walking
from har.synthetic.random import Dice
from har.synthetic.render import owners
from har.synthetic.visible import visible

SEED = 11
ALONE = next(s for s in map(sample_scene, [SEED] * 999, range(999)) if len(s.people) == 1)


WALKS = (walking(Dice(i), running=False) for i in count())
POSES = {
    "walking_running": next(p for p in WALKS if abs(p.legs[0][0][0] - p.legs[1][0][0]) > 50),  # degrees, thighs apart
    "sitting": sitting(Dice(3), 0.45),
    "standing": next(p for p in map(standing, map(Dice, count())) if all(abs(leg[0][0]) < 4 for leg in p.legs)),
}


def scene(doing, yaw=pi / 2):
    """One person in the middle of the picture, half as high as it, who walks in wide strides, sits or stands."""
    person = replace(
        ALONE.people[0], activity=doing, x=ALONE.aspect / 2, y=0.8, scale=0.3, height=1.0, yaw=yaw, pose=POSES[doing]
    )
    return replace(ALONE, people=(person,), props=(), horizon=0.4)


@pytest.mark.parametrize("doing", ["walking_running", "sitting", "standing"])
class TestOnePerson:
    def test_a_pose_from_the_side_is_visible(self, doing):
        assert visible(scene(doing))

    def test_not_without_legs_in_the_picture(self, doing):
        assert not visible(moved(scene(doing), y=1.45))

    def test_not_beside_the_picture(self, doing):
        assert not visible(moved(scene(doing), x=-0.3))

    def test_not_from_far_away(self, doing):
        assert not visible(moved(scene(doing), scale=0.1))

    def test_not_behind_something(self, doing):
        one = scene(doing)
        codes = owners(one)
        areas = {PERSON_CODE: {"area": 1.0}}
        assert visible(one, codes, areas)
        assert not visible(one, np.where(np.arange(one.height)[:, None] > one.height / 2, 40 * 64, codes), areas)


def moved(one, **changes):
    return replace(one, people=(replace(one.people[0], **changes),))


def test_walking_towards_the_camera_is_not_visible_and_standing_is():
    assert not visible(scene("walking_running", yaw=0.0))
    assert visible(scene("standing", yaw=0.0))
    assert not visible(moved(scene("walking_running"), activity="standing"))  # a stride is no way to stand


def test_bystanders_who_fill_more_of_the_picture_hide_it():
    one = scene("standing")
    other = replace(scene("sitting").people[0], main=False)
    two = replace(one, people=(*one.people, other))
    codes = owners(one)

    def shown(first, second):
        return visible(two, codes, {PERSON_CODE: {"area": first}, PERSON_CODE + 1: {"area": second}})

    assert shown(9.0, 8.0)
    assert not shown(8.0, 9.0)
    same = replace(two, people=(one.people[0], replace(one.people[0], main=False)))
    assert visible(same, codes, {PERSON_CODE: {"area": 8.0}, PERSON_CODE + 1: {"area": 9.0}})


def test_each_activity_of_the_main_people_must_be_visible():
    walker, stander = scene("walking_running").people[0], scene("standing").people[0]
    assert visible(replace(ALONE, people=(walker, stander), props=()))
    assert not visible(replace(ALONE, people=(replace(walker, yaw=0.0), stander), props=()))
    assert visible(replace(ALONE, people=(walker, replace(walker, yaw=0.0)), props=()))  # one of two shows it


def test_scenes_without_people_stay():
    empty = next(s for s in map(sample_scene, [SEED] * 999, range(999)) if not s.people)
    assert visible(empty)
    assert visible(empty, owners(empty), {})


class TestWhichScenesAreKept:
    def kept(self, **options):
        files = coco_annotations(SEED, **options)
        return [image["id"] for image in files["captions"]["images"]]

    def test_so_many_are_kept_in_the_order_of_their_ids(self):
        ids = self.kept(image_ids=count(5), hard=0.0, images=20)
        assert len(ids) == 20
        assert ids == sorted(ids)
        assert self.kept(image_ids=count(5), hard=0.0, images=20, workers=2) == ids
        assert self.kept(image_ids=count(5), hard=0.0, images=12) == ids[:12]
        left_out = sorted(set(range(5, ids[-1])) - set(ids))
        assert left_out
        assert all(sample_scene(SEED, i).people for i in left_out)

    def test_a_share_of_the_others_stays(self):
        few, half, everything = (set(self.kept(image_ids=range(60), hard=hard)) for hard in (0.0, 0.5, 1.0))
        assert few < half < everything == set(range(60))

    def test_what_is_said_of_a_scene_does_not_depend_on_it(self):
        with_others = coco_annotations(SEED, range(12))["captions"]["annotations"]
        alone = coco_annotations(SEED, range(12), hard=0.0)["captions"]["annotations"]
        told = {(row["image_id"], row["caption"]) for row in with_others}
        assert {(row["image_id"], row["caption"]) for row in alone} < told


def test_most_scenes_of_each_activity_are_kept():
    files = coco_annotations(SEED, range(200), hard=0.0)
    kept = {image["id"] for image in files["captions"]["images"]}
    for doing in ("walking_running", "sitting", "standing"):
        ids = [i for i in range(200) if activity(sample_scene(SEED, i)) == doing]
        assert 0.45 < np.mean([i in kept for i in ids]) < 0.97
