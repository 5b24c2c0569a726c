"""A project in which every kind of model is trained (not well): what `har` finds after `dvc repro`, in seconds."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import parameters
import torch
from conftest import picture
from PIL import Image

from har.core.files import write_json
from har.data import store
from har.evaluation.predictions import predictions_frame, write_predictions
from har.evaluation.summary import scalars
from har.models.build import build
from har.training import embeddings, experiment, loop
from har.training.embed import embed

MODELS = ("cnn_base", "fnn_base", "vit", "clip", "clip_patches", "siglip2", "multimodal", "feature")
KEPT = 3  # the run whose weights lie in the checkpoint; another one has predictions too
IMAGES = range(1, 13)


def make(root: Path, checkpoints: dict[str, Path]) -> Path:
    """The project in `root`, as the pipeline's own code would leave it."""
    parameters.write(root)
    profile = parameters.profile()
    data = root / "data" / "sample"
    files = {}
    for i in IMAGES:
        files[i] = data / "images" / f"{i:012d}.jpg"
        files[i].parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(i, 90 + 7 * i, 140 - 5 * i)).save(files[i], quality=90)
    store.build(files, data / "store", short_side=48)
    for name, folder in checkpoints.items():
        shutil.copytree(folder, data / "backbones" / name)
    images = store.Store(data / "store")
    words = {"walking_running": "walking", "sitting": "sitting", "standing": "standing"}
    prompts = {name: [f"a person {word}"] for name, word in words.items()}
    into = data / "embeddings/clip"
    embed(data / "backbones/clip", images, IMAGES, prompts, into, profile.embed, jobs=1, device="cpu")
    for model in MODELS:
        _train(root, profile, f"activity-{model}", images)
    _train(root, profile, "posture-vit", images)
    return root


def _train(root: Path, profile, name: str, images) -> None:
    task, model = name.split("-")
    data, config, classes = root / "data" / "sample", profile.models[model], profile.tasks[task]
    backbone = None
    if config.kind == "mlp":
        found = embeddings.read(data / "embeddings" / config.backbone)
        x = found.rows(IMAGES, config.features, classes)
    else:
        backbone = data / "backbones" / config.backbone if config.kind == "finetune" else None
        x = experiment.images(config, images, IMAGES, backbone)
    torch.manual_seed(KEPT)
    network, preprocess = build(config, classes, backbone, features=x.shape[-1])
    if config.kind == "mlp":
        network[0].fit(torch.tensor(x))
    prepare = preprocess.normalise if preprocess else (lambda batch: batch)
    shares = torch.softmax(loop.predict(network, torch.tensor(x), prepare).double(), dim=1).numpy()
    loop.save(network, config, classes, data / "models" / name, backbone)
    labels = [classes[i % len(classes)] for i in IMAGES]
    splits = ["validation" if i < 4 else "test" if i < 8 else "extended" for i in IMAGES]
    other = np.random.default_rng(0).dirichlet(np.ones(len(classes)), len(labels))
    runs = {0: other, KEPT: shares}
    frames = [predictions_frame(IMAGES, labels, splits, values, classes, seed) for seed, values in runs.items()]
    predictions = pd.concat(frames, ignore_index=True)
    write_predictions(data / "predictions" / f"{name}.parquet", predictions)
    about = {"parameters": sum(p.numel() for p in network.parameters()), "kept_seed": KEPT, "epochs": 3.0}
    metrics = scalars(predictions, profile.report.model_copy(update={"resamples": 100}))
    write_json(root / "reports" / "sample" / "metrics" / f"{name}.json", metrics | about)
