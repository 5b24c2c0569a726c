"""The world's annotations: exact to the pixel, and in the form pycocotools reads."""

import json

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO

from har.synthetic import coco_annotations, sample_scene
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
    alone = [scene for scene in (sample_scene(SEED, i) for i in range(250)) if len(scene.people) == 1]
    facing = {scene.image_id: np.cos(scene.people[0].yaw) for scene in alone}
    seen = {"front": [], "back": []}
    ids = [image_id for image_id, cosine in facing.items() if cosine >= 0.97 or cosine <= -0.75]
    for one in coco_annotations(SEED, ids)["person_keypoints"]["annotations"]:
        side = "front" if facing[one["image_id"]] > 0 else "back"
        seen[side].append(one["keypoints"][3 * KEYPOINTS.index("nose") + 2] == 2)
    assert min(map(len, seen.values())) >= 4
    assert np.mean(seen["front"]) > 0.7
    assert np.mean(seen["back"]) < 0.2


def test_files_load_in_pycocotools_with_ids_as_coco_has_them(files, tmp_path, capsys):
    for name, content in files.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        api = COCO(str(path))
        assert sorted(api.getImgIds()) == list(IDS)
        if name == "captions":
            assert all(len(api.getAnnIds(imgIds=i)) == 5 for i in IDS)
        else:
            assert api.getCatIds(catNms=["person"]) == [1]
            assert set(api.getCatIds()) >= {one["category_id"] for one in content["annotations"]}
            first = api.loadAnns(api.getAnnIds())[0]
            assert api.annToMask(first).sum() == first["area"]
    image = files["captions"]["images"][7]
    assert image["file_name"] == "000000000007.jpg"
    assert image["license"] in [entry["id"] for entry in files["captions"]["licenses"]] == list(range(1, 9))
    people, instances = (
        {one["id"]: one["bbox"] for one in files[name]["annotations"]} for name in ("person_keypoints", "instances")
    )
    assert len(instances) == len(files["instances"]["annotations"])
    assert people.items() <= instances.items()
