"""COCO's and V-COCO's files as anybody may have made them."""

import io
import shutil
import zipfile

import numpy as np
import pytest
from fuzzing import MB, Fuzz, as_json, bytes_of, json_of
from hypothesis import strategies as st
from pycocotools.mask import encode

from har.core.errors import HarError
from har.data.coco.annotations import read_records
from har.data.coco.curate import curate
from har.data.coco.fetch import fetch_annotations
from har.data.coco.instances import read_instances
from har.data.coco.keypoints import read_visibility
from har.data.coco.vcoco import ACTIVITY_OF, read_people
from har.data.crops import largest_persons
from har.data.manifest import read_manifest, write_manifest
from har.studies.audit.duplicates import read_dates

IMAGES = [
    {"id": i, "file_name": f"{i:012d}.jpg", "width": 40, "height": 30, "license": 3, "coco_url": "http://x/a.jpg",
     "flickr_url": "http://farm1.staticflickr.com/1/12_ab_z.jpg", "date_captured": "2013-11-14 17:02:52"}
    for i in (1, 2, 3, 9)
]  # fmt: skip
CODE = encode(np.asfortranarray(np.tri(30, 40, dtype=np.uint8)))["counts"]
TEXTS = ("a man sits", "a woman sitting on a chair", "two men stand", "a boy standing", "people walk", "a girl walking")
CAPTIONS = {
    "images": IMAGES,
    "annotations": [{"id": n, "image_id": (1, 2, 3)[n // 2], "caption": text} for n, text in enumerate(TEXTS)],
}
OUTLINES = (
    [[2.5, 2, 20, 2, 20, 18.5, 2, 18]],
    [[1, 1, 9, 1, 9, 9], [11, 11, 19, 11, 19, 19]],
    {"size": [30, 40], "counts": [100, 50, 1050]},
    {"size": [30, 40], "counts": CODE.decode()},
)
INSTANCES = {
    "images": IMAGES,
    "categories": [{"id": 1, "name": "person", "supercategory": "person"}, {"id": 17, "name": "cat"}],
    "annotations": [
        {"id": 10 + n, "image_id": (1, 2, 3, 1)[n], "category_id": 1, "iscrowd": int(n == 3), "bbox": [2, 2, 18.5, 17],
         "area": 90.5, "segmentation": outline}
        for n, outline in enumerate(OUTLINES)
    ],
}  # fmt: skip
KEYPOINTS = INSTANCES | {
    "annotations": [one | {"keypoints": [3, 4, 2] * 12 + [0, 0, 0] * 5} for one in INSTANCES["annotations"]]
}
VCOCO = [
    {"action_name": verb, "image_id": [1, 2, 3], "ann_id": [10, 11, 12], "label": [1, 0, 1], "role_name": ["agent"],
     "role_object_id": [10, 11, 12]}
    for verb in ACTIVITY_OF
]  # fmt: skip
CLASSES = {
    "sitting": {"count": 1, "keywords": ["sits", "sitting"]},
    "standing": {"count": 1, "keywords": ["stand", "standing"]},
    "walking": {"count": 1, "keywords": ["walk", "walking"]},
}
BOUND = 64 * MB  # the files here have a few kB


def saved(folder, **files):
    for name, content in files.items():
        (folder / f"{name}.json").write_bytes(content)
    return [folder / f"{name}.json" for name in files]


@pytest.fixture
def fuzz(tmp_path):
    return lambda reader, memory=BOUND: Fuzz(reader, tmp_path, memory)


def use(captions, instances, folder):
    """What stages annotations, curate and boxes do with the two files."""
    found = curate(captions, instances, classes=CLASSES, person_words=["man", "men", "woman", "boy", "people", "girl"],
                   min_captions=1, extended=5, seed=1)  # fmt: skip
    write_manifest(found.manifest, folder / "manifest.csv")
    assert len(read_manifest(folder / "manifest.csv")) == len(found.manifest)
    records = read_records(captions, instances)
    largest_persons(records, records)


def test_captions_and_instances(fuzz, tmp_path):
    def read(case):
        which, content = case
        files = {"captions": as_json(CAPTIONS), "instances": as_json(INSTANCES)} | {which: content}
        use(*saved(tmp_path, **files), tmp_path)

    cases = st.one_of(
        st.tuples(st.just("captions"), json_of(CAPTIONS)), st.tuples(st.just("instances"), json_of(INSTANCES))
    )
    fuzz("COCO captions and boxes").run(cases, read, ("captions", as_json(CAPTIONS)))


def test_keypoints(fuzz, tmp_path):
    def read(case):
        read_visibility(*saved(tmp_path, instances=as_json(INSTANCES), keypoints=case), [1, 2, 3, 9, 77])

    fuzz("COCO keypoints").run(json_of(KEYPOINTS), read, as_json(KEYPOINTS))


def test_outlines(fuzz, tmp_path):
    def read(case):
        (path,) = saved(tmp_path, instances=case)
        for image in read_instances(path, [1, 2, 3, 9, 77]).values():
            image.region(["person", "cat"])
            image.region(["person", "cat"], boxes=True)

    fuzz("COCO outlines").run(json_of(INSTANCES), read, as_json(INSTANCES))


def test_run_length_codes(fuzz, tmp_path):
    """The compressed code is decoded in C: whatever text stands there."""
    text = st.one_of(
        st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=12), st.text(max_size=8),
        bytes_of(CODE).map(lambda data: data.decode("latin-1")),
    )  # fmt: skip

    def read(case):
        outline = {"size": [30, 40], "counts": case}
        one = INSTANCES["annotations"][0] | {"segmentation": outline}
        (path,) = saved(tmp_path, instances=as_json(INSTANCES | {"annotations": [one]}))
        region = read_instances(path, [1])[1].region(["person"])
        assert region.shape == (30, 40)

    fuzz("COCO run-length codes").run(text, read, CODE.decode())


def test_dates(fuzz, tmp_path):
    def read(case):
        read_dates(*saved(tmp_path, captions=case))

    fuzz("COCO dates").run(json_of(CAPTIONS), read, as_json(CAPTIONS))


def test_vcoco(fuzz, tmp_path):
    def read(case):
        read_people(*saved(tmp_path, vcoco=case))

    fuzz("V-COCO").run(json_of(VCOCO), read, as_json(VCOCO))


def zipped(method=zipfile.ZIP_DEFLATED, **members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"annotations/{name}.json", content)
    return out.getvalue()


def test_archives(fuzz, tmp_path):
    """Damaged zips of every method: unpacked whole into their folder, or refused and nothing unpacked."""
    server, out = tmp_path / "server", tmp_path / "out"
    server.mkdir()
    kinds = [zipped(method, captions=as_json(CAPTIONS), instances=b"{}" * 40)
             for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)]  # fmt: skip
    cases = st.one_of(*(bytes_of(kind) for kind in kinds))

    def read(case):
        for folder in (out, tmp_path / "cache"):  # a good archive that is kept would be taken for all later ones
            shutil.rmtree(folder, ignore_errors=True)
        (server / "a.zip").write_bytes(case)
        try:
            fetch_annotations(server.as_uri(), out, tmp_path / "cache", sha256=None, size=None,
                              members=["captions.json"], archive="a.zip")  # fmt: skip
        except HarError:
            assert not out.exists() or not list(out.iterdir())
            raise
        assert sorted(p.name for p in out.iterdir()) == ["captions.json"]

    fuzz("Archives").run(cases, read, kinds[1])
