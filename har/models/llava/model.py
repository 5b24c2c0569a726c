"""A LLaVA checkpoint in the hub's format with its processor, weights as safetensors only."""

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from transformers import (
    AutoConfig,
    AutoProcessor,
    LlavaForConditionalGeneration,
    LlavaNextForConditionalGeneration,
    ProcessorMixin,
)

from har.models.checks import check_finite, check_size, opening
from har.models.hub_files import check_model, check_small_files
from har.models.registry import read_config

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
    kind = read_config(folder).get("model_type")
    with opening(folder, "a LLaVA in the hub's format"):
        if not isinstance(kind, str) or kind not in CLASSES:
            raise ValueError(f"model_type is {kind!r:.60}, expected one of {', '.join(CLASSES)}")
        if (held := check_model(folder)) is None:
            raise ValueError("it has no weights as safetensors")
        check_small_files(folder)
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        check_size(lambda: CLASSES[kind](config), held)
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
        check_finite(model)
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        # older checkpoints leave these to the model's configuration, without them the processor can't expand <image>
        processor.patch_size = model.config.vision_config.patch_size
        processor.vision_feature_select_strategy = model.config.vision_feature_select_strategy
        processor.num_additional_image_tokens = 1  # CLIP's class token
        tokenizer = processor.tokenizer
        tokenizer.padding_side = "right"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        # what does not fit together is told now, not after the weights have found their device
        processor(images=[Image.new("RGB", (32, 32))], text=[processor.image_token], return_tensors="pt")
    if not spread:
        model = model.to(device)
    return Talker(model.eval(), processor)
