"""Captions become labels by a rule that shows its evidence and its funnel, and does not see row order."""

import json
import random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.config.data import Curate
from har.core.errors import HarError
from har.data.coco.annotations import read_records
from har.data.coco.curate import curate
from har.data.manifest import read_manifest, write_manifest

CLASSES = {
    "moving": {"keywords": ["walks", "walking", "going for a run"], "count": 2},
    "sitting": {"keywords": ["sits", "sitting"], "count": 2},
}
RULE = {
    "classes": CLASSES, "person_words": ["man", "woman", "people"], "min_captions": 2, "precedence": [],
    "require_person": True, "extended": 99, "seed": 1,
}  # fmt: skip


def world(captions, persons=None):
    """COCO's two files for `captions` (image id -> texts); persons: image id -> boxes (default: one each)."""
    images = [
        {"id": i, "file_name": f"{i:012d}.jpg", "width": 200, "height": 100, "license": i % 8 + 1,
         "coco_url": f"http://images.cocodataset.org/val2017/{i:012d}.jpg",
         "flickr_url": f"http://farm1.staticflickr.com/{i}.jpg"}
        for i in captions
    ]  # fmt: skip
    texts = [(i, text) for i, some in captions.items() for text in some]
    caps = [{"id": k, "image_id": i, "caption": text} for k, (i, text) in enumerate(texts)]
    spans = [(i, box) for i in captions for box in (persons or {}).get(i, [[0, 0, 50, 50]])]
    boxes = [{"id": k, "image_id": i, "category_id": 1, "bbox": box, "iscrowd": 0} for k, (i, box) in enumerate(spans)]
    categories = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]
    instances = {"images": images, "annotations": boxes, "categories": categories}
    return {"images": images, "annotations": caps}, instances


@pytest.fixture
def run(tmp_path):
    def call(captions, persons=None, *, edit=None, shuffle=None, **options):
        files = world(captions, persons)
        if edit:
            edit(*files)
        if shuffle is not None:
            for file in files:
                for rows in file.values():
                    random.Random(shuffle).shuffle(rows)
        paths = [tmp_path / "captions.json", tmp_path / "instances.json"]
        for path, file in zip(paths, files, strict=True):
            path.write_text(json.dumps(file))
        return curate(*paths, Curate(**RULE | options))

    return call


MOVE = ["A man walking.", "The man walks on.", "a dog"]
SIT = ["A woman is sitting", "people sits, here", "a chair"]
ENOUGH = {1: MOVE, 2: MOVE, 11: SIT, 12: SIT}


def labels(curation):
    return dict(zip(curation.manifest["image_id"], curation.manifest["label"], strict=True))


@pytest.mark.parametrize(
    ("captions", "label"),
    [
        (["A man walking", "a man"], None),  # one caption is not enough
        (["A dog walking", "A cat walking", "A man"], None),  # person and activity must meet in one caption
        (["A man moonwalking", "A manly walking stick"], None),  # whole words only
        (["The man's walking stick"] * 2, None),  # a possessive names no person who walks
        ([], None),
        (["A MAN WALKING!", "two people—walking"], "moving"),
        (["a man going for a run", "A woman, going  for a-run"], "moving"),  # phrases, across punctuation
        (["man walking", "man walks", "a woman sitting"], "moving"),  # one stray caption does not count
    ],
)
def test_what_the_rule_makes_of_captions(run, captions, label):
    found = labels(run({**ENOUGH, 99: captions}))
    assert found.pop(99, None) == label
    assert found == {1: "moving", 2: "moving", 11: "sitting", 12: "sitting"}


def test_the_manifest_tells_what_why_and_where_from(run, tmp_path):
    persons = {1: [[0, 0, 10, 10], [150, -10, 100, 60], [5, 5, 1, 1]]}

    def crowd(captions, instances):
        instances["annotations"][2]["iscrowd"] = 1
        instances["annotations"].append({**instances["annotations"][0], "id": 99, "category_id": 18})

    curation = run(ENOUGH, persons, edit=crowd)
    assert curation.manifest.iloc[0].to_dict() == {
        "image_id": 1, "label": "moving", "part": "drawn", "file_name": "000000000001.jpg", "width": 200, "height": 100,
        "license": 2, "url": "http://images.cocodataset.org/val2017/000000000001.jpg",
        "flickr_url": "http://farm1.staticflickr.com/1.jpg",
        "persons": 2, "person_area": 0.125,  # 50 x 50 pixels of the larger box lie inside the image
        "captions_for_label": 2, "captions_total": 3, "rule": "moving: 2 of 3 captions",
        "evidence": '["A man walking.", "The man walks on."]',
    }  # fmt: skip
    write_manifest(curation.manifest, tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "manifest.csv"), curation.manifest)
    mentions = curation.evidence.query("image_id == 1")["mentions"].tolist()
    assert mentions == ["moving", "moving", ""]


def test_the_funnel_counts_what_each_rule_keeps(run):
    captions = {**ENOUGH, 3: [*MOVE, *SIT], 4: MOVE, 5: MOVE[:1], 6: ["a table"], 13: SIT}
    funnel = run(captions, {4: []}).funnel
    assert funnel["rule"].tolist() == [
        "images in the captions file", "a caption names a person and an activity", "at least 2 captions agree",
        "exactly one activity", "a person is annotated", "drawn", "extended",
    ]  # fmt: skip
    assert funnel["images"].tolist() == [9, 8, 7, 6, 5, 4, 1]
    assert funnel["images_moving"].tolist()[1:] == [5, 4, 3, 2, 2, 0]
    assert funnel["images_sitting"].tolist()[1:] == [4, 4, 3, 3, 2, 1]
    assert funnel["images_moving"].isna().tolist() == [True] + [False] * 6


def test_persons_need_not_be_annotated_where_params_say_so(run):
    assert 99 in labels(run({**ENOUGH, 99: MOVE}, {99: []}, require_person=False))


def test_precedence_settles_ties(run):
    captions = {**ENOUGH, 99: [*MOVE, *SIT]}
    assert labels(run(captions, precedence=["sitting"]))[99] == "sitting"
    assert labels(run(captions, precedence=["moving", "sitting"]))[99] == "moving"


MANY = {**{i: MOVE for i in range(1, 21)}, **{i: SIT for i in range(101, 121)}}


def test_draws_and_extended_images_are_bounded_and_disjoint(run):
    manifest = run(MANY, extended=7).manifest
    assert manifest.groupby("part").size().to_dict() == {"drawn": 4, "extended": 7}
    assert manifest.query("part == 'drawn'").groupby("label").size().to_dict() == {"moving": 2, "sitting": 2}
    assert manifest["image_id"].tolist() == sorted(set(manifest["image_id"]))
    assert len(run(MANY).manifest) == 40
    drawn, more, other = (
        set(run(captions, seed=seed, extended=0).manifest.image_id)
        for captions, seed in ((MANY, 1), ({**MANY, 50: MOVE}, 1), (MANY, 2))
    )
    assert len(drawn) == 4
    assert len(more - drawn) <= 1
    assert other != drawn


@settings(max_examples=5)
@given(shuffle=st.integers(0, 1000), seed=st.integers(0, 1000))
def test_law_the_order_of_rows_does_not_matter(run, shuffle, seed):
    plain, mixed = run(MANY, seed=seed, extended=9), run(MANY, seed=seed, extended=9, shuffle=shuffle)
    for name in ("manifest", "funnel"):
        pd.testing.assert_frame_equal(getattr(plain, name), getattr(mixed, name))


def test_a_class_that_cannot_be_filled_is_told_with_its_shortfall(run):
    with pytest.raises(HarError, match=r"moving has 1 of 2 \(1 short\); sitting has 0 of 2 \(2 short\)"):
        run({1: MOVE, 2: ["a dog"]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": {"a": {"keywords": ["--"], "count": 1}}}, r"classes\.a\.keywords: '--' holds no word"),
        ({"classes": {"a+b": {"keywords": ["x"], "count": 1}}}, r"a\+b: .* may not hold '\+'"),
        ({"classes": {k: {"keywords": ["Runs"], "count": 1} for k in "ab"}}, r"b\.keywords: 'Runs' already names a"),
    ],
)
def test_unusable_keywords_are_told_by_name(run, options, message):
    with pytest.raises(HarError, match=message):
        run(ENOUGH, **options)


def break_row(file, key, row, **values):
    def edit(*files):
        target = files[file][key][row]
        target.update(values)
        for name in [k for k, v in values.items() if v is ...]:
            del target[name]

    return edit


CAPTIONS, INSTANCES = 0, 1


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (break_row(CAPTIONS, "images", 1, id=1), r"captions\.json: images\[1\]: id 1 occurs twice"),
        (break_row(CAPTIONS, "images", 1, id="two"), r"images\[1\]: id 'two' is not"),
        (break_row(CAPTIONS, "images", 1, width=0), r"images\[1\]: width 0 is not"),
        (break_row(CAPTIONS, "images", 1, height=True), r"images\[1\]: height True is not"),
        (break_row(CAPTIONS, "images", 1, file_name="../x.jpg"), r"images\[1\]: file_name '\.\./x\.jpg'"),
        (break_row(CAPTIONS, "images", 1, file_name="000000000001.JPG"), r"images\[1\]: file_name .*JPG occurs twice"),
        (break_row(CAPTIONS, "images", 1, width=90_000, height=90_000), "at most 50,000,000 allowed"),
        (break_row(CAPTIONS, "images", 1, license="MIT"), r"images\[1\]: license 'MIT'"),
        (break_row(CAPTIONS, "images", 1, coco_url=5), r"images\[1\]: coco_url is not text"),
        (break_row(CAPTIONS, "annotations", 3, caption=...), r"annotations\[3\]: caption is missing"),
        (break_row(CAPTIONS, "annotations", 3, image_id=77), r"annotations\[3\]: image_id 77 is not among"),
        (break_row(INSTANCES, "annotations", 2, bbox=[1, 2, 3]), r"instances\.json: annotations\[2\]: bbox"),
        (break_row(INSTANCES, "annotations", 2, category_id=...), r"annotations\[2\]: category_id"),
        (break_row(INSTANCES, "annotations", 2, iscrowd="no"), r"annotations\[2\]: iscrowd 'no'"),
        (lambda c, i: c.pop("images"), r"captions\.json: 'images' is missing"),
        (lambda c, i: c.update(annotations=[3]), r"captions\.json: annotations\[0\] is not an object"),
        (lambda c, i: i.pop("categories"), r"instances\.json: 'categories' is missing"),
        (break_row(INSTANCES, "categories", 0, name="human"), "no category is called person; there are human, dog"),
        (break_row(INSTANCES, "categories", 0, name=None), r"categories\[0\]: name is missing or not text"),
        (lambda c, i: c.update(images=[x | {"width": 9} for x in c["images"]]), "image 1 has another file_name or"),
    ],
)
def test_malformed_annotations_are_told_by_file_and_row(run, edit, message):
    with pytest.raises(HarError, match=message) as error:
        run(ENOUGH, edit=edit)
    assert "\n" not in str(error.value)


def test_records_hold_captions_and_boxes_for_later_stages(tmp_path):
    files = world({7: ["b", "a"], 3: ["c"]}, {7: [[0, 0, 1, 1], [0, 0, 9, 9]], 3: []})
    for name, file in zip(("c.json", "i.json"), files, strict=True):
        (tmp_path / name).write_text(json.dumps(file))
    records = read_records(tmp_path / "c.json", tmp_path / "i.json")
    assert list(records) == [3, 7]
    assert records[7].captions == ("b", "a")
    assert records[7].boxes.tolist() == [[0, 0, 9, 9], [0, 0, 1, 1]]
    assert records[3].boxes.shape == (0, 4)
    assert records[3].person_area == 0


def test_a_broken_manifest_is_told_by_file_and_column(run, tmp_path):
    path = tmp_path / "manifest.csv"
    manifest = run(ENOUGH).manifest
    with pytest.raises(HarError, match=r"manifest\.csv: no such file"):
        read_manifest(path)
    for broken, message in [
        (manifest.drop(columns="width"), "'width' is missing"),
        (manifest.assign(height="tall"), "'height' holds something else than int64"),
        (manifest.assign(part="test"), "'part' may hold only"),
        (manifest.assign(image_id=4), "image_id 4 occurs twice"),
    ]:
        broken.to_csv(path, index=False)
        with pytest.raises(HarError, match=message):
            read_manifest(path)
