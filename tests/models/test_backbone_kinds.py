"""Any checkpoint that AutoModelForImageClassification opens: other names of layers, heads, poolings, processors."""

import json

import numpy as np
import pytest
import torch
from conftest import CLASSES, picture

from har.config.models import Finetune
from har.core.errors import HarError
from har.models import classifier, preprocess
from har.models.encoder import Encoder
from har.models.preprocess import Preprocess, from_folder, from_hub_config
from har.training.loop import train
from har.training.run import Inputs

CONFIG = Finetune(
    kind="finetune", backbone="own", pretrained=True, pool="embedding", head="probe", adapt="full", lora_rank=2,
    lora_alpha=4.0, view="image", person_margin=0.2, head_learning_rate=0.01, probe_c=1.0, layer_decay=0.5, epochs=1,
    patience=0, batch_size=4, learning_rate=0.001, weight_decay=0.01, warmup=0.0, label_smoothing=0.0, augmentation=[],
)  # fmt: skip
VIT = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
SQUARE = {"size": {"height": 32, "width": 32}}
# what is built, the processor's config, width of an embedding, width of what the head sees, blocks of layers
KINDS = {
    "Dinov2": (VIT, {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 36},
                     "do_center_crop": True, "crop_size": {"height": 32, "width": 32},
                     "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}, 32, 64, 3),
    "ConvNext": ({"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1], "image_size": 32},
                 {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 32},
                  "crop_pct": 0.875}, 32, 32, 5),
    "Swinv2": ({"image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [1, 2], "num_heads": [1, 2],
                "window_size": 4}, {"image_processor_type": "ViTImageProcessor", **SQUARE}, 16, 16, 3),
    "Beit": ({**VIT, "intermediate_size": 64}, {"image_processor_type": "BeitImageProcessor", **SQUARE,
              "do_center_crop": False}, 32, 32, 3),
    "ResNet": ({"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2], "layer_type": "basic"},
               {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 32, "crop_pct": 0.875}, 16, 16, 3),
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder in the hub's format for each kind: random weights, a head for other classes than ours."""
    import transformers

    made = {}
    for name, (options, processor, *_) in KINDS.items():
        torch.manual_seed(100)
        folder = made[name] = tmp_path_factory.mktemp(name)
        config = getattr(transformers, f"{name}Config")(**options, num_labels=5)
        getattr(transformers, f"{name}ForImageClassification")(config).save_pretrained(folder)
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return made


@pytest.fixture(params=list(KINDS))
def kind(request):
    return request.param


def test_the_body_is_the_checkpoints_and_only_the_head_is_new(folders, kind):
    from transformers import AutoModelForImageClassification

    saved = AutoModelForImageClassification.from_pretrained(folders[kind]).state_dict()
    model = classifier.classifier(folders[kind], CLASSES)
    head = {f"{classifier._head_name(model)}.{part}" for part in ("weight", "bias")}
    found = model.state_dict()
    assert set(found) == set(saved)
    assert {key for key in found if found[key].shape != saved[key].shape} == head
    assert all(torch.equal(value, saved[key]) for key, value in found.items() if key not in head)
    assert classifier.head_of(model).out_features == len(CLASSES)
    x = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        features = classifier.head_inputs(model.eval(), x)
        assert features.shape == (3, KINDS[kind][3])
        torch.testing.assert_close(classifier.head_of(model)(features), model(x).logits)


def test_learning_rates_shrink_towards_the_input(folders, kind):
    model = classifier.classifier(folders[kind], CLASSES)
    groups = classifier.layer_groups(model, 1.0, 7.0, 0.5)
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(rate) == len(list(model.parameters()))
    assert all({p.ndim <= 1 for p in group["params"]} == {group["parameters_1d"]} for group in groups)
    rates = {name: rate[id(p)] for name, p in model.named_parameters()}
    head = classifier._head_name(model)
    assert {r for name, r in rates.items() if name.startswith(head)} == {7.0}
    blocks = KINDS[kind][4]
    body = [r for name, r in rates.items() if not name.startswith(head)]
    assert body[0] == 0.5**blocks  # the patches or the first convolution
    assert {r for name, r in rates.items() if classifier.BLOCK.search(name)} == {0.5**i for i in range(blocks)}
    assert body == sorted(body)


def test_trains_saves_and_opens_again(folders, kind, strength, tmp_path):
    from transformers import pipeline

    x = np.stack([picture(i, 32, 32).transpose(2, 0, 1) for i in range(8)])
    inputs = Inputs(x, np.arange(8) % 3, np.arange(6), np.arange(6, 8), np.arange(8))
    outcome = train(CONFIG, CLASSES, inputs, 0, strength=strength, backbone=folders[kind], checkpoint=tmp_path)
    assert outcome.probabilities.shape == (8, 3)
    again = classifier.classifier(tmp_path, CLASSES).eval()
    pixels = from_folder(tmp_path).normalise(torch.tensor(x))
    told = pipeline("image-classification", model=str(tmp_path), device="cpu").model
    with torch.inference_mode():
        for model in (again, told.eval()):
            found = torch.softmax(model(pixels).logits.double(), 1)
            np.testing.assert_allclose(found, outcome.probabilities, atol=1e-5)


def test_embeddings_hold_no_weight_that_was_drawn(folders, kind):
    """A pooling whose weights a checkpoint lacks would be noise."""
    x = torch.from_numpy(np.stack([picture(i, 32, 32).transpose(2, 0, 1) for i in range(4)]))
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(Encoder(folders[kind]).images(x))
    assert torch.equal(*found)
    assert found[0].shape == (4, KINDS[kind][2])
    assert found[0].std(0).max() > 0  # it looks at the image


def image_classifiers():
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES as PROCESSORS
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as MODELS

    return sorted(name for name in MODELS if (PROCESSORS.get(name) or {}).get("torchvision"))


@pytest.mark.parametrize("model_type", image_classifiers())
def test_what_a_processors_file_leaves_out_is_as_in_transformers(model_type, tmp_path):
    """Every value left out in turn, or null, for every model type that AutoModelForImageClassification opens."""
    from PIL import Image
    from transformers import AutoImageProcessor

    from_name = preprocess._processor_of(model_type)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    if from_name not in preprocess.PROCESSORS:
        (tmp_path / "preprocessor_config.json").write_text("{}")
        with pytest.raises(HarError, match=f"image_processor_type is '{from_name}', expected"):
            from_folder(tmp_path)
        return
    default = preprocess._defaults(from_name)
    whole = {
        "image_processor_type": f"{from_name}ImageProcessor", **default, "size": dict.fromkeys(default["size"], 40),
        "resample": 0, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6],
    }  # fmt: skip
    del whole["default_to_square"]
    if "crop_size" in default:
        whole["crop_size"] = {"height": 24, "width": 24}
    if "crop_pct" in default:
        whole["crop_pct"] = 0.8
    configs = [whole, {}, whole | {"size": 48}, whole | {"do_normalize": False}, whole | {"do_normalize": None}]
    configs += [{name: value for name, value in whole.items() if name != left_out} for left_out in whole]
    image = Image.fromarray(picture(3, 150, 130))
    for config in configs:
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
        if config.get("do_center_crop") and "size" in config and "crop_size" not in config:  # transformers pads
            with pytest.raises(HarError, match="crop_size 224 is larger than size 40"):
                from_folder(tmp_path)
            continue
        ours = from_folder(tmp_path)
        theirs = AutoImageProcessor.from_pretrained(tmp_path, backend="pil")(image, return_tensors="pt")["pixel_values"]
        pixels = ours.normalise(torch.from_numpy(ours.square(image))[None])
        if theirs.shape[2] != theirs.shape[3]:  # SigLIP's short side without a crop: no network takes it, ours crops
            continue
        assert pixels.shape == theirs.shape, config
        # where the centre is cut out, sizes are rounded at other places, by a pixel
        most = 0.02 if ours.fit == "squash" and ours.crop_pct == 1 else 0.3
        assert float((pixels - theirs).abs().mean()) < most, config


def test_the_real_file_of_a_vit_means_bilinear(tmp_path):
    """google/vit-base-patch16-224 says neither resample nor a type."""
    config = {"do_normalize": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": 224}
    assert from_hub_config(config, "x", "vit") == Preprocess(224, "squash", resample=2)
    assert from_hub_config(config, "x", "deit").resample == 3
    with pytest.raises(HarError, match="x: image_processor_type is missing"):
        from_hub_config(config, "x")


@pytest.mark.parametrize(
    ("step", "value"),
    [("do_flip_channel_order", True), ("do_resize", False), ("do_rescale", False), ("rescale_factor", 1)],
)
def test_processors_that_do_more_are_refused_by_name(step, value):
    with pytest.raises(HarError, match=f"{step} is {value}"):
        from_hub_config({"size": 32, step: value}, "x", "vit")


def test_a_large_convnext_squashes():
    large = from_hub_config({"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 384}}, "x")
    assert (large.size, large.fit, large.crop_pct) == (384, "squash", 1.0)


def test_an_image_processor_inside_a_processor_config_is_found(tmp_path):
    text = json.dumps({"image_processor": {"size": {"height": 48, "width": 48}}})
    (tmp_path / "processor_config.json").write_text(text)
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    assert from_folder(tmp_path).size == 48
