"""Trained models from their folders: image classifiers in the hub's format, the project's own small networks, MLPs on
frozen embeddings together with their encoder, and rows of har.config.rows.

An exported folder is complete: `har.json` keeps what a checkpoint of the pipeline leaves to its neighbours (the short
side to which photographs are decoded first), `encoder/` and `texts.safetensors` what an MLP looks through.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import normalize

from har.config.load import Block, validate
from har.config.models import Crops, Mlp, Model
from har.config.rows import ProbeRow, Row
from har.core.errors import HarError
from har.core.readers import is_whole, read_json
from har.data.crops import cuts
from har.data.store import read_index
from har.models.build import logits
from har.models.checkpoint import labels_of, load_own
from har.models.checks import check_answers, opening
from har.models.hub_files import check_safetensors
from har.models.preprocess import Preprocess, from_folder
from har.models.registry import KINDS, own_settings, read_config
from har.training import embeddings

SETTINGS, ENCODER, TEXTS, WEIGHTS = "har.json", "encoder", "texts.safetensors", "model.safetensors"


class Network(nn.Module):
    """What all have in common: classes, `square` from a photograph to uint8 [3, size, size], and `logits` from such,
    [n, 3, size, size], to [n, classes]."""

    def __init__(self, folder: Path, model: nn.Module, classes: Sequence[str], preprocess: Preprocess):
        super().__init__()
        self.folder, self.model, self.classes, self.preprocess = folder, model, list(classes), preprocess
        self.eval()

    def square(self, image: Image.Image) -> np.ndarray:
        return self.preprocess.square(image)

    def stack(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        """What `square` gives of several photographs, as `logits` takes it."""
        return torch.from_numpy(np.stack(images)).to(next(self.parameters()).device)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        return logits(self.model, self.preprocess.normalise(images))


class OnEmbeddings(Network):
    """An MLP behind a frozen encoder. texts: unit vectors of the classes' prompts [classes, width], for an MLP that
    sees similarities; None for one that sees the image embedding."""

    def __init__(self, folder: Path, model: nn.Module, classes: Sequence[str], encoder, texts: torch.Tensor | None):
        super().__init__(folder, model, classes, encoder.preprocess)
        self.encoder, self.tower = encoder, encoder.model
        self.register_buffer("texts", texts)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        unit = normalize(self.encoder.images(images), dim=-1)
        return self.model(unit if self.texts is None else unit @ self.texts.T)


class OnViews(OnEmbeddings):
    """A row of har.config.rows behind a frozen encoder: `square` gives its windows, uint8 [windows, 3, size, size]."""

    def __init__(self, folder: Path, row: ProbeRow, classes: Sequence[str], encoder, crops: Sequence[tuple]):
        with opening(folder / WEIGHTS, "the weights of a row"):
            state = load_file(folder / WEIGHTS)
            model = nn.Linear(*reversed(state["weight"].shape))
            model.load_state_dict(state)
        super().__init__(folder, model, classes, encoder, None)
        views = [cuts(view, crops) for view in row.views]
        self.windows, self.sizes = [cut for view in views for cut in view], list(map(len, views))
        self.side_by_side = row.kind == "probe"

    def square(self, image: Image.Image) -> np.ndarray:
        whole = np.asarray(image)
        return np.stack([self.preprocess.square(Image.fromarray(cut(whole))) for cut in self.windows])

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        units = normalize(self.encoder.images(images.flatten(0, 1)), dim=-1).unflatten(0, images.shape[:2])
        views = [view.mean(1) for view in units.split(self.sizes, dim=1)]
        if self.side_by_side:
            return self.model(torch.cat([normalize(view, dim=-1) for view in views], dim=-1))
        return self.model(torch.stack(views).mean(0))


class Together(Network):
    """The mean of the log-probabilities of the members, `model`; `square` gives what each of them sees."""

    def __init__(self, folder: Path, members: Sequence[Network], classes: Sequence[str]):
        super().__init__(folder, nn.ModuleList(members), classes, members[0].preprocess)

    def square(self, image: Image.Image) -> list[np.ndarray]:
        return [member.square(image) for member in self.model]

    def stack(self, images: Sequence[list[np.ndarray]]) -> list[torch.Tensor]:
        return [member.stack(one) for member, one in zip(self.model, zip(*images, strict=True), strict=True)]

    def logits(self, images: list[torch.Tensor]) -> torch.Tensor:
        scores = [member.logits(one).log_softmax(1) for member, one in zip(self.model, images, strict=True)]
        return torch.stack(scores).mean(0)


def open_checkpoint(folder: str | Path) -> Network:
    """The trained model in `folder`; HarError says what is missing or not understood, or that it does not compute."""
    folder = Path(folder)
    own = own_settings(folder)
    network = _hub(folder, read_config(folder)) if own is None else _own(folder, *own)
    with opening(folder, "a model that works"), torch.inference_mode():
        grey = network.square(Image.new("RGB", (64, 64), "grey"))
        check_answers(network.logits(network.stack([grey])), (1, len(network.classes)))
    return network


def _hub(folder: Path, config: dict) -> Network:
    if not config.get("id2label") or "model_type" not in config:
        raise HarError(f"{folder}: not an image classifier: config.json names no classes (id2label)")
    if config.get("problem_type") not in (None, "single_label_classification"):
        raise HarError(f"{folder}: problem_type is {config['problem_type']!r:.60}, expected one class per photograph")
    from har.models import classifier  # transformers costs seconds: only where it is used

    model = classifier.finetuned(folder)
    return Network(folder, model, labels_of(model, folder), from_folder(folder))


def _own(folder: Path, config: Model | Row, classes: Sequence[str]) -> Network:
    if config.kind == "ensemble":
        return Together(folder, [_member(folder, name, classes) for name in config.members], classes)
    if config.kind in ("probe", "zero_shot"):
        crops = validate(Seen, {"crops": read_config(folder).get("crops")}, f"{folder}/config.json").crops
        return OnViews(folder, config, classes, _encoder(folder, config), [(one.share, one.number) for one in crops])
    model, preprocess = load_own(folder, config, classes)
    if config.sees_images:
        return Network(folder, model, classes, preprocess)
    return OnEmbeddings(folder, model, classes, _encoder(folder, config), _texts(folder, config, classes))


def _encoder(folder: Path, config: Mlp | ProbeRow):
    """The frozen encoder of an MLP or a row: within its folder, or in its profile's backbones."""
    from har.models.encoder import Encoder

    if not re.fullmatch(r"\w[\w.-]*", config.backbone):
        raise HarError(f"{folder}/config.json: backbone {config.backbone!r:.60} is no name of a folder")
    places = (folder / ENCODER, folder.parent.parent / "backbones" / config.backbone)
    place = next((place for place in places if (place / "config.json").exists()), None)
    if place is None:
        raise HarError(f"{folder}: its encoder {config.backbone} is missing, expected it in {places[0]} or {places[1]}")
    torch.manual_seed(0)  # a backbone without weights (source: random) gets the ones that har.training.embed drew
    return Encoder(place)


class Seen(Block):
    """What config.json of a row holds beside its settings and classes."""

    crops: Annotated[list[Crops], Field(min_length=1, max_length=16)]


def _member(folder: Path, name: str, classes: Sequence[str]) -> Network:
    """The member `name` of the ensemble in `folder`, of the same profile and task."""
    task = folder.resolve().name.split("-")[0]
    places = [folder.resolve().parent.parent / kind / f"{task}-{name}" for kind in ("models", "baselines")]
    place = next((place for place in places if (place / "config.json").exists()), None)
    if place is None or not re.fullmatch(r"\w+", name):
        raise HarError(f"{folder}: its member {name} is missing, expected it in {places[0]} or {places[1]}")
    member = open_checkpoint(place)
    if member.classes != list(classes):
        raise HarError(f"{place}: its classes differ from those of {folder}, of which it is a member")
    return member


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
        if folder.resolve().parent.name in KINDS:  # a guess would give slightly other numbers and not say so
            raise HarError(f"{index}: missing; it tells how the training images were decoded: dvc pull images")
        return None
    sides = read_index(index)[["height", "width"]]
    if sides.empty:
        raise HarError(f"{index}: holds no image")
    return int(sides.iloc[0].min())
