"""Models: the paper's networks, and classifiers on checkpoints that stay native to the hub."""

import json
import re
import shutil

import numpy as np
import parameters
import pytest
import torch
from conftest import CLASSES, picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn
from torch.nn.functional import normalize

from har.config.models import Cnn, Dense, Finetune, Mlp
from har.core.errors import HarError
from har.models import classifier
from har.models.build import build, logits, parameter_count
from har.models.contrastive import EmbeddingClassifier
from har.models.encoder import Encoder
from har.models.networks import Standardise
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
HEAD = ("classifier.", "head.")


def as_documented(name, folder, pixels):
    """Probabilities by transformers' own tower and the head beside it, as docs/predict.md does."""
    import transformers
    from safetensors.torch import load_file

    tower = {"clip": "CLIPVisionModelWithProjection", "siglip2": "SiglipVisionModel"}[name]
    head = load_file(folder / "model.safetensors")
    with torch.inference_mode():
        found = getattr(transformers, tower).from_pretrained(folder)(pixels)
        unit = normalize(found.image_embeds if name == "clip" else found.pooler_output, dim=-1)
        return torch.softmax(unit @ head["head.weight"].T + head["head.bias"], 1)[0]


def kinds(model: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in model]


class TestFromScratch:
    def test_cnn_base_is_the_papers(self):
        block = ["Conv2d", "MaxPool2d", "ReLU"]
        model, preprocess = build(CNN, CLASSES)
        assert kinds(model) == [*block * 3, "Flatten", "Linear", "ReLU", "Linear"]
        assert all(layer.padding == (1, 1) for layer in model if isinstance(layer, nn.Conv2d))
        assert (preprocess.size, preprocess.fit) == (16, "squash")

    def test_cnn_gen_adds_batch_norm_and_dropout(self):
        model, _ = build(CNN.model_copy(update={"batch_norm": True, "conv_dropout": 0.1, "dropout": 0.3}), CLASSES)
        block = ["Conv2d", "BatchNorm2d", "MaxPool2d", "ReLU", "Dropout2d"]
        assert kinds(model) == [*block * 3, "Flatten", "Linear", "ReLU", "Dropout", "Linear"]

    def test_the_embedding_mlp_is_the_papers(self):
        model, preprocess = build(MLP, CLASSES, features=12)
        assert kinds(model) == ["Standardise", *["Linear", "ReLU", "BatchNorm1d", "Dropout"] * 2, "Linear"]
        assert preprocess is None

    @given(st.integers(8, 40), st.integers(1, 3), st.integers(2, 6))
    def test_every_size_gives_one_logit_a_class(self, size, blocks, classes):
        names = [str(i) for i in range(classes)]
        for config in (CNN.model_copy(update={"input_size": size, "channels": [4] * blocks}),
                       DENSE.model_copy(update={"input_size": size})):  # fmt: skip
            model, preprocess = build(config, names)
            images = torch.zeros(2, 3, size, size, dtype=torch.uint8)
            assert logits(model, preprocess.normalise(images)).shape == (2, classes)

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


@pytest.mark.parametrize(
    ("name", "pool"),
    [*((name, "embedding") for name in NAMES), ("clip", "patches"), ("siglip2", "patches")],
)
class TestClassifier:
    def test_takes_the_checkpoints_weights_and_a_new_head(self, checkpoints, name, pool):
        encoder = Encoder(checkpoints[name]).model
        model = classifier.classifier(checkpoints[name], CLASSES, pool)
        known = encoder.state_dict()
        body = {k.removeprefix("vit."): v for k, v in model.state_dict().items() if not k.startswith(HEAD)}
        assert body
        for key, value in body.items():
            assert torch.equal(value, known[key]), key
        assert classifier.head_of(model).out_features == 3
        assert isinstance(model, EmbeddingClassifier) == (pool == "embedding" and name != "vit")
        assert all(p.requires_grad for p in model.parameters())

    def test_the_seed_sets_the_head_and_nothing_else(self, checkpoints, name, pool):
        def one(seed):
            torch.manual_seed(seed)
            return classifier.classifier(checkpoints[name], CLASSES, pool).state_dict()

        first, again, other = one(0), one(0), one(1)
        assert all(torch.equal(first[k], again[k]) for k in first)
        differ = {k for k in first if not torch.equal(first[k], other[k])}
        assert differ
        assert all(k.startswith(HEAD) for k in differ)

    def test_head_inputs_are_what_the_head_sees(self, checkpoints, name, pool):
        model = classifier.classifier(checkpoints[name], CLASSES, pool).eval()
        x = torch.randn(3, 3, 32, 32)
        with torch.inference_mode():
            features = classifier.head_inputs(model, x)
            assert torch.equal(classifier.head_of(model)(features), model(x).logits)
            if isinstance(model, EmbeddingClassifier):
                unit = normalize(Encoder(checkpoints[name]).model.get_image_features(x).pooler_output, dim=-1)
                torch.testing.assert_close(features, unit)
            else:
                assert features.shape == (3, 32)

    @pytest.mark.parametrize("decay", [1.0, 0.5])
    def test_layer_groups_cover_each_parameter_once(self, checkpoints, name, pool, decay):
        model = classifier.classifier(checkpoints[name], CLASSES, pool)
        groups = classifier.layer_groups(model, 0.001, 0.01, decay)
        grouped = [id(p) for group in groups for p in group["params"]]
        assert len(grouped) == len(set(grouped))
        assert set(grouped) == {id(p) for p in model.parameters()}
        rate = {id(p): group["lr"] for group in groups for p in group["params"]}
        names = {k: rate[id(p)] for k, p in model.named_parameters()}
        assert {r for k, r in names.items() if k.startswith(HEAD)} == {0.01}
        body = {k: r for k, r in names.items() if not k.startswith(HEAD)}
        assert max(body.values()) == 0.001
        first, second = ({r for k, r in body.items() if f"layers.{i}." in k} for i in (0, 1))
        assert (first, second) == ({0.001 * decay}, {0.001})
        assert {r for k, r in body.items() if "embeddings" in k} == {0.001 * decay**2}

    def test_biases_and_norms_are_apart_from_matrices(self, checkpoints, name, pool):
        model = classifier.classifier(checkpoints[name], CLASSES, pool)
        for group in classifier.layer_groups(model, 0.001, 0.01, 0.8):
            assert {p.ndim <= 1 for p in group["params"]} == {group["parameters_1d"]}

    def test_a_saved_model_opens_in_transformers(self, checkpoints, name, pool, tmp_path):
        from transformers import pipeline

        torch.manual_seed(4)
        model, preprocess = build(
            FINETUNE.model_copy(update={"backbone": name, "pool": pool}), CLASSES, checkpoints[name]
        )
        nn.init.normal_(classifier.head_of(model).weight)
        save(model, FINETUNE, CLASSES, tmp_path, checkpoints[name])
        assert not [p for p in tmp_path.iterdir() if p.suffix not in (".json", ".safetensors")]
        assert json.loads((tmp_path / "config.json").read_text())["id2label"] == dict(zip("012", CLASSES, strict=True))

        image = picture(9, 32, 32)
        pixels = preprocess.normalise(torch.from_numpy(image.copy()).permute(2, 0, 1)[None])
        with torch.inference_mode():
            ours = torch.softmax(logits(model.eval(), pixels), 1)[0]
            again = torch.softmax(classifier.finetuned(tmp_path)(pixels).logits, 1)[0]
        torch.testing.assert_close(again, ours)
        if isinstance(model, EmbeddingClassifier):
            # refused, never opened with another pooling
            with pytest.raises(ValueError, match="Unrecognized configuration class"):
                pipeline("image-classification", model=str(tmp_path), device="cpu")
            alone = as_documented(name, tmp_path, pixels)
        else:
            opened = pipeline("image-classification", model=str(tmp_path), device="cpu")
            told = {row["label"]: row["score"] for row in opened(Image.fromarray(image), top_k=3)}
            alone = [told[label] for label in CLASSES]
        np.testing.assert_allclose(alone, ours, atol=1e-5)
        assert max(ours) - min(ours) > 0.01  # three equal numbers would agree whatever the weights

    def test_an_architecture_without_weights_is_drawn_from_the_seed(self, checkpoints, name, pool, tmp_path):
        for file in checkpoints[name].glob("*.json"):
            (tmp_path / file.name).write_bytes(file.read_bytes())

        def one(seed):
            torch.manual_seed(seed)
            return classifier.classifier(tmp_path, CLASSES, pool).state_dict()

        first, again, other = one(0), one(0), one(1)
        assert all(torch.equal(first[k], again[k]) for k in first)
        drawn = [k for k in first if first[k].ndim > 1]
        assert drawn
        assert not any(torch.equal(first[k], other[k]) for k in drawn)
        assert {v.dtype for v in first.values()} == {torch.float32}


def test_half_precision_weights_are_trained_in_full(checkpoints, tmp_path):
    from transformers import AutoModel

    AutoModel.from_pretrained(checkpoints["clip"]).half().save_pretrained(tmp_path)
    assert {p.dtype for p in classifier.classifier(tmp_path, CLASSES).parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("empty", "config.json is missing; expected a model in transformers' format"),
        ("no json", "config.json: cannot be read as JSON"),
        ("unknown type", "not a model in the hub's format"),
        ("cut weights", "model.safetensors is no whole safetensors file"),
        ("code of its own", "has auto_map: it wants to run code"),
    ],
)
def test_a_folder_that_is_no_model_is_told_in_one_line(checkpoints, tmp_path, broken, said):
    config = json.loads((checkpoints["vit"] / "config.json").read_text())
    if broken != "empty":
        text = {"no json": "{", "unknown type": '{"model_type": "clop"}'}.get(broken) or json.dumps(config)
        if broken == "code of its own":
            text = json.dumps({"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}})
            (tmp_path / "mine.py").write_text("raise SystemExit('this ran')")
        (tmp_path / "config.json").write_text(text)
    if broken == "cut weights":
        (tmp_path / "model.safetensors").write_bytes((checkpoints["vit"] / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(HarError, match=re.escape(said)) as told:
        classifier.classifier(tmp_path, CLASSES)
    assert str(tmp_path) in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("load", [Encoder, lambda folder: classifier.classifier(folder, CLASSES)])
@pytest.mark.parametrize("change", ["missing", "other shape"])
def test_weights_that_do_not_fit_are_told_not_drawn(checkpoints, tmp_path, load, change):
    from safetensors.torch import load_file, save_file

    for file in checkpoints["clip"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    key = "vision_model.encoder.layers.1.mlp.fc1.weight"
    if change == "missing":
        del weights[key]
    else:
        weights[key] = torch.zeros(4, 4)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(HarError, match="not a model in the hub's format") as told:
        load(tmp_path)
    assert "\n" not in str(told.value)


def test_networks_from_scratch_save_their_weights_and_configuration(tmp_path):
    from safetensors.torch import load_file

    model, _ = build(CNN, CLASSES)
    save(model, CNN, CLASSES, tmp_path, None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    told = json.loads((tmp_path / "config.json").read_text())
    again, _ = build(Cnn(**told["config"]), told["classes"])
    again.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.slow
def test_a_full_size_clip_fine_tunes_saves_and_opens(tmp_path, strength):
    """ViT-B/32 as CLIP has it, random weights: two steps, 88 M parameters, about 2 GB of memory."""
    from transformers import CLIPConfig

    from har.training.loop import Inputs, train

    folder = tmp_path / "architecture"
    CLIPConfig().save_pretrained(folder)
    processor = {
        "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 224}, "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    x = np.stack([picture(i, 224, 224).transpose(2, 0, 1) for i in range(6)])
    rows = np.arange(4)
    inputs = Inputs(x, np.arange(6) % 3, rows, np.arange(4, 6), np.arange(6))
    config = FINETUNE.model_copy(update={"epochs": 1, "batch_size": 2, "learning_rate": 1e-5})
    outcome = train(
        config, CLASSES, inputs, 0, strength=strength, backbone=folder, checkpoint=tmp_path / "saved", device="cpu"
    )
    assert 80e6 < outcome.parameters < 95e6
    model = classifier.finetuned(tmp_path / "saved")
    pixels = (torch.from_numpy(x).float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        probabilities = torch.softmax(model(pixels).logits.double(), 1)
    np.testing.assert_allclose(probabilities, outcome.probabilities, atol=1e-5)


@pytest.mark.parametrize("name", ["clip", "siglip2", "vit"])
def test_preprocessing_that_does_not_fit_the_network_is_told_before_any_work(checkpoints, tmp_path, name):
    folder = tmp_path / name
    shutil.copytree(checkpoints[name], folder)
    config = folder / "preprocessor_config.json"
    larger = {"size": {"height": 48, "width": 48}, "crop_size": {"height": 48, "width": 48}}
    config.write_text(json.dumps(json.loads(config.read_text()) | larger))
    for load in (lambda: build(FINETUNE, CLASSES, folder), lambda: Encoder(folder)):
        with pytest.raises(
            HarError, match=f"{name}: its preprocessing, images of 48 pixels, does not fit its network: "
        ):
            load()


def test_trying_the_fit_draws_nothing(checkpoints):
    """So a checkpoint's weights and a training's order are those of the seed, whatever is tried before."""
    torch.manual_seed(0)
    build(FINETUNE, CLASSES, checkpoints["vit"])
    after = torch.rand(1)
    torch.manual_seed(0)
    classifier.classifier(checkpoints["vit"], CLASSES)
    assert torch.equal(after, torch.rand(1))
