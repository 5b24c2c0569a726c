"""Own images: what is found in a folder or table, how it is checked, labelled, drawn and copied."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import parameters
import pytest
from conftest import picture
from PIL import Image

from har.app.new_profile import words_of, write_profile
from har.config.data import Curate
from har.config.profile import load_params
from har.config.types import check_labels
from har.core.errors import HarError
from har.data.coco.annotations import read_records, safe_file_name
from har.data.folder.find import find_in_folder, find_in_table
from har.data.folder.inspect import COLUMNS, copy_files, examine, read_images, write_annotations
from har.data.folder.recognise import recognise
from har.data.folder.select import choose
from har.data.manifest import read_manifest, write_manifest
from har.data.split import read_split, require_classes, split, write_split

NAMED = {"image": "path", "label": "class", "group": "who", "split": "part"}
# Names that programs take for something else: missing values, numbers, columns, markup, separators, other scripts.
NAMES = [
    ("nan", "null", "None", "NA", "~", "-inf"), ("1", "1.0", "1e5", "true", "yes", "2026-01-01", "0x1f"),
    ("rule", "images", "all", "class", "label", "image_id", "group", "split"),
    ("坐着", "站立", "🚶", "👩‍🦯", "Übung 7", "сидя", "صف"),
    ("a, b", 'say "x"', "it's", "a|b", "$x$", "<b>x</b>", "`*_x_*`", "a/b", "../x", "{question}", "a: b", "#c",
     "- d", "&e", "%s", "p_", "=1+1", "a+b", "a  b", "C:\\x"),
]  # fmt: skip
UCF = parameters.value("data.folder.groups")


def save(path: Path, seed: int = 0, size=(40, 30), **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed, *size)).save(path, **options)
    return path


@pytest.fixture
def root(tmp_path):
    top = tmp_path / "photos"
    for place, name in enumerate(["Walk/a b,1.jpg", "Walk/deep/er/ü.PNG", "Sit down/x.webp", "Sit down/y.bmp"]):
        save(top / name, place)
    for name in ("Walk/.hidden.jpg", "Walk/notes.txt", "beside.jpg"):
        (top / name).write_bytes(b"x")
    return top


def frame(rows) -> pd.DataFrame:
    """images.csv of (label, group, split) rows."""
    table = pd.DataFrame(rows, columns=["label", "group", "split"])
    ids = np.random.default_rng(1).permutation(10**6)[: len(table)]
    names = {"file_name": [f"{i:015d}.jpg" for i in ids], "name": [f"n/{i}.jpg" for i in ids]}
    return table.assign(image_id=ids, width=4, height=3, sha256="", **names)[list(COLUMNS)]


def rule(extended: int = 0, keywords=None, **counts) -> Curate:
    """Classes with the count of each, and the names that make up some of them."""
    classes = {label: {"count": count, "keywords": (keywords or {}).get(label, [])} for label, count in counts.items()}
    changes = {"classes": classes, "precedence": [], "extended": extended, "seed": 0}
    return Curate.model_validate(parameters.value("curate") | changes)


class TestFolder:
    def test_images_at_any_depth_are_labelled_by_the_first_folder(self, root):
        found = find_in_folder(root, "").images
        assert [(one.name, one.label) for one in found] == [
            ("Sit down/x.webp", "Sit down"), ("Sit down/y.bmp", "Sit down"), ("Walk/a b,1.jpg", "Walk"),
            ("Walk/deep/er/%C3%BC.PNG", "Walk"),
        ]  # fmt: skip

    def test_further_images_move_no_id(self, root):
        before = {one.name: one.image_id for one in find_in_folder(root, "").images}
        save(root / "Aaa/new.jpg")
        after = {one.name: one.image_id for one in find_in_folder(root, "").images}
        assert before.items() < after.items()
        assert max(after.values()) < 2**53  # whole in any program's floats

    def test_names_that_are_no_text_are_found_too(self, root):
        try:
            (root / os.fsdecode(b"Walk/\xff\n1.jpg")).write_bytes((root / "Walk/a b,1.jpg").read_bytes())
        except OSError:
            pytest.skip("this file system takes text only")
        assert "Walk/%FF%0A1.jpg" in {one.name for one in find_in_folder(root, "").images}

    def test_groups_of_ucf_names(self, tmp_path):
        """A group is the class and its g, in frames' names or in those of their folders."""
        for name in ("v_A_g01_c01.avi/v_A_g01_c01.avi_07", "v_A_g01_c01_f1", "v_A_g01_c02/f7", "v_A_g02_c01", "x"):
            save(tmp_path / f"A/{name}.jpg")
        found = [one.group for one in find_in_folder(tmp_path, UCF).images]
        assert found == ["v_A_g01", "v_A_g01", "v_A_g01", "v_A_g02", ""]

    def test_mistakes_are_told(self, tmp_path):
        with pytest.raises(HarError, match="no such folder"):
            find_in_folder(tmp_path / "none", "")
        (tmp_path / "A").mkdir()
        (tmp_path / "A/1.heic").write_bytes(b"x")
        with pytest.raises(HarError, match=r"holds no image; left out: 1 \.heic; .*/<class>/"):
            find_in_folder(tmp_path, "")


class TestTable:
    def table(self, root, *lines) -> Path:
        file = root / "table.csv"
        file.write_text("path,class,who,part\n" + "".join(f"{line}\n" for line in lines))
        return file

    def test_rows_become_images(self, root):
        file = self.table(root, '"Walk/a b,1.jpg",go,ann,train', "Sit down/x.webp,rest,,Test")
        found = find_in_table(file, "", **NAMED).images
        assert [(one.label, one.group, one.split) for one in found] == [("rest", "", "test"), ("go", "ann", "train")]
        assert {one.image_id for one in found} < {one.image_id for one in find_in_folder(root, "").images}
        grouped = find_in_table(file, "", image="path", label="class", groups=r"^\w+").images
        assert [one.group for one in grouped] == ["Sit", "Walk"]

    @pytest.mark.parametrize(
        ("lines", "said"),
        [
            (["Walk/none.jpg,go,,train"], "line 2: 'Walk/none.jpg' is no file"),
            ([f"{'x' * 5000},go,,train"], "is no file"),
            (["../outside.jpg,go,,train"], "leads out of"),
            ([",go,,train"], "line 2: image is empty"),
            (["Sit down/x.webp,,,train"], "line 2: label is empty"),
            (["Sit down/x.webp,go,,dev2"], "split 'dev2' is none of"),
            (["Sit down/x.webp,go,,train", "Sit down/y.bmp,go,,"], "has no split"),
            (["Sit down/x.webp,go,ann,train", "Sit down/y.bmp,go,ann,test"], "group ann are in more than one split"),
            (["Sit down/x.webp,go,,train", "Sit down/../Sit down/x.webp,go,,train"], "named twice"),
            ([], "holds no row"),
        ],
    )
    def test_a_bad_row_is_told_by_its_line(self, root, lines, said):
        save(root.parent / "outside.jpg")
        with pytest.raises(HarError, match=said):
            find_in_table(self.table(root, *lines), "", **NAMED)

    def test_a_missing_column_is_told_with_those_there_are(self, root):
        with pytest.raises(HarError, match=r"column 'klass' \(label\) is missing; it has path, class, who, part"):
            find_in_table(self.table(root, "Sit down/x.webp,go,,"), "", image="path", label="klass")


class TestGivenSplits:
    """The splits that images come with, by folders and by tables, are kept or refused, never passed over."""

    @pytest.mark.parametrize(
        "folders",
        [
            {"Train": "train", "valid": "validation", "TEST": "test"},
            {"training": "train", "dev": "validation", "testing": "test", "extended": "extended"},
            {"train": "train", "test": "test"},
        ],
    )
    def test_folders_of_splits(self, tmp_path, folders):
        for folder in folders:
            for label in ("sit", "stand"):
                save(tmp_path / folder / label / "deep/0.png")
        listing = find_in_folder(tmp_path, "")
        assert {(one.name.split("/")[0], one.split) for one in listing.images} == set(folders.items())
        assert {one.label for one in listing.images} == {"sit", "stand"}
        assert all(f"{name} 2 ({split})" in listing.notes[-1] for name, split in folders.items())

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            (("train/sit/0.png", "val/sit/0.png"), r"splits \(train, val\), but none is test"),
            (("val/sit/0.png", "test/sit/0.png"), "none is train"),
            (("train/sit/0.png", "test/0.png"), r"splits \(train\), but none is test.*no folder of a class, as te"),
            (("train/sit/0.png", "test/sit/0.png", "more/0.png"), "train, test are splits|test, train are splits"),
            (("train/0.png", "test/1.png"), r"holds no image; .*in no folder of a class, as t.*<split>/<class>"),
            (("train/v_A_g01_c01.png", "test/A/v_A_g01_c01.png", "train/A/v_A_g01_c02.png"), "more than one split"),
        ],
    )
    def test_folders_of_splits_that_do_not_fit(self, tmp_path, names, said):
        for name in names:
            save(tmp_path / name)
        with pytest.raises(HarError, match=said):
            find_in_folder(tmp_path, UCF)

    def test_one_class_may_have_the_name_of_a_split(self, tmp_path):
        for name in ("train/0.png", "plane/0.png"):
            save(tmp_path / name)
        assert {(one.label, one.split) for one in find_in_folder(tmp_path, "").images} == {("train", ""), ("plane", "")}

    @pytest.mark.parametrize(
        ("header", "columns"),
        [
            ("file_name,Label,Split", {}),
            ("PATH, Class ,SUBSET", {}),
            ("url,what,label", {"image": "url", "label": "what", "split": "label"}),
            ("IMG,image,fold", {"image": "img", "label": "image", "split": "Fold"}),
        ],
    )
    def test_columns_of_tables(self, tmp_path, header, columns):
        parts = {"train": "train", "Val": "validation", "dev": "validation", "TEST": "test", "eval": "validation"}
        lines = [f"{save(tmp_path / f'i/{part}.png').relative_to(tmp_path)},sit,{part}" for part in parts]
        (tmp_path / "t.csv").write_text("\n".join([header, *lines]))
        source, listing = recognise(str(tmp_path / "t.csv"), "", columns)
        assert {(Path(one.name).stem, one.split) for one in listing.images} == set(parts.items())
        told = dict(zip(("image", "label", "split"), header.split(","), strict=True))
        assert source == {"source": "csv", "csv": {"file": str(tmp_path / "t.csv"), "group": "", **told}}
        assert not listing.notes[:-1]

    @pytest.mark.parametrize(
        ("header", "columns", "said"),
        [
            ("image,label,Split,split", {}, "columns 'Split' and 'split' could be the split; choose with --split"),
            ("photo,label,split", {}, r"no column for the image \(image, file_name.*it has photo.*--image"),
            ("image,what,split", {}, r"no column for the label .*--label"),
            ("image,label,split", {"group": "who"}, r"column 'who' \(group\) is missing; it has image"),
        ],
    )
    def test_columns_that_are_not_clear(self, tmp_path, header, columns, said):
        (tmp_path / "t.csv").write_text(header + "\n" + "," * header.count(",") + "\n")
        with pytest.raises(HarError, match=said):
            recognise(str(tmp_path / "t.csv"), "", columns)

    def test_a_folder_with_metadata_is_a_table_where_that_has_labels(self, tmp_path):
        for name in ("a/1.png", "b/2.png"):
            save(tmp_path / name)
        (tmp_path / "metadata.csv").write_text("file_name,label,fold,age\na/1.png,x,1,2\nb/2.png,y,1,2\n")
        listing = recognise(str(tmp_path), "", {})[1]
        assert [one.label for one in listing.images] == ["x", "y"]
        assert listing.notes == ["columns not used: fold, age"]
        (tmp_path / "metadata.csv").write_text("file_name,text\na/1.png,x\nb/2.png,y\n")
        source, listing = recognise(str(tmp_path), "", {})
        assert source == {"source": "folder", "folder": {"root": str(tmp_path)}}
        assert [one.label for one in listing.images] == ["a", "b"]


class TestLeftOut:
    @pytest.mark.parametrize("suffix", [".jfif", ".avif", ".apng", ".ppm", ".TIFF"])
    def test_what_pillow_reads_is_taken(self, tmp_path, suffix):
        kind = {".avif": "AVIF", ".apng": "PNG", ".ppm": "PPM", ".tiff": "TIFF"}.get(suffix.lower(), "JPEG")
        save(tmp_path / f"A/1{suffix}", format=kind)
        listing = find_in_folder(tmp_path, "")
        assert not listing.notes
        images, _ = examine(listing.images, 1, "stop")
        safe_file_name(images.file_name[0], where="as stages after this one refuse it")

    def test_other_files_images_beside_hidden_and_links_are_counted(self, tmp_path):
        save(tmp_path / "elsewhere/1.jpg")
        root = tmp_path / "photos"
        for name in ("A/1.jpg", "A/._1.jpg", "beside.jpg"):
            save(root / name)
        for name in ("1.heic", "2.HEIC", "3.heif", "4.mov", "notes", ".DS_Store", "5.svg"):
            (root / "A" / name).write_bytes(b"x")
        (root / "B").symlink_to(tmp_path / "elsewhere")
        (root / "C").symlink_to(root / "A")
        (root / "A/out.jpg").symlink_to(tmp_path / "elsewhere/1.jpg")
        (root / "A/nowhere.jpg").symlink_to(root / "none.jpg")
        listing = find_in_folder(root, "")
        assert [one.name for one in listing.images] == ["A/1.jpg"]
        others, *notes = listing.notes
        assert others.startswith("left out: 2 .heic, 1 without suffix, 1 .heif, 1 .mov, 1 .svg; read are .apng, ")
        assert sorted(notes) == [
            "left out: 1 hidden, as A/._1.jpg",
            "left out: 1 in no folder of a class, as beside.jpg",
            "left out: 2 links that lead out of the folder or nowhere, as A/nowhere.jpg",
            "left out: 2 links to folders, which are not followed, as B",
        ]


class TestLook:
    def test_images_have_a_row_and_a_place_in_cocos_files_and_are_copied_byte_for_byte(self, root, tmp_path):
        found = find_in_folder(root, "").images
        images, bad = examine(found, 1, "stop")
        assert images.image_id.is_monotonic_increasing
        assert {Path(name).suffix for name in images.file_name} == {".jpg", ".png", ".webp", ".bmp"}
        assert set(zip(images.width, images.height, strict=True)) == {(40, 30)}
        write_annotations(images, bad, tmp_path / "annotations")
        pd.testing.assert_frame_equal(read_images(tmp_path / "annotations"), images)
        records = read_records(tmp_path / "annotations/captions.json", tmp_path / "annotations/instances.json")
        assert sorted(records) == images.image_id.tolist()
        assert all(not record.captions and not len(record.boxes) for record in records.values())
        sources = {one.name: one.path for one in found}
        for row in copy_files(images, sources, tmp_path / "out", 1):
            copied = (tmp_path / "out" / row["file_name"]).read_bytes()
            assert copied == sources[row["url"].removeprefix("own:")].read_bytes()

    def test_unreadable_files_stop_or_are_named_and_skipped(self, root):
        whole = (root / "Walk/a b,1.jpg").read_bytes()
        (root / "Walk/empty.jpg").write_bytes(b"")
        (root / "Walk/half.jpg").write_bytes(whole[: len(whole) // 2])
        found = find_in_folder(root, "").images
        with pytest.raises(HarError, match=r"photos/Walk/empty\.jpg: not a readable image.*\(unreadable: skip"):
            examine(found, 1, "stop")
        images, skipped = examine(found, 1, "skip")
        assert skipped.name.tolist() == ["Walk/empty.jpg", "Walk/half.jpg"]
        assert not skipped.reason.str.contains(" at 0x").any()  # the same in each run
        assert len(images) == 4

    def test_another_content_of_the_same_name_and_size_is_another_image(self, tmp_path):
        path = save(tmp_path / "photos/A/1.bmp", 1)
        found = find_in_folder(tmp_path / "photos", "").images
        images, _ = examine(found, 1, "stop")
        before = path.stat()
        save(path, 2)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size
        with pytest.raises(HarError, match=r"A/1\.bmp: changed since .*dvc repro -f annotations"):
            copy_files(images, {one.name: one.path for one in found}, tmp_path / "out", 1)

    def test_an_image_that_is_gone_is_told_by_the_users_name(self, tmp_path):
        images = frame([("a", "", "")]).assign(name="Sit/%C3%BC%201.jpg")
        with pytest.raises(HarError, match=r"^Sit/ü 1\.jpg: gone since .*dvc repro -f annotations"):
            copy_files(images, {}, tmp_path, 1)


class TestChoose:
    def test_empty_counts_take_all_and_a_count_leaves_the_rest_to_extended(self):
        images = frame([("a", "", "")] * 5 + [("b", "", "")] * 3 + [("other", "", "")])
        found = choose(images, rule(9, a=None, b=None))
        assert found.manifest.groupby("label").size().to_dict() == {"a": 5, "b": 3}
        assert set(found.manifest.part) == {"drawn"}
        assert found.funnel.images.tolist() == [9, 8, 8, 0]
        found = choose(images, rule(2, a=2, b=None))
        assert found.funnel.images_a.tolist()[1:] == [5, 2, 2]

    def test_groups_are_drawn_in_turn_and_none_is_in_extended_too(self):
        rows = [("a", f"g{i % 6}", "") for i in range(60)] + [("b", f"h{i % 3}", "") for i in range(30)]
        found = choose(frame(rows), rule(99, a=4, b=3)).manifest
        drawn, extended = (found[found.part == part] for part in ("drawn", "extended"))
        assert drawn.groupby("label")["group"].nunique().to_dict() == {"a": 4, "b": 3}
        assert not set(drawn.group) & set(extended.group)
        assert extended.label.value_counts().to_dict() == {"a": 20}

    def test_splits_that_images_came_with_decide_what_is_extended(self):
        rows = [("a", "", "train"), ("a", "", "test"), ("a", "", "extended"), ("b", "", "train"), ("b", "", "test")]
        found = choose(frame(rows), rule(9, a=None, b=1)).manifest
        assert (found.part == "extended").tolist() == (found.split == "extended").tolist()
        assert found.label.value_counts().to_dict() == {"a": 3, "b": 1}

    def test_several_names_make_up_a_class(self):
        wanted = rule(keywords={"move": ["Walk", "Run"]}, move=None, b=None)
        found = choose(frame([("Walk", "", ""), ("Run", "", ""), ("b", "", "")]), wanted)
        assert found.manifest.label.value_counts().to_dict() == {"move": 2, "b": 1}

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            (rule(a=None, c=None), "curate.classes.c: no image is labelled c; there are a, b"),
            (rule(a=7, b=None), "too few images: a has 2 of 7"),
            (rule(keywords={"x": ["a"], "y": ["a", "b"]}, x=None, y=None), "two classes"),
        ],
    )
    def test_mistakes_are_told(self, wanted, said):
        with pytest.raises(HarError, match=said):
            choose(frame([("a", "", ""), ("a", "", ""), ("b", "", "")]), wanted)


class TestProfile:
    @pytest.fixture
    def path(self, tmp_path) -> Path:
        (tmp_path / "params.yaml").write_text(parameters.text(), encoding="utf-8")
        return tmp_path / "params.yaml"

    def test_a_folder_becomes_a_short_profile_that_takes_nothing_from_the_others(self, path, root, capsys):
        assert write_profile(path, "mine", str(root)) == ["Sit down", "Walk"]
        told = capsys.readouterr().out
        assert told.endswith("\nnot yet to be trained: split.validation: 0.1 of 4 images leaves none\n")
        text = path.read_text()
        assert len(text.splitlines()) - len(parameters.text().splitlines()) < 45
        params = load_params(path)
        assert (params.profile, params.active.data.source) == ("mine", "folder")
        assert params.active.curate.classes["Sit down"].keywords == []
        assert params.active.learning_curve == params.profiles["sample"].learning_curve  # a curve fits its sizes itself
        assert params.active.embed.prompts["Sit down"] == ["a photo of sit down"]
        assert params.active.tasks == {"activity": ["Sit down", "Walk"]}
        assert {run.task for run in params.run.train.values()} == {"activity"}
        assert params.skipped == ["posture-vit", "posture-clip", "posture-siglip2"]
        assert params.profiles["sample"] == parameters.profile()
        path.write_text(text.replace("profile: mine", "profile: sample", 1))
        assert load_params(path).run == parameters.params().run

    @pytest.mark.parametrize("name", ["run", "Mine", "coco", "a.b"])
    def test_other_names_are_refused(self, path, root, name):
        before = path.read_bytes()
        with pytest.raises(HarError):
            write_profile(path, name, str(root))
        assert path.read_bytes() == before

    def test_words_of_classes(self):
        names = {"ApplyEyeMakeup": "apply eye makeup", "Übung_7": "übung 7", "7-up": "7 up", "日本": "日本", "-": "-"}
        assert {name: words_of(name) for name in names} == names

    def test_a_table_becomes_a_profile_whatever_its_classes_are_called(self, path, tmp_path):
        """From a table, as a folder's name holds no slash; read again as YAML and left alone by what DVC writes."""
        names = [name for some in NAMES for name in some]
        rows = [(save(tmp_path / f"own/{i}.png", i).name, name, i) for i, name in enumerate(names)]
        pd.DataFrame(rows, columns=["image", "label", "group"]).to_csv(tmp_path / "own/t.csv", index=False)
        write_profile(path, "mine", str(tmp_path / "own/t.csv"), "coco")
        before = path.read_text()
        same = parameters.value("profiles.coco.store.short_side")
        parameters.override(path.parent, {"profiles.mine.store.short_side": same})
        assert path.read_text() == before
        active = load_params(path).active
        assert set(active.tasks["activity"]) == set(active.curate.classes) == set(names)
        assert (active.data.csv.group, active.data.csv.split) == ("group", "")

    def test_names_that_no_class_can_have_are_told(self, path, tmp_path):
        for name in ("1.png", "2.png"):
            save(tmp_path / name)
        (tmp_path / "t.csv").write_text("image,label\n1.png,Walk\n2.png,walk\n")
        with pytest.raises(HarError, match="Walk and walk differ only in case or the form of characters; rename"):
            write_profile(path, "mine", str(tmp_path / "t.csv"))

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            (["ﬁsh", "fish", "x"], "differ only in case"),
            (["STRASSE", "straße"], "differ only in case"),
            (["a\nb", "c"], r"'a\\nb' is no name of a class: expected one line of 1 to 200 characters"),
            (["${x}", "c"], "for a reference"),
            (["\u200b", "c"], "is no name of a class"),
            (["w" * 201, "c"], "is no name of a class"),
        ],
    )
    def test_names_of_classes(self, names, said):
        with pytest.raises(ValueError, match=said):
            check_labels(names)

    def test_names_survive_the_tables_between_stages(self, tmp_path):
        names = [name for some in NAMES for name in some]
        images = frame([(name, "", "") for name in names for _ in range(3)])
        write_annotations(images, pd.DataFrame(columns=["name", "reason"]), tmp_path)
        found = choose(read_images(tmp_path), rule(**dict.fromkeys(names)))
        write_manifest(found.manifest, tmp_path / "manifest.csv")
        manifest = read_manifest(tmp_path / "manifest.csv")
        assert manifest.label.value_counts().to_dict() == dict.fromkeys(names, 3)
        assert len(set(found.funnel.columns)) == 2 + len(names)
        parts = {"train": 0.34, "validation": 0.33, "test": 0.33}
        write_split(split(manifest, **parts, mode="stratified", seed=0), tmp_path / "split.csv")
        require_classes(read_split(tmp_path / "split.csv"), names, "split")
