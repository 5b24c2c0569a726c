"""The page's folder: what is packed comes back, what others wrote stays text, and the same run gives the same bytes."""

import hashlib
import json
import re
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import parameters
import pytest
from pages import EVIL, FLICKR, SETTINGS, TASKS, read_script, reports, source, unpacked, written
from PIL import Image

from har.core.errors import HarError
from har.core.files import write_parquet
from har.reporting.contents import sections_in
from har.reporting.page import charts, gallery
from har.reporting.page.about import about
from har.reporting.page.build import build, question
from har.reporting.page.html import prose, safe_address
from har.reporting.page.relevance import read_maps
from har.reporting.page.thumbnails import write_photographs

KEYS = ["activity-clip", "activity-probe_clip", "activity-majority", "posture-clip"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "PART", 10)  # so that there are three
        yield written(tmp_path_factory.mktemp("page"), 24)


def test_the_heading_asks_for_the_profiles_own_classes(made):
    _, index = made
    assert "<h1>Walking / running, sitting or standing?</h1>" in index.read_text(encoding="utf-8")
    assert question(["Yoga", "dance"]) == "Yoga or dance?"
    assert question(["one"]) == "One?"
    assert question([str(n) for n in range(101)]) == "Which of 101 activities?"


class TestPacking:
    def test_near_ties_keep_their_order(self):
        chances = np.array([[0.3, 0.35 - 1e-9, 0.35 + 1e-9], [0.5, 0.5, 0.0]])
        assert gallery.in_steps(chances).argmax(1).tolist() == [2, 0]

    def test_predictions_are_those_of_the_frames(self, made):
        given, index = made
        data = index.parent / "page/data"
        images, about = read_script(data / "images.js"), read_script(data / "models.js")["models"]
        assert [one["key"] for one in about] == KEYS
        for model in about:
            classes = TASKS[model["task"]]
            frame = given.predictions[model["task"], model["model"]]
            assert model["classes"] == [images["classes"].index(name) for name in classes]
            seen = []
            for number, first in enumerate(range(0, 24, gallery.PART)):
                record = read_script(data / f"answers/{number}.js")[model["key"]]
                rows = unpacked(record["rows"], "u4") + first
                shape = len(model["seeds"]), len(rows), len(classes)
                packed = unpacked(record["probabilities"], "u2").reshape(shape) / gallery.STEPS
                for s, seed in enumerate(model["seeds"]):
                    mine = frame[frame.seed == seed].set_index("image_id").loc[np.array(images["id"])[rows]]
                    assert packed[s] == pytest.approx(mine[[f"p_{name}" for name in classes]].to_numpy(), abs=2e-5)
                seen += rows.tolist()
            assert np.array(images["id"])[seen].tolist() == sorted(frame.image_id.unique())

    def test_a_models_summary_is_its_ensemble(self, made):
        given, index = made
        data = index.parent / "page/data"
        ids = np.array(read_script(data / "images.js")["id"])
        for (task, model), frame in given.predictions.items():
            record = read_script(data / f"models/{task}-{model}.js")
            told = {name: unpacked(record[name], kind) for name, kind in gallery.KINDS.items()}
            names = [f"p_{name}" for name in TASKS[task]]
            runs, mean = frame[names].to_numpy().argmax(1), frame.groupby("image_id")[names].mean().to_numpy()
            best, label = mean.argmax(1), frame.groupby("image_id").label.first()
            assert ids[told["rows"]].tolist() == label.index.tolist()
            assert (np.array([0, 1, 2] if task == "activity" else [1, 2])[best] == told["says"]).all()
            agree = pd.Series(runs == best[label.index.get_indexer(frame.image_id)]).groupby(frame.image_id).sum()
            assert agree.tolist() == told["agree"].tolist()
            of_label = mean[np.arange(len(mean)), [TASKS[task].index(name) for name in label]]
            assert told["sure"] / gallery.STEPS == pytest.approx(mean.max(1), abs=2e-5)
            assert told["truth"] / gallery.STEPS == pytest.approx(of_label, abs=2e-5)

    def test_the_map_holds_each_image_on_one_scale(self, made):
        plane = read_script(made[1].parent / "page/data/images.js")["plane"]
        points = unpacked(plane["points"], "u2").reshape(24, 2)
        assert (plane["encoder"], points.min(), points.max()) == ("CLIP", 0, gallery.STEPS)
        with pytest.raises(HarError, match=r"index\.csv: image 5 of the manifest is missing"):
            gallery.plane(made[0].embeddings, [1000, 5])

    def test_figures_lead_to_their_images(self):
        assert gallery.address("errors/figure5_activity.svg") == "#images?split=held_out&task=activity&verdict=wrong"
        assert gallery.address("figures/confusion_activity_test.svg") == "#images?split=test&task=activity"
        assert gallery.address("figures/augmentation.svg") == ""

    def test_images_carry_captions_licence_and_source(self, made):
        given, index = made
        images = read_script(index.parent / "page/data/images.js")
        told = read_script(index.parent / "page/data/images/0.js")
        assert images["id"] == given.manifest.image_id.tolist()
        assert told["captions"][0][1] == EVIL
        captions = []
        for part in range(3):
            for texts in read_script(index.parent / f"page/data/images/{part}.js")["captions"]:
                captions += texts
        assert captions == given.evidence.caption.tolist()
        assert [images["classes"][c] for c in told["mentions"][0][1]] == ["sitting"]
        assert told["mentions"][0][0] == []
        assert told["source"][:2] == ["http://example.org/a.jpg", FLICKR]  # javascript: is no source
        assert told["author"][:2] == ["", "https://www.flickr.com/photo.gne?id=6255196340"]
        assert images["licences"]["4"] == ["CC BY 2.0", "https://creativecommons.org/licenses/by/2.0/"]
        assert images["maps"]["activity-clip"]["classes"] == [0, 1, 2]

    def test_an_image_without_a_split_is_named(self, tmp_path):
        made = source(tmp_path, 6)
        with pytest.raises(HarError, match=r"split\.csv: image 1000 of the manifest is missing"):
            gallery.images(made.manifest, made.split.iloc[1:], TASKS)

    def test_traits_are_those_of_the_errors_stage(self, made, tmp_path):
        traits = read_script(made[1].parent / "page/data/images/0.js")["traits"]
        assert traits["Largest person, of the image"][:2] == [0.25, 0.25]
        assert traits["Overlapped by others"][:2] == [None, 0.5]
        assert traits["Of these, hidden"][:2] == [None, None]
        path = tmp_path / "errors.parquet"
        assert gallery.read_traits(path) is None
        columns = ["model", "image_id", "labelled_joints", "hidden_joints", "overlap"]
        rows = [["a", 7, 1, None, 0.5], ["a", 8, None, None, None], ["b", 7, 1, None, 0.5], ["b", 9, 1, 0.25, 0]]
        write_parquet(path, pd.DataFrame(rows, columns=columns))
        found = gallery.read_traits(path).set_index("image_id")
        assert found.fillna(-1).T.to_dict("list") == {7: [1, -1, 0.5], 8: [-1, -1, -1], 9: [1, 0.25, 0]}


class TestMaps:
    def test_grids_come_back(self, made):
        given, index = made
        record = read_script(index.parent / "page/maps/activity-clip.js")
        grid = unpacked(record["values"], "u1").reshape(-1, 3, 4, 4)
        stored = np.load(given.explain / "activity-clip/maps.npy")
        assert abs(grid / 255 - stored).max() <= 0.5 / 255 + 1e-6
        assert (record["fit"], record["share"], record["side"]) == ("crop", 0.5, 4)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"side": 5}, "maps.npy: holds"),
            ({"fit": "stretch"}, "fit must be crop or squash"),
            ({"crop_pct": 0}, "crop_pct a share of 0 to 1"),
            ({"method": ["legrad"]}, "method is ['legrad'], expected a name"),
            ({"classes": ["walking_running", "sitting", "flying"]}, "names 'flying', which no image shows"),
        ],
    )
    def test_what_does_not_fit_is_told(self, tmp_path, change, said):
        folder = source(tmp_path, 12).explain / "activity-clip"
        about = json.loads((folder / "about.json").read_text())
        (folder / "about.json").write_text(json.dumps(about | change))
        with pytest.raises(HarError, match=re.escape(said)) as caught:
            read_maps(folder, [1000], TASKS["activity"])
        assert "\n" not in str(caught.value)


class TestMarkup:
    def test_prose_lets_nothing_through_but_links(self):
        assert prose("[a](errors/by_pixels.md)") == '<p><a href="errors/by_pixels.md">a</a></p>\n'
        for text in ("<script>alert(1)</script>", "<img src=x>", "[x](javascript:alert(1))"):
            assert not re.search(r"<(script|img|iframe|a)\b", prose(text))
        assert "<img" not in prose("![x](http://a.org/x.svg)")
        assert '<div class="table" role="region" tabindex="0"' in prose("| a | b |\n|---|---|\n| 1 | 2 |\n")

    def test_plain_links_alone_pass(self):
        assert all(map(safe_address, ["http://a.org", "https://a.org/b?c=d#e", FLICKR]))
        others = ["", "javascript:alert(1)", "//a.org", "http://", "http://user@a.org", "http://a.org/x y"]
        others += ["ftp://a.org", "http://a.org\\@b.org", "world:7/12", "http://a.org/\n"]
        assert not any(map(safe_address, others))


def test_licences_are_cocos_and_only_flickr_names_an_author():
    assert gallery.licence(1) == ("CC BY-NC-SA 2.0", "https://creativecommons.org/licenses/by-nc-sa/2.0/")
    assert gallery.licence(0) == ("Licence not told", "")
    assert gallery.licence(99) == ("Licence 99, not one of COCO's", "")
    assert gallery.photo_page("http://evil.org/static.flickr.com/1/2_3.jpg") == ""


def test_photographs_have_their_sizes_and_nothing_of_the_camera(tmp_path):
    file = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[271] = "a camera"
    Image.new("RGB", (300, 200), "red").save(file, exif=exif)
    settings = SETTINGS.model_copy(update={"image": 150, "thumbnail": 60})
    write_photographs([(5, file)], 1, tmp_path / "page", settings)
    for name, size in (("images", (150, 100)), ("thumbnails", (60, 40))):
        with Image.open(tmp_path / f"page/{name}/5.jpg") as image:
            assert image.size == size
            assert not image.getexif()


class TestCharts:
    def test_accuracy_tells_its_numbers_best_first(self, tmp_path):
        told = charts.accuracy(reports(tmp_path / "r") / "tables/table7.csv", "activity", 3, "Accuracy")
        names = re.findall(r'class="name" aria-hidden="true">([^<]+)', told)
        assert names == ["CLIP", "ViT"]
        assert "CLIP: 0.620 [0.590, 0.650] on 1,000 held out images, 5 runs; 0.710 [0.530, 0.840] on 29 test" in told
        assert "paper 0.759" in told
        assert '<circle cx="62.00%"' in told
        of_clips = charts.accuracy(tmp_path / "r/tables/table7.csv", "activity", 3, "Accuracy", "clips")
        assert "test, 29 clips" in of_clips
        assert "images" not in of_clips.replace("#images", "")

    def test_a_missing_column_is_named(self, tmp_path):
        (tmp_path / "t.csv").write_text("model,split\n")
        with pytest.raises(HarError, match="column 'n' is missing"):
            charts.accuracy(tmp_path / "t.csv", "activity", 3, "Accuracy")

    def test_the_funnel_is_drawn_to_scale(self, tmp_path):
        path = reports(tmp_path / "r") / "funnel.csv"
        told = charts.funnel(path, "From captions to images", {"sitting": "sitting"}, "")
        assert re.findall(r'rect width="([\d.]+)%"', told) == ["100.00", "40.00"]
        assert "not labelled yet" in told
        assert "captions mention its activity" in told
        assert "mention" not in charts.funnel(path, "From the images found", {}, "", own=True)


def test_absent_parts_of_sections_are_left_out(tmp_path):
    found = {one.title: [*one.figures, *one.tables] for one in sections_in(reports(tmp_path / "r"))}
    assert list(found) == ["Results", "The paper's experiments", "Are the data what they claim?", "More figures"]
    assert [part.path for part in found["Results"]] == [
        "figures/accuracy_activity.svg",
        "tables/summary.md",
    ]
    assert [part.caption for part in found["More figures"]] == [
        "Confusion matrices, activity, test images",
        "Losses and validation accuracy of each epoch, activity, CLIP",
    ]


class TestDocument:
    def test_no_inline_script_or_style_and_nothing_from_elsewhere(self, made):
        text = made[1].read_text()
        assert "default-src 'none'" in text
        assert not re.search(r"<script(?![^>]*\ssrc=\"page/)|\sstyle=|<style|\son\w+=", text)
        assert not re.search(r"<(?:img|script|link)[^>]*(?:src|href)=\"(?:https?:)?//", text)
        assert EVIL not in text

    def test_the_header_and_each_section_are_there(self, made):
        text = made[1].read_text()
        assert "Profile sample: generated world." in text
        assert 'data-view="images">Scenes <span' in text
        for anchor in ("overview", "table-7-three-activities", "where-we-leave-the-paper-and-why", "more-figures"):
            assert f'id="{anchor}"' in text
        assert text.count("<table") == 5
        ids = re.findall(r'\sid="([^"]+)"', text)
        assert len(ids) == len(set(ids)), "an id occurs twice"


def test_it_names_settings_cards_and_each_work_of_the_citation():
    told = about("3fa9c1d2e4b5", Path("CITATION.cff"), [Path("x/activity-clip.md")])
    assert "Settings 3fa9c1d2e4b5 (hash of" in told
    assert "[activity-clip](cards/activity-clip.md)" in told
    assert "@software{har-still," in told
    assert "@article{mahanta2025,\n" in told
    assert "  author = {Mahanta, Cristina and Bhatia, Gagan},\n  year = {2025}" in told


def test_the_larger_size_is_the_larger(tmp_path):
    said = parameters.error(tmp_path, {"page.thumbnail": 320, "page.image": 100})
    assert "page: image is 100 pixels, less than the 320 of thumbnail" in said


def test_photographs_stay_out_of_git():
    paths = ["reports/coco/page/images/139.jpg", "reports/coco/index.html", "reports/sample/page",
             "reports/coco/explain/figure4.svg"]  # fmt: skip
    done = subprocess.run(["git", "check-ignore", *paths], capture_output=True, text=True)
    if done.returncode == 128:
        pytest.skip("not a git checkout")
    assert done.stdout.split() == paths


def test_an_installed_package_holds_the_pages_files():
    globs = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    root = Path("har/reporting/page")
    packed = {path for glob in globs["har.reporting.page"] for path in root.glob(glob)}
    assert packed == {path for path in root.rglob("*.*") if path.suffix not in (".py", ".pyc")}


def test_captions_come_with_their_image_and_others_are_left_out(tmp_path):
    made = source(tmp_path, 6)
    captions = pd.DataFrame(
        {"image_id": [1, 1007, 1007, 1010, 1035, 9999], "caption_index": [0, 1, 0, 0, 0, 0], "caption": list("abcdef"),
         "mentions": ["", "sitting", "sitting+standing+lying", "", "", ""]}
    )  # fmt: skip
    (part,) = gallery.parts(made.manifest.assign(persons=[0, 1, 1, 1, 1, 1]), captions, TASKS["activity"])
    assert part["traits"]["Largest person, of the image"] == [None, *[0.25] * 5]  # none is annotated
    assert part["captions"] == [[], ["c", "b"], [], [], [], ["e"]]
    assert part["mentions"] == [[], [[1, 2], [1]], [], [], [], [[]]]


def test_neither_the_order_of_the_manifest_nor_another_run_changes_a_byte(made, tmp_path):
    def digests(folder):
        files = sorted(p for p in [folder / "index.html", *(folder / "page").rglob("*")] if p.is_file())
        return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    given, index = made
    left = tmp_path / "r/page/left"  # by another run
    left.mkdir(parents=True)
    again = build(replace(given, manifest=given.manifest.iloc[::-1]), reports(tmp_path / "r"), SETTINGS)
    assert digests(again.parent) == digests(index.parent)


@pytest.mark.parametrize("rows", [0, 2])
def test_a_part_of_which_a_model_says_nothing_is_empty(rows):
    frame = pd.DataFrame({"seed": [0, 0], "image_id": [1, 2], "p_a": 0.25, "p_b": 0.75})[:rows]
    one = gallery.answers("t", "m", frame, np.array([1, 2]), np.array([0, 1]), ["a", "b"])
    assert len(unpacked(one.part(0)["probabilities"], "u2")) == 2 * rows
    assert one.part(gallery.PART) == dict.fromkeys(["rows", "probabilities", "says", "sure", "truth"], "")


def test_predictions_that_miss_an_image_stop():
    frame = pd.DataFrame({"seed": [0, 0, 1], "image_id": [1, 2, 1], "p_a": 0.5, "p_b": 0.5})
    with pytest.raises(HarError, match="3 rows are not"):
        gallery.answers("t", "m", frame, np.array([1, 2]), np.array([0, 1]), ["a", "b"])


def test_a_clip_is_shown_as_its_frames_in_time():
    manifest = pd.DataFrame(
        [(5, "a/x.avi", 2.0), (1, "a/x.avi", 3.0), (9, "a/x.avi", 1.0), (4, "", float("nan")), (2, "b/y.avi", 0.5)],
        columns=["image_id", "clip", "second"],
    )
    found = gallery.of_clips(manifest)
    assert found.image_id.tolist() == [1, 2, 4]
    assert found.frames.tolist() == [[9, 5, 1], [2], [4]]
    still = manifest[["image_id"]]
    assert gallery.of_clips(still) is still
