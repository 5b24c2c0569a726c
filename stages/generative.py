"""Ask a generative model what people do, as it comes and with LoRA: `python -m stages generative llava`.

With a seed as further argument it trains this seed's low-rank updates and no more: so `accelerate launch` starts it.
"""

import shutil
from collections.abc import Callable

import numpy as np
import pandas as pd
from PIL import Image

from har.core.files import write_json
from har.data.manifest import owned, read_manifest
from har.data.photographs import read
from har.data.split import read_split
from har.evaluation.predictions import predictions_frame, write_predictions
from har.models.hub import fetch_folder, fetch_hub
from stages.lib.context import CACHE, Context


def given(context: Context, name: str) -> tuple[dict[str, str], pd.DataFrame, Callable[[int], Image.Image]]:
    """The answer that stands for each class; image_id, label, split; the image of an id."""
    classes = context.profile.tasks["activity"]
    labels = {label: context.profile.generative[name].answers[label] for label in classes}
    split = read_split(context.data / "split.csv")
    manifest = read_manifest(context.data / "manifest.csv").set_index("image_id")

    def opened(image_id: int) -> Image.Image:
        return read(context.data / "images" / manifest.loc[image_id].file_name, turn=owned(manifest))

    return labels, split[split.label.isin(classes)].reset_index(drop=True), opened


def generative(context: Context, name: str, seed: str = "") -> None:
    if seed:
        lora(context, name, seed)
        return
    from har.models import llava  # torch and transformers take seconds to load
    from har.training import llava as tune
    from har.training.loop import pick_device

    profile, config = context.profile, context.profile.generative[name]
    folder, out = CACHE / "generative" / name, context.data / "generative" / name
    if config.source == "hub":
        fetch_hub(config.id, config.revision, folder, max_bytes=config.max_bytes)
    else:
        fetch_folder(config.folder, folder, max_bytes=config.max_bytes)
    labels, split, opened = given(context, name)
    told = split[split.split != "train"]

    def ask(vlm, seed: int) -> pd.DataFrame:
        found = llava.probabilities(vlm, told.image_id.tolist(), opened, labels, config)
        return predictions_frame(told.image_id, told.label, told.split, found, list(labels), seed=seed)

    def load():
        return llava.load(folder, config.dtype, pick_device(profile.training.device), config.spread)

    def write(row: str, predictions: pd.DataFrame, parameters: int) -> None:
        write_predictions(context.data / "predictions" / f"activity-{row}.parquet", predictions)
        write_json(context.data / "generative" / f"{row}.json", {"parameters": parameters})

    write(f"{name}_zero_shot", ask(load(), 0), 0)
    frames, parameters = [], 0
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for seed in map(str, config.lora.seeds):
        if config.lora.launch:
            tune.launch(config.lora.launch, "stages.lib.run", "generative", name, seed)
        else:
            lora(context, name, seed)
        tuned = tune.updated(load(), out / f"seed-{seed}")
        frames.append(ask(tuned, int(seed)))
        parameters = tune.trained_parameters(tuned)
        del tuned  # the next seed's model needs its room
    write(f"{name}_lora", pd.concat(frames, ignore_index=True), parameters)


def lora(context: Context, name: str, seed: str) -> None:
    """One seed's updates, by this process or by it and others."""
    from accelerate import Accelerator

    from har.models import llava
    from har.training import llava as tune
    from har.training.loop import pick_device

    config, folder = context.profile.generative[name], CACHE / "generative" / name
    labels, split, opened = given(context, name)
    accelerator = Accelerator(cpu=pick_device(context.profile.training.device) == "cpu")
    spread = config.spread and accelerator.num_processes == 1  # several share the devices in another way
    vlm, train = llava.load(folder, config.dtype, "cpu", spread), split[split.split == "train"]
    ids, targets = train.image_id.tolist(), train.label.tolist()
    tuned, history = tune.tune(vlm, ids, targets, opened, labels, config, int(seed), accelerator)
    tune.save(tuned, history, context.data / "generative" / name / f"seed-{seed}", config, accelerator)
    accelerator.print(f"{name} seed {seed}, processes {accelerator.num_processes}: loss", *np.round(history, 3))
