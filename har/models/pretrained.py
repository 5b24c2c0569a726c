"""Checkpoints in the hub's format as classifiers and as frozen encoders (transformers' own classes).

A folder without model.safetensors holds an architecture only: its weights are drawn from torch's global
generator (`source: random`, the ablation of pre-training).
"""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForImageClassification, AutoTokenizer
from transformers.utils import logging

from har.errors import HarError
from har.models.preprocess import from_folder

# A new head on an old backbone is what we ask for; transformers would warn about it at each load.
logging.set_verbosity_error()
logging.disable_progress_bar()

# What may be missing in a checkpoint: the head is always new, ViT's pooler is not used.
DRAWN = ("classifier.", "pooler.")


def _load(auto, folder: str | Path, **options) -> nn.Module:
    folder = Path(folder)
    files = ("model.safetensors", "model.safetensors.index.json") if options.pop("weights", True) else ()
    try:
        if any((folder / name).exists() for name in files):
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
            lacking = [key for key in lacking if not key.startswith(DRAWN)]
            if lacking:
                raise ValueError(f"its weights lack {lacking[0]} or have it in another shape ({len(lacking)} such)")
            return model
        options.pop("ignore_mismatched_sizes", None)
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, **options)
        return auto.from_config(config).float()
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise HarError(f"{folder}: not a model in the hub's format: {reason}") from None


def classifier(folder: str | Path, classes: Sequence[str], weights: bool = True) -> nn.Module:
    """The checkpoint's image encoder with a new linear head for `classes`, all parameters trainable. weights: False
    takes its architecture alone, as a folder without weights does.

    CLIP and SigLIP average the patch tokens, ViT takes the class token (transformers'
    *ForImageClassification); output.logits is [n, classes].
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


def head_inputs(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the linear head of a transformers classifier sees for images x: [n, width]."""
    seen = []
    hook = model.classifier.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        model(x)
    finally:
        hook.remove()
    return seen[0]


def layer_groups(model: nn.Module, learning_rate: float, head_learning_rate: float, decay: float) -> list[dict]:
    """Parameter groups with a learning rate that shrinks by `decay` per layer towards the input; the
    head has its own. Each group carries `parameters_1d`: biases and norms, which take no weight decay. Frozen
    parameters are in no group."""
    depth = 1 + max(
        (int(m.group(1)) for n, _ in model.named_parameters() if (m := re.search(r"layers?\.(\d+)\.", n))),
        default=0,
    )
    groups: dict[tuple[float, bool], dict] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("classifier."):
            rate = head_learning_rate
        elif match := re.search(r"layers?\.(\d+)\.", name):
            rate = learning_rate * decay ** (depth - 1 - int(match.group(1)))
        elif "embeddings" in name or "pre_layrnorm" in name:
            rate = learning_rate * decay**depth
        else:
            rate = learning_rate
        flat = parameter.ndim <= 1
        group = groups.setdefault((rate, flat), {"params": [], "lr": rate, "parameters_1d": flat})
        group["params"].append(parameter)
    return list(groups.values())


class Encoder:
    """A frozen checkpoint: image embeddings and, where it has a text tower, text embeddings."""

    def __init__(self, folder: str | Path, device: str = "cpu"):
        self.folder = Path(folder)
        self.device = device
        self.preprocess = from_folder(folder)
        self.model = _load(AutoModel, folder).eval().to(device)
        self.has_text = hasattr(self.model, "get_text_features")

    @torch.inference_mode()
    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, size, size] to embeddings [n, width]: the projected embedding of CLIP and SigLIP,
        the class token after the final norm of ViT. Not normalised."""
        x = self.preprocess.normalise(torch.as_tensor(pixels).to(self.device))
        if self.has_text:
            return self.model.get_image_features(pixel_values=x).pooler_output
        return self.model(pixel_values=x).last_hidden_state[:, 0]

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Texts to embeddings [n, width], not normalised. Raises HarError for an encoder without text."""
        if not self.has_text:
            raise HarError(f"{self.folder}: this encoder has no text tower")
        tokenizer = AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False)
        length = self.model.config.text_config.max_position_embeddings
        # SigLIP pools the last position, so it needs the padding that it was trained with
        padding = "max_length" if self.model.config.model_type.startswith("siglip") else True
        tokens = tokenizer(list(texts), padding=padding, truncation=True, max_length=length, return_tensors="pt")
        inputs = {"input_ids": tokens["input_ids"].to(self.device)}
        if padding is True:
            inputs["attention_mask"] = tokens["attention_mask"].to(self.device)
        return self.model.get_text_features(**inputs).pooler_output

    @property
    def logit_scale(self) -> float:
        """The temperature that pre-training learned (CLIP, SigLIP), as a factor on cosines."""
        return float(self.model.logit_scale.detach().exp())
