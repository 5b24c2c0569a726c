"""The log-likelihood of each label as the answer, given the image and the question."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from har.config.models import Generative
from har.core.errors import HarError
from har.models.llava.model import Talker
from har.models.llava.prompts import orders, prompt


def answer_length(talker: Talker, before: str, answer: str) -> int:
    """Tokens at the end of `before` + " " + `answer` that `before` alone does not have."""
    encode = talker.processor.tokenizer.encode
    alone, whole = encode(before), encode(f"{before} {answer}")
    same = 0
    while same < min(len(alone), len(whole)) and alone[same] == whole[same]:
        same += 1
    if same == len(whole):
        raise HarError(f"generative: the answer {answer!r} adds no token to the prompt")
    return len(whole) - same


def log_likelihoods(
    talker: Talker, images: Sequence[Image.Image], befores: Sequence[str], answers: Sequence[str]
) -> torch.Tensor:
    """Mean log-probability (nats) over the tokens of each answer after its image and prompt, float32 [n], with
    gradients where they are on. The mean, as a sum would favour short answers."""
    lengths = [answer_length(talker, before, answer) for before, answer in zip(befores, answers, strict=True)]
    texts = [f"{before} {answer}" for before, answer in zip(befores, answers, strict=True)]
    inputs = talker.processor(images=list(images), text=texts, padding=True, return_tensors="pt").to(talker.device)
    inputs["pixel_values"] = inputs["pixel_values"].to(talker.dtype)
    ends = inputs["attention_mask"].sum(1).tolist()
    total = inputs["input_ids"].shape[1]
    # logits over a vocabulary of 32,000 for each of up to 2,900 image tokens would take more room than the model
    first = min(end - length for end, length in zip(ends, lengths, strict=True)) - 1
    logits = talker.model(**inputs, logits_to_keep=total - first).logits.float()
    told = []
    for row, (end, length) in enumerate(zip(ends, lengths, strict=True)):
        at = slice(end - length - 1 - first, end - 1 - first)  # each token is told from the place before it
        tokens = inputs["input_ids"][row, end - length : end].to(logits.device)
        told.append(logits[row, at].log_softmax(-1).gather(1, tokens[:, None]).mean())
    return torch.stack(told)


@torch.inference_mode()
def probabilities(
    talker: Talker,
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
                talker,
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
