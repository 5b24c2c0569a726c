"""The world's annotations: exact to the pixel, and in the form pycocotools reads."""

import json

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO

from har.synthetic import coco_annotations, person_annotations, sample_scene
from har.synthetic.labels import KEYPOINTS

SEED = 11
IDS = range(20)


@pytest.fixture(scope="module")
def files():
    return coco_annotations(SEED, IDS)


def test_boxes_masks_and_areas_agree(files):
    sizes = {i["id"]: (i["width"], i["height"]) for i in files["instances"]["images"]}
    covered = {image_id: np.zeros((height, width), bool) for image_id, (width, height) in sizes.items()}
    for annotation in files["instances"]["annotations"]:
        image_id = annotation["image_id"]
        x, y, w, h = annotation["bbox"]
        mask = rle.decode(annotation["segmentation"]).astype(bool)
        assert mask.sum() == annotation["area"]
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert [x, y, x + w, y + h] == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert not (mask & covered[image_id]).any()  # each pixel has one owner
        covered[image_id] |= mask


def test_visible_keypoints_lie_on_their_person(files):
    for annotation in files["person_keypoints"]["annotations"]:
        mask = rle.decode(annotation["segmentation"])
        points = np.array(annotation["keypoints"]).reshape(17, 3)
        assert annotation["num_keypoints"] == (points[:, 2] > 0).sum()
        assert set(points[:, 2]) <= {0, 1, 2}
        assert not points[points[:, 2] == 0].any()
        x, y = points[points[:, 2] > 0, :2].T
        assert mask[y, x][points[points[:, 2] > 0, 2] == 2].all()


def test_noses_hide_when_heads_turn_away():
    nose = 3 * KEYPOINTS.index("nose") + 2
    front, back = [], []
    for image_id in range(250):
        scene = sample_scene(SEED, image_id)
        if len(scene.people) != 1 or -0.75 < np.cos(scene.people[0].yaw) < 0.97:
            continue
        side = back if np.cos(scene.people[0].yaw) < 0 else front
        side += [annotation["keypoints"][nose] == 2 for annotation in person_annotations(scene)]
    assert min(len(front), len(back)) >= 4
    assert np.mean(front) > 0.7
    assert np.mean(back) < 0.2


def test_files_load_in_pycocotools(files, tmp_path, capsys):
    for name, content in files.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        api = COCO(str(path))
        assert sorted(api.getImgIds()) == list(IDS)
        if name == "captions":
            assert all(len(api.getAnnIds(imgIds=i)) == 5 for i in IDS)
        else:
            assert api.getCatIds(catNms=["person"]) == [1]
            first = api.loadAnns(api.getAnnIds())[0]
            assert api.annToMask(first).sum() == first["area"]
    capsys.readouterr()


def test_ids_and_licences_are_coco_like(files):
    assert [entry["id"] for entry in files["captions"]["licenses"]] == list(range(1, 9))
    image = files["captions"]["images"][7]
    assert image["file_name"] == "000000000007.jpg"
    assert image["license"] in range(1, 9)
    people = {a["id"]: a["bbox"] for a in files["person_keypoints"]["annotations"]}
    instances = {a["id"]: a["bbox"] for a in files["instances"]["annotations"]}
    assert len(instances) == len(files["instances"]["annotations"])
    assert people.items() <= instances.items()
    known = {c["id"] for c in files["instances"]["categories"]}
    assert {a["category_id"] for a in files["instances"]["annotations"]} <= known


def test_workers_do_not_change_the_files(files):
    assert coco_annotations(SEED, IDS, workers=2) == files


def test_an_id_given_twice_is_refused():
    with pytest.raises(ValueError, match="unique"):
        coco_annotations(SEED, [1, 2, 1])
