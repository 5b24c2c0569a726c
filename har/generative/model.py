"""A LLaVA checkpoint in the hub's format with its processor, weights as safetensors only."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoProcessor, LlavaForConditionalGeneration, LlavaNextForConditionalGeneration, ProcessorMixin

from har.errors import HarError

CLASSES = {"llava": LlavaForConditionalGeneration, "llava_next": LlavaNextForConditionalGeneration}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Talker:
    """model in evaluation mode; processor pads on the right, where a causal model does not look back from."""

    model: nn.Module
    processor: ProcessorMixin

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.model.parameters()).dtype


def load(folder: str | Path, dtype: str, device: str, spread: bool = False) -> Talker:
    """The checkpoint in `folder`, its weights as `dtype` on `device` or, `spread`, over all that the machine has
    (accelerate's device_map "auto"). Raises HarError for a folder that is no LLaVA with all its weights."""
    folder = Path(folder)
    try:
        kind = json.loads((folder / "config.json").read_text()).get("model_type")
        if kind not in CLASSES:
            raise ValueError(f"model_type is {kind!r}, expected one of {', '.join(CLASSES)}")
        model, told = CLASSES[kind].from_pretrained(
            folder,
            dtype=DTYPES[dtype],
            device_map="auto" if spread else None,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        lacking = sorted({*told["missing_keys"], *(key for key, *_ in told["mismatched_keys"])})
        if lacking:
            raise ValueError(f"its weights lack {lacking[0]} or have it in another shape ({len(lacking)} such)")
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError, AttributeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise HarError(f"{folder}: not a LLaVA in the hub's format: {reason}") from None
    # older checkpoints leave these to the model's configuration, without them the processor can't expand <image>
    processor.patch_size = model.config.vision_config.patch_size
    processor.vision_feature_select_strategy = model.config.vision_feature_select_strategy
    processor.num_additional_image_tokens = 1  # CLIP's class token
    tokenizer = processor.tokenizer
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if not spread:
        model = model.to(device)
    return Talker(model.eval(), processor)
