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
from har.config.profile import load_params
from har.core.errors import HarError
from har.data.coco.annotations import read_records
from har.data.folder.copy import copy_files
from har.data.folder.find import find_in_folder, find_in_table, image_id
from har.data.folder.inspect import COLUMNS, examine, read_images, write_annotations
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
UCF = r"(v_[^/]+?_g\d+)_c\d+"


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
    return table.assign(image_id=ids, width=4, height=3, turned=0, **names)[list(COLUMNS)]


def classes(**counts) -> dict:
    return {label: {"count": count, "keywords": []} for label, count in counts.items()}


class TestFolder:
    def test_images_at_any_depth_are_labelled_by_the_first_folder(self, root):
        found = find_in_folder(root, "")
        assert [(one.name, one.label) for one in found] == [
            ("Sit down/x.webp", "Sit down"), ("Sit down/y.bmp", "Sit down"), ("Walk/a b,1.jpg", "Walk"),
            ("Walk/deep/er/%C3%BC.PNG", "Walk"),
        ]  # fmt: skip

    def test_an_id_depends_on_the_path_alone(self, root):
        before = {one.name: one.image_id for one in find_in_folder(root, "")}
        save(root / "Aaa/new.jpg")
        after = {one.name: one.image_id for one in find_in_folder(root, "")}
        assert before.items() <= after.items()
        assert all(0 <= i < 2**48 and image_id(name) == i for name, i in after.items())

    def test_links_that_lead_out_are_not_followed(self, root, tmp_path):
        secret = save(tmp_path / "secret/s.jpg")
        (root / "Walk/link.jpg").symlink_to(secret)
        (root / "Run").symlink_to(secret.parent)
        (root / "Walk/loop.jpg").symlink_to("loop.jpg")
        (root / "Walk/own.jpg").symlink_to(root / "Walk/a b,1.jpg")
        names = {one.name for one in find_in_folder(root, "")}
        assert {name for name in names if "link" in name or "Run" in name or "loop" in name} == set()
        assert "Walk/own.jpg" in names

    def test_names_that_are_no_text_are_found_too(self, root):
        try:
            (root / os.fsdecode(b"Walk/\xff\n1.jpg")).write_bytes((root / "Walk/a b,1.jpg").read_bytes())
        except OSError:
            pytest.skip("this file system takes text only")
        assert "Walk/%FF%0A1.jpg" in {one.name for one in find_in_folder(root, "")}

    def test_groups_of_ucf_names(self, tmp_path):
        for name in (
            "A/v_A_g01_c01_f1.jpg",
            "A/v_A_g01_c02/f7.jpg",
            "A/v_A_g02_c01_f1.jpg",
            "B/v_B_g01_c01.jpg",
            "B/o.jpg",
        ):
            save(tmp_path / name)
        found = {one.name: one.group for one in find_in_folder(tmp_path, UCF)}
        assert list(found.values()) == ["v_A_g01", "v_A_g01", "v_A_g02", "", "v_B_g01"]

    def test_groups_of_ucf_names_in_a_table(self, tmp_path):
        rows = [save(tmp_path / f"A/v_A_g0{g}_c0{c}/v_A_g0{g}_c0{c}_1.jpg") for g in (1, 2) for c in (1, 2)]
        lines = [f"{row.relative_to(tmp_path)},A,{part}" for row, part in zip(rows, ("train", "test") * 2, strict=True)]
        (tmp_path / "t.csv").write_text("\n".join(["path,class,part", *lines]))
        found = find_in_table(tmp_path / "t.csv", "", image="path", label="class", groups=UCF)
        assert [one.group for one in found] == ["v_A_g01", "v_A_g01", "v_A_g02", "v_A_g02"]
        told = r"group v_A_g01 are in more than one split: A/v_A_g01_c01/v_A_g01_c01_1.jpg in train, .* 1 more groups"
        with pytest.raises(HarError, match=told):
            find_in_table(tmp_path / "t.csv", "", image="path", label="class", split="part", groups=UCF)

    def test_mistakes_are_told(self, tmp_path):
        with pytest.raises(HarError, match="no such folder"):
            find_in_folder(tmp_path / "none", "")
        with pytest.raises(HarError, match="holds no image"):
            find_in_folder(tmp_path, "")


class TestTable:
    def table(self, root, *lines) -> Path:
        file = root / "table.csv"
        file.write_text("path,class,who,part\n" + "".join(f"{line}\n" for line in lines))
        return file

    def test_rows_become_images(self, root):
        file = self.table(root, '"Walk/a b,1.jpg",go,ann,train', "Sit down/x.webp,rest,,Val")
        found = find_in_table(file, "", **NAMED)
        assert [(one.label, one.group, one.split) for one in found] == [
            ("rest", "", "validation"),
            ("go", "ann", "train"),
        ]
        assert {one.image_id for one in found} < {one.image_id for one in find_in_folder(root, "")}

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


class TestLook:
    def test_sizes_formats_and_coco_files(self, root, tmp_path):
        images, bad = examine(find_in_folder(root, ""), 1, "stop")
        assert images.image_id.is_monotonic_increasing
        assert {Path(name).suffix for name in images.file_name} == {".jpg", ".png", ".webp", ".bmp"}
        assert set(zip(images.width, images.height, strict=True)) == {(40, 30)}
        write_annotations(images, bad, tmp_path / "annotations")
        pd.testing.assert_frame_equal(read_images(tmp_path / "annotations"), images)
        records = read_records(tmp_path / "annotations/captions.json", tmp_path / "annotations/instances.json")
        assert sorted(records) == images.image_id.tolist()
        assert all(not record.captions and not len(record.boxes) for record in records.values())

    @pytest.mark.parametrize("content", [b"", b"not an image", b"%!PS-Adobe-3.0 EPSF-3.0\n", "cut"])
    def test_an_unreadable_file_stops_or_is_named_and_skipped(self, root, content):
        whole = (root / "Walk/a b,1.jpg").read_bytes()
        (root / "Walk/bad.jpg").write_bytes(whole[: len(whole) // 2] if content == "cut" else content)
        found = find_in_folder(root, "")
        with pytest.raises(HarError, match=r"bad\.jpg: not a readable image"):
            examine(found, 1, "stop")
        images, bad = examine(found, 1, "skip")
        assert len(images) == 4
        assert bad.name.tolist() == ["Walk/bad.jpg"]

    def test_a_photograph_that_is_to_be_turned_is_copied_upright(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        path = save(tmp_path / "photos/A/turned.jpg", size=(40, 30), exif=exif)
        save(tmp_path / "photos/A/plain.jpg", 1)
        found = find_in_folder(tmp_path / "photos", "")
        images, _ = examine(found, 1, "stop")
        rows = [(row.image_id, row.file_name, bool(row.turned)) for row in images.itertuples()]
        told = copy_files(rows, {one.image_id: (one.path, one.name) for one in found}, tmp_path / "out", 1)
        by_url = {row["url"]: row for row in told}
        upright = Image.open(tmp_path / "out" / by_url["own:A/turned.jpg"]["file_name"])
        assert (upright.format, upright.size) == ("PNG", (30, 40))
        turned = images.set_index("name").loc["A/turned.jpg"]
        assert (turned.width, turned.height) == upright.size
        expected = Image.open(path).transpose(Image.Transpose.ROTATE_270)
        assert np.array_equal(np.asarray(upright), np.asarray(expected))
        copy = tmp_path / "out" / by_url["own:A/plain.jpg"]["file_name"]
        assert copy.read_bytes() == (tmp_path / "photos/A/plain.jpg").read_bytes()

    def test_an_image_that_is_gone_is_told(self, tmp_path):
        with pytest.raises(HarError, match="dvc repro -f annotations"):
            copy_files([(1, "1.jpg", False)], {}, tmp_path, 1)


class TestChoose:
    def test_empty_counts_take_all_and_the_manifest_survives_its_file(self, tmp_path):
        found = choose(
            frame([("a", "", "")] * 5 + [("b", "", "")] * 3 + [("other", "", "")]),
            classes=classes(a=None, b=None),
            extended=9,
            seed=0,
        )
        assert found.manifest.groupby("label").size().to_dict() == {"a": 5, "b": 3}
        assert set(found.manifest.part) == {"drawn"}
        assert found.funnel.images.tolist() == [9, 8, 8, 0]
        write_manifest(found.manifest, tmp_path / "manifest.csv")
        pd.testing.assert_frame_equal(
            read_manifest(tmp_path / "manifest.csv"), found.manifest.drop(columns=["group", "split"])
        )

    def test_a_count_draws_and_the_rest_are_extended(self):
        found = choose(frame([("a", "", "")] * 9 + [("b", "", "")] * 8), classes=classes(a=4, b=5), extended=6, seed=0)
        assert found.manifest.groupby(["part", "label"]).size().to_dict()["drawn", "a"] == 4
        assert (found.manifest.part == "extended").sum() == 6

    def test_groups_are_drawn_in_turn_and_none_is_in_extended_too(self):
        rows = [("a", f"g{i % 6}", "") for i in range(60)] + [("b", f"h{i % 3}", "") for i in range(30)]
        found = choose(frame(rows), classes=classes(a=4, b=3), extended=99, seed=0).manifest
        drawn, extended = (found[found.part == part] for part in ("drawn", "extended"))
        assert drawn.groupby("label")["group"].nunique().to_dict() == {"a": 4, "b": 3}
        assert not set(drawn.group) & set(extended.group)
        assert extended.label.value_counts().to_dict() == {"a": 20}

    def test_splits_that_images_came_with_decide_what_is_extended(self):
        rows = [("a", "", "train"), ("a", "", "test"), ("a", "", "extended"), ("b", "", "train"), ("b", "", "test")]
        found = choose(frame(rows), classes=classes(a=None, b=1), extended=9, seed=0).manifest
        assert (found.part == "extended").tolist() == (found.split == "extended").tolist()
        assert found.label.value_counts().to_dict() == {"a": 3, "b": 1}

    def test_several_names_make_up_a_class(self):
        wanted = {"move": {"count": None, "keywords": ["Walk", "Run"]}, "b": {"count": None, "keywords": []}}
        found = choose(frame([("Walk", "", ""), ("Run", "", ""), ("b", "", "")]), classes=wanted, extended=0, seed=0)
        assert found.manifest.label.value_counts().to_dict() == {"move": 2, "b": 1}

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            (classes(a=None, c=None), "curate.classes.c: no image is labelled c; there are a, b"),
            (classes(a=7, b=None), "too few images: a has 2 of 7"),
            ({"x": {"count": None, "keywords": ["a"]}, "y": {"count": None, "keywords": ["a", "b"]}}, "two classes"),
        ],
    )
    def test_mistakes_are_told(self, wanted, said):
        with pytest.raises(HarError, match=said):
            choose(frame([("a", "", ""), ("a", "", ""), ("b", "", "")]), classes=wanted, extended=0, seed=0)


class TestProfile:
    @pytest.fixture
    def path(self, tmp_path) -> Path:
        (tmp_path / "params.yaml").write_text(parameters.text(), encoding="utf-8")
        return tmp_path / "params.yaml"

    def test_a_folder_becomes_a_profile(self, path, root):
        assert write_profile(path, "mine", str(root)) == ["Sit down", "Walk"]
        params = load_params(path)
        assert (params.profile, params.active.data.source) == ("mine", "folder")
        assert params.active.curate.classes["Sit down"].keywords == []
        assert params.active.embed.prompts["Sit down"] == ["a photo of sit down"]
        assert params.active.tasks == {"activity": ["Sit down", "Walk"]}
        assert {run.task for run in params.run.train.values()} == {"activity"}
        assert params.profiles["sample"] == parameters.profile()

    def test_the_file_is_what_dvc_writes(self, path, root):
        from dvc.utils.hydra import apply_overrides

        write_profile(path, "mine", str(root), "coco")
        before = path.read_text()
        apply_overrides(path, [f"profiles.mine.store.short_side={parameters.value('profiles.coco.store.short_side')}"])
        assert path.read_text() == before

    def test_a_table_becomes_a_profile(self, path, root):
        (root / "t.csv").write_text("image,label,group\nSit down/x.webp,1 up,g\nSit down/y.bmp,B-b,h\n")
        assert write_profile(path, "mine", str(root / "t.csv")) == ["1 up", "B-b"]
        table = load_params(path).active.data.csv
        assert (table.group, table.split) == ("group", "")

    @pytest.mark.parametrize("name", ["run", "Mine", "coco", "a.b"])
    def test_other_names_are_refused(self, path, root, name):
        before = path.read_bytes()
        with pytest.raises(HarError):
            write_profile(path, name, str(root))
        assert path.read_bytes() == before

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("source: folder", "source: csv", "mine.data: source csv needs the key csv.file"),
            ("folder:\n        root:", "folder:\n        groups: ((v_\n        root:", "profiles.mine.data.folder: groups is"),
            ("profile: mine", "profile: mien", "profile names 'mien', expected one of sample, coco, mine"),
            ("profile: mine", "profile: coco", "_none_"),
            ("        Sit down:\n          count:", "        '':\n          count:", "'' is no name of a class"),
            ("      activity:\n      - Sit down", "      other:\n      - Sit down", "tasks lacks activity"),
            ("    curate:\n", "    split:\n      mood: stratified\n    curate:\n", "key is profiles.mine.split.mode"),
            ("    curate:\n", "    split:\n      seed: 42\n    curate:\n", "profiles.mine.split.seed repeats the value of"),
        ],
    )  # fmt: skip
    def test_a_mistake_in_it_is_named(self, path, root, old, new, said):
        write_profile(path, "mine", str(root))
        head, tail = path.read_text().split("\n  mine:\n")
        where, other = (head, tail) if old.startswith("profile") else (tail, head)
        assert old in where
        changed = where.replace(old, new, 1)
        path.write_text("\n  mine:\n".join([changed, other] if where is head else [other, changed]))
        if said == "_none_":  # both are there: a switch of one word
            assert load_params(path).profile == "coco"
            return
        with pytest.raises(HarError) as told:
            load_params(path)
        assert said in str(told.value)

    def test_it_is_short_and_takes_nothing_from_the_others(self, path, root):
        before = parameters.text().splitlines()
        write_profile(path, "mine", str(root))
        assert len(path.read_text().splitlines()) - len(before) < 45
        params = load_params(path)
        assert params.skipped == ["posture-vit", "posture-clip", "posture-siglip2"]
        path.write_text(path.read_text().replace("profile: mine", "profile: sample", 1))
        assert load_params(path).run == parameters.params().run

    def test_own_images_need_a_name_of_their_own(self, path, root):
        said = parameters.error(path.parent, {"data.source": "folder", "data.folder.root": str(root)})
        assert "data.source is folder, but tables of sample speak of its own" in said

    def test_words_of_classes(self):
        names = {"ApplyEyeMakeup": "apply eye makeup", "Übung_7": "übung 7", "7-up": "7 up", "日本": "日本", "-": "-"}
        assert {name: words_of(name) for name in names} == names

    @pytest.mark.parametrize("names", NAMES)
    def test_classes_of_any_name(self, path, tmp_path, names):
        """From a table, as a folder's name holds no slash; read again as YAML and by what DVC writes."""
        from dvc.utils.hydra import apply_overrides

        rows = [(save(tmp_path / f"own/{i}.png", i).name, name) for i, name in enumerate(names)]
        pd.DataFrame(rows, columns=["image", "label"]).to_csv(tmp_path / "own/t.csv", index=False)
        write_profile(path, "mine", str(tmp_path / "own/t.csv"))
        apply_overrides(path, ["run.policies=[none]"])
        active = load_params(path).active
        assert set(active.tasks["activity"]) == set(active.curate.classes) == set(names)

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            (["Walk", "walk"], "Walk and walk differ only in case or the form of characters; rename"),
            (["ﬁsh", "fish", "x"], "differ only in case"),
            (["STRASSE", "straße"], "differ only in case"),
            (["a\nb", "c"], r"'a\\nb' is no name of a class: expected one line of 1 to 200 characters"),
            (["${x}", "c"], "for a reference"),
            (["\u200b", "c"], "is no name of a class"),
            (["w" * 201, "c"], "is no name of a class"),
        ],
    )
    def test_names_that_no_class_can_have_are_told(self, path, tmp_path, names, said):
        rows = [(save(tmp_path / f"own/{i}.png", i).name, name) for i, name in enumerate(names)]
        pd.DataFrame(rows, columns=["image", "label"]).to_csv(tmp_path / "own/t.csv", index=False)
        with pytest.raises(HarError, match=said):
            write_profile(path, "mine", str(tmp_path / "own/t.csv"))

    def test_names_survive_the_tables_between_stages(self, tmp_path):
        names = [name for some in NAMES for name in some]
        images = frame([(name, "", "") for name in names for _ in range(3)])
        write_annotations(images, pd.DataFrame(columns=["name", "reason"]), tmp_path)
        found = choose(read_images(tmp_path), classes=classes(**dict.fromkeys(names)), extended=0, seed=0)
        found.write(tmp_path / "manifest.csv", tmp_path / "evidence.csv")
        manifest = read_manifest(tmp_path / "manifest.csv")
        assert manifest.label.value_counts().to_dict() == dict.fromkeys(names, 3)
        assert len(set(found.funnel.columns)) == 2 + len(names)
        parts = {"train": 0.34, "validation": 0.33, "test": 0.33}
        write_split(split(manifest, fractions=parts, mode="stratified", seed=0), tmp_path / "split.csv")
        require_classes(read_split(tmp_path / "split.csv"), names, "split")
