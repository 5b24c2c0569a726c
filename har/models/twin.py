"""open_clip's networks as transformers' own: the plain CLIP and SigLIP, architectures that both libraries have.

Only names differ, and how queries, keys and values are stored. What else a network has (another pooling, further
norms) has no place in the twin, so that loading is strict and says what it is.
"""

import re
from collections.abc import Mapping

import torch
from torch import nn
from transformers import CLIPConfig, CLIPModel, PreTrainedModel, SiglipConfig, SiglipModel

# open_clip's names, in the order in which they are replaced. A text tower at the top is that of its CLIP class.
NAMES = tuple((re.compile(pattern), name) for pattern, name in (
    (r"^(?=token_embedding|positional_embedding|transformer|ln_final|text_projection)", "text."),
    (r"^visual\.(conv1|trunk\.patch_embed\.proj)\.", "vision_model.embeddings.patch_embedding."),
    (r"^visual\.class_embedding$", "vision_model.embeddings.class_embedding"),
    (r"^visual\.(positional_embedding|trunk\.pos_embed)$", "vision_model.embeddings.position_embedding.weight"),
    (r"^visual\.ln_pre\.", "vision_model.pre_layrnorm."),
    (r"^visual\.(ln_post|trunk\.norm)\.", "vision_model.post_layernorm."),
    (r"^visual\.proj$", "visual_projection.weight"),
    (r"^visual\.(transformer\.resblocks|trunk\.blocks)\.", "vision_model.encoder.layers."),
    (r"^visual\.trunk\.attn_pool\.latent$", "vision_model.head.probe"),
    (r"^visual\.trunk\.attn_pool\.proj\.", "vision_model.head.attention.out_proj."),
    (r"^visual\.trunk\.attn_pool\.norm\.", "vision_model.head.layernorm."),
    (r"^visual\.trunk\.attn_pool\.", "vision_model.head."),
    (r"^text\.token_embedding\.", "text_model.embeddings.token_embedding."),
    (r"^text\.positional_embedding$", "text_model.embeddings.position_embedding.weight"),
    (r"^text\.transformer\.resblocks\.", "text_model.encoder.layers."),
    (r"^text\.ln_final\.", "text_model.final_layer_norm."),
    (r"^text\.text_projection$", "text_projection.weight"),
    (r"^text\.text_projection\.", "text_model.head."),
    (r"(layers\.\d+)\.(?:ln_|norm)([12])\.", r"\1.layer_norm\2."),
    (r"(layers\.\d+)\.attn\.(?:out_)?proj\.", r"\1.self_attn.out_proj."),
    (r"(layers\.\d+)\.attn\.(?:in_proj_|qkv\.)", r"\1.self_attn.qkv."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
))  # fmt: skip


class NoTwinError(ValueError):
    """What of a network transformers' CLIP and SigLIP do not have."""


def twin(model: nn.Module) -> PreTrainedModel:
    """transformers' network with the weights of an open_clip `model`, on its device (meta: its shapes alone).

    Raises NoTwinError with the reason for an architecture that transformers' CLIP and SigLIP are not.
    """
    try:
        config = _config(model)
    except (AttributeError, TypeError):
        seen = getattr(model.visual, "trunk", model.visual)
        raise NoTwinError(f"its image tower is timm's or open_clip's {type(seen).__name__}") from None
    kind = CLIPModel if isinstance(config, CLIPConfig) else SiglipModel
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[]), torch.device(device):
        made = kind(config).eval()
    wanted, have = made.state_dict(), _renamed(model.state_dict(), kind)
    for name in sorted((wanted.keys() | have.keys()) - {"logit_bias"}):
        if name not in have or name not in wanted or have[name].shape != wanted[name].shape:
            raise NoTwinError(f"{name} is " + ("missing" if name not in have else "not as in transformers"))
    if device.type != "meta":
        made.load_state_dict({name: have[name].float().contiguous() for name in wanted})
    return made


def _config(model: nn.Module) -> CLIPConfig | SiglipConfig:
    visual, text = model.visual, getattr(model, "text", model)
    block, causal = text.transformer.resblocks[0], text.attn_mask is not None
    pool = getattr(text, "text_pool_type", None) or text.pool_type
    told = {
        "vocab_size": text.vocab_size,
        "max_position_embeddings": text.context_length,
        **_tower(block.ln_1, block.mlp.c_fc, len(text.transformer.resblocks), block.attn.num_heads, block.mlp.gelu),
    }
    if hasattr(visual, "trunk"):
        trunk = visual.trunk
        seen, head = trunk.blocks[0], trunk.attn_pool
        if causal or pool != "last" or trunk.global_pool != "map" or len(visual.head) or head.mlp is None:
            raise NoTwinError("it is neither a plain CLIP nor a SigLIP")
        if _activation(head.mlp.act) != _activation(seen.mlp.act):
            raise NoTwinError("its pooling head has an activation of its own")
        image = {
            "image_size": _side(trunk.patch_embed.img_size),
            "patch_size": _side(trunk.patch_embed.patch_size),
            **_tower(seen.norm1, seen.mlp.fc1, len(trunk.blocks), seen.attn.num_heads, seen.mlp.act),
        }
        told["projection_size"] = text.text_projection.out_features
        return SiglipConfig(text_config=told, vision_config=image)
    eos = getattr(text, "text_eos_id", None) or text.eos_id
    # transformers takes 2 to mean the highest number, wherever it is; any other number for itself
    if not causal or pool not in ("argmax", "eos") or (pool == "eos" and eos == 2):
        raise NoTwinError(f"its text tower pools as transformers' CLIP does not (pool_type {pool})")
    if visual.attn_pool is not None or visual.pool_type != "tok":
        raise NoTwinError("its image tower does not pool the class token")
    told["eos_token_id"] = 2 if pool == "argmax" else eos
    seen, size = visual.transformer.resblocks[0], visual.output_dim
    image = {
        "image_size": _side(visual.image_size),
        "patch_size": _side(visual.patch_size),
        **_tower(seen.ln_1, seen.mlp.c_fc, len(visual.transformer.resblocks), seen.attn.num_heads, seen.mlp.gelu),
    }
    projection = {"projection_dim": size}
    return CLIPConfig(text_config=told | projection, vision_config=image | projection, **projection)


def _tower(norm: nn.Module, dense: nn.Linear, layers: int, heads: int, activation: nn.Module) -> dict:
    return {
        "hidden_size": dense.in_features,
        "intermediate_size": dense.out_features,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "layer_norm_eps": norm.eps,
        "hidden_act": _activation(activation),
    }


def _activation(module: nn.Module) -> str:
    name, tanh = type(module).__name__, getattr(module, "approximate", "none") == "tanh"
    if name == "QuickGELU":
        return "quick_gelu"
    if name == "GELUTanh" or (name == "GELU" and tanh):
        return "gelu_pytorch_tanh"
    if name == "GELU":
        return "gelu"
    raise NoTwinError(f"its activation is {name}")


def _side(size: int | tuple[int, int]) -> int:
    high, wide = (size, size) if isinstance(size, int) else size
    if high != wide:
        raise NoTwinError(f"its images or patches are no squares ({high} × {wide})")
    return high


def _renamed(state: Mapping[str, torch.Tensor], kind: type[PreTrainedModel]) -> dict[str, torch.Tensor]:
    """open_clip's tensors under transformers' names, where there are such."""
    out: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        for pattern, other in NAMES:
            name = pattern.sub(other, name)
        if name in ("visual_projection.weight", "text_projection.weight"):
            value = value.T
        elif name.endswith("position_embedding.weight"):
            value = value.flatten(0, -2)
        elif name in ("logit_scale", "logit_bias"):
            value = value.reshape(() if kind is CLIPModel else (1,))
        if ".self_attn.qkv." in name:
            parts = zip("qkv", value.chunk(3), strict=True)
            out |= {name.replace(".qkv.", f".{one}_proj."): part for one, part in parts}
        else:
            out[name] = value
    for part in ("weight", "bias"):  # of SigLIP's pooling
        query, others = (out.pop(f"vision_model.head.{one}.{part}", None) for one in ("q", "kv"))
        if query is not None and others is not None:
            out[f"vision_model.head.attention.in_proj_{part}"] = torch.cat([query, others])
    return out if kind is SiglipModel else {name: value for name, value in out.items() if name != "logit_bias"}
