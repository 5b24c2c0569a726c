"""Planted twins are found and innocent pairs are not; caption labels are held against what people do."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import parameters
import pytest
from conftest import picture
from PIL import Image
from servers import Site, serving, status
from sklearn.metrics import cohen_kappa_score
from test_vcoco import BODY, PIN

from har.core.errors import HarError
from har.core.files import write_csv, write_json
from har.data.coco import vcoco
from har.data.manifest import MANIFEST_COLUMNS, write_manifest
from har.data.store import Store, build
from har.studies.audit import duplicates, visible
from har.studies.audit import labels as label_noise
from har.synthetic import ACTIVITIES, activity, coco_annotations, sample_scene

HEADER = "profile test"
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


def whole(table):
    """No cell of a table is NaN."""
    for frame in (table.frame, table.text):
        assert not any(value != value for value in frame.to_numpy().ravel())
    assert "nan" not in table.markdown().lower()
    return True


# --- leakage -----------------------------------------------------------------------------------------------


def test_equal_files_and_equal_pixels_are_found_across_splits(planted):
    store, digests = planted
    row, pairs = found_by(duplicates.file_check(digests))
    assert pairs == {frozenset({10, 11})}
    assert (row["pairs_compared"], row["pairs_found"], row["across_splits"], row["train_test"]) == (28, 1, 1, 1)
    row, pairs = found_by(duplicates.pixel_check(store, IMAGES.image_id))
    assert pairs == {frozenset(p) for p in ((10, 11), (10, 12), (11, 12))}
    assert (row["train_test"], row["train_validation"], row["validation_test"], row["within_train"]) == (1, 1, 1, 0)


def test_a_recompressed_copy_is_found_by_its_hash(planted):
    row, pairs = found_by(duplicates.hash_check(planted[0], IMAGES.image_id, 6))
    assert {image for pair in pairs for image in pair} == TWINS
    assert row["train_extended"] == row["test_extended"] == row["validation_extended"] == 1
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


def test_a_threshold_that_everything_reaches_is_called_so():
    vectors = np.tile([1.0, 0.0], (8, 1))
    row, pairs = found_by(duplicates.embedding_check(vectors, 0.97, "clip"))
    assert len(pairs) == row["pairs_found"] == 28
    assert "100% of all pairs" in row["note"]
    assert "does not discriminate" in row["note"]


def test_pairs_across_splits_come_first_and_markdown_alone_is_capped():
    tables = duplicates.leakage_tables(
        IMAGES, [duplicates.embedding_check(np.tile([1.0, 0.0], (8, 1)), 0.97, "clip")], HEADER
    )
    frame, text = tables["pairs"].frame, tables["pairs"].text
    across = (frame.split_a != frame.split_b).tolist()
    assert len(frame) == 28
    assert across == sorted(across, reverse=True)
    assert 0 < sum(across) < 28
    assert len(text) == duplicates.SHOWN
    assert "10 of 28 shown" in tables["pairs"].markdown()


@pytest.mark.parametrize("limit", [1000, 5])
def test_blocks_give_what_all_pairs_give(monkeypatch, limit):
    monkeypatch.setattr(duplicates, "BLOCK", 7)
    random = np.random.default_rng(3)
    values, part = random.integers(0, 200, 60), random.integers(0, 4, 60)
    counts, found = duplicates.find_pairs(values, duplicates._gap, 5, part, limit)
    expected = [
        (int(part[i] == part[j]), abs(int(values[i]) - int(values[j])), i, j)
        for i in range(60)
        for j in range(i + 1, 60)
        if abs(values[i] - values[j]) <= 5
    ]
    for a in range(4):
        for b in range(4):
            pairs = sum({part[i], part[j]} == {a, b} for _, _, i, j in expected) if a <= b else 0
            assert counts[a, b] == pairs
    assert len(expected) > 20
    closest = [(i, j, float(gap)) for _, gap, i, j in sorted(expected)[:limit]]
    assert list(found.itertuples(index=False, name=None)) == closest


def test_dates_are_compared_where_they_are_known():
    dates = ["2013-11-14 17:02:52", "2013-11-14 17:03:52", "2013-11-14 17:04:53", "", "nonsense", *[""] * 3]
    row, pairs = found_by(duplicates.date_check(dates, 60))
    assert pairs == {frozenset({10, 11})}  # 60 seconds, and 61 are too many
    assert (row["images"], row["pairs_compared"]) == (3, 3)
    assert "collected" in row["note"]


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
    tables = duplicates.leakage_tables(IMAGES, [check], HEADER)
    row = tables["leakage"].frame.iloc[0]
    assert row["status"] == "not applicable"
    assert row["pairs_found"] is None
    assert reason in tables["leakage"].markdown()
    assert "No check found a pair" in tables["pairs"].markdown()
    assert whole(tables["leakage"])
    assert whole(tables["pairs"])


def test_counts_stay_whole_numbers_beside_missing_ones(planted, tmp_path):
    tables = duplicates.leakage_tables(
        IMAGES, [duplicates.file_check(planted[1]), duplicates.flickr_check([""] * 8)], HEADER
    )
    write_csv(tmp_path / "leakage.csv", tables["leakage"].frame)
    assert ",done,8,28,1,1," in (tmp_path / "leakage.csv").read_text()


def test_dates_come_from_the_captions_file(tmp_path):
    path = tmp_path / "captions.json"
    one, other = ({"id": i, "file_name": f"{i}.jpg", "width": 4, "height": 4} for i in (1, 2))
    write_json(path, {"images": [one | {"date_captured": "2013-11-14 17:02:52"}, other]})
    assert duplicates.read_dates(path) == {1: "2013-11-14 17:02:52"}
    for content in ("{", "[]", '{"images": 3}', '{"images": [3]}', '{"images": [{}]}', '{"images": [{"id": []}]}'):
        path.write_text(content)
        with pytest.raises(HarError, match=r"captions\.json"):
            duplicates.read_dates(path)


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


def people_frame(cases=CASES):
    rows = [(i, k, what, main) for i, _, people, *_ in cases for k, (what, main) in enumerate(people)]
    return pd.DataFrame(rows, columns=["image_id", "person", "activity", "main"])


def labels_frame(split="test"):
    return pd.DataFrame([(case[0], case[1], split) for case in CASES], columns=["image_id", "label", "split"])


def test_an_image_shows_what_its_main_people_do():
    labels = pd.concat([labels_frame(), pd.DataFrame({"image_id": [99], "label": [SIT], "split": ["test"]})])
    found = label_noise.compare(labels, people_frame())
    rows = found[["image_id", "shows", "among", "majority", "contradicted"]]
    assert list(rows.itertuples(index=False, name=None)) == [(c[0], *c[3:]) for c in CASES]  # 99: nobody looked


def test_figures_of_a_group():
    figures = label_noise.agreement(label_noise.compare(labels_frame(), people_frame()), CLASSES, 200, 0, 0.95)
    assert (figures["images"], figures["several"], figures["none"]) == (8, 2, 1)
    assert (figures["agree"], figures["agree_n"]) == (3, 5)
    assert figures["agree_share"] == 0.6
    assert figures["agree_low"] == pytest.approx(0.2307, abs=1e-4)  # Wilson, 3 of 5
    assert figures["agree_high"] == pytest.approx(0.8824, abs=1e-4)
    assert (figures["among"], figures["among_n"]) == (5, 7)
    assert (figures["majority"], figures["majority_n"]) == (3, 6)
    assert (figures["contradicted"], figures["contradicted_n"]) == (1, 8)
    expected = cohen_kappa_score([W, SIT, STAND, STAND, STAND], [W, SIT, SIT, SIT, STAND])
    assert figures["kappa"] == pytest.approx(expected)
    assert figures["kappa_low"] <= figures["kappa"] <= figures["kappa_high"]


def test_kappa_is_scikit_learns():
    random = np.random.default_rng(0)
    a, b = random.integers(0, 3, 200), random.integers(0, 3, 200)
    b[:120] = a[:120]
    table = np.zeros((3, 3), int)
    np.add.at(table, (a, b), 1)
    assert label_noise.kappa(table) == pytest.approx(cohen_kappa_score(a, b))
    both = label_noise.kappa(np.stack([table, table.T, np.diag([4, 0, 0])]))
    assert both[0] == pytest.approx(both[1])
    assert np.isnan(both[2])


def test_the_interval_of_kappa_is_that_of_drawing_images():
    table = np.array([[30, 5, 2], [4, 20, 3], [1, 6, 19]])
    estimate, low, high = label_noise.kappa_interval(table, 2000, 7, 0.95)
    assert (estimate, low, high) == label_noise.kappa_interval(table, 2000, 7, 0.95)
    cells = np.repeat(np.arange(9), table.ravel())
    random = np.random.default_rng(1)
    drawn = [np.bincount(random.choice(cells, len(cells)), minlength=9).reshape(3, 3) for _ in range(2000)]
    assert (low, high) == pytest.approx(np.quantile(label_noise.kappa(np.array(drawn)), [0.025, 0.975]), abs=0.02)


@pytest.mark.parametrize("table", [np.zeros((3, 3), int), np.diag([5, 0, 0])])
def test_an_undefined_kappa_is_none(table):
    assert label_noise.kappa_interval(table, 50, 0, 0.95) == (None, None, None)


def label_tables(images, reference):
    tables = label_noise.label_tables(images, reference, CLASSES, HEADER, 100, 0, 0.95)
    assert whole(tables["labels"])
    assert whole(tables["label_confusion"])
    return tables["labels"].frame, tables


def test_labels_are_counted_by_split_and_class():
    reference = label_noise.Reference("V-COCO", CLASSES, people_frame())
    images = labels_frame()
    images.loc[:3, "split"] = "train"
    frame, tables = label_tables(images, reference)
    assert frame[["by", "group", "images"]].to_numpy().tolist() == [
        ["all", "all", 8], ["split", "train", 4], ["split", "test", 4],
        ["label", W, 2], ["label", SIT, 3], ["label", STAND, 3],
    ]  # fmt: skip
    assert frame.loc[frame["by"] == "label", "kappa"].tolist() == [None] * 3
    confusion = tables["label_confusion"].frame.set_index("caption_label")
    assert confusion.loc[STAND, [*CLASSES, "several", "none"]].tolist() == [0, 2, 1, 0, 0]
    assert confusion.loc[W, [*CLASSES, "several", "none"]].tolist() == [1, 0, 0, 0, 1]


def test_unknown_classes_and_foreign_images_are_told():
    images = labels_frame()
    images.loc[0, "label"] = "dancing"
    _, tables = label_tables(images, label_noise.Reference("V-COCO", CLASSES, people_frame()))
    assert "1 images have a label" in tables["labels"].markdown()
    frame, tables = label_tables(
        labels_frame().assign(image_id=range(100, 108)), label_noise.Reference("V-COCO", CLASSES, people_frame())
    )
    assert set(frame["status"]) == {"no overlap"}
    assert frame["images"].tolist()[0] == 0
    assert frame["agree_share"].tolist()[0] is None
    assert "covers none of the images" in tables["label_confusion"].markdown()


@pytest.mark.parametrize(("path", "reason"), [("/gone.json", "404"), ("/v.json", "sha256")])
def test_without_vcoco_the_tables_say_skipped_and_why(path, reason, tmp_path, monkeypatch):
    monkeypatch.setattr("har.data.download.BACKOFF", 0)
    pin = PIN | {"sha256": "0" * 64}
    with serving(Site({"/v.json": BODY}, routes={"/gone.json": status(404)})) as site:
        reference = label_noise.vcoco_reference(lambda: vcoco.fetch(site.url + path, tmp_path, **pin))
    frame, tables = label_tables(labels_frame(), reference)
    assert set(frame["status"]) == {"skipped"}
    assert frame.loc[0, "images"] is None
    assert reason in frame.loc[0, "note"]
    for table in tables.values():
        assert sum(reason in line and "skipped" in line for line in table.markdown().splitlines()) == 1


def test_vcoco_is_held_against_captions(tmp_path):
    source = tmp_path / "vcoco.json"
    source.write_bytes(BODY)
    reference = label_noise.vcoco_reference(lambda: vcoco.fetch(source.as_uri(), tmp_path / "cache", **PIN))
    images = pd.DataFrame({"image_id": [11, 12, 13, 14, 15, 77], "label": [W, SIT, SIT, SIT, SIT, W], "split": "test"})
    frame, tables = label_tables(images, reference)
    assert frame.loc[0, ["images", "agree", "agree_n", "several", "none"]].tolist() == [5, 1, 2, 2, 1]
    assert "walk and run take precedence" in tables["labels"].markdown()


def test_a_file_that_is_not_vcoco_is_the_users_mistake(tmp_path):
    path = tmp_path / "vcoco.json"
    path.write_text("[]")
    with pytest.raises(HarError, match="is missing"):
        label_noise.vcoco_reference(lambda: path)


def test_world_noise_is_what_the_scenes_say():
    ids = range(1, 61)
    labels = pd.DataFrame({"image_id": ids, "label": [ACTIVITIES[i % 3] for i in ids], "split": "train"})
    figures = label_noise.agreement(
        label_noise.compare(labels, label_noise.world_reference(2017, ids, 0.0).people), ACTIVITIES, 10, 0, 0.95
    )
    one = agree = among = contradicted = several = none = 0
    for image_id in ids:
        people, label = sample_scene(2017, image_id).people, ACTIVITIES[image_id % 3]
        doings = [person.activity for person in people if person.main]
        none += not doings
        several += len(set(doings)) > 1
        one += len(set(doings)) == 1
        agree += set(doings) == {label}
        among += label in doings
        contradicted += bool(people) and all(person.activity != label for person in people)
    names = ("images", "none", "several", "agree_n", "agree", "among", "among_n", "contradicted")
    assert [figures[name] for name in names] == [60, none, several, one, agree, among, 60 - none, contradicted]
    assert min(none, several, agree, contradicted) > 0


def test_what_was_seen_stands_beside_what_captions_say():
    reference = label_noise.world_reference(2017, range(1, 31), 0.0)
    images = pd.DataFrame({"image_id": range(1, 31), "label": [ACTIVITIES[i % 3] for i in range(30)], "split": "test"})
    frame, tables = label_tables(images, reference)
    kept = visible.tried(0.0)
    hits = kept["label"] == kept["seen"]
    rows = frame.set_index("group")
    assert rows.loc["all", ["visible_n", "visible"]].tolist() == [len(kept), hits.sum()]
    assert rows.loc["all", "visible_low"] < rows.loc["all", "visible_share"] < rows.loc["all", "visible_high"]
    assert rows.loc[SIT, "visible"] == (hits & (kept["label"] == SIT)).sum()
    assert rows.loc["test", "visible_n"] is None  # the scenes judged are of no split
    assert whole(tables["visible"])
    seen = tables["visible"].frame.set_index("group")
    assert (seen["visible"] + seen["another"] + seen["unclear"]).tolist() == seen["visible_n"].tolist()
    assert seen.loc["kept", "visible_n"] + seen.loc["left out", "visible_n"] == seen.loc["all scenes", "visible_n"]


def test_scenes_were_judged_under_the_rule_as_it_is():
    """Whoever changes the rule judges anew, or at least says anew what the rule keeps."""
    judged = visible.read_judged()
    assert set(judged["seen"]) <= {*ACTIVITIES, visible.UNCLEAR}
    some = judged[::10]
    kept = coco_annotations(2017, some.image_id, hard=0.0)["captions"]["images"]
    assert [image["id"] for image in kept] == some.image_id[some.visible == 1].tolist()
    assert some.truth.tolist() == [activity(sample_scene(2017, i)) or "several" for i in some.image_id]
    assert len(visible.tried(1.0)) > len(visible.tried(0.5)) == len(visible.tried(0.0))


# --- the stage ---------------------------------------------------------------------------------------------


def test_the_stage_goes_on_without_vcoco(tmp_path, monkeypatch, store, photos):
    monkeypatch.syspath_prepend(Path.cwd())  # stages are no part of the installed package
    from stages import audit as stage
    from stages.lib.context import Context

    params = parameters.params()
    data, ids = tmp_path / "data", sorted(photos)
    profile = params.active
    parts = dict(zip(ids, ("train", "validation", "test", "extended"), strict=True))
    rows = {name: [""] * 4 if kind == "str" else [1] * 4 for name, kind in MANIFEST_COLUMNS.items()}
    rows |= {"image_id": ids, "label": [SIT] * 4, "part": ["drawn"] * 3 + ["extended"]}
    rows |= {"flickr_url": [flickr(number) for number in (5, 500_000, 500_001, 900_000)]}
    write_manifest(pd.DataFrame(rows), data / "manifest.csv")
    write_csv(data / "split.csv", pd.DataFrame({"image_id": ids, "label": SIT, "split": list(parts.values())}))
    write_csv(data / "provenance.csv", pd.DataFrame({"image_id": ids, "sha256": ["a", "b", "c", "d"]}))
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 4, "height": 4} for i in ids]
    write_json(data / "annotations/captions.json", {"images": images})
    folder = data / "embeddings" / profile.audit.encoder
    folder.mkdir(parents=True)
    np.save(folder / "image.npy", np.eye(4, dtype=np.float32))
    write_csv(folder / "index.csv", pd.DataFrame({"image_id": ids}))
    (folder / "about.json").write_text(json.dumps({"classes": [], "logit_scale": None}))
    monkeypatch.setattr(stage, "Store", lambda folder: store)
    monkeypatch.setattr(stage, "CACHE", tmp_path / "cache")
    with serving(Site()) as site:
        pin = profile.audit.vcoco.model_copy(update={"url": f"{site.url}/vcoco_test.json"})
        server = profile.data.model_copy(update={"source": "server"})
        checks = profile.audit.model_copy(update={"vcoco": pin})
        changed = profile.model_copy(update={"data": server, "audit": checks})
        sources = {checks.encoder: "pretrain"}
        stage.audit(
            Context(
                params,
                changed,
                data,
                reports=tmp_path / "reports",
                published=tmp_path / "published",
                sources=sources,
                seen={},
                views={},
                already=[],
                papers=False,
                header="profile test",
                digest="",
                protocol="",
            )
        )
    out = tmp_path / "reports" / "audit"
    names = ("leakage", "pairs", "labels", "label_confusion")
    kinds = ("csv", "html", "md")
    assert sorted(p.name for p in out.iterdir()) == sorted(f"{n}.{kind}" for n in names for kind in kinds)
    pairs = pd.read_csv(out / "pairs.csv")
    assert pairs[["image_id_a", "image_id_b", "check", "value"]].to_numpy().tolist() == [
        [ids[1], ids[2], "flickr_number", 1.0]
    ]
    assert set(pd.read_csv(out / "labels.csv")["status"]) == {"skipped"}
