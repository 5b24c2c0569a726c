"""Checkpoints as anybody may have made them: configurations, weights, tokenizers and the files around them."""

import json

import pytest
import torch
from conftest import CAPTIONS, checkpoints_of, picture
from fuzzing import MB, as_json, bytes_of, hold_files, json_of, one_of
from PIL import Image
from safetensors.torch import load_file, save
from transformers import PreTrainedConfig

from har.app.export import export
from har.app.predict import load
from har.models.encoder import Encoder
from har.models.preprocess import from_folder

BOUND = 512 * MB
PROCESSOR = {
    "image_processor_type": "CLIPImageProcessor", "do_resize": True, "size": {"shortest_edge": 224}, "resample": 3,
    "do_center_crop": True, "crop_size": {"height": 224, "width": 224}, "do_rescale": True, "do_normalize": True,
    "image_mean": [0.48, 0.45, 0.4], "image_std": [0.27, 0.26, 0.28], "crop_pct": 0.9,
}  # fmt: skip


@pytest.fixture(autouse=True)
def unsaid(monkeypatch):
    """transformers writes each configuration out for its log, which nobody reads here: a quarter of the time."""
    monkeypatch.setattr(PreTrainedConfig, "__repr__", lambda self: "a configuration")


@pytest.fixture(scope="module")
def photo():
    return Image.fromarray(picture(5, 70, 50))


def weights_of(tensors):
    """Tensors with other numbers, shapes, names and types."""
    types = [torch.float16, torch.int64, torch.bool, torch.float64, torch.bfloat16]

    def changed(draw):
        found = dict(tensors)
        for _ in range(draw.randint(1, 3)):
            name = draw.choice(sorted(found))
            tensor = found.pop(name)
            number = draw.choice([float("nan"), float("inf"), 1e38, -1e38, 0.0, 1e-45])
            # of the tensor's type, in which 1e38 may be infinite
            number = torch.tensor(number if tensor.is_floating_point() else 1).to(tensor.dtype)
            one, at = tensor.flatten().clone(), draw.randint(0, tensor.numel())
            one[at : at + 1] = number
            found[name + draw.choice(["", "", "", "", ".more"])] = draw.choice([
                one.view_as(tensor), number.expand_as(tensor).contiguous(), one[:at].clone(), tensor.to(draw.choice(types)),
                tensor.transpose(0, -1).contiguous() if tensor.ndim else tensor, torch.zeros(0),
            ])  # fmt: skip
        return save(found)

    return changed


def files_of(folder, names):
    """For `hold_files`: files of a checkpoint, each with what may be in its place, or none of it."""
    files = {}
    for name in names:
        whole = (folder / name).read_bytes()
        if name.endswith(".safetensors"):
            hostile = one_of([weights_of(load_file(folder / name)), bytes_of(whole)])
        else:
            hostile = json_of(json.loads(whole))
        files[name] = whole, one_of([*[hostile] * 9, None])
    return files


OPENED = {
    "vit": ["config.json", "preprocessor_config.json", "model.safetensors", "har.json"],
    "clip": ["config.json", "preprocessor_config.json", "model.safetensors", "har.json"],
    "cnn_base": ["config.json", "model.safetensors", "har.json"],
    "feature": ["config.json", "model.safetensors", "texts.safetensors", "encoder/config.json",
                "encoder/preprocessor_config.json", "encoder/model.safetensors"],
}  # fmt: skip


@pytest.mark.parametrize("model", OPENED)
def test_trained_models(project, tmp_path, photo, model):
    """What `har predict --model FOLDER` opens predicts finite shares or says that it cannot, or is refused before."""
    export(f"activity-{model}", tmp_path / "one", root=project, profile="sample")
    photo.save(tmp_path / "photo.png")

    def read(folder):
        model = load(folder, device="cpu")
        (one,) = model.stream([tmp_path / "photo.png"], workers=1)
        assert one.error or sum(one.probabilities[name] for name in model.classes) == pytest.approx(1)

    files = files_of(tmp_path / "one", OPENED[model])
    hold_files(f"Trained models: {model}", tmp_path / "one", files, read, few=6, memory=BOUND)


@pytest.mark.parametrize(
    ("name", "config"),
    [("preprocessor_config.json", PROCESSOR), ("processor_config.json", {"image_processor": PROCESSOR})],
)
def test_preprocessing(tmp_path, photo, name, config):
    def read(folder):
        preprocess = from_folder(folder)
        pixels = preprocess.square(photo)
        assert pixels.shape == (3, preprocess.size, preprocess.size)
        assert torch.isfinite(preprocess.normalise(torch.from_numpy(pixels)[None])).all()

    files = {name: (as_json(config), json_of(config))}
    hold_files(f"Preprocessing: {name}", tmp_path, files, read, memory=BOUND)


@pytest.mark.parametrize("model", ["clip", "siglip2"])
def test_encoders_with_text(tiny, tmp_path, photo, model):
    """A backbone from a folder: images and prompts."""
    folder = checkpoints_of(tiny.model_copy(update={"layers": 1, "text_layers": 1}), tmp_path)[model]
    names = ["config.json", "preprocessor_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]

    def read(folder):
        encoder = Encoder(folder)
        assert torch.isfinite(encoder.texts(CAPTIONS)).all()
        encoder.images(torch.from_numpy(encoder.preprocess.square(photo))[None])

    files = files_of(folder, names)
    hold_files(f"Backbones with a tokenizer: {model}", folder, files, read, few=5, memory=BOUND)


def test_generative_models(tmp_path, photo):
    from test_llava import tiny

    from har.models import llava

    folder = tiny("llava", tmp_path / "one", layers=1)
    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".json", ".safetensors"))

    def read(folder):
        vlm = llava.load(folder, "float32", "cpu")
        vlm.processor(images=[photo], text=["USER: <image>"], return_tensors="pt")

    hold_files("Generative model", folder, files_of(folder, names), read, few=4, memory=BOUND)
