"""LLaVA-1.5 and LLaVA-NeXT as classifiers: how likely each label is as an answer, given the image and the question.

Such models favour what stands first or last in a list (Zheng et al. 2024, "Large Language Models Are Not Robust
Multiple Choice Selectors"), so every question is put with the labels in several orders.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from tqdm import tqdm
from transformers import (
    AutoConfig,
    AutoProcessor,
    LlavaForConditionalGeneration,
    LlavaNextForConditionalGeneration,
    ProcessorMixin,
)

from har.config.models import Generative
from har.core.errors import HarError
from har.models.checks import check_size, from_safetensors, opening
from har.models.hub_files import check_model, check_small_files
from har.models.registry import read_config

CLASSES = {"llava": LlavaForConditionalGeneration, "llava_next": LlavaNextForConditionalGeneration}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class VisionLanguageModel:
    """model in evaluation mode; processor pads on the right, where a causal model does not look back from."""

    model: nn.Module
    processor: ProcessorMixin

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.model.parameters()).dtype


def load(folder: str | Path, dtype: str, device: str, spread: bool = False) -> VisionLanguageModel:
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
        options = {"dtype": DTYPES[dtype], "device_map": "auto" if spread else None}
        model = from_safetensors(CLASSES[kind], folder, lambda model: (), **options)
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
    return VisionLanguageModel(model.eval(), processor)


def orders(labels: Mapping[str, str], which: str) -> list[tuple[str, ...]]:
    """The orders in which the answers are listed: "all" of them, or the "rotations" of one, in which each answer
    stands once in each place. They start from the sorted answers, so that the order of classes in params.yaml has no
    say."""
    answers = sorted(labels.values())
    if which == "all":
        return list(permutations(answers))
    return [tuple(answers[shift:] + answers[:shift]) for shift in range(len(answers))]


def prompt(template: str, question: str, order: tuple[str, ...]) -> str:
    """The text before the answer. template holds {question} (and <image>), question holds {labels}."""
    listed = ", ".join(order[:-1]) + f" or {order[-1]}"
    return template.replace("{question}", question.replace("{labels}", listed))


def answer_length(vlm: VisionLanguageModel, before: str, answer: str) -> int:
    """Tokens at the end of `before` + " " + `answer` that `before` alone does not have."""
    encode = vlm.processor.tokenizer.encode
    alone, whole = encode(before), encode(f"{before} {answer}")
    same = 0
    while same < min(len(alone), len(whole)) and alone[same] == whole[same]:
        same += 1
    if same == len(whole):
        raise HarError(f"generative: the answer {answer!r} adds no token to the prompt")
    return len(whole) - same


def log_likelihoods(
    vlm: VisionLanguageModel, images: Sequence[Image.Image], befores: Sequence[str], answers: Sequence[str]
) -> torch.Tensor:
    """Mean log-probability (nats) over the tokens of each answer after its image and prompt, float32 [n], with
    gradients where they are on. The mean, as a sum would favour short answers."""
    lengths = [answer_length(vlm, before, answer) for before, answer in zip(befores, answers, strict=True)]
    texts = [f"{before} {answer}" for before, answer in zip(befores, answers, strict=True)]
    inputs = vlm.processor(images=list(images), text=texts, padding=True, return_tensors="pt").to(vlm.device)
    inputs["pixel_values"] = inputs["pixel_values"].to(vlm.dtype)
    ends = inputs["attention_mask"].sum(1).tolist()
    total = inputs["input_ids"].shape[1]
    # logits over a vocabulary of 32,000 for each of up to 2,900 image tokens would take more room than the model
    first = min(end - length for end, length in zip(ends, lengths, strict=True)) - 1
    logits = vlm.model(**inputs, logits_to_keep=total - first).logits.float()
    told = []
    for row, (end, length) in enumerate(zip(ends, lengths, strict=True)):
        at = slice(end - length - 1 - first, end - 1 - first)  # each token is told from the place before it
        tokens = inputs["input_ids"][row, end - length : end].to(logits.device)
        told.append(logits[row, at].log_softmax(-1).gather(1, tokens[:, None]).mean())
    return torch.stack(told)


@torch.inference_mode()
def probabilities(
    vlm: VisionLanguageModel,
    image_ids: Sequence[int],
    opened: Callable[[int], Image.Image],
    labels: Mapping[str, str],
    config: Generative,
) -> np.ndarray:
    """float64 [n, classes] in the order of `labels` (class to answer): softmax of each answer's log-likelihood,
    averaged over the orders of the labels in the question. opened: the image of an id."""
    asked = orders(labels, config.orders)
    classes = list(labels)
    scores = np.zeros((len(image_ids), len(classes)))
    befores = [prompt(config.prompt, config.question, order) for order in asked]
    work = [(before, place) for before in befores for place in range(len(classes))]
    for row, image_id in enumerate(tqdm(image_ids, desc="answers", unit="image")):
        image = opened(image_id)
        for start in range(0, len(work), config.batch_size):
            batch = work[start : start + config.batch_size]
            found = log_likelihoods(
                vlm,
                [image] * len(batch),
                [before for before, _ in batch],
                [labels[classes[place]] for _, place in batch],
            )
            for (_, place), value in zip(batch, found.tolist(), strict=True):
                scores[row, place] += value / len(befores)
        if not np.isfinite(scores[row]).all():
            raise HarError(f"image {image_id}: a log-likelihood is not finite; try dtype float32")
    weights = np.exp(scores - scores.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)
