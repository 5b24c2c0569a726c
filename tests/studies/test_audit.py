"""Planted twins are found and innocent pairs are not; caption labels are held against what people do."""

import hashlib
import io
from itertools import combinations

import numpy as np
import pandas as pd
import parameters
import pytest
from conftest import picture
from PIL import Image
from sklearn.metrics import cohen_kappa_score
from test_vcoco import BODY, PIN

from har.core.errors import HarError
from har.core.files import write_json
from har.data.coco import vcoco
from har.data.store import Store, build
from har.studies.audit import duplicates, visible
from har.studies.audit import labels as label_noise
from har.synthetic import ACTIVITIES, activity, coco_annotations, sample_scene

HEADER = "profile test"
REPORT = parameters.profile().report.model_copy(update={"resamples": 100})
# 10 and 11 are one file; 12 is 10 with other metadata; 13 is 10 scaled and recompressed; the others are innocent
IMAGES = pd.DataFrame(
    {
        "image_id": [10, 11, 12, 13, 20, 21, 22, 23],
        "label": ["sitting", "sitting", "standing", "sitting", "sitting", "standing", "standing", "sitting"],
        "split": ["train", "test", "validation", "extended", "train", "test", "extended", "train"],
    }
)
TWINS = {10, 11, 12, 13}


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The store of IMAGES and the digests of their files."""
    folder = tmp_path_factory.mktemp("planted")
    first = Image.fromarray(picture(0, 90, 70))
    bytes_of = {10: encoded(first), 11: encoded(first), 12: encoded(first, compress_level=0)}
    bytes_of[13] = encoded(first.resize((180, 140)), "JPEG", quality=60)
    for image_id in (20, 21, 22, 23):
        bytes_of[image_id] = encoded(Image.fromarray(picture(image_id, 90, 70)))
    files = {image_id: folder / f"{image_id}.img" for image_id in bytes_of}
    for image_id, path in files.items():
        path.write_bytes(bytes_of[image_id])
    build(files, folder / "store", short_side=64)
    return Store(folder / "store"), [hashlib.sha256(bytes_of[i]).hexdigest() for i in IMAGES.image_id]


def found_by(check, images=IMAGES):
    """The row of the check and the pairs it found, as sets of ids."""
    tables = duplicates.leakage_tables(images, [check], HEADER)
    pairs = tables["pairs"].frame
    return tables["leakage"].frame.iloc[0], {frozenset(p) for p in zip(pairs.image_id_a, pairs.image_id_b, strict=True)}


# --- leakage -----------------------------------------------------------------------------------------------


def test_equal_files_pixels_and_hashes_are_found_across_splits(planted):
    store, digests = planted
    row, pairs = found_by(duplicates.file_check(digests))
    assert pairs == {frozenset({10, 11})}
    assert (row["pairs_compared"], row["pairs_found"], row["across_splits"], row["train_test"]) == (28, 1, 1, 1)
    row, pairs = found_by(duplicates.pixel_check(store, IMAGES.image_id))
    assert pairs == {frozenset(p) for p in ((10, 11), (10, 12), (11, 12))}
    assert (row["train_test"], row["train_validation"], row["validation_test"], row["within_train"]) == (1, 1, 1, 0)
    row, pairs = found_by(duplicates.hash_check(store, IMAGES.image_id, 6))  # a recompressed copy too
    assert {image for pair in pairs for image in pair} == TWINS
    assert row["pairs_found"] == row["across_splits"] == 6


def test_embeddings_are_compared_by_cosine():
    turn = np.radians([0, 10, -10, 60, 120, 180, 240, 300])
    vectors = np.column_stack([np.cos(turn), np.sin(turn)])
    check = duplicates.embedding_check(vectors, np.cos(np.radians(11)), "clip")
    row, pairs = found_by(check)
    assert pairs == {frozenset({10, 11}), frozenset({10, 12})}
    assert (row["train_test"], row["train_validation"], row["across_splits"]) == (1, 1, 2)
    assert "discriminate" not in row["note"]
    frame = duplicates.leakage_tables(IMAGES, [check], HEADER)["pairs"].frame.set_index("image_id_b")
    assert frame["value"].tolist() == pytest.approx([np.cos(np.radians(10))] * 2, abs=1e-5)
    assert frame.loc[11, "same_label"]
    assert not frame.loc[12, "same_label"]


def test_a_threshold_that_everything_reaches_is_called_so_and_markdown_is_capped():
    check = duplicates.embedding_check(np.tile([1.0, 0.0], (8, 1)), 0.97, "clip")
    tables = duplicates.leakage_tables(IMAGES, [check], HEADER)
    assert "100% of all pairs satisfy it: the threshold does not discriminate" in tables["leakage"].frame.note[0]
    frame = tables["pairs"].frame
    across = (frame.split_a != frame.split_b).tolist()
    assert len(frame) == tables["leakage"].frame.pairs_found[0] == 28
    assert across == sorted(across, reverse=True)
    assert 0 < sum(across) < 28
    assert len(tables["pairs"].text) == duplicates.SHOWN
    assert "10 of 28 shown" in tables["pairs"].markdown()


def test_blocks_give_what_all_pairs_give(monkeypatch):
    monkeypatch.setattr(duplicates, "BLOCK", 7)
    values = np.random.default_rng(3).integers(0, 200, 60)
    found = duplicates.find_pairs(values, duplicates._gap, 5)
    gaps = {(i, j): abs(int(values[i] - values[j])) for i, j in combinations(range(60), 2)}
    assert list(found.itertuples(index=False, name=None)) == [(*pair, gap) for pair, gap in gaps.items() if gap <= 5]


def test_dates_are_compared_where_they_are_known():
    dates = ["2013-11-14 17:02:52", "2013-11-14 17:03:52", "2013-11-14 17:04:53", "", "nonsense", *[""] * 3]
    row, pairs = found_by(duplicates.date_check(dates, 60))
    assert pairs == {frozenset({10, 11})}  # 60 seconds, and 61 are too many
    assert (row["images"], row["pairs_compared"]) == (3, 3)


def flickr(number, server=6116):
    return f"http://farm7.staticflickr.com/{server}/{number}_da26cf2c9e_z.jpg"


def test_close_flickr_numbers_are_found_whatever_the_server():
    near = 6255196340 + duplicates.FLICKR_NUMBERS
    urls = [flickr(6255196340), flickr(near, 7), flickr(near + 1, 7), "", "http://example.org/1.jpg", *[""] * 3]
    row, pairs = found_by(duplicates.flickr_check(urls))
    assert pairs == {frozenset({10, 11}), frozenset({11, 12})}
    assert row["images"] == 3
    assert "by chance" in row["note"]


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (duplicates.flickr_check([""] * 8), "no two images have a Flickr URL"),
        (duplicates.date_check([""] * 8, 60), "no two images have a date_captured"),
        (duplicates.date_check(["2013-11-14 17:02:52"] * 8, 60, "the images are drawn"), "the images are drawn"),
    ],
)
def test_a_check_that_makes_no_sense_says_why(check, reason):
    tables = duplicates.leakage_tables(IMAGES, [duplicates.file_check(range(8)), check], HEADER)
    done, row = tables["leakage"].frame[["status", "pairs_compared", "pairs_found"]].to_numpy().tolist()
    assert (done, row) == (["done", 28, 0], ["not applicable", None, None])
    assert reason in tables["leakage"].markdown()
    assert "No check found a pair" in tables["pairs"].markdown()


def test_dates_come_from_the_captions_file(tmp_path):
    path = tmp_path / "captions.json"
    one, other = ({"id": i, "file_name": f"{i}.jpg", "width": 4, "height": 4} for i in (1, 2))
    write_json(path, {"images": [one | {"date_captured": "2013-11-14 17:02:52"}, other]})
    assert duplicates.read_dates(path) == {1: "2013-11-14 17:02:52"}


# --- labels ------------------------------------------------------------------------------------------------

CLASSES = ("walking_running", "sitting", "standing")
W, SIT, STAND = CLASSES
# image, label, [(activity, main)], shows, among, majority, contradicted
CASES = [
    (1, W, [(W, True)], W, True, W, False),
    (2, SIT, [(SIT, True), (SIT, True), (W, False)], SIT, True, SIT, False),
    (3, STAND, [(SIT, True), (STAND, False)], SIT, False, SIT, False),
    (4, STAND, [(SIT, True), (W, False)], SIT, False, SIT, True),
    (5, SIT, [(SIT, True), (STAND, True), (STAND, True)], "several", True, STAND, False),
    (6, SIT, [(SIT, True), (STAND, True)], "several", True, "", False),
    (7, W, [("", True)], "none", False, "", False),
    (8, STAND, [("", True), (STAND, True)], STAND, True, STAND, False),
]


PEOPLE = pd.DataFrame(
    [(i, k, what, main) for i, _, people, *_ in CASES for k, (what, main) in enumerate(people)],
    columns=["image_id", "person", "activity", "main"],
)
LABELS = pd.DataFrame([(i, label, "test") for i, label, *_ in CASES], columns=["image_id", "label", "split"])
VCOCO = label_noise.Reference("V-COCO", CLASSES, PEOPLE, "verbs")


def test_an_image_shows_what_its_main_people_do():
    labels = pd.concat([LABELS, pd.DataFrame({"image_id": [99], "label": [SIT], "split": ["test"]})])
    rows = label_noise.compare(labels, PEOPLE)[["image_id", "shows", "among", "majority", "contradicted"]]
    assert list(rows.itertuples(index=False, name=None)) == [(c[0], *c[3:]) for c in CASES]  # 99: nobody looked


def test_figures_of_a_group():
    figures = label_noise.agreement(label_noise.compare(LABELS, PEOPLE), CLASSES, REPORT)
    expected = {
        "images": 8, "several": 2, "none": 1, "agree": 3, "agree_n": 5, "agree_share": 0.6, "among": 5, "among_n": 7,
        "majority": 3, "majority_n": 6, "contradicted": 1, "contradicted_n": 8,
    }  # fmt: skip
    assert {key: figures[key] for key in expected} == expected
    assert (figures["agree_low"], figures["agree_high"]) == pytest.approx((0.2307, 0.8824), abs=1e-4)  # Wilson's
    kappa = cohen_kappa_score([W, SIT, STAND, STAND, STAND], [W, SIT, SIT, SIT, STAND])
    assert figures["kappa"] == pytest.approx(kappa)


def test_kappa_is_scikit_learns_and_its_interval_that_of_drawing_images():
    table = np.array([[30, 5, 2], [4, 20, 3], [1, 6, 19]])
    a, b = (np.repeat(place.ravel(), table.ravel()) for place in np.indices((3, 3)))
    estimate, low, high = label_noise.kappa_interval(table, REPORT.model_copy(update={"resamples": 2000}))
    assert estimate == pytest.approx(cohen_kappa_score(a, b))
    drawn = np.random.default_rng(1).integers(0, len(a), (1000, len(a)))
    tables = [np.bincount(3 * a[rows] + b[rows], minlength=9).reshape(3, 3) for rows in drawn]
    assert (low, high) == pytest.approx(np.quantile(label_noise.kappa(tables), [0.025, 0.975]), abs=0.02)
    for undefined in (np.zeros((3, 3), int), np.diag([5, 0, 0])):
        assert label_noise.kappa_interval(undefined, REPORT) == (None,)


def label_tables(images, reference):
    tables = label_noise.label_tables(images, reference, CLASSES, HEADER, REPORT)
    return tables["labels"].frame, tables


def test_labels_are_counted_by_split_and_class():
    frame, tables = label_tables(LABELS.assign(split=["train"] * 4 + ["test"] * 4), VCOCO)
    assert frame[["by", "group", "images"]].to_numpy().tolist() == [
        ["all", "all", 8], ["split", "train", 4], ["split", "test", 4],
        ["label", W, 2], ["label", SIT, 3], ["label", STAND, 3],
    ]  # fmt: skip
    assert frame.loc[frame["by"] == "label", "kappa"].tolist() == [None] * 3
    confusion = tables["label_confusion"].frame.set_index("caption_label")[[*CLASSES, "several", "none"]]
    assert confusion.loc[STAND].tolist() == [0, 2, 1, 0, 0]
    assert confusion.loc[W].tolist() == [1, 0, 0, 0, 1]


def test_unknown_classes_and_foreign_images_are_told():
    _, tables = label_tables(LABELS.assign(label=["dancing", *LABELS.label[1:]]), VCOCO)
    assert "1 images have a label" in tables["labels"].markdown()
    frame, tables = label_tables(LABELS.assign(image_id=range(100, 108)), VCOCO)
    assert frame.loc[0, ["status", "images", "agree_share"]].tolist() == ["no overlap", 0, None]
    assert "covers none of the images" in tables["label_confusion"].markdown()


def test_without_vcoco_the_tables_say_skipped_and_why():
    def fetch():
        raise HarError("v.json: status 404")

    frame, tables = label_tables(LABELS, label_noise.vcoco_reference(fetch))
    assert set(frame["status"]) == {"skipped"}
    assert (frame.loc[0, "images"], frame.loc[0, "note"]) == (None, "v.json: status 404")
    for table in tables.values():
        assert "skipped, as v.json: status 404" in table.markdown()


def test_vcoco_is_held_against_captions(tmp_path):
    source = tmp_path / "vcoco.json"
    source.write_bytes(BODY)
    reference = label_noise.vcoco_reference(lambda: vcoco.fetch(source.as_uri(), tmp_path / "cache", **PIN))
    images = pd.DataFrame({"image_id": [11, 12, 13, 14, 15, 77], "label": [W, SIT, SIT, SIT, SIT, W], "split": "test"})
    frame, tables = label_tables(images, reference)
    assert frame.loc[0, ["images", "agree", "agree_n", "several", "none"]].tolist() == [5, 1, 2, 2, 1]
    assert "walk and run take precedence" in tables["labels"].markdown()


def test_what_people_do_in_the_world_and_what_was_seen_stand_beside_what_captions_say():
    ids = range(1, 61)
    images = pd.DataFrame({"image_id": ids, "label": [ACTIVITIES[i % 3] for i in ids], "split": "test"})
    frame, tables = label_tables(images, label_noise.world_reference(2017, ids, 0.0))
    rows = frame.set_index("group")
    main = [{person.activity for person in sample_scene(2017, i).people if person.main} for i in ids]
    agree = [doings == {label} for doings, label in zip(main, images.label, strict=True)]
    figures = [sum(not doings for doings in main), sum(len(doings) > 1 for doings in main), sum(agree)]
    assert rows.loc["all", ["none", "several", "agree"]].tolist() == figures
    assert min(figures) > 0
    kept = visible.tried(0.0)
    hits = kept["label"] == kept["seen"]
    assert rows.loc["all", ["visible_n", "visible"]].tolist() == [len(kept), hits.sum()]
    assert rows.loc[SIT, "visible"] == (hits & (kept["label"] == SIT)).sum()
    assert rows.loc["test", "visible_n"] is None  # the scenes judged are of no split
    assert tables["visible"].frame.set_index("group").loc["kept", "visible"] == hits.sum()


def test_scenes_were_judged_under_the_rule_as_it_is():
    """Whoever changes the rule judges anew, or at least says anew what the rule keeps."""
    judged = visible.read_judged()
    assert set(judged["seen"]) <= {*ACTIVITIES, visible.UNCLEAR}
    some = judged[::20]
    kept = coco_annotations(2017, some.image_id, hard=0.0)["captions"]["images"]
    assert [image["id"] for image in kept] == some.image_id[some.visible == 1].tolist()
    assert some.truth.tolist() == [activity(sample_scene(2017, i)) or "several" for i in some.image_id]
    assert len(visible.tried(1.0)) > len(visible.tried(0.5)) == len(visible.tried(0.0))
