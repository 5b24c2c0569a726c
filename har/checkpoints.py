"""Trained models from their folders: image classifiers in the hub's format, the project's own small networks, and
MLPs on frozen embeddings together with their encoder.

An exported folder is complete: `har.json` keeps what a checkpoint of the pipeline leaves to its neighbours (the short
side to which photographs are decoded first), `encoder/` and `texts.safetensors` what an MLP looks through.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import normalize

from har import embeddings
from har.errors import HarError
from har.models.builders import build, logits
from har.models.preprocess import Preprocess, from_folder
from har.params.schema import Mlp, Model
from har.trained import read_config

SETTINGS, ENCODER, TEXTS = "har.json", "encoder", "texts.safetensors"


class Network:
    """What all have in common: classes, `square` from a photograph to uint8 [3, size, size], and `logits` from such,
    [n, 3, size, size], to [n, classes]."""

    def __init__(self, folder: Path, model: nn.Module, classes: Sequence[str], preprocess: Preprocess):
        self.folder = folder
        self.model = model.eval()
        self.classes = list(classes)
        self.preprocess = preprocess
        self._processor = None

    def to(self, device: str) -> None:
        self.model.to(device)

    def read_as_hub(self) -> None:
        """From now on the checkpoint's own image processor resizes, with transformers' choice of backend."""
        from transformers import AutoImageProcessor

        if not hasattr(self.model, "config"):
            raise HarError(f"{self.folder}: not in the hub's format, so transformers can't read photographs for it")
        self._processor = AutoImageProcessor.from_pretrained(
            self.folder, do_rescale=False, do_normalize=False, local_files_only=True
        )

    def square(self, image: Image.Image) -> np.ndarray:
        if self._processor is None:
            return self.preprocess.square(image)
        return np.asarray(self._processor(images=image, return_tensors="np")["pixel_values"][0])

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        return logits(self.model, self.preprocess.normalise(images))


class OnEmbeddings(Network):
    """An MLP behind a frozen encoder. texts: unit vectors of the classes' prompts [classes, width], for an MLP that
    sees similarities; None for one that sees the image embedding."""

    def __init__(self, folder: Path, model: nn.Module, classes: Sequence[str], encoder, texts: torch.Tensor | None):
        super().__init__(folder, model, classes, encoder.preprocess)
        self.encoder = encoder
        self.texts = texts

    def to(self, device: str) -> None:
        super().to(device)
        self.encoder.device = device
        self.encoder.model.to(device)
        self.texts = self.texts if self.texts is None else self.texts.to(device)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        unit = normalize(self.encoder.images(images), dim=-1)
        return self.model(unit if self.texts is None else unit @ self.texts.T)


def open_checkpoint(folder: str | Path) -> Network:
    """The trained model in `folder`; HarError says what is missing or not understood."""
    folder = Path(folder)
    config = read_config(folder)
    return _own(folder, config) if "classes" in config and "config" in config else _hub(folder, config)


def _hub(folder: Path, config: dict) -> Network:
    labels = config.get("id2label") or {}
    if not labels or "model_type" not in config:
        raise HarError(f"{folder}: not an image classifier: config.json names no classes (id2label)")
    if config.get("problem_type") not in (None, "single_label_classification"):
        raise HarError(f"{folder}: problem_type is {config['problem_type']}, expected one class per photograph")
    from har.models import pretrained  # transformers costs seconds: only where it is used

    model = pretrained.finetuned(folder)
    classes = [label for _, label in sorted(model.config.id2label.items())]
    return Network(folder, model, classes, from_folder(folder))


def _own(folder: Path, described: dict) -> Network:
    classes = described["classes"]
    try:
        config = TypeAdapter(Model).validate_python(described["config"])
        weights = load_file(folder / "model.safetensors")
        # the width of an MLP's input is that of its standardisation
        width = weights["0.mean"].numel() if config.kind == "mlp" else 0
        if config.kind == "finetune":
            raise ValueError("kind finetune is kept in the hub's format")
        model, preprocess = build(config, classes, features=width)
        model.load_state_dict(weights)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, ValidationError) as error:
        raise HarError(f"{folder}: not a trained model of this project: {str(error).splitlines()[0]}") from None
    if config.kind != "mlp":
        return Network(folder, model, classes, preprocess)
    from har.models.pretrained import Encoder

    torch.manual_seed(0)  # a backbone without weights (source: random) gets the ones that har.embed drew
    encoder = Encoder(encoder_folder(folder, config))
    return OnEmbeddings(folder, model, classes, encoder, _texts(folder, config, classes))


def encoder_folder(folder: Path, config: Mlp) -> Path:
    """Where the frozen encoder of an MLP's checkpoint lies: within it, or in its profile's backbones."""
    places = (folder / ENCODER, folder.parent.parent / "backbones" / config.backbone)
    for place in places:
        if (place / "config.json").exists():
            return place
    raise HarError(f"{folder}: its encoder {config.backbone} is missing, expected it in {places[0]} or {places[1]}")


def _texts(folder: Path, config: Mlp, classes: Sequence[str]) -> torch.Tensor | None:
    if config.features == "image":
        return None
    if (folder / TEXTS).exists():
        return load_file(folder / TEXTS)["texts"]
    return torch.from_numpy(embeddings.texts(folder.parent.parent / "embeddings" / config.backbone, classes))


def stored_short_side(folder: str | Path) -> int | None:
    """The short side, in pixels, to which the photographs were decoded that the model in `folder` learned from: as
    the export noted it, else as the image store of its profile has it. None for a model from elsewhere."""
    folder = Path(folder)
    if (folder / SETTINGS).exists():
        try:
            return json.loads((folder / SETTINGS).read_text())["short_side"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HarError(f"{folder / SETTINGS}: cannot be read: {error!r}") from None
    index = folder.resolve().parent.parent / "store" / "index.csv"
    try:
        row = pd.read_csv(index, nrows=1).iloc[0]
        return int(min(row.height, row.width))
    except FileNotFoundError:
        if folder.resolve().parent.name == "models":  # a guess would give slightly other numbers and not say so
            raise HarError(
                f"{index}: missing; it tells how the training images were decoded: dvc pull images"
            ) from None
        return None
    except (ValueError, IndexError, AttributeError):
        raise HarError(f"{index}: not the index of an image store") from None
