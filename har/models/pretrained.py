"""Checkpoints in the hub's format as classifiers and as frozen encoders (transformers' own classes).

A folder without model.safetensors holds an architecture only: its weights are drawn from torch's global
generator (`source: random`, the ablation of pre-training).
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import linear
from transformers import AutoConfig, AutoModel, AutoModelForImageClassification, AutoTokenizer
from transformers.utils import logging

from har.errors import HarError
from har.hub_files import check_model, check_small_files
from har.models.preprocess import Preprocess, from_folder
from har.models.sound import check_answers, check_finite, check_size, opening

# A new head on an old backbone is what we ask for; transformers would warn about it at each load.
logging.set_verbosity_error()
logging.disable_progress_bar()

# What may be missing in a checkpoint beside the head, which is always new: ViT's pooler is not used.
DRAWN = ("pooler.",)
# A block of layers as the families name it: layers.3 (ViT, CLIP), layer.3 (DINOv2), stages.1.layers.0 (ConvNeXt,
# ResNet), layers.1.blocks.0 (Swin), blocks.7 (EfficientNet). What a stage holds beside its blocks has one number.
BLOCK = re.compile(r"(?:^|\.)((?:stages|layers?|blocks?)\.\d+)(?:\.((?:layers?|blocks?)\.\d+)(?=\.))?\.")


def _load(auto, folder: str | Path, **options) -> nn.Module:
    folder, weights = Path(folder), options.pop("weights", True)
    held = check_model(folder)
    with opening(folder, "a model in the hub's format"):
        named = {key: value for key, value in options.items() if key != "ignore_mismatched_sizes"}
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, **named)
        check_size(lambda: auto.from_config(config), held if weights else None)
        if held is not None and weights:
            model, told = auto.from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **options,
            )
            # transformers draws what a file lacks at random and goes on: a pretrained model only in name
            lacking = sorted({*told["missing_keys"], *(key for key, *_ in told["mismatched_keys"])})
            new = (*DRAWN, f"{_head_name(model)}.") if "id2label" in options else DRAWN
            lacking = [key for key in lacking if not key.startswith(new)]
            if lacking:
                raise ValueError(f"its weights lack {lacking[0]} or have it in another shape ({len(lacking)} such)")
            check_finite(model)
            return model
        return auto.from_config(config).float()


def classifier(folder: str | Path, classes: Sequence[str], weights: bool = True) -> nn.Module:
    """The checkpoint's image encoder with a new linear head for `classes`, all parameters trainable. weights: False
    takes its architecture alone, as a folder without weights does.

    Any checkpoint that AutoModelForImageClassification opens. What the head sees is the family's own: CLIP and
    SigLIP average the patch tokens, ViT takes the class token, DINOv2 both, ConvNeXt the mean of the map;
    output.logits is [n, classes].
    """
    return _load(
        AutoModelForImageClassification,
        folder,
        weights=weights,
        id2label=dict(enumerate(classes)),
        label2id={c: i for i, c in enumerate(classes)},
        # a checkpoint that told several things at once (our ViT) would make the hub's pipeline take a sigmoid
        problem_type="single_label_classification",
        ignore_mismatched_sizes=True,
    )


def finetuned(folder: str | Path) -> nn.Module:
    """A classifier as training left it, head and all; `config.id2label` tells its classes in order.

    Raises HarError for a folder without weights or whose weights lack the head.
    """
    if not list(Path(folder).glob("model.safetensors*")):
        raise HarError(f"{folder}: no model.safetensors; expected a fine-tuned model in the hub's format")
    return _load(AutoModelForImageClassification, folder, ignore_mismatched_sizes=True).eval()


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


def patches_as_products(network: nn.Module) -> nn.Module:
    """`network` itself, its convolutions of patches that lie side by side (the first layer of a ViT) now products of
    matrices: the same numbers but for rounding. On CPUs the gradient of such a convolution with respect to the image
    takes as long as the rest of a small transformer, the product's a tenth of that."""

    def product(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        (high, wide), channels = conv.kernel_size, x.shape[1]
        rows, columns = x.shape[2] // high, x.shape[3] // wide
        patches = x[:, :, : rows * high, : columns * wide].reshape(-1, channels, rows, high, columns, wide)
        flat = patches.permute(0, 2, 4, 1, 3, 5).reshape(-1, rows * columns, channels * high * wide)
        return linear(flat, conv.weight.flatten(1), conv.bias).transpose(1, 2).unflatten(2, (rows, columns))

    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == module.stride:
            if module.padding in ((0, 0), "valid") and module.dilation == (1, 1) and module.groups == 1:
                module.forward = partial(product, module)
    return network


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
    blocks: list[str] = []
    depths, late = {}, set()
    for name, match in found.items():
        block = name[: match.end()] if match and (match[2] or not two_levels) else None
        if block is not None and block not in blocks:
            blocks.append(block)
        if block is not None:
            depths[name] = blocks.index(block) + 1
        elif match or not blocks or "embeddings" in name:
            depths[name] = len(blocks) if match else 0
        else:
            late.add(name)
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


def pooled(model: nn.Module, output) -> torch.Tensor:
    """One vector an image, [n, width], from the output of an encoder without a text tower.

    The encoder's own pooling where it has one that image classifiers use: the mean of the map (ConvNeXt, ResNet,
    Swin) or of the patches (BEiT), the normed class token (DINOv2). ViT's pooler is BERT's dense layer, which no
    classifier uses and many checkpoints lack: there the class token after the final norm. Else the mean.
    """
    hidden, own = output.last_hidden_state, getattr(output, "pooler_output", None)
    pooler = getattr(model, "pooler", None)
    dense = pooler is not None and any(isinstance(module, nn.Linear) for module in pooler.modules())
    if own is not None and not dense:
        return own.flatten(1)
    if hidden.ndim == 4:  # [n, width, height, width]
        return hidden.mean((2, 3))
    token = any(name.endswith(("cls_token", "class_embedding")) for name, _ in model.named_parameters())
    return hidden[:, 0] if token else hidden.mean(1)


def require_fit(folder: str | Path, model: nn.Module, preprocess: Preprocess, forward: Callable) -> None:
    """HarError unless `model` takes an image as the folder's own preprocessing makes it: `forward(pixels)` is tried on
    a black one. Some networks are bound to their size, others scale what they learnt of places."""
    training = model.training
    device = next(model.parameters()).device
    try:
        with torch.no_grad():
            model.eval()
            forward(
                preprocess.normalise(torch.zeros(1, 3, preprocess.size, preprocess.size, dtype=torch.uint8)).to(device)
            )
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise HarError(
            f"{folder}: its preprocessing, images of {preprocess.size} pixels, does not fit its network: {reason}; "
            "take both of the same revision, or correct size, crop_size, image_mean and image_std in "
            "preprocessor_config.json"
        ) from None
    finally:
        model.train(training)


class Encoder:
    """A frozen checkpoint: image embeddings and, where it has a text tower, text embeddings."""

    def __init__(self, folder: str | Path, device: str = "cpu"):
        self.folder = Path(folder)
        self.device = device
        self.preprocess = from_folder(folder)
        self.model = _load(AutoModel, folder).eval().to(device)
        self.has_text = hasattr(self.model, "get_text_features")
        require_fit(folder, self.model, self.preprocess, self._embedded)

    @torch.inference_mode()
    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, size, size] to embeddings [n, width]: the projected embedding of CLIP and SigLIP, what
        `pooled` says of others. Not normalised."""
        return self._embedded(self.preprocess.normalise(torch.as_tensor(pixels).to(self.device)))

    def _embedded(self, x: torch.Tensor) -> torch.Tensor:
        if self.has_text:
            return self.model.get_image_features(pixel_values=x).pooler_output
        return pooled(self.model, self.model(pixel_values=x))

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Texts to embeddings [n, width], not normalised. Raises HarError for an encoder without text."""
        if not self.has_text:
            raise HarError(f"{self.folder}: this encoder has no text tower")
        check_small_files(self.folder)
        with opening(self.folder, "a tokenizer and text tower that fit each other"):
            tokenizer = AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False, local_files_only=True)
            length = self.model.config.text_config.max_position_embeddings
            # SigLIP pools the last position, so it needs the padding that it was trained with
            padding = "max_length" if self.model.config.model_type.startswith("siglip") else True
            tokens = tokenizer(list(texts), padding=padding, truncation=True, max_length=length, return_tensors="pt")
            inputs = {"input_ids": tokens["input_ids"].to(self.device)}
            if padding is True:
                inputs["attention_mask"] = tokens["attention_mask"].to(self.device)
            found = self.model.get_text_features(**inputs).pooler_output
            check_answers(found, (len(texts), found.shape[-1]))
        return found

    @property
    def logit_scale(self) -> float:
        """The temperature that pre-training learned (CLIP, SigLIP), as a factor on cosines."""
        return float(self.model.logit_scale.detach().exp())
