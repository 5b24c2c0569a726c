"""What turns masked images into probabilities: a trained classifier, or a frozen encoder and all that reads its
embeddings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from scipy.special import softmax

from har.config.models import Probe
from har.config.studies import Masking
from har.data.store import Store
from har.models.checkpoint import load_kept
from har.models.encoder import Encoder
from har.models.preprocess import Preprocess
from har.studies.masking.conditions import at_random
from har.training.loop import predict
from har.training.probe import Fitted, fit

Predict = Callable[[np.ndarray], dict[str, np.ndarray]]  # uint8 [n, 3, size, size] to name -> [n, C]
BATCH = 100


@dataclass(frozen=True)
class ZeroShot:
    """texts: unit vectors [C, width]; scale: the factor on cosines."""

    texts: np.ndarray
    scale: float

    def probabilities(self, unit: np.ndarray) -> np.ndarray:
        return softmax((self.scale * (unit.astype(np.float32) @ self.texts.T)).astype(float), axis=1)


@dataclass(frozen=True)
class Head:
    """A trained MLP on embeddings; texts: unit vectors [C, width] where it reads similarities, else None."""

    folder: Path
    classes: Sequence[str]
    texts: np.ndarray | None

    @cached_property
    def model(self) -> torch.nn.Module:
        return load_kept(self.folder, self.classes)[0]

    def probabilities(self, unit: np.ndarray) -> np.ndarray:
        unit = unit.astype(np.float32)
        x = torch.as_tensor(unit if self.texts is None else unit @ self.texts.T)
        return softmax(predict(self.model, x, lambda batch: batch).numpy().astype(float), axis=1)


@dataclass(frozen=True)
class MaskedProbe:
    """A probe that learns from each training image whole and under `masking.train_masks` masks drawn at random, so
    that it knows masks as the images that it is asked about have them.

    image_ids, y: class indices; groups: of images that are in one inner fold, at least the copies of an image; store:
    the folder with their pixels; config: as of any probe.
    """

    image_ids: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    store: Path
    masking: Masking
    config: Probe

    def fit(self, preprocess: Preprocess, embed: Callable[[np.ndarray], np.ndarray], classes: int) -> Fitted:
        """embed: pixels, uint8 [n, 3, size, size], to unit embeddings [n, width]."""
        ids, masks, times = self.image_ids, self.masking, self.masking.train_masks + 1
        whole = preprocess.load(Store(self.store), ids)
        masked = (at_random(whole, ids, masks, masks.seed, copy) for copy in range(times - 1))
        x = np.concatenate([embed(whole), *map(embed, masked)])
        return fit(x, np.tile(self.y, times), classes, self.config, np.tile(self.groups, times))


@dataclass(frozen=True)
class Trained:
    """A classifier that sees pixels, from the folder of its kept run; maps: the folder of its explanation (stage
    explain), where it is masked by that too."""

    name: str
    folder: Path
    maps: Path | None = None

    def load(self, classes: Sequence[str], device: str) -> tuple[Preprocess, Predict]:
        model, preprocess = load_kept(self.folder, classes)
        model = model.to(device)

        def probabilities(images: np.ndarray) -> dict[str, np.ndarray]:
            scores = predict(model, torch.as_tensor(images).to(device), preprocess.normalise, batch_size=BATCH)
            return {self.name: torch.softmax(scores.double(), dim=1).numpy()}

        return preprocess, probabilities


@dataclass(frozen=True)
class Frozen:
    """A frozen encoder, embedding each masked image once for all `readers`, by name."""

    folder: Path
    readers: Mapping[str, Fitted | ZeroShot | Head | MaskedProbe] = field(default_factory=dict)
    maps: None = None  # it predicts no class, so nothing explains it

    def load(self, classes: Sequence[str], device: str) -> tuple[Preprocess, Predict]:
        torch.manual_seed(0)  # an architecture without weights: those that the embeddings were made with
        encoder = Encoder(self.folder, device)

        def embed(images: np.ndarray) -> np.ndarray:
            parts = torch.as_tensor(images).split(BATCH)
            embedded = torch.cat([encoder.images(part).float().cpu() for part in parts]).numpy()
            return (embedded / np.linalg.norm(embedded, axis=1, keepdims=True)).astype(float)

        readers = {
            name: one.fit(encoder.preprocess, embed, len(classes)) if isinstance(one, MaskedProbe) else one
            for name, one in self.readers.items()
        }

        def probabilities(images: np.ndarray) -> dict[str, np.ndarray]:
            unit = embed(images)
            return {name: reader.probabilities(unit) for name, reader in readers.items()}

        return encoder.preprocess, probabilities
