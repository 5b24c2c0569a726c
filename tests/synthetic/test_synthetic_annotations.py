"""The world's annotations: exact to the pixel, and in the form pycocotools reads."""

import json

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO

from har.synthetic import coco_annotations, person_annotations, sample_scene
from har.synthetic.labels import KEYPOINTS
from har.synthetic.render import owners

SEED = 11
IDS = range(40)


@pytest.fixture(scope="module")
def files():
    return coco_annotations(SEED, IDS)


def test_boxes_masks_and_areas_agree(files):
    sizes = {i["id"]: (i["width"], i["height"]) for i in files["instances"]["images"]}
    for annotation in files["instances"]["annotations"]:
        width, height = sizes[annotation["image_id"]]
        x, y, w, h = annotation["bbox"]
        assert x >= 0
        assert y >= 0
        assert w > 0
        assert h > 0
        assert x + w <= width
        assert y + h <= height
        mask = rle.decode(annotation["segmentation"])
        assert mask.shape == (height, width)
        assert mask.sum() == annotation["area"]
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert [x, y, x + w, y + h] == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def test_visible_keypoints_lie_on_their_person(files):
    for annotation in files["person_keypoints"]["annotations"]:
        mask = rle.decode(annotation["segmentation"])
        points = np.array(annotation["keypoints"]).reshape(17, 3)
        assert annotation["num_keypoints"] == (points[:, 2] > 0).sum()
        for x, y, v in points:
            assert v in (0, 1, 2)
            if v == 2:
                assert mask[y, x] == 1
            elif v == 0:
                assert (x, y) == (0, 0)
            else:
                assert 0 <= x < mask.shape[1]
                assert 0 <= y < mask.shape[0]


def test_masks_of_one_image_do_not_overlap():
    for image_id in range(15):
        total = sum(rle.decode(a["segmentation"]).astype(int) for a in person_annotations(sample_scene(SEED, image_id)))
        assert np.max(total) <= 1


def test_noses_hide_when_heads_turn_away():
    nose = 3 * KEYPOINTS.index("nose") + 2
    front, back = [], []
    for image_id in range(500):
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


def test_owner_map_covers_the_image():
    scene = sample_scene(SEED, 3)
    codes = owners(scene)
    assert codes.shape == (scene.height, scene.width)
    assert codes.min() >= 0
