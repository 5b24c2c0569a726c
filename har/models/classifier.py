"""Checkpoints in the hub's format as classifiers and as frozen encoders (transformers' own classes).

A folder without model.safetensors holds an architecture only: its weights are drawn from torch's global
generator (`source: random`, the ablation of pre-training).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForImageClassification
from transformers.utils import logging

from har.core.errors import HarError
from har.core.readers import read_json
from har.models.checks import check_size, from_safetensors, opening
from har.models.contrastive import FAMILIES, EmbeddingClassifier, tower_config
from har.models.hub_files import check_model

# A new head on an old backbone is what we ask for; transformers would warn about it at each load.
logging.set_verbosity_error()
logging.disable_progress_bar()
# What may be missing in a checkpoint beside the head, which is always new: ViT's pooler is not used.
DRAWN = ("pooler.",)
# A block of layers as the families name it: layers.3 (ViT, CLIP), layer.3 (DINOv2), stages.1.layers.0 (ConvNeXt,
# ResNet), layers.1.blocks.0 (Swin), blocks.7 (EfficientNet). What a stage holds beside its blocks has one number.
BLOCK = re.compile(r"(?:^|\.)((?:stages|layers?|blocks?)\.\d+)(?:\.((?:layers?|blocks?)\.\d+)(?=\.))?\.")


def load(auto, folder: str | Path, labels: dict | None = None, weights: bool = True) -> nn.Module:
    """The checkpoint in `folder` as a network of transformers' class `auto`, in float32; without `weights`, or where
    the folder has none, freshly drawn. labels: for a new head. HarError for what is no model with all its weights."""
    folder = Path(folder)
    held = check_model(folder)
    with opening(folder, "a model in the hub's format"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, **labels or {})
        if auto is EmbeddingClassifier:
            config = tower_config(config, **labels or {})
        check_size(lambda: auto.from_config(config), held if weights else None)
        if held is None or not weights:
            return auto.from_config(config).float()

        def new(model: nn.Module) -> tuple[str, ...]:
            return (*DRAWN, f"{_head_name(model)}.") if labels else DRAWN

        return from_safetensors(auto, folder, new, config=config, dtype=torch.float32)


def classifier(
    folder: str | Path,
    classes: Sequence[str],
    pool: Literal["embedding", "patches"] = "embedding",
    weights: bool = True,
) -> nn.Module:
    """The checkpoint's image encoder with a new linear head for `classes`, all parameters trainable; output.logits is
    [n, classes].

    Args:
        folder: any checkpoint that AutoModelForImageClassification opens.
        classes: in the order of the logits.
        pool: what the head sees of CLIP and SigLIP: their embedding (EmbeddingClassifier), or the mean of their
            patches, as AutoModelForImageClassification has it. Of any other family it is what that class takes: of
            ViT the class token, of DINOv2 both, of ConvNeXt the mean of the map.
        weights: False takes the architecture alone, as a folder without weights does.
    """
    labels = {
        "id2label": dict(enumerate(classes)),
        "label2id": {c: i for i, c in enumerate(classes)},
        # a checkpoint that told several things at once (our ViT) would make the hub's pipeline take a sigmoid
        "problem_type": "single_label_classification",
    }
    auto = EmbeddingClassifier if pool == "embedding" and _contrastive(folder) else AutoModelForImageClassification
    return load(auto, folder, labels, weights)


def finetuned(folder: str | Path) -> nn.Module:
    """A classifier as training left it, head and all; `config.id2label` tells its classes in order.

    Raises HarError for a folder without weights or whose weights lack the head.
    """
    if not list(Path(folder).glob("model.safetensors*")):
        raise HarError(f"{folder}: no model.safetensors; expected a fine-tuned model in the hub's format")
    auto = EmbeddingClassifier if _contrastive(folder) else AutoModelForImageClassification
    return load(auto, folder).eval()


def _contrastive(folder: str | Path) -> bool:
    """Whether the folder holds a CLIP or SigLIP, and not transformers' classifier on its patches."""
    check_model(Path(folder))
    config = read_json(Path(folder) / "config.json", "a model")
    return config.get("model_type") in FAMILIES and "ForImageClassification" not in str(config.get("architectures"))


def _head_name(model: nn.Module) -> str:
    """The linear layer that gives the logits: the last one with an output for each class. ValueError without one."""
    size = model.config.num_labels
    linear = [name for name, m in model.named_modules() if isinstance(m, nn.Linear) and m.out_features == size]
    if not linear:
        raise ValueError(f"{type(model).__name__} has no linear head, which training needs")
    return linear[-1]


def head_of(model: nn.Module) -> nn.Linear:
    """The linear head of a transformers classifier, whatever its name; HarError where it has none."""
    try:
        return model.get_submodule(_head_name(model))
    except ValueError as error:
        raise HarError(str(error)) from None


def head_inputs(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the linear head of a transformers classifier sees for images x: [n, width]."""
    seen = []
    hook = head_of(model).register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        model(x)
    finally:
        hook.remove()
    return seen[0]


def block_depths(names: Sequence[str]) -> dict[str, int]:
    """How deep each parameter of a network without its head lies: 0 before the first block of layers, then the
    number of its block, from 1; what follows the last block, as a final norm, lies as deep as the network.

    names: in the order of the forward pass, as parameters are registered. What a stage holds beside its blocks, as
    the downsampling of ConvNeXt and Swin, counts to the block before it.
    """
    found = {name: BLOCK.search(name) for name in names}
    two_levels = any(match and match[2] for match in found.values())
    blocks: dict[str, int] = {}
    depths, late = {}, []
    for name, match in found.items():
        if match and (match[2] or not two_levels):
            depths[name] = blocks.setdefault(name[: match.end()], len(blocks) + 1)
        elif match:
            depths[name] = len(blocks)
        elif not blocks or "embeddings" in name:
            depths[name] = 0
        else:
            late.append(name)
    return depths | dict.fromkeys(late, len(blocks))


def layer_groups(model: nn.Module, learning_rate: float, head_learning_rate: float, decay: float) -> list[dict]:
    """Parameter groups with a learning rate that shrinks by `decay` per block towards the input; the
    head has its own. Each group carries `parameters_1d`: biases and norms, which take no weight decay. Frozen
    parameters are in no group."""
    head = {id(parameter) for parameter in head_of(model).parameters()}
    depths = block_depths([name for name, parameter in model.named_parameters() if id(parameter) not in head])
    depth = max(depths.values())
    groups: dict[tuple[float, bool], dict] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if id(parameter) in head:
            rate = head_learning_rate
        else:
            rate = learning_rate * decay ** (depth - depths[name])
        flat = parameter.ndim <= 1
        group = groups.setdefault((rate, flat), {"params": [], "lr": rate, "parameters_1d": flat})
        group["params"].append(parameter)
    return list(groups.values())
