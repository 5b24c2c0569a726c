"""Models: the paper's networks, and classifiers on checkpoints that stay native to the hub."""

import json
import shutil

import numpy as np
import parameters
import pytest
import torch
import transformers
from conftest import CLASSES, picture
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import normalize

from har.config.models import Cnn, Dense, Finetune, Mlp
from har.core.errors import HarError
from har.models import classifier
from har.models.build import build, logits, parameter_count
from har.models.checkpoint import load_kept
from har.models.encoder import Encoder, require_fit
from har.models.networks import Standardise
from har.models.preprocess import Preprocess
from har.training.loop import save

FIT = {
    "epochs": 2, "patience": 0, "batch_size": 8, "learning_rate": 0.001, "weight_decay": 0.0, "warmup": 0.0,
    "label_smoothing": 0.0, "augmentation": [],
}  # fmt: skip
CNN = Cnn(kind="cnn", input_size=16, fit="squash", channels=[4, 8, 8], hidden=16, batch_norm=False, conv_dropout=0.0,
          dropout=0.0, min_epochs=0, **FIT)  # fmt: skip
DENSE = Dense(kind="dense", input_size=16, fit="squash", hidden=[8, 8], dropout=0.1, **FIT)
MLP = Mlp(kind="mlp", backbone="clip", features="image", hidden=[16, 8], dropout=0.2, **FIT)
FINETUNE = Finetune(
    kind="finetune", backbone="vit", pretrained=True, pool="embedding", head="random", head_learning_rate=0.01,
    probe_c=1.0, adapt="full", lora_rank=2, lora_alpha=4.0, layer_decay=0.5, view="image", person_margin=0.2, **FIT
)  # fmt: skip
NAMES = ["clip", "siglip2", "vit"]


def as_documented(name, folder, pixels):
    """Probabilities by transformers' own tower and the head beside it, as docs/predict.md does."""
    tower = {"clip": "CLIPVisionModelWithProjection", "siglip2": "SiglipVisionModel"}[name]
    head = load_file(folder / "model.safetensors")
    with torch.inference_mode():
        found = getattr(transformers, tower).from_pretrained(folder)(pixels)
        unit = normalize(found.image_embeds if name == "clip" else found.pooler_output, dim=-1)
        return torch.softmax(unit @ head["head.weight"].T + head["head.bias"], 1)[0]


def kinds(model: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in model]


class TestFromScratch:
    def test_networks_are_the_papers(self):
        model, preprocess = build(CNN, CLASSES)
        assert kinds(model) == [*["Conv2d", "MaxPool2d", "ReLU"] * 3, "Flatten", "Linear", "ReLU", "Linear"]
        assert all(layer.padding == (1, 1) for layer in model if isinstance(layer, nn.Conv2d))
        assert (preprocess.size, preprocess.fit) == (16, "squash")
        assert logits(model, preprocess.normalise(torch.zeros(2, 3, 16, 16, dtype=torch.uint8))).shape == (2, 3)
        more = {"batch_norm": True, "conv_dropout": 0.1, "dropout": 0.3}
        block = ["Conv2d", "BatchNorm2d", "MaxPool2d", "ReLU", "Dropout2d"]
        dense = ["Flatten", "Linear", "ReLU", "Dropout", "Linear"]
        assert kinds(build(CNN.model_copy(update=more), CLASSES)[0]) == [*block * 3, *dense]
        model, preprocess = build(MLP, CLASSES, features=12)
        assert kinds(model) == ["Standardise", *["Linear", "ReLU", "BatchNorm1d", "Dropout"] * 2, "Linear"]
        assert preprocess is None

    def test_standardise_is_fitted_once_and_survives_a_constant_feature(self):
        x = torch.randn(50, 3) * torch.tensor([1.0, 100.0, 0.0]) + 5
        layer = Standardise(3)
        layer.fit(x)
        out = layer(x)
        assert torch.isfinite(out).all()
        assert torch.allclose(out.mean(0), torch.zeros(3), atol=1e-4)
        assert torch.allclose(out.std(0)[:2], torch.ones(2), atol=1e-4)
        assert not list(layer.parameters())


@pytest.mark.parametrize("profile", ["sample", "coco"])
def test_fnn_base_has_as_many_parameters_as_cnn_base(profile):
    models = parameters.profile(profile).models
    cnn, fnn = (parameter_count(build(models[name], CLASSES)[0]) for name in ("cnn_base", "fnn_base"))
    assert fnn == pytest.approx(cnn, rel=0.02)


@pytest.mark.parametrize("name", ["clip", "siglip2"])
class TestOnEmbeddings:
    def test_a_new_head_sees_the_embedding_at_unit_length(self, checkpoints, name):
        model, x = classifier.classifier(checkpoints[name], CLASSES).eval(), torch.randn(3, 3, 32, 32)
        assert classifier.head_of(model).out_features == 3
        assert all(p.requires_grad and p.dtype == torch.float32 for p in model.parameters())
        with torch.inference_mode():
            unit = normalize(Encoder(checkpoints[name]).model.get_image_features(x).pooler_output, dim=-1)
            torch.testing.assert_close(classifier.head_inputs(model, x), unit)

    def test_a_saved_model_opens_in_transformers(self, checkpoints, name, tmp_path):
        torch.manual_seed(4)
        config = FINETUNE.model_copy(update={"backbone": name})
        model, preprocess = build(config, CLASSES, checkpoints[name])
        nn.init.normal_(classifier.head_of(model).weight)
        save(model, config, CLASSES, tmp_path, checkpoints[name])
        assert not [p for p in tmp_path.iterdir() if p.suffix not in (".json", ".safetensors")]
        assert json.loads((tmp_path / "config.json").read_text())["id2label"] == dict(zip("012", CLASSES, strict=True))

        pixels = preprocess.normalise(torch.from_numpy(picture(9, 32, 32).copy()).permute(2, 0, 1)[None])
        with torch.inference_mode():
            ours = torch.softmax(logits(model.eval(), pixels), 1)[0]
            again = torch.softmax(classifier.finetuned(tmp_path)(pixels).logits, 1)[0]
        torch.testing.assert_close(again, ours)
        np.testing.assert_allclose(as_documented(name, tmp_path, pixels), ours, atol=1e-5)
        assert max(ours) - min(ours) > 0.01  # three equal numbers would agree whatever the weights
        # refused, never opened with another pooling
        with pytest.raises(ValueError, match="Unrecognized configuration class"):
            transformers.pipeline("image-classification", model=str(tmp_path), device="cpu")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "config.json is missing; expected a model in transformers' format"),
        ("{", "config.json: cannot be read as JSON"),
        ('{"model_type": "clop"}', "not a model in the hub's format"),
    ],
)
def test_a_folder_that_is_no_model_is_told_in_one_line(tmp_path, text, said):
    if text:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(HarError, match=rf"^{tmp_path}[^\n]*{said}[^\n]*$"):
        classifier.classifier(tmp_path, CLASSES)


def with_weights(folder, out, change):
    """A copy in `out` of the checkpoint in `folder` with what `change` makes of its weights."""
    shutil.copytree(folder, out)
    save_file(change(load_file(folder / "model.safetensors")), out / "model.safetensors", metadata={"format": "pt"})
    return out


KEY = "vision_model.encoder.layers.1.mlp.fc1.weight"


@pytest.mark.parametrize("value", [{}, {KEY: torch.zeros(4, 4)}], ids=["missing", "other shape"])
def test_weights_that_do_not_fit_are_told_not_drawn(checkpoints, tmp_path, value):
    def spoilt(weights):
        return {key: tensor for key, tensor in weights.items() if key != KEY} | value

    folder = with_weights(checkpoints["clip"], tmp_path / "clip", spoilt)
    for load in (Encoder, lambda folder: classifier.classifier(folder, CLASSES)):
        with pytest.raises(HarError, match=rf"not a model in the hub's format: its weights lack {KEY} or have it in"):
            load(folder)


def test_position_indices_among_the_weights_are_left_out(checkpoints, tmp_path):
    """openai/clip-vit-base-patch32 holds them."""
    indices = {f"{tower}_model.embeddings.position_ids": torch.arange(12)[None] for tower in ("text", "vision")}
    folder = with_weights(checkpoints["clip"], tmp_path / "clip", lambda weights: weights | indices)
    pixels = torch.from_numpy(picture(1, 32, 32).transpose(2, 0, 1).copy())[None]
    assert torch.equal(Encoder(folder).images(pixels), Encoder(checkpoints["clip"]).images(pixels))


@pytest.mark.parametrize("name", ["clip", "siglip2"])
def test_prompts_are_lower_case_for_siglip_alone(checkpoints, tmp_path, name):
    """Its training lower-cased them; the tokenizer does not."""
    folder = shutil.copytree(checkpoints[name], tmp_path / name)
    words = json.loads((folder / "tokenizer.json").read_text()) | {"normalizer": None}
    (folder / "tokenizer.json").write_text(json.dumps(words))
    upper, lower = Encoder(folder).texts(["a Person Sitting", "a person sitting"])
    assert torch.equal(upper, lower) == (name == "siglip2")


def test_preprocessing_that_does_not_fit_the_network_is_told_before_any_work(checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints["vit"], tmp_path / "vit")
    config = folder / "preprocessor_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"size": {"height": 48, "width": 48}}))
    for load in (lambda: build(FINETUNE, CLASSES, folder), lambda: Encoder(folder)):
        with pytest.raises(HarError, match="vit: its preprocessing, images of 48 pixels, does not fit its network: "):
            load()

    def silent(pixels):
        raise RuntimeError

    with pytest.raises(HarError, match="does not fit its network: RuntimeError; take both"):
        require_fit(folder, nn.Linear(1, 1), Preprocess(48), silent)


def test_trying_the_fit_draws_nothing(checkpoints):
    """So a checkpoint's weights and a training's order are those of the seed, whatever is tried before."""
    torch.manual_seed(0)
    build(FINETUNE, CLASSES, checkpoints["vit"])
    after = torch.rand(1)
    torch.manual_seed(0)
    classifier.classifier(checkpoints["vit"], CLASSES)
    assert torch.equal(after, torch.rand(1))


def test_a_folder_that_holds_no_such_model_is_named(checkpoints, tmp_path):
    folder = tmp_path / "cnn"
    save(build(CNN, CLASSES)[0], CNN, CLASSES, folder, None)
    with pytest.raises(HarError, match="a model of walking, sitting, standing, expected sitting, walking"):
        load_kept(folder, ["sitting", "walking"])
    with pytest.raises(HarError, match="no such file; expected the configuration of a model"):
        load_kept(tmp_path, CLASSES)
    headless = shutil.copytree(checkpoints["vit"], tmp_path / "vit")
    config = json.loads((headless / "config.json").read_text()) | {"id2label": dict(enumerate(CLASSES))}
    (headless / "config.json").write_text(json.dumps(config))
    with pytest.raises(HarError, match="weights lack classifier"):
        load_kept(headless, CLASSES)
