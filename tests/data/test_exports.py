"""Files in COCO's format as annotation tools write them: what is harmless is read, the rest refused in one line."""

import copy
import json

import numpy as np
import pytest
from PIL import Image

from har.core.errors import HarError
from har.data.coco.annotations import read_records, safe_file_name
from har.data.coco.fetch import fetch_images
from har.data.coco.instances import read_instances
from har.data.coco.keypoints import read_visibility

POINTS = [1, 1, 2] * 17


def base(count: int = 3) -> dict[str, dict]:
    """Captions, instances and keypoints of images with a person each, without `info` and `licenses`."""
    images = [{"id": i, "file_name": f"{i:012d}.jpg", "width": 40, "height": 30} for i in range(1, count + 1)]
    thing = {"category_id": 1, "bbox": [4, 5, 10, 20], "area": 200}
    things = [{"id": i, "image_id": i, **thing} for i in range(1, count + 1)]
    return {
        "captions": {
            "images": images,
            "annotations": [{"id": i, "image_id": i, "caption": "a man sits"} for i in range(1, count + 1)],
        },
        "instances": {
            "images": copy.deepcopy(images), "categories": [{"id": 1, "name": "person"}], "annotations": things,
        },
        "keypoints": {
            "images": copy.deepcopy(images), "categories": [{"id": 1, "name": "person"}],
            "annotations": [{**one, "keypoints": POINTS} for one in things],
        },
    }  # fmt: skip


@pytest.fixture
def read(tmp_path):
    """Everything that the project reads of such files: records, instances by image, how much is to be seen."""

    def call(files):
        paths = {name: tmp_path / f"{name}.json" for name in files}
        for name, content in files.items():
            paths[name].write_text(json.dumps(content))
        records = read_records(paths["captions"], paths["instances"])
        seen = read_visibility(paths["instances"], paths["keypoints"], list(records))
        return records, read_instances(paths["instances"], list(records)), seen

    return call


def every(files, key, change) -> dict:
    """`files` with `change` made to each row of the lists `key`, in place."""
    for file in files.values():
        for row in file.get(key, []):
            change(row)
    return files


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("images", lambda row: row.update(license=None, coco_url=None, flickr_url=None, date_captured=None)),
        ("images", lambda row: row.update(license=None)),
        ("annotations", lambda row: row.update(iscrowd=None)),
        ("annotations", lambda row: row.update(iscrowd=False, attributes={"occluded": False}, segmentation=None)),
        ("annotations", lambda row: row.update(iscrowd="0", segmentation=[])),
        ("images", lambda row: row.update(id=str(row["id"]))),
        ("annotations", lambda row: row.update(id=str(row["id"]), image_id=str(row["image_id"]))),
        ("annotations", lambda row: row.update({"category_id": "1"} if "category_id" in row else {})),
        ("categories", lambda row: row.update(id="1", supercategory="none")),
        ("categories", lambda row: row.update(name="Person")),
        ("images", lambda row: row.update(width=40.0, height=30.0)),
    ],
)
def test_harmless_ways_of_tools_change_nothing(read, key, change):
    told, shapes, seen = read(every(base(), key, change))
    assert list(told) == [1, 2, 3]
    assert [(one.license, one.flickr_url, one.width, one.height) for one in told.values()] == [(0, "", 40, 30)] * 3
    assert [one.boxes.tolist() for one in told.values()] == [[[4, 5, 10, 20]]] * 3
    assert not any(len(one.crowds) for one in told.values())
    assert all(one.region(["person", "Person"]).sum() == 200 for one in shapes.values())
    assert seen.labelled_joints.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "name",
    ["IMG_0001.JPG", "a man sits (1).jpg", "sit-12_jpg.rf.0a1b2c3d.jpg", "train/images/7.png", "Übung 7/坐着.PNG",
     "frame.0001.jpeg", "x+y,z=1&2.webp", "_1.jpg", "100%.jpg", "a#b?.jpg".replace("?", "!")],
)  # fmt: skip
def test_names_of_files_are_kept(read, name):
    files = base()
    for file in files.values():
        file["images"][1]["file_name"] = name
    assert read(files)[0][2].file_name == name


def test_files_of_any_such_name_are_fetched(tmp_path):
    rows = []
    for number, name in enumerate(["IMG 1.JPG", "train/a#1 50%.png", "x_jpg.rf.0a1b.jpg", "Ü/坐着.webp"], 1):
        file = tmp_path / "server/val2017" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((30, 40, 3), 9 * number, np.uint8)).save(file)
        rows.append((number, name, 40, 30))
    found = fetch_images(rows, (tmp_path / "server").as_uri(), tmp_path / "out", tmp_path / "cache", progress=False)
    assert [one["file_name"] for one in found] == [name for _, name, *_ in rows]
    assert all((tmp_path / "out" / name).is_file() for _, name, *_ in rows)


@pytest.mark.parametrize(
    "name",
    ["../x.jpg", "/etc/x.jpg", "a/../x.jpg", "a//x.jpg", "./x.jpg", "C:\\x.jpg", "a\\b.jpg", "c:x.jpg", ".hidden.jpg",
     "a/.git/x.jpg", "a\0.jpg", "a\n.jpg", "x.jpg ", "x.exe", "x", "", "x.jpg/y.jpg", "\ud800.jpg", "y" * 300 + ".jpg",
     "z/" * 400 + "x.jpg", None, 7],
)  # fmt: skip
def test_no_name_leads_out_of_its_folder(name):
    with pytest.raises(HarError, match=r"^here: file_name .{1,200}$"):
        safe_file_name(name, where="here")


def test_the_root_category_of_a_tool_is_no_second_person(read):
    files = base()
    root = [{"id": 0, "name": "people-detection", "supercategory": "none"}, {"id": 1, "name": "person"}]
    files["instances"]["categories"] = root
    assert len(read(files)[0][1].boxes) == 1
    files["instances"]["categories"] = [{"id": 0, "name": "person"}, {"id": 1, "name": "person"}]
    assert len(read(files)[0][1].boxes) == 1
    files["instances"]["annotations"][0]["category_id"] = 0
    assert len(read(files)[0][1].boxes) == 1


def test_a_tools_own_licences_are_not_told_as_cocos(read):
    files = every(base(), "images", lambda row: row.update(license=1))
    assert read(files)[0][1].license == 1  # no list: COCO's
    url = "https://creativecommons.org/publicdomain/zero/1.0/"
    files["captions"]["licenses"] = [{"id": 1, "url": url, "name": "Public Domain"}]
    assert read(files)[0][1].license == 0
    files["captions"]["licenses"] = [{"id": 1, "url": "http://creativecommons.org/licenses/by-nc-sa/2.0/"}]
    assert read(files)[0][1].license == 1


@pytest.mark.parametrize("box", [[4, 5, 0, 20], [4, 5, 10, 0], [0, 0, 0, 0], [], None])
def test_a_box_without_area_is_no_person(read, box):
    files = base()
    for kind in ("instances", "keypoints"):
        files[kind]["annotations"][0]["bbox"] = box
    told, shapes, seen = read(files)
    assert [len(one.boxes) for one in told.values()] == [0, 1, 1]
    assert [one.region(["person"]).sum() for one in shapes.values()] == [0, 200, 200]
    assert seen.labelled_joints.isna().tolist() == [True, False, False]


@pytest.mark.parametrize("outline", [[[4, 5, 14, 25]], [[4, 5]], [[]], [[4, 5, 14, 25], []]])
def test_an_outline_that_encloses_nothing_leaves_the_box(read, outline):
    files = base()
    files["instances"]["annotations"][0]["segmentation"] = outline
    assert read(files)[1][1].region(["person"]).sum() == 200


@pytest.mark.parametrize(
    ("key", "change", "said"),
    [
        ("images", lambda row: row.update(width=None), r"images\[0\]: width None is not .*\(300 of 300 rows of images"),
        ("images", lambda row: row.update(id=f"img-{row['id']}"), r"images\[0\]: id 'img-1' is not a whole number"),
        ("images", lambda row: row.update(file_name=f"/data/{row['id']}.jpg"), r"file_name '/data/1.jpg' .*300 of 300"),
        ("annotations", lambda row: row.update(bbox="4 5 10 20"), r"bbox '4 5 10 20' is not .*300 of 300"),
        ("annotations", lambda row: row.update(bbox=[4, 5, -10, 20]), r"annotations\[0\]: bbox .*300 of 300"),
        ("annotations", lambda row: row.update(iscrowd=7), r"iscrowd 7 is neither 0 nor 1.*300 of 300"),
        ("annotations", lambda row: row.update(image_id=row["image_id"] + 1000), r"image_id 1001 .*300 of 300"),
        ("annotations", lambda row: row.pop("id"), r"annotations\[0\]: id None is not a whole number.*300 of 300"),
        ("categories", lambda row: row.update(name="human"), r"no category is called person; there are human"),
        ("categories", lambda row: row.update(name=None), "name is missing or not text"),
    ],
)
def test_what_is_refused_takes_one_line_with_count(read, key, change, said):
    with pytest.raises(HarError, match=said) as told:
        read(every(base(300), key, change))
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 500


def test_many_images_that_do_not_come_are_told_in_one_line(tmp_path):
    (tmp_path / "server/val2017").mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(tmp_path / "server/val2017/1.jpg")
    rows = [(number, f"{number}.jpg", 40, 30) for number in range(1, 60)]
    with pytest.raises(HarError, match=r"58 of 59 images .*and \d+ more") as told:
        fetch_images(rows, (tmp_path / "server").as_uri(), tmp_path / "out", tmp_path / "cache", progress=False)
    assert len(str(told.value)) < 900
