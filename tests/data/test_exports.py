"""Files in COCO's format as annotation tools write them: what is harmless is read, the rest refused in one line."""

import json

import pytest

from har.core.errors import HarError
from har.data.coco.annotations import read_records, safe_file_name
from har.data.coco.instances import read_instances
from har.data.coco.keypoints import read_visibility


def base(count: int = 3) -> dict[str, dict]:
    """Captions, instances and keypoints of images with a person each, without `info` and `licenses`."""
    ids = range(1, count + 1)
    images = [{"id": i, "file_name": f"{i:012d}.jpg", "width": 40, "height": 30} for i in ids]
    captions = [{"id": i, "image_id": i, "caption": "a man sits"} for i in ids]
    person = {"category_id": 1, "bbox": [4, 5, 10, 20], "area": 200, "keypoints": [1, 1, 2] * 17}
    people = [{"id": i, "image_id": i, **person} for i in ids]
    instances = {"images": images, "categories": [{"id": 1, "name": "person"}], "annotations": people}
    files = {"captions": {"images": images, "annotations": captions}, "instances": instances, "keypoints": instances}
    return json.loads(json.dumps(files))  # so that no two share a row


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
     "frame.0001.jpeg", "x+y,z=1&2.webp", "_1.jpg", "100%.jpg", "a#b!.jpg"],
)  # fmt: skip
def test_names_of_files_are_kept(name):
    assert safe_file_name(name, where="here") == name


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


def test_many_refused_rows_take_one_line_with_their_count(read):
    with pytest.raises(HarError, match=r"images\[0\]: width None is not .*\(30 of 30 rows of images") as told:
        read(every(base(30), "images", lambda row: row.update(width=None)))
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 500


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"segmentation": [[0, 0, 1e300, 0, 0, 9]]}, "polygon"),
        ({"segmentation": [[0, 0, 2**63 - 1, 0, 0, 9]]}, "polygon"),
        ({"segmentation": [[0, 0, 90_000, 0] * 10]}, "longer than 1,000,000 pixels"),
        ({"segmentation": {"size": [30, 40], "counts": "o" * 20 + "1"}}, "run-length"),
        ({"segmentation": {"size": [30, 40], "counts": [2**62]}}, "segmentation counts"),
        ({"bbox": [0, 0, 1e300, 4]}, "bbox"),
        ({"category_id": []}, r"category_id \[\] is not a whole number"),
    ],
)
def test_outlines_that_c_code_would_walk_are_refused(read, change, said):
    """Further run lengths: tests/harness/test_fuzz_files.py."""
    files = base()
    files["instances"]["annotations"][0] |= change
    with pytest.raises(HarError, match=rf"instances\.json: annotations\[0\]: [^\n]*{said}[^\n]*$"):
        read(files)
