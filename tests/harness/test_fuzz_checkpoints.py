"""Checkpoints as anybody may have made them: configurations, weights, tokenizers and the files around them."""

import json
import shutil
import struct

import pytest
import torch
from conftest import CAPTIONS, checkpoints_of, picture
from fuzzing import MB, Fuzz, as_json, bytes_of, json_of, several
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save
from transformers import PreTrainedConfig

from har.app.export import export
from har.app.network import open_checkpoint, stored_short_side
from har.models.encoder import Encoder
from har.models.hub_files import check_safetensors
from har.models.preprocess import from_folder

BOUND = 512 * MB
TENSORS = {"a.weight": torch.arange(12.0).reshape(3, 4), "b": torch.zeros((), dtype=torch.float16)}
HEADER = {
    "a.weight": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]},
    "b": {"dtype": "F16", "shape": [], "data_offsets": [48, 50]},
    "__metadata__": {"format": "pt"},
}


def with_header(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + b"\0" * 50


def test_safetensors(tmp_path):
    """What our check lets through, the library reads; what it reads is as large as the file."""

    def read(case):
        path = tmp_path / "model.safetensors"
        path.write_bytes(case)
        shapes = check_safetensors(path)
        found = load_file(path)
        assert {name: list(tensor.shape) for name, tensor in found.items()} == shapes

    lengths = st.integers(0, 2**64 - 1).map(lambda n: struct.pack("<Q", n) + save(TENSORS)[8:])
    headers = json_of(HEADER).map(with_header)
    cases = st.one_of(headers, headers, bytes_of(save(TENSORS)), lengths)
    Fuzz("Safetensors", tmp_path, BOUND).run(cases, read, save(TENSORS))


@pytest.fixture(autouse=True)
def unsaid(monkeypatch):
    """transformers writes each configuration out for its log, which nobody reads here: a quarter of the time."""
    monkeypatch.setattr(PreTrainedConfig, "__repr__", lambda self: "a configuration")


@pytest.fixture(scope="module")
def photo():
    return Image.fromarray(picture(5, 70, 50))


def weights_of(file):
    """Its bytes damaged, or tensors with other numbers, shapes, names and types."""
    tensors = load_file(file)
    names = sorted(tensors)

    def changed(changes):
        found = dict(tensors)
        for what, at, value in changes:
            name = names[at % len(names)]
            tensor = found.get(name, torch.zeros(1))
            if what == "value" and tensor.numel():
                found[name] = tensor.clone()
                found[name].view(-1)[at % tensor.numel()] = value if tensor.is_floating_point() else 0
            elif what == "all":
                found[name] = torch.full_like(tensor, value if tensor.is_floating_point() else 1)
            elif what == "shape":
                found[name] = tensor.reshape(-1)[: at % (tensor.numel() + 1)].clone()
            elif what == "transpose":
                found[name] = tensor.transpose(0, -1).contiguous() if tensor.ndim else tensor
            elif what == "type":
                found[name] = tensor.to([torch.float16, torch.int64, torch.bool, torch.float64, torch.bfloat16][at % 5])
            elif what == "name":
                found[f"{name}.more"] = found.pop(name, tensor)
            elif what == "empty":
                found[name] = torch.zeros(0)
            else:
                found.pop(name, None)
        return save(found)

    def one(chance):
        what = chance.choice(("value", "all", "shape", "transpose", "type", "name", "empty", "drop"))
        value = chance.choice((float("nan"), float("inf"), -float("inf"), 1e38, -1e38, 0.0, 1e-45))
        return what, chance.randrange(10**6), value

    return st.one_of(several(one, 3).map(changed), bytes_of(file.read_bytes()))


def files_of(folder, names):
    """(name, content) with one file of a checkpoint changed or gone."""
    kinds = []
    for name in names:
        file = folder / name
        changed = weights_of(file) if name.endswith(".safetensors") else json_of(json.loads(file.read_text()))
        kinds.append(st.tuples(st.just(name), changed))
    return st.one_of(*kinds, st.tuples(st.sampled_from(names), st.none()))


def sound(folder, name="config.json"):
    return name, (folder / name).read_bytes()


def put(source, target, name, content):
    """`target` as `source`, but with that content of one file."""
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        (target / name).unlink(missing_ok=True)
    else:
        (target / name).write_bytes(content)
    return lambda: shutil.copyfile(source / name, target / name)


def exported(project, name, tmp_path):
    """A trained model as `har export` leaves it, and a copy to be changed."""
    export(name, tmp_path / "source", root=project, profile="sample")
    shutil.copytree(tmp_path / "source", tmp_path / "models" / "one")
    return tmp_path / "source", tmp_path / "models" / "one"


OPENED = {
    "vit": ["config.json", "preprocessor_config.json", "model.safetensors", "har.json"],
    "clip": ["config.json", "preprocessor_config.json", "model.safetensors", "har.json"],
    "cnn_base": ["config.json", "model.safetensors", "har.json"],
    "feature": ["config.json", "model.safetensors", "texts.safetensors", "encoder/config.json",
                "encoder/preprocessor_config.json", "encoder/model.safetensors"],
}  # fmt: skip


def test_trained_models(project, tmp_path, photo):
    """What `har predict --model FOLDER` opens predicts finite shares, or is refused before the photographs."""
    folders = {model: exported(project, f"activity-{model}", tmp_path / model) for model in OPENED}

    def read(case):
        model, file = case
        source, target = folders[model]
        undo = put(source, target, *file)
        try:
            with torch.inference_mode():
                network = open_checkpoint(target)
                scores = network.logits(torch.from_numpy(network.preprocess.square(photo))[None])
            assert scores.shape == (1, len(network.classes))
            stored_short_side(target)
        finally:
            undo()

    cases = st.one_of(*(st.tuples(st.just(m), files_of(folders[m][0], names)) for m, names in OPENED.items()))
    Fuzz("Trained models", tmp_path, BOUND).run(cases, read, ("vit", sound(folders["vit"][0])), few=20)


def test_image_processors(project, tmp_path, photo):
    """The checkpoint's own image processor, as `har predict --as-hub` takes it beside a network that is sound."""
    source, target = exported(project, "activity-clip", tmp_path)
    network, name = open_checkpoint(target), "preprocessor_config.json"

    def read(case):
        undo = put(source, target, *case)
        try:
            network.read_as_hub()
            assert network.square(photo).shape == (3, network.preprocess.size, network.preprocess.size)
        finally:
            undo()

    Fuzz("Image processor", tmp_path, BOUND).run(files_of(source, [name]), read, sound(source, name), few=6)


PROCESSOR = {
    "image_processor_type": "CLIPImageProcessor", "do_resize": True, "size": {"shortest_edge": 224}, "resample": 3,
    "do_center_crop": True, "crop_size": {"height": 224, "width": 224}, "do_rescale": True, "do_normalize": True,
    "image_mean": [0.48, 0.45, 0.4], "image_std": [0.27, 0.26, 0.28], "crop_pct": 0.9,
}  # fmt: skip


def test_preprocessing(tmp_path, photo):
    def read(case):
        name, content = case
        for file in ("preprocessor_config.json", "processor_config.json"):
            (tmp_path / file).unlink(missing_ok=True)
        (tmp_path / name).write_bytes(content)
        preprocess = from_folder(tmp_path)
        pixels = preprocess.square(photo)
        assert pixels.shape == (3, preprocess.size, preprocess.size)
        assert torch.isfinite(preprocess.normalise(torch.from_numpy(pixels)[None])).all()

    cases = st.one_of(
        st.tuples(st.just("preprocessor_config.json"), json_of(PROCESSOR)),
        st.tuples(st.just("processor_config.json"), json_of({"image_processor": PROCESSOR})),
    )
    Fuzz("Preprocessing", tmp_path, BOUND).run(cases, read, ("preprocessor_config.json", as_json(PROCESSOR)))


def test_encoders_with_text(tiny, tmp_path, photo):
    """A backbone from a folder: images and prompts."""
    (tmp_path / "sources").mkdir()
    checkpoints = checkpoints_of(tiny.model_copy(update={"layers": 1, "text_layers": 1}), tmp_path / "sources")
    names = ["config.json", "preprocessor_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    for model in ("clip", "siglip2"):
        shutil.copytree(checkpoints[model], tmp_path / model)

    def read(case):
        model, file = case
        undo = put(checkpoints[model], tmp_path / model, *file)
        try:
            encoder = Encoder(tmp_path / model)
            assert torch.isfinite(encoder.texts(CAPTIONS)).all()
            encoder.images(torch.from_numpy(encoder.preprocess.square(photo))[None])
        finally:
            undo()

    cases = st.one_of(*(st.tuples(st.just(m), files_of(checkpoints[m], names)) for m in ("clip", "siglip2")))
    Fuzz("Backbones with a tokenizer", tmp_path, BOUND).run(cases, read, ("clip", sound(checkpoints["clip"])), few=10)


def test_generative_models(tmp_path, photo):
    from test_llava import tiny

    from har.models.llava import model

    source, target = tiny("llava", tmp_path / "source", layers=1), tmp_path / "one"
    shutil.copytree(source, target)
    names = sorted(path.name for path in source.iterdir() if path.suffix in (".json", ".safetensors"))

    def read(case):
        undo = put(source, target, *case)
        try:
            talker = model.load(target, "float32", "cpu")
            talker.processor(images=[photo], text=["USER: <image>"], return_tensors="pt")
        finally:
            undo()

    Fuzz("Generative model", tmp_path, BOUND).run(files_of(source, names), read, sound(source), few=4)
