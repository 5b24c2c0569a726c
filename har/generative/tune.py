"""LoRA fine-tuning of a LLaVA's language model on the training images' labels; image tower and projector stay."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from tqdm import tqdm

from har.errors import HarError
from har.generative.model import Talker
from har.generative.prompts import orders, prompt
from har.generative.score import log_likelihoods
from har.params.generative import Generative

# Query and value projections of the language model, not of the image tower, which calls them the same.
TARGETS = r".*language_model.*\.(q_proj|v_proj)"


def tune(
    talker: Talker,
    image_ids: Sequence[int],
    targets: Sequence[str],
    opened: Callable[[int], Image.Image],
    labels: Mapping[str, str],
    config: Generative,
    seed: int,
) -> tuple[Talker, list[float]]:
    """The model with low-rank updates that make each image's own answer likely (`targets`: its class), and the mean
    loss of each epoch. The labels' order in the question is drawn anew for each image. The adapters are kept in
    float32, whatever the weights below are. Wraps `talker.model` in place: load it again for another seed.

    Raises HarError where the loss is not finite.
    """
    lora = config.lora
    torch.manual_seed(seed)
    model = get_peft_model(
        talker.model, LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules=TARGETS)
    )
    tuned = Talker(model, talker.processor)
    # no dropout anywhere: the model stays in evaluation mode, as it is when it is asked
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lora.learning_rate)
    asked = orders(labels, config.orders)
    batches = -(-len(image_ids) // lora.batch_size)
    steps = lora.epochs * batches
    history = []
    for epoch in range(lora.epochs):
        rows, total = torch.randperm(len(image_ids)).tolist(), 0.0
        for step in tqdm(range(batches), desc=f"epoch {epoch + 1} of {lora.epochs}", unit="step"):
            batch = rows[step * lora.batch_size : (step + 1) * lora.batch_size]
            drawn = torch.randint(len(asked), (len(batch),)).tolist()
            found = log_likelihoods(
                tuned,
                [opened(image_ids[row]) for row in batch],
                [prompt(config.prompt, config.question, asked[order]) for order in drawn],
                [labels[targets[row]] for row in batch],
            )
            loss = -found.mean()
            if not math.isfinite(float(loss.detach())):
                raise HarError(
                    f"generative, seed {seed}: the loss is not finite in epoch {epoch + 1}; lower lora.learning_rate "
                    f"(now {lora.learning_rate:g})"
                )
            optimizer.param_groups[0]["lr"] = lora.learning_rate * (1 - (epoch * batches + step) / steps)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        history.append(total / len(image_ids))
    return tuned, history


def save(tuned: Talker, folder: str | Path, config: Generative) -> None:
    """The low-rank updates alone, as peft writes them: adapter_model.safetensors and adapter_config.json, which names
    the model that they belong to and no folder of this machine."""
    told = tuned.model.peft_config["default"]
    told.base_model_name_or_path, told.revision = config.id, config.revision
    # no embedding was resized; left to find out, peft would ask the hub
    tuned.model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    (Path(folder) / "README.md").unlink(missing_ok=True)  # an empty form of a model card


def trained_parameters(tuned: Talker) -> int:
    return sum(p.numel() for p in tuned.model.parameters() if p.requires_grad)
