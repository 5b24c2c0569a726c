"""Any checkpoint that AutoModelForImageClassification opens: other names of layers, heads, poolings, processors."""

import json

import numpy as np
import pytest
import torch
import transformers
from conftest import CLASSES, picture
from PIL import Image
from test_models import FINETUNE

from har.core.errors import HarError
from har.models import classifier, preprocess
from har.models.encoder import Encoder
from har.models.preprocess import from_folder, from_hub_config
from har.training.loop import train
from har.training.run import Inputs

CONFIG = FINETUNE.model_copy(update={"head": "probe", "epochs": 1, "batch_size": 4})
VIT = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
SQUARE = {"size": {"height": 32, "width": 32}}
# what is built, the processor's config, width of an embedding, blocks of layers
KINDS = {
    "Dinov2": (VIT, {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 36},
                     "do_center_crop": True, "crop_size": {"height": 32, "width": 32},
                     "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}, 32, 3),
    "ConvNext": ({"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1], "image_size": 32},
                 {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 32},
                  "crop_pct": 0.875}, 32, 5),
    "Swinv2": ({"image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [1, 2], "num_heads": [1, 2],
                "window_size": 4}, {"image_processor_type": "ViTImageProcessor", **SQUARE}, 16, 3),
    "Beit": ({**VIT, "intermediate_size": 64}, {"image_processor_type": "BeitImageProcessor", **SQUARE,
              "do_center_crop": False}, 32, 3),
    "ResNet": ({"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2], "layer_type": "basic"},
               {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 32, "crop_pct": 0.875}, 16, 3),
}  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory):
    """A folder in the hub's format: random weights, a head for other classes than ours."""
    options, processor, *_ = KINDS[kind]
    torch.manual_seed(100)
    folder = tmp_path_factory.mktemp(kind)
    config = getattr(transformers, f"{kind}Config")(**options, num_labels=5)
    getattr(transformers, f"{kind}ForImageClassification")(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def images(count: int) -> np.ndarray:
    return np.stack([picture(i, 32, 32).transpose(2, 0, 1) for i in range(count)])


def test_the_body_is_the_checkpoints_and_only_the_head_is_new(folder):
    saved = transformers.AutoModelForImageClassification.from_pretrained(folder).state_dict()
    model = classifier.classifier(folder, CLASSES)
    head = {f"{classifier._head_name(model)}.{part}" for part in ("weight", "bias")}
    found = model.state_dict()
    assert set(found) == set(saved)
    assert {key for key in found if not torch.equal(found[key], saved[key])} == head
    assert classifier.head_of(model).out_features == len(CLASSES)


def test_learning_rates_shrink_towards_the_input(folder, kind):
    model = classifier.classifier(folder, CLASSES)
    groups = classifier.layer_groups(model, 1.0, 7.0, 0.5)
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(rate) == len(list(model.parameters()))
    assert all({p.ndim <= 1 for p in group["params"]} == {group["parameters_1d"]} for group in groups)
    rates = {name: rate[id(p)] for name, p in model.named_parameters()}
    head = classifier._head_name(model)
    assert {r for name, r in rates.items() if name.startswith(head)} == {7.0}
    blocks = KINDS[kind][3]
    body = [r for name, r in rates.items() if not name.startswith(head)]
    assert body[0] == 0.5**blocks  # the patches or the first convolution
    assert {r for name, r in rates.items() if classifier.BLOCK.search(name)} == {0.5**i for i in range(blocks)}
    assert body == sorted(body)


def test_trains_saves_and_opens_again(folder, strength, tmp_path):
    inputs = Inputs(images(8), np.arange(8) % 3, np.arange(6), np.arange(6, 8), np.arange(8))
    outcome = train(CONFIG, CLASSES, inputs, 0, strength=strength, backbone=folder, checkpoint=tmp_path)
    pixels = from_folder(tmp_path).normalise(torch.tensor(inputs.x))
    theirs = transformers.pipeline("image-classification", model=str(tmp_path), device="cpu").model
    with torch.inference_mode():
        for model in (classifier.classifier(tmp_path, CLASSES).eval(), theirs.eval()):
            found = torch.softmax(model(pixels).logits.double(), 1)
            np.testing.assert_allclose(found, outcome.probabilities, atol=1e-5)


def test_embeddings_hold_no_weight_that_was_drawn(folder, kind):
    """A pooling whose weights a checkpoint lacks would be noise."""
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(Encoder(folder).images(torch.from_numpy(images(4))))
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
        theirs = transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
        theirs = theirs(image, return_tensors="pt")["pixel_values"]
        pixels = ours.normalise(torch.from_numpy(ours.square(image))[None])
        if theirs.shape[2] != theirs.shape[3]:  # SigLIP's short side without a crop: no network takes it, ours crops
            continue
        assert pixels.shape == theirs.shape, config
        # where the centre is cut out, sizes are rounded at other places, by a pixel
        most = 0.02 if ours.fit == "squash" and ours.crop_pct == 1 else 0.3
        assert float((pixels - theirs).abs().mean()) < most, config


def test_the_real_file_of_a_vit_means_bilinear():
    """google/vit-base-patch16-224 says neither resample nor a type."""
    config = {"do_normalize": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": 224}
    assert from_hub_config(config, "x", "vit") == preprocess.Preprocess(224, "squash", resample=2)
    assert from_hub_config(config, "x", "deit").resample == 3
    with pytest.raises(HarError, match="x: image_processor_type is missing"):
        from_hub_config(config, "x")


def test_of_two_files_the_one_counts_that_transformers_reads(tmp_path):
    processor = {"image_processor_type": "ViTImageProcessor", "size": {"height": 40, "width": 40}}
    newer = processor | {"size": {"height": 48, "width": 48}}
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    for whole, size in [({"image_processor": newer}, 48), ({"processor_class": "CLIPProcessor"}, 40)]:
        (tmp_path / "processor_config.json").write_text(json.dumps(whole))
        assert from_folder(tmp_path).size == size
        assert transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="pil").size["height"] == size
    for spoilt in (3, newer | {"resample": 9}):
        (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": spoilt}))
        with pytest.raises(HarError, match=r"/processor_config\.json: "):
            from_folder(tmp_path)


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
