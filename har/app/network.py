"""Trained models from their folders: image classifiers in the hub's format, the project's own small networks, and
MLPs on frozen embeddings together with their encoder.

An exported folder is complete: `har.json` keeps what a checkpoint of the pipeline leaves to its neighbours (the short
side to which photographs are decoded first), `encoder/` and `texts.safetensors` what an MLP looks through.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import normalize

from har.config.models import Mlp, Model
from har.core.errors import HarError
from har.core.readers import is_whole, read_json
from har.data.store import read_index
from har.models.build import logits
from har.models.checkpoint import labels_of, load_own
from har.models.checks import check_answers, opening
from har.models.hub_files import check_safetensors
from har.models.preprocess import Preprocess, from_folder, hub_config
from har.models.registry import own_settings, read_config
from har.training import embeddings

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
        hub_config(self.folder)  # no code of its own
        with opening(self.folder, "an image processor"):
            self._processor = AutoImageProcessor.from_pretrained(
                self.folder, do_rescale=False, do_normalize=False, local_files_only=True, trust_remote_code=False
            )
        size = self.preprocess.size
        with opening(self.folder, f"an image processor that gives {size} x {size} pixels"):
            for shape in ((size, size), (2 * size, size), (size, 2 * size)):  # it may crop, or not
                check_answers(torch.from_numpy(self.square(Image.new("RGB", shape))), (3, size, size))

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
    """The trained model in `folder`; HarError says what is missing or not understood, or that it does not compute."""
    folder = Path(folder)
    own = own_settings(folder)
    network = _hub(folder, read_config(folder)) if own is None else _own(folder, *own)
    with opening(folder, "a model that works"), torch.inference_mode():
        grey = torch.full((1, 3, network.preprocess.size, network.preprocess.size), 128, dtype=torch.uint8)
        check_answers(network.logits(grey), (1, len(network.classes)))
    return network


def _hub(folder: Path, config: dict) -> Network:
    if not config.get("id2label") or "model_type" not in config:
        raise HarError(f"{folder}: not an image classifier: config.json names no classes (id2label)")
    if config.get("problem_type") not in (None, "single_label_classification"):
        raise HarError(f"{folder}: problem_type is {config['problem_type']!r:.60}, expected one class per photograph")
    from har.models import classifier  # transformers costs seconds: only where it is used

    model = classifier.finetuned(folder)
    return Network(folder, model, labels_of(model, folder), from_folder(folder))


def _own(folder: Path, config: Model, classes: Sequence[str]) -> Network:
    model, preprocess = load_own(folder, config, classes)
    if config.kind != "mlp":
        return Network(folder, model, classes, preprocess)
    from har.models.encoder import Encoder

    torch.manual_seed(0)  # a backbone without weights (source: random) gets the ones that har.training.embed drew
    encoder = Encoder(encoder_folder(folder, config))
    return OnEmbeddings(folder, model, classes, encoder, _texts(folder, config, classes))


def encoder_folder(folder: Path, config: Mlp) -> Path:
    """Where the frozen encoder of an MLP's checkpoint lies: within it, or in its profile's backbones."""
    if not re.fullmatch(r"\w[\w.-]*", config.backbone):
        raise HarError(f"{folder}/config.json: backbone {config.backbone!r:.60} is no name of a folder")
    places = (folder / ENCODER, folder.parent.parent / "backbones" / config.backbone)
    for place in places:
        if (place / "config.json").exists():
            return place
    raise HarError(f"{folder}: its encoder {config.backbone} is missing, expected it in {places[0]} or {places[1]}")


def _texts(folder: Path, config: Mlp, classes: Sequence[str]) -> torch.Tensor | None:
    if config.features == "image":
        return None
    if (folder / TEXTS).exists():
        with opening(folder / TEXTS, "the text embeddings of the classes"):
            check_safetensors(folder / TEXTS)
            texts = load_file(folder / TEXTS)["texts"]
            check_answers(texts, (len(classes), texts.shape[-1]))
        return texts
    return torch.from_numpy(embeddings.texts(folder.parent.parent / "embeddings" / config.backbone, classes))


def stored_short_side(folder: str | Path) -> int | None:
    """The short side, in pixels, to which the photographs were decoded that the model in `folder` learned from: as
    the export noted it, else as the image store of its profile has it. None for a model from elsewhere."""
    folder = Path(folder)
    if (folder / SETTINGS).exists():
        side = read_json(folder / SETTINGS, "what an export notes").get("short_side")
        if side is not None and not is_whole(side, 1, 10_000):
            raise HarError(f"{folder / SETTINGS}: short_side {side!r:.60} is not a number of pixels, 1 to 10,000")
        return side
    index = folder.resolve().parent.parent / "store" / "index.csv"
    if not index.exists():
        if folder.resolve().parent.name == "models":  # a guess would give slightly other numbers and not say so
            raise HarError(
                f"{index}: missing; it tells how the training images were decoded: dvc pull images"
            ) from None
        return None
    sides = read_index(index)[["height", "width"]]
    if sides.empty:
        raise HarError(f"{index}: holds no image")
    return int(sides.iloc[0].min())
