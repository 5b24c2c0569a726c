"""LoRA of a generative model, by one process or several that `accelerate launch` starts."""

import gc
import math
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from accelerate import Accelerator
from peft import LoraConfig, PeftModel, get_peft_model
from PIL import Image
from tqdm import tqdm

from har.config.models import Generative
from har.core.errors import HarError
from har.core.files import write_csv
from har.models.llava import VisionLanguageModel, log_likelihoods, orders, prompt


def launch(options: str, module: str, *arguments: str) -> None:
    """`accelerate launch OPTIONS -m module arguments`, in this folder. Raises HarError where it fails; what it printed
    tells why."""
    gc.collect()
    torch.cuda.empty_cache()  # what this process asked before, it needs no more; the others need the room
    command = [sys.executable, "-m", "accelerate.commands.launch", *shlex.split(options), "-m", module, *arguments]
    code = subprocess.run(command).returncode
    if code:
        raise HarError(f"accelerate launch {options} -m {module} {' '.join(arguments)}: failed with exit code {code}")


# Query and value projections of the language model, not of the image tower, which calls them the same.
TARGETS = r".*language_model.*\.(q_proj|v_proj)"


def tune(
    vlm: VisionLanguageModel,
    image_ids: Sequence[int],
    targets: Sequence[str],
    opened: Callable[[int], Image.Image],
    labels: Mapping[str, str],
    config: Generative,
    seed: int,
    accelerator: Accelerator,
) -> tuple[VisionLanguageModel, list[float]]:
    """The model with low-rank updates that make each image's own answer likely (`targets`: its class), and the mean
    loss of each epoch. The labels' order in the question is drawn anew for each image. The adapters are kept in
    float32, whatever the weights below are. Wraps `vlm.model` in place: load it again for another seed. Where the
    accelerator stands for several processes, all call this with the same arguments.

    Raises HarError where the loss is not finite.
    """
    lora = config.lora
    torch.manual_seed(seed)
    drawing = torch.Generator().manual_seed(seed)  # its own: what else is drawn may differ between processes
    model = get_peft_model(
        vlm.model, LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules=TARGETS)
    )
    # no dropout anywhere: the model stays in evaluation mode, as it is when it is asked
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lora.learning_rate)
    if sharding := getattr(accelerator.state, "fsdp_plugin", None):
        # left to itself it takes transformers' list, with kinds of layers that this model has not, and fails
        kinds = {type(module).__name__ for module in model.modules()}
        sharding.transformer_cls_names_to_wrap = sorted(kinds & set(vlm.model._no_split_modules))
    model, optimizer = accelerator.prepare(model, optimizer)
    shared = VisionLanguageModel(model, vlm.processor)
    process, processes = accelerator.process_index, accelerator.num_processes
    asked = orders(labels, config.orders)
    batches = -(-len(image_ids) // lora.batch_size)
    steps = lora.epochs * batches
    history = []
    for epoch in range(lora.epochs):
        rows, total = torch.randperm(len(image_ids), generator=drawing).tolist(), 0.0
        progress = {"desc": f"epoch {epoch + 1} of {lora.epochs}", "unit": "step", "disable": process > 0}
        for step in tqdm(range(batches), **progress):
            batch = rows[step * lora.batch_size : (step + 1) * lora.batch_size]
            drawn = torch.randint(len(asked), (len(batch),), generator=drawing).tolist()
            pairs = list(zip(batch, drawn, strict=True))
            own = pairs[process::processes]
            seen = own or pairs[:1]  # a process without an image takes part: the others wait for it
            found = log_likelihoods(
                shared,
                [opened(image_ids[row]) for row, _ in seen],
                [prompt(config.prompt, config.question, asked[order]) for _, order in seen],
                [labels[targets[row]] for row, _ in seen],
            )
            # gradients are averaged over processes: so this one is that of the mean over the batch
            loss = -found[: len(own)].sum() * (processes / len(batch))
            mean = float(accelerator.reduce(loss.detach(), reduction="mean"))
            if not math.isfinite(mean):
                raise HarError(
                    f"generative, seed {seed}: the loss is not finite in epoch {epoch + 1}; lower lora.learning_rate "
                    f"(now {lora.learning_rate:g})"
                )
            optimizer.param_groups[0]["lr"] = lora.learning_rate * (1 - (epoch * batches + step) / steps)
            optimizer.zero_grad(set_to_none=True)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += mean * len(batch)
        history.append(total / len(image_ids))
    return VisionLanguageModel(accelerator.unwrap_model(model), vlm.processor), history


def save(
    tuned: VisionLanguageModel,
    history: Sequence[float],
    folder: str | Path,
    config: Generative,
    accelerator: Accelerator,
) -> None:
    """loss.csv (epoch, train_loss) and the low-rank updates alone, as peft writes them: adapter_model.safetensors and
    adapter_config.json, which names the model that they belong to and no folder of this machine. All processes call
    it, the first one writes."""
    learnt = {name: p for name, p in tuned.model.named_parameters() if p.requires_grad}
    # with FSDP each process has a share of each
    learnt = {name: p.full_tensor() if hasattr(p, "full_tensor") else p for name, p in learnt.items()}
    if not accelerator.is_main_process:
        return
    told = tuned.model.peft_config["default"]
    told.base_model_name_or_path, told.revision = config.id, config.revision
    # no embedding was resized; left to find out, peft would ask the hub
    tuned.model.save_pretrained(folder, state_dict=learnt, safe_serialization=True, save_embedding_layers=False)
    (Path(folder) / "README.md").unlink(missing_ok=True)  # an empty form of a model card
    losses = {"epoch": range(1, len(history) + 1), "train_loss": history}
    write_csv(Path(folder) / "loss.csv", pd.DataFrame(losses))


def updated(vlm: VisionLanguageModel, folder: str | Path) -> VisionLanguageModel:
    """`vlm` with the low-rank updates that `save` left in `folder`; wraps its model in place."""
    return VisionLanguageModel(PeftModel.from_pretrained(vlm.model, folder).eval(), vlm.processor)


def trained_parameters(tuned: VisionLanguageModel) -> int:
    """Numbers in the low-rank updates."""
    return sum(p.numel() for name, p in tuned.model.named_parameters() if ".lora_" in name)
