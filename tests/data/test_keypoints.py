"""How much of the largest person is to be seen, from COCO's files."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from har.core.errors import HarError
from har.data.coco.keypoints import JOINTS, covered_share, read_visibility

BIG, SMALL = [0, 0, 10, 20], [5, 0, 10, 10]


def person(number, image_id, box, hidden=0, seen=0, **more):
    flags = [1] * hidden + [2] * seen + [0] * (JOINTS - hidden - seen)
    points = [value for flag in flags for value in (1, 1, flag)]
    return {"id": number, "image_id": image_id, "category_id": 1, "bbox": box, "iscrowd": 0, "keypoints": points} | more


def write(folder, people, joints=None, things=()):
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in (1, 2, 9)]
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "chair"}]
    files = folder / "instances.json", folder / "person_keypoints.json"
    for file, rows in zip(files, ([*people, *things], people if joints is None else joints), strict=True):
        file.write_text(json.dumps({"images": images, "categories": categories, "annotations": rows}))
    return files


def row(files, image_id):
    found = read_visibility(*files, [image_id]).iloc[0]
    return [None if np.isnan(v) else v for v in found[["labelled_joints", "hidden_joints", "overlap"]]]


def test_the_largest_person_counts_and_things_do_not_cover(tmp_path):
    chair = {"id": 7, "image_id": 1, "category_id": 2, "bbox": [0, 0, 10, 20], "iscrowd": 0}
    people = [person(3, 1, SMALL, hidden=17), person(4, 1, BIG, hidden=3, seen=9)]
    files = write(tmp_path, people, things=[chair])
    assert row(files, 1) == [12 / 17, 3 / 12, 0.25]  # a half of the width of the upper half


def test_a_crowd_covers_but_is_nobody(tmp_path):
    crowd = person(1, 1, [0, 0, 50, 50], iscrowd=1)
    files = write(tmp_path, [crowd, person(2, 1, BIG, seen=17), person(3, 2, BIG, iscrowd=1)])
    assert row(files, 1) == [1, 0, 1]
    for nobody in (2, 9, 10):  # 10: not even in the files
        assert row(files, nobody) == [None, None, None]


def test_without_keypoints_only_the_overlap_is_known(tmp_path):
    files = write(tmp_path, [person(1, 1, BIG), person(2, 2, BIG, seen=5)], joints=[person(1, 1, BIG)])
    assert row(files, 1) == row(files, 2) == [None, None, 0]


def test_rows_follow_the_ids_asked_for(tmp_path):
    files = write(tmp_path, [person(1, 1, BIG), person(2, 2, BIG)])
    assert read_visibility(*files, [2, 9, 1])["image_id"].tolist() == [2, 9, 1]
    assert read_visibility(*files, []).empty


@pytest.mark.parametrize("points", [None, [1, 2], [1, 1, 3] * JOINTS, [1, 1, True] * JOINTS, ["a"] * 51])
def test_what_is_no_keypoint_names_file_and_row(tmp_path, points):
    files = write(tmp_path, [person(1, 1, BIG)], joints=[person(1, 1, BIG), person(2, 1, SMALL, keypoints=points)])
    with pytest.raises(HarError, match=r"person_keypoints.json: annotations\[1\]: keypoints are not 17"):
        read_visibility(*files, [1])


side = st.integers(0, 12)
box = st.tuples(side, side, st.integers(1, 8), st.integers(1, 8))


@given(box, st.lists(box, max_size=5))
def test_the_covered_share_is_that_of_pixels(mine, others):
    grid = np.zeros((20, 20), dtype=bool)
    for x, y, w, h in others:
        grid[y : y + h, x : x + w] = True
    x, y, w, h = mine
    share = covered_share(np.array(mine), np.array(others))
    assert share == pytest.approx(grid[y : y + h, x : x + w].mean())
    assert 0 <= share <= 1
