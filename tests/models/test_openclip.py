"""The independent check of the CLIP path: transformers and open_clip, one set of weights, the same features.

open_clip converts OpenAI's, Apple's and big_vision's layouts, not transformers', so the mapping is written
out here, once, and inverted for the way back.
"""

import pytest
import torch

open_clip = pytest.importorskip("open_clip")

from conftest import CAPTIONS  # noqa: E402
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP  # noqa: E402
from transformers import AutoTokenizer, CLIPConfig, CLIPModel  # noqa: E402

from har.models.encoder import Encoder  # noqa: E402

# transformers' name -> open_clip's, outside the blocks; transposed ones are marked
OUTSIDE = {
    "logit_scale": "logit_scale",
    "visual_projection.weight": "visual.proj T",
    "text_projection.weight": "text.text_projection T",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "text_model.embeddings.token_embedding.weight": "text.token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "text.positional_embedding",
    **{f"vision_model.pre_layrnorm.{p}": f"visual.ln_pre.{p}" for p in ("weight", "bias")},
    **{f"vision_model.post_layernorm.{p}": f"visual.ln_post.{p}" for p in ("weight", "bias")},
    **{f"text_model.final_layer_norm.{p}": f"text.ln_final.{p}" for p in ("weight", "bias")},
}
BLOCK = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
         "self_attn.out_proj": "attn.out_proj"}  # fmt: skip
BLOCKS = {"vision_model.encoder.layers": "visual.transformer.resblocks",
          "text_model.encoder.layers": "text.transformer.resblocks"}  # fmt: skip


def to_open_clip(state: dict, layers: int) -> dict:
    """transformers' CLIPModel weights in the layout of open_clip's CustomTextCLIP."""
    out = {}
    for ours, theirs in OUTSIDE.items():
        out[theirs.removesuffix(" T")] = state[ours].T if theirs.endswith(" T") else state[ours]
    for ours, theirs in BLOCKS.items():
        for i in range(layers):
            for part in ("weight", "bias"):
                for a, b in BLOCK.items():
                    out[f"{theirs}.{i}.{b}.{part}"] = state[f"{ours}.{i}.{a}.{part}"]
                qkv = [state[f"{ours}.{i}.self_attn.{x}_proj.{part}"] for x in "qkv"]
                out[f"{theirs}.{i}.attn.in_proj_{part}"] = torch.cat(qkv)
    return out


def from_open_clip(state: dict, layers: int) -> dict:
    """The way back."""
    out = {}
    for ours, theirs in OUTSIDE.items():
        value = state[theirs.removesuffix(" T")]
        out[ours] = value.T.contiguous() if theirs.endswith(" T") else value
    for ours, theirs in BLOCKS.items():
        for i in range(layers):
            for part in ("weight", "bias"):
                for a, b in BLOCK.items():
                    out[f"{ours}.{i}.{a}.{part}"] = state[f"{theirs}.{i}.{b}.{part}"]
                for x, value in zip("qkv", state[f"{theirs}.{i}.attn.in_proj_{part}"].chunk(3), strict=True):
                    out[f"{ours}.{i}.self_attn.{x}_proj.{part}"] = value
    return out


def flat(state: dict) -> dict:
    """The layout of open_clip's CLIP (that of OpenAI), whose text tower lies at the top."""
    return {k.removeprefix("text."): v for k, v in state.items()}


def counterpart(kind, config: CLIPConfig, quick_gelu: bool):
    """An open_clip model of the same architecture."""
    vision, text = config.vision_config, config.text_config
    return kind(
        config.projection_dim,
        CLIPVisionCfg(
            layers=vision.num_hidden_layers, width=vision.hidden_size, patch_size=vision.patch_size,
            head_width=vision.hidden_size // vision.num_attention_heads, image_size=vision.image_size,
            mlp_ratio=vision.intermediate_size / vision.hidden_size,
        ),
        CLIPTextCfg(
            context_length=text.max_position_embeddings, vocab_size=text.vocab_size, width=text.hidden_size,
            heads=text.num_attention_heads, layers=text.num_hidden_layers,
            mlp_ratio=text.intermediate_size / text.hidden_size,
        ),
        quick_gelu=quick_gelu,
    ).eval()  # fmt: skip


@pytest.fixture(scope="module", params=["quick_gelu", "gelu"])
def activation(request) -> str:
    """OpenAI's models use quick_gelu, LAION's gelu."""
    return request.param


@pytest.fixture(scope="module")
def model(checkpoints, activation) -> CLIPModel:
    config = CLIPConfig.from_pretrained(checkpoints["clip"])
    config.vision_config.hidden_act = config.text_config.hidden_act = activation
    torch.manual_seed(1)
    model = CLIPModel(config).eval()
    with torch.no_grad():  # fresh biases are zero and norms one: move them, or half of the mapping goes untested
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def inputs(checkpoints):
    torch.manual_seed(2)
    length = CLIPConfig.from_pretrained(checkpoints["clip"]).text_config.max_position_embeddings
    tokenizer = AutoTokenizer.from_pretrained(checkpoints["clip"])
    tokens = tokenizer(CAPTIONS, padding="max_length", max_length=length, return_tensors="pt")["input_ids"]
    return torch.randn(4, 3, 32, 32), tokens


def features(model, pixels, tokens) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        if isinstance(model, CLIPModel):
            return (
                model.get_image_features(pixel_values=pixels).pooler_output,
                model.get_text_features(input_ids=tokens).pooler_output,
            )
        return model.encode_image(pixels), model.encode_text(tokens)


@pytest.mark.parametrize("kind", [CustomTextCLIP, CLIP])
class TestSameWeightsSameFeatures:
    def test_from_transformers_to_open_clip(self, model, inputs, activation, kind):
        theirs = counterpart(kind, model.config, activation == "quick_gelu")
        state = to_open_clip(model.state_dict(), layers=2)
        theirs.load_state_dict(state if kind is CustomTextCLIP else flat(state))  # strict: every weight has its place
        for a, b in zip(features(model, *inputs), features(theirs, *inputs), strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)

    def test_from_open_clip_to_transformers(self, model, inputs, activation, kind):
        torch.manual_seed(3)
        theirs = counterpart(kind, model.config, activation == "quick_gelu")
        with torch.no_grad():
            for parameter in theirs.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        state = theirs.state_dict()
        if kind is CLIP:
            state = {k if k == "logit_scale" or k.startswith("visual.") else f"text.{k}": v for k, v in state.items()}
        ours = CLIPModel(model.config).eval()
        told = ours.load_state_dict(from_open_clip(state, layers=2), strict=False)
        assert not told.unexpected_keys
        assert all("position_ids" in key for key in told.missing_keys)
        for a, b in zip(features(theirs, *inputs), features(ours, *inputs), strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)

    def test_the_wrong_activation_is_noticed(self, model, inputs, activation, kind):
        theirs = counterpart(kind, model.config, activation != "quick_gelu")
        state = to_open_clip(model.state_dict(), layers=2)
        theirs.load_state_dict(state if kind is CustomTextCLIP else flat(state))
        ours, other = features(model, *inputs)[0], features(theirs, *inputs)[0]
        assert float((ours - other).abs().max()) > 1e-3


def test_there_and_back_is_the_same(model):
    state = {k: v for k, v in model.state_dict().items() if "position_ids" not in k}
    again = from_open_clip(to_open_clip(state, layers=2), layers=2)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[k], state[k]) for k in state)


def test_our_encoder_gives_open_clips_features(model, inputs, activation, checkpoints, tmp_path):
    """The whole path of this project: a folder, uint8 pixels and texts in, open_clip's numbers out."""
    model.save_pretrained(tmp_path)
    for file in checkpoints["clip"].iterdir():
        if "token" in file.name or "preprocessor" in file.name:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    theirs = counterpart(CustomTextCLIP, model.config, activation == "quick_gelu")
    theirs.load_state_dict(to_open_clip(model.state_dict(), layers=2))
    pixels = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images, texts = features(theirs, pixels.float() / 127.5 - 1, inputs[1])
    encoder = Encoder(tmp_path)
    torch.testing.assert_close(encoder.images(pixels), images, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(encoder.texts(CAPTIONS), texts, atol=1e-4, rtol=1e-4)
