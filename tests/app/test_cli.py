"""The command `har`: what it prints where, and how it ends."""

import csv
import io
import json
import re
import subprocess
import sys
from datetime import date

import pages
import parameters
import pytest
from clips import write_clip
from PIL import Image
from projects import IMAGES, MODELS

from har.app import demo
from har.app.cli.main import main
from har.app.single import write_single
from har.config.profile import load_params
from har.core.errors import HarError

CLASSES = ["walking_running", "sitting", "standing"]


@pytest.fixture
def photo(project):
    return str(project / f"data/sample/images/{IMAGES[0]:012d}.jpg")


@pytest.fixture
def har(project, capsys):
    """`har --project P ...` to (exit code, stdout, stderr)."""

    def run(*arguments):
        code = main(["--project", str(project), *map(str, arguments)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_help_loads_nothing_heavy():
    check = (
        "import sys; from har.app.cli.main import parser; parser().format_help(); "
        "heavy = {'torch', 'transformers', 'pandas', 'numpy', 'PIL', 'pydantic'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_json_has_one_object_a_photograph_and_says_on_stderr_which_model(har, photo, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    code, out, err = har("predict", photo, tmp_path / "bad.png", "--json", "--model", "activity-fnn_base")
    good, bad = map(json.loads, out.splitlines())
    assert code == 1
    assert list(good["probabilities"]) == CLASSES
    assert good["predicted"] == max(good["probabilities"], key=good["probabilities"].get)
    assert bad["path"] in bad["error"]
    assert bad["predicted"] is None
    assert "activity-fnn_base" in err
    assert bad["error"] in err


def test_csv_has_a_row_for_each_model_and_photograph(har, photo):
    code, out, _ = har("predict", photo, photo, "--csv", "--model", "activity-fnn_base", "--model", "posture-vit")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [row["model"] for row in rows] == ["activity-fnn_base"] * 2 + ["posture-vit"] * 2
    assert rows[0].keys() == {"path", "model", "predicted", *(f"p_{name}" for name in CLASSES), "error"}
    assert rows[2]["p_walking_running"] == ""  # not a class of this model
    for row in rows:
        assert sum(float(row[f"p_{name}"] or 0) for name in CLASSES) == pytest.approx(1)


def test_without_a_model_it_takes_the_best_and_says_so(har, photo):
    code, out, err = har("predict", photo)
    assert code == 0
    assert "the best on train and validation images" in err
    assert len(err.splitlines()) == 1
    assert photo in out.splitlines()[1]


def test_a_clip_has_one_row_or_one_a_frame_and_what_is_left_out_of_a_folder_is_counted(har, tmp_path):
    write_clip(tmp_path / "a.avi")
    for name in ("b.heic", "c.HEIC", "d.flv", ".e.heic"):
        (tmp_path / name).touch()
    for options, count in (([], 1), (["--frames"], 8)):
        _, out, err = har("predict", tmp_path, "--csv", "--model", "activity-cnn_base", *options)
        assert len(out.splitlines()) == 1 + count
        assert err.startswith("har predict: left out: 2 .heic, 1 .flv; read are .apng, ")


def test_nothing_to_do_is_exit_code_2(har, photo, tmp_path):
    assert har("predict", tmp_path)[0] == 2
    assert har("predict", tmp_path / "nothing.jpg")[0] == 2
    assert har("predict", photo, "--batch", 0)[0] == 2
    code, out, err = har("predict", photo, "--model", "activity-clop")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    with pytest.raises(SystemExit) as ended:
        main(["predict"])
    assert ended.value.code == 2


def test_paths_come_from_standard_input_too(har, photo, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{photo}\n".encode())))
    code, out, err = har("predict", "-", "--csv", "--model", "activity-cnn_base")
    assert code == 0, err
    assert len(out.splitlines()) == 2


def test_explain_writes_an_overlay_for_each_class_where_a_model_has_attention(har, photo, tmp_path):
    code, _, err = har("predict", photo, "--model", "activity-clip", "--explain", tmp_path / "seen")
    assert code == 0, err
    files = sorted((tmp_path / "seen").iterdir())
    assert [file.name.split(".")[-2] for file in files] == sorted(CLASSES)
    with Image.open(files[0]) as overlay, Image.open(photo) as original:
        assert overlay.width / overlay.height == pytest.approx(original.width / original.height, rel=0.05)
    code, out, err = har("predict", photo, "--model", "activity-cnn_base", "--explain", tmp_path / "none")
    assert code == 1
    assert photo in out  # predicted all the same
    assert "activity-cnn_base has no attention to show" in err
    assert not (tmp_path / "none").exists()
    code, _, err = har("predict", photo, "--model", "activity-clip", "--explain", photo)
    assert (code, err.splitlines()[-1]) == (2, f"har predict: {photo}: File exists")


def test_a_new_profile_takes_the_columns_that_are_named_and_a_table_from_where_one_is(tmp_path, capsys, monkeypatch):
    (tmp_path / "params.yaml").write_text(parameters.text(), encoding="utf-8")
    rows = [f"{label}{part}.png,{label},{part}" for label in "ab" for part in ("train", "eval", "test")]
    for row in rows:
        (tmp_path / row.split(",")[0]).touch()
    (tmp_path / "t.csv").write_text("\n".join(["Img,label,Set", *rows]))
    monkeypatch.chdir(tmp_path.parent)
    command = ["--project", tmp_path.name, "new-profile", "mine", f"{tmp_path.name}/t.csv"]
    assert main(command) == 2
    assert "no column for the image" in capsys.readouterr().err
    assert main([*command, "--image", "img", "--split", "set"]) == 0
    assert "splits as given: eval 2 (validation), test 2 (test), train 2 (train)" in capsys.readouterr().out
    table = load_params(tmp_path / "params.yaml").active.data.csv
    assert (table.image, table.label, table.group, table.split) == ("Img", "label", "", "Set")
    assert table.file == str(tmp_path / "t.csv")


def test_models_lists_what_is_trained(har):
    code, out, _ = har("models", "--json")
    listed = {one["name"]: one for one in json.loads(out)}
    assert code == 0
    assert set(listed) == {*(f"activity-{model}" for model in MODELS), "posture-vit"}
    clip = listed["activity-clip"]
    assert listed["activity-clip_patches"]["opens_in_transformers"]
    assert not clip["opens_in_transformers"]  # its encoder does, not its head
    assert not listed["activity-feature"]["opens_in_transformers"]
    assert clip["metrics"]["kept_seed"] == 3
    assert clip["bytes"] > 1000
    table = har("models")[1]
    score = clip["metrics"]["test"]
    assert f"{score['balanced_accuracy']:.3f} [{score['balanced_low']:.3f}, {score['balanced_high']:.3f}]" in table
    assert har("models", "--profile", "coco")[0] == 2


def test_without_gradio_one_line_says_what_to_install(har, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    told = 'har demo: gradio is not installed: pip install "har-still[demo]"\n'
    assert har("demo") == (2, "", told)


def test_the_page_tells_the_probability_of_each_class(project, photo):
    pytest.importorskip("gradio")
    built = demo.page("activity-vit", root=project)
    assert sum(built.fn(photo).values()) == pytest.approx(1)
    assert built.fn(None) == {}
    assert all(name in built.title for name in built.fn(photo))
    assert built.input_components[0].image_mode is None  # gradio would rewrite CMYK, 16 bits and transparency


def test_of_a_single_page_nothing_is_loaded_and_no_link_leads_beside_it(tmp_path):
    with pytest.raises(HarError, match="is missing: `dvc repro page` writes it"):
        write_single(tmp_path / "index.html", tmp_path / "out.html")
    _, page = pages.written(tmp_path / "w", 12)
    size = write_single(page, tmp_path / "out.html")
    html = (tmp_path / "out.html").read_text()
    assert size == len(html.encode())
    assert "<script" not in html
    assert 'id="images"' not in html
    assert set(re.findall(r'src="(.{5})', html)) == {"data:"}
    assert all(link.startswith(("#", "https://")) for link in re.findall(r' href="([^"]*)"', html))
    assert "Balanced accuracy" in html
    assert f"made on {date.today()}" in html
