"""Ask a generative model what people do, as it comes and with LoRA: `python -m stages.generative llava`."""

import shutil
import sys

import pandas as pd
from PIL import Image

from har.coco.manifest import read_manifest
from har.evaluate import predictions_frame, write_predictions
from har.files import write_json
from har.hub import fetch_folder, fetch_hub
from har.metrics import scalars
from har.splits import read_split
from har.store import decode
from stages.context import CACHE, Context, stage


def generative(context: Context, name: str) -> None:
    from har.generative import model, score, tune  # torch and transformers take seconds to load
    from har.training import pick_device

    profile, config = context.profile, context.profile.generative[name]
    folder, out = CACHE / "generative" / name, context.data / "generative" / name
    if config.source == "hub":
        options = {"cache_dir": CACHE / "hub", "max_bytes": config.max_bytes}
        fetch_hub(config.id, config.revision, folder, **options)
    else:
        fetch_folder(config.folder, folder, max_bytes=config.max_bytes)

    classes = profile.tasks["activity"]
    labels = {label: config.answers[label] for label in classes}
    split = read_split(context.data / "split.csv")
    split = split[split.label.isin(classes)].reset_index(drop=True)
    train, told = split[split.split == "train"], split[split.split != "train"]
    manifest = read_manifest(context.data / "manifest.csv").set_index("image_id")

    def opened(image_id: int) -> Image.Image:
        row = manifest.loc[image_id]
        return Image.fromarray(decode(context.data / "images" / row.file_name, min(row.width, row.height)))

    def ask(talker, seed: int) -> pd.DataFrame:
        found = score.probabilities(talker, told.image_id.tolist(), opened, labels, config)
        return predictions_frame(told.image_id, told.label, told.split, found, classes, seed=seed)

    def load():
        return model.load(folder, config.dtype, pick_device(profile.training.device), config.spread)

    def write(row: str, predictions: pd.DataFrame, parameters: int) -> None:
        write_predictions(context.data / "predictions" / f"activity-{row}.csv", predictions)
        metrics = scalars(predictions, profile.report) | {"parameters": parameters}
        write_json(context.reports / "metrics" / f"activity-{row}.json", metrics)

    write(f"{name}_zero_shot", ask(load(), 0), 0)
    frames, parameters = [], 0
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for seed in config.lora.seeds:
        tuned, history = tune.tune(load(), train.image_id.tolist(), train.label.tolist(), opened, labels, config, seed)
        print(f"{name} seed {seed}: loss {', '.join(f'{loss:.3f}' for loss in history)}")
        tune.save(tuned, out / f"seed-{seed}", config)
        frames.append(ask(tuned, seed))
        parameters = tune.trained_parameters(tuned)
    write(f"{name}_lora", pd.concat(frames, ignore_index=True), parameters)


if __name__ == "__main__":
    stage(generative, *sys.argv[1:])
