"""Files from outside: each kind of hostile one is refused in one line that says why, or read within stated memory."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import picture
from PIL import Image
from safetensors.torch import load_file, save_file

from har.app.cli.main import main
from har.app.network import Network, open_checkpoint, stored_short_side
from har.core.errors import HarError
from har.core.readers import MB, one_line, read_array, read_bytes, read_csv, read_json, read_json_rows
from har.models.encoder import Encoder
from har.models.preprocess import from_folder


def refused(call, *said):
    with pytest.raises(HarError) as told:
        call()
    message = str(told.value)
    assert "\n" not in message
    for part in said:
        assert part in message
    return message


def test_only_ordinary_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("loop", tmp_path / "loop")
    for path, said in [
        (tmp_path, "not a file"), (tmp_path / "pipe", "not a file"), (Path("/dev/zero"), "not a file"),
        (tmp_path / "loop", "cannot be read"), (tmp_path / "none", "no such file"),
        (tmp_path / ("x" * 300), "cannot be read"), (f"{tmp_path}/a\0b", "cannot be read"),
    ]:  # fmt: skip
        refused(lambda path=path: read_bytes(path, "a list", 100), said, "expected a list")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no such file here")
def test_files_that_tell_no_length_are_refused():
    refused(lambda: read_bytes("/proc/self/status", "a list", 10**6), "longer than it says")


def test_a_line_stays_one():
    assert one_line("a\nb\x1b[31m c\r\u2028d") == "a b [31m c d"
    assert one_line(ValueError()) == "ValueError"
    assert one_line("\n") == ""
    assert len(one_line("x" * 1000)) == 200


JSON = {
    b"": "cannot be read as JSON",
    b"\xff\xfe\xff": "cannot be read as JSON",
    b'{"\\ud800": 1}': "surrogates not allowed",
    b"[]": "not a JSON object",
    b'{"a": ' + b"[" * 100_000: "cannot be read as JSON",
    b'{"a": ' + b"9" * 5000 + b"}": "4300 digits",
    b" " * (5 * MB): "bytes, at most 4,194,304 allowed",
}
NO_ROWS = [b"", b"[]", b"3", b"{}", b'{"a": {"a": []}}', b'{"a": 3}', b'{"a": [1]', b'{"a": [\xff]}', b'{"a": [1,]}']
ROWS = dict.fromkeys(NO_ROWS, "expected that") | {b'{"a": [' + b"[" * 100_000: "deeper than 1,000"}
CSV = {
    b"": "cannot be read as CSV",
    b"\xff": "cannot be read as CSV",
    b'a,b\n"1': "cannot be read as CSV",
    b"a,b\n1,2,3\n": "longer than the header",
    b"a,b\n1,2\n1,2,3\n": "cannot be read as CSV",
    b"a,a\n1,2\n": "column 'a' is duplicated",
    b"a," * 2000 + b"a\n": "more than 1,000 columns",
}


@pytest.mark.parametrize(
    ("read", "cases"),
    [
        (lambda path: read_json(path, "that"), JSON),
        (lambda path: list(read_json_rows(path, "a", "that")), ROWS),
        (lambda path: read_csv(path, "that"), CSV),
        (lambda path: read_csv(path, "that", text=False), CSV),
    ],
    ids=["json", "rows of json", "csv", "csv of numbers"],
)
def test_files_of_another_form_are_refused(tmp_path, read, cases):
    for content, said in cases.items():
        (tmp_path / "a").write_bytes(content)
        refused(lambda: read(tmp_path / "a"), f"{tmp_path}/a: ", said)


def test_text_in_tables_stays_text(tmp_path):
    (tmp_path / "a.csv").write_bytes("\ufeffa,b\n01,None\n,1e3\n".encode())
    assert read_csv(tmp_path / "a.csv", "a list").to_dict("list") == {"a": ["01", ""], "b": ["None", "1e3"]}


def test_what_is_no_array_of_numbers_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    refused(lambda: read_array(path, "numbers", (2,)), "no such file")
    for array, said in [
        (np.array([{"a": 1}], dtype=object), "not an array of numbers"), (np.zeros(3), "expected numbers [2]"),
        (np.zeros((2, 1)), "expected numbers [2]"), (np.zeros(2, dtype="U3"), "expected numbers [2]"),
        (np.array([1.0, np.nan]), "NaN or infinity"), (np.array([1.0, np.inf]), "NaN or infinity"),
    ]:  # fmt: skip
        np.save(path, array, allow_pickle=True)
        refused(lambda: read_array(path, "numbers", (2,)), str(path), said)
    with open(path, "wb") as out:
        np.savez(out, np.zeros(2))
    refused(lambda: read_array(path, "numbers", (2,)), "NpzFile")


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('{"b": {"a": [9]}, "a": [1, {"x": [2.5, "é", null]}, true]}', [1, {"x": [2.5, "é", None]}, True]),
        ('\ufeff {"a": [1] }', [1]),
        ('{"a": []}', []),
    ],
)
def test_elements_of_json_come_one_by_one(tmp_path, content, rows):
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    assert list(read_json_rows(tmp_path / "a.json", "a", "rows")) == rows


@pytest.mark.parametrize("text", ["[" * 50_000, '\\"[' * 9_000, "\\\\" * 20_001, "é[{" * 7_001 + '"'])
def test_brackets_in_text_are_no_depth(tmp_path, text):
    (tmp_path / "a.json").write_text(json.dumps({"x": text, "a": [{text: text}, 1]}))
    assert list(read_json_rows(tmp_path / "a.json", "a", "rows")) == [{text: text}, 1]


@pytest.fixture
def copied(project, tmp_path):
    """Of a trained model by name: a copy of its folder that may be spoilt."""

    def copy(name):
        return Path(shutil.copytree(project / "data/sample/models" / name, tmp_path / name))

    return copy


class TestCheckpoints:
    @pytest.mark.parametrize(
        ("model", "values", "said"),
        [
            ("vit", {"auto_map": {"AutoModel": "evil.Evil"}}, "has auto_map: it wants to run code"),
            ("vit", {"attn_implementation": "evil/kernels"}, "it wants to run code from evil/kernels"),
            ("vit", {"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000, at most 1,000 allowed"),
            ("vit", {"num_labels": 10**12}, "num_labels is 1000000000000, at most 1,000,000 allowed"),
            ("vit", {"image_size": 10**6}, "describes"),
            ("vit", {"layer_norm_eps": "NaN"}, "not a model"),
            ("vit", {"id2label": {"0": "a", "1": "a", "2": "b"}}, "id2label must hold a different name for each class"),
            ("vit", {"problem_type": ["x"] * 500}, "problem_type is"),
            ("vit", {"hidden_act": "no such"}, "not a model"),
            ("cnn_base", {"hidden": 10**9}, "hidden"),
            ("cnn_base", {"hidden": 60_000}, "do not fit"),
            ("cnn_base", {"channels": [8] * 10**5}, "channels"),
            ("cnn_base", {"classes": ["a", "a", "b"]}, "classes must be a list of two or more different names"),
            ("cnn_base", {"classes": "abc"}, "classes must be a list of two or more different names"),
            ("cnn_base", {"classes": [1, 2, 3]}, "classes must be a list of two or more different names"),
            ("multimodal", {"backbone": "../../backbones/clip"}, "'../../backbones/clip' is no name of a folder"),
        ],
    )
    def test_configurations(self, copied, model, values, said):
        folder = copied(f"activity-{model}")
        config = json.loads((folder / "config.json").read_text())
        for key, value in values.items():
            own = config.get("config", {})  # of the project's own networks
            (own if key in own else config)[key] = value
        (folder / "config.json").write_text(json.dumps(config))
        refused(lambda: open_checkpoint(folder), str(folder), said)

    @pytest.mark.parametrize("name", ["activity-vit", "activity-cnn_base"])
    def test_weights(self, copied, name):
        folder = copied(name)
        path = folder / "model.safetensors"
        good, tensors = path.read_bytes(), load_file(path)
        first = next(key for key in tensors if tensors[key].ndim > 1)
        for value in (float("nan"), float("inf")):
            save_file(tensors | {first: torch.full_like(tensors[first], value)}, path)
            refused(lambda: open_checkpoint(folder), f"{first} holds NaN or infinity")
        path.write_bytes(good[:-4])
        refused(lambda: open_checkpoint(folder), "is no whole safetensors file")

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [(lambda scores: scores[:, 1:], "gives torch.Size([1, 2]), expected [1, 3]"),
         (lambda scores: scores * float("nan"), "gives NaN or infinity for an ordinary input")],
    )  # fmt: skip
    def test_a_model_that_gives_no_score_for_each_class(self, copied, monkeypatch, spoil, said):
        folder, logits = copied("activity-cnn_base"), Network.logits
        monkeypatch.setattr(Network, "logits", lambda self, images: spoil(logits(self, images)))
        refused(lambda: open_checkpoint(folder), f"{folder}: not a model that works: {said}")

    def test_files_that_would_lead_elsewhere(self, copied):
        folder = copied("activity-vit")
        (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/etc"}')
        refused(lambda: open_checkpoint(folder), "adapter_config.json: an adapter to another model")
        (folder / "adapter_config.json").unlink()
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        refused(lambda: open_checkpoint(folder), "no model.safetensors")
        index = {"weight_map": {"classifier.weight": "../../evil.bin"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        refused(lambda: open_checkpoint(folder), "names the shard '../../evil.bin'")

    def test_an_encoder_with_pickles_alone_is_not_drawn_at_random(self, checkpoints, tmp_path):
        for file in checkpoints["clip"].iterdir():
            (tmp_path / file.name.replace("model.safetensors", "pytorch_model.bin")).write_bytes(file.read_bytes())
        refused(lambda: Encoder(tmp_path), "model.safetensors is missing (only pytorch_model.bin, which may run code")

    @pytest.mark.parametrize("side", ["256", 0, 10**9, True, [1]])
    def test_short_sides(self, tmp_path, side):
        (tmp_path / "har.json").write_text(json.dumps({"short_side": side}))
        refused(lambda: stored_short_side(tmp_path), "short_side")

    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({"size": 10**9}, "size is 1000000000"), ({"size": {"height": 0, "width": 0}}, "size is"),
            ({"size": True}, "size is True"), ({"image_std": [0, 1, 1]}, "image_std is"),
            ({"image_mean": [float("nan")] * 3}, "image_mean is"), ({"image_mean": [0.5]}, "image_mean is"),
            ({"resample": 99}, "resample is 99"), ({"do_pad": True}, "do_pad is True"),
            ({"auto_map": {"AutoImageProcessor": "x.Y"}}, "has auto_map"),
        ],
    )  # fmt: skip
    def test_preprocessing(self, checkpoints, tmp_path, values, said):
        config = json.loads((checkpoints["clip"] / "preprocessor_config.json").read_text()) | values
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
        refused(lambda: from_folder(tmp_path), "preprocessor_config.json", said)


@pytest.mark.parametrize("form", [(), ("--csv",), ("--json",)])
def test_names_that_are_no_utf8_or_hold_line_breaks(project, tmp_path, form, capfdbinary):
    folder = os.fsencode(tmp_path)
    paths = [os.path.join(folder, name) for name in (b"\xff\xfe.png", b"a\nb\x1b[31m.png", b"c\nd.png")]
    for path in paths[:2]:
        Image.fromarray(picture(1, 40, 30)).save(tmp_path / "x.png")
        os.rename(tmp_path / "x.png", path)
    Path(os.fsdecode(paths[2])).write_bytes(b"")
    command = ["--project", str(project), "predict", str(tmp_path), "--model", "activity-fnn_base", *form]
    assert main(command) == 1  # one is no image
    out, error = capfdbinary.readouterr()
    assert error.count(b"\n") == 2
    if form != ("--csv",):  # which quotes line breaks
        assert out.count(b"\n") == 3
        assert b"\x1b" not in out
    if form == ("--json",):
        assert {json.loads(line)["path"] for line in out.splitlines()} == set(map(os.fsdecode, paths))
