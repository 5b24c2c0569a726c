"""The three checkpoints of profile coco as their repositories hold them, with few and small weights: old names of a
ViT's layers, position indices among CLIP's weights, a processor without `resample`, a tokenizer of 38 MB in LFS."""

import json

import pytest
import torch
from conftest import CLASSES
from safetensors.torch import load_file, save
from servers import MB, model_hub, serving
from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel, ViTConfig, ViTForImageClassification

from har.config.models import Backbone
from har.models import backbone
from har.models.classifier import classifier
from har.models.encoder import Encoder
from har.models.preprocess import Preprocess, from_folder

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
VISION = SMALL | {"image_size": 32, "patch_size": 8}
LAYER = "vit.encoder.layer.0.attention.attention.query.weight"
WORDS = ["a", "person", "sitting", "standing"]


def tokenizer(start: list[str], more: int) -> dict:
    """tokenizer.json of a word tokenizer that ends a text as CLIP's does, with `more` further entries of 18 kB."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = [*start, *WORDS, *(f"{number:018000d}" for number in range(more))]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token=start[-1]))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single=f"$A {start[-1]}", special_tokens=[(start[-1], 1)])
    return json.loads(made.to_str())


def vit() -> dict:
    model = ViTForImageClassification(ViTConfig(**VISION, num_labels=5))
    # the real file, all 160 bytes of it
    processor = {"do_normalize": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": 32}
    return {"model": model, "preprocessor_config.json": processor}


def clip() -> dict:
    text = SMALL | {"vocab_size": 8, "max_position_embeddings": 77, "bos_token_id": 0, "eos_token_id": 1}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=VISION, projection_dim=16))
    processor = {
        "crop_size": 32, "do_center_crop": True, "do_normalize": True, "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 32,
    }  # fmt: skip
    tokens = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 77, "pad_token": "<|endoftext|>"}
    return {
        "model": model, "preprocessor_config.json": processor, "tokenizer_config.json": tokens,
        "tokenizer.json": tokenizer(["<|startoftext|>", "<|endoftext|>"], 0),
    }  # fmt: skip


def siglip2() -> dict:
    text = SMALL | {"vocab_size": 8, "max_position_embeddings": 64, "projection_size": 32}
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=VISION))
    processor = {
        "do_convert_rgb": None, "do_normalize": True, "do_rescale": True, "do_resize": True,
        "image_mean": [0.5] * 3, "image_processor_type": "SiglipImageProcessor", "image_std": [0.5] * 3,
        "processor_class": "SiglipProcessor", "resample": 2, "rescale_factor": 0.00392156862745098,
        "size": {"height": 32, "width": 32},
    }  # fmt: skip
    tokens = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 1e30, "pad_token": "<pad>"}
    return {
        "model": model, "preprocessor_config.json": processor, "tokenizer_config.json": tokens,
        "tokenizer.json": tokenizer(["<pad>", "<unk>"], 2000),
    }  # fmt: skip


@pytest.fixture(scope="module", params=[vit, clip, siglip2], ids=lambda made: made.__name__)
def repository(request, tmp_path_factory):
    """Name, the model, and the folder that `provide` makes of its repository."""
    torch.manual_seed(0)
    tmp_path = tmp_path_factory.mktemp("repository")
    name, files = request.param.__name__, request.param()
    model = files.pop("model").eval()
    model.save_pretrained(tmp_path / "saved")
    weights = load_file(tmp_path / "saved" / "model.safetensors")
    if name == "clip":
        for tower, length in (("text", 77), ("vision", 17)):
            weights[f"{tower}_model.embeddings.position_ids"] = torch.arange(length)[None]
    served = {file: json.dumps(content).encode() for file, content in files.items()}
    served["config.json"] = (tmp_path / "saved" / "config.json").read_bytes()
    served["model.safetensors"] = save(weights, {"format": "pt"})
    site = model_hub(f"someone/{name}", "a" * 40, served)
    with serving(site), pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("HF_ENDPOINT", site.url)
        config = {"source": "hub", "architecture": "hub", "folder": "", "sha256": None}
        chosen = Backbone(id=f"someone/{name}", revision="a" * 40, **config)
        backbone.provide(chosen, tmp_path / name, pretrained=tmp_path)
    if name == "siglip2":
        assert 30 * MB < len(served["tokenizer.json"]) < 64 * MB
        assert [seen for seen in site.requests if seen.path.startswith("/cdn/") and seen.sent > 30 * MB]
    return name, model, weights, tmp_path / name


def test_a_real_repository_gives_the_weights_it_holds(repository):
    name, model, weights, folder = repository
    assert (LAYER in weights) == (name == "vit")
    x = torch.rand(2, 3, 32, 32)
    made = classifier(folder, CLASSES).eval()
    with torch.inference_mode():
        if name == "vit":
            features = made.base_model(pixel_values=x).last_hidden_state
            torch.testing.assert_close(features, model.vit(pixel_values=x).last_hidden_state)
            assert from_folder(folder) == Preprocess(32, "squash", resample=2)
            return
        ours = made.vision_model(pixel_values=x).last_hidden_state
        torch.testing.assert_close(ours, model.vision_model(pixel_values=x).last_hidden_state)
        encoder = Encoder(folder)
        pixels = (torch.rand(2, 3, 32, 32) * 255).to(torch.uint8)
        theirs = model.get_image_features(pixel_values=encoder.preprocess.normalise(pixels)).pooler_output
        torch.testing.assert_close(encoder.images(pixels), theirs)


def test_prompts_are_lower_case_for_siglip_alone(repository):
    """Its training lower-cased them; the tokenizer does not."""
    name, _, _, folder = repository
    if name == "vit":
        return
    encoder = Encoder(folder)
    same = torch.equal(*(encoder.texts([text]) for text in ("A person Sitting", "a person sitting")))
    assert same == (name == "siglip2")
    assert not torch.equal(encoder.texts(["a person sitting"]), encoder.texts(["a person standing"]))
