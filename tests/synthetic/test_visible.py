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


def moved(one, **changes):
    return replace(one, people=(replace(one.people[0], **changes),))


@pytest.mark.parametrize("doing", POSES)
def test_a_pose_from_the_side_is_visible_unless_it_is_hidden(doing):
    one = scene(doing)
    assert visible(one)
    for changes in ({"y": 1.45}, {"x": -0.3}, {"scale": 0.1}):  # legs below the picture, beside it, far away
        assert not visible(moved(one, **changes))
    codes, areas = owners(one), {PERSON_CODE: {"area": 1.0}}
    assert visible(one, codes, areas)
    hidden = np.where(np.arange(one.height)[:, None] > one.height / 2, 40 * 64, codes)  # behind something
    assert not visible(one, hidden, areas)


def test_walking_towards_the_camera_is_not_visible_and_standing_is():
    assert not visible(scene("walking_running", yaw=0.0))
    assert visible(scene("standing", yaw=0.0))
    assert not visible(moved(scene("walking_running"), activity="standing"))  # a stride is no way to stand


def test_bystanders_who_fill_more_of_the_picture_hide_it():
    one = scene("standing")
    other = replace(scene("sitting").people[0], main=False)
    two, codes = replace(one, people=(*one.people, other)), owners(one)
    less, more = {PERSON_CODE: {"area": 9.0}}, {PERSON_CODE: {"area": 8.0}, PERSON_CODE + 1: {"area": 9.0}}
    assert visible(two, codes, less)
    assert not visible(two, codes, more)
    same = replace(two, people=(one.people[0], replace(one.people[0], main=False)))
    assert visible(same, codes, more)


def test_each_activity_of_the_main_people_must_be_visible_and_scenes_without_them_stay():
    walker, stander = scene("walking_running").people[0], scene("standing").people[0]
    assert visible(replace(ALONE, people=(walker, stander), props=()))
    assert not visible(replace(ALONE, people=(replace(walker, yaw=0.0), stander), props=()))
    assert visible(replace(ALONE, people=(walker, replace(walker, yaw=0.0)), props=()))  # one of two shows it
    empty = replace(ALONE, people=())
    assert visible(empty, owners(empty), {})


def kept(**options):
    return [image["id"] for image in coco_annotations(SEED, **options)["captions"]["images"]]


def test_so_many_are_kept_in_the_order_of_their_ids():
    ids = kept(image_ids=count(5), hard=0.0, images=8, workers=2)
    assert len(ids) == 8
    assert kept(image_ids=count(5), hard=0.0, images=6) == ids[:6] == sorted(ids)[:6]


def test_most_scenes_of_each_activity_are_kept_and_a_share_of_the_others():
    few, half = (set(kept(image_ids=range(45), hard=hard)) for hard in (0.0, 0.5))
    assert few < half < set(range(45))
    for doing in POSES:
        ids = [i for i in range(45) if activity(sample_scene(SEED, i)) == doing]
        assert 0.45 < np.mean([i in few for i in ids]) < 0.97
    assert all(sample_scene(SEED, i).people for i in set(range(45)) - few)
