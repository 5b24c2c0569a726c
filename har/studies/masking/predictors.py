"""What turns masked images into probabilities: a trained classifier, or a frozen encoder and all that reads its
embeddings. Light by itself; torch is loaded in the process that predicts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.special import softmax

from har.config.models import Probe
from har.config.studies import Masking
from har.data.store import Store
from har.models.preprocess import Preprocess, from_folder
from har.models.registry import settings
from har.studies.masking.conditions import at_random
from har.training.probe import Fitted, fit

Predict = Callable[[np.ndarray], dict[str, np.ndarray]]  # uint8 [n, 3, size, size] to name -> [n, C]
BATCH = 100


@dataclass(frozen=True)
class ZeroShot:
    """texts: unit vectors [C, width]; scale: the factor on cosines."""

    texts: np.ndarray
    scale: float


@dataclass(frozen=True)
class Head:
    """A trained MLP on embeddings; texts: unit vectors [C, width] where it reads similarities, else None."""

    folder: Path
    texts: np.ndarray | None


@dataclass(frozen=True)
class MaskedProbe:
    """A probe that learns from each training image whole and under `masking.train_masks` masks drawn at random, so
    that it knows masks as the images that it is asked about have them.

    image_ids, y: class indices; store: the folder with their pixels; config: as of any probe.
    """

    image_ids: np.ndarray
    y: np.ndarray
    store: Path
    masking: Masking
    config: Probe

    def fit(self, preprocess: Preprocess, embed: Callable[[np.ndarray], np.ndarray], classes: int) -> Fitted:
        """embed: pixels, uint8 [n, 3, size, size], to unit embeddings [n, width]."""
        ids, masks, times = self.image_ids, self.masking, self.masking.train_masks + 1
        whole = preprocess.load(Store(self.store), ids)
        masked = (at_random(whole, ids, masks, masks.seed, copy) for copy in range(times - 1))
        x = np.concatenate([embed(whole), *map(embed, masked)]).astype(float)
        return fit(x, np.tile(self.y, times), classes, self.config, groups=np.tile(ids, times))


@dataclass(frozen=True)
class Trained:
    """A classifier that sees pixels, from the folder of its kept run."""

    name: str
    folder: Path

    @property
    def preprocess(self) -> Preprocess:
        config = settings(self.folder)
        if config.fine_tuned:
            return from_folder(self.folder)
        return Preprocess(config.input_size, config.fit)

    @property
    def names(self) -> list[str]:
        return [self.name]

    def load(self, classes: Sequence[str], device: str) -> Predict:
        import torch

        from har.models.checkpoint import load_kept
        from har.training.loop import predict

        model, preprocess = load_kept(self.folder, classes)
        model = model.to(device)

        def probabilities(images: np.ndarray) -> dict[str, np.ndarray]:
            scores = predict(model, torch.as_tensor(images).to(device), preprocess.normalise, batch_size=BATCH)
            return {self.name: torch.softmax(scores.double(), dim=1).numpy()}

        return probabilities


@dataclass(frozen=True)
class Frozen:
    """A frozen encoder, embedding each masked image once for all `readers`, by name."""

    name: str
    folder: Path
    readers: Mapping[str, Fitted | ZeroShot | Head | MaskedProbe] = field(default_factory=dict)

    @property
    def preprocess(self) -> Preprocess:
        return from_folder(self.folder)

    @property
    def names(self) -> list[str]:
        return list(self.readers)

    def load(self, classes: Sequence[str], device: str) -> Predict:
        import torch

        from har.models.encoder import Encoder

        torch.manual_seed(0)  # an architecture without weights: those that the embeddings were made with
        encoder = Encoder(self.folder, device)

        def embed(images: np.ndarray) -> np.ndarray:
            parts = torch.as_tensor(images).split(BATCH)
            embedded = torch.cat([encoder.images(part).float().cpu() for part in parts]).numpy()
            return embedded / np.linalg.norm(embedded, axis=1, keepdims=True)

        readers = {
            name: one.fit(self.preprocess, embed, len(classes)) if isinstance(one, MaskedProbe) else one
            for name, one in self.readers.items()
        }
        read = {name: _reader(reader, classes) for name, reader in readers.items()}

        def probabilities(images: np.ndarray) -> dict[str, np.ndarray]:
            unit = embed(images)
            return {name: one(unit) for name, one in read.items()}

        return probabilities


def _reader(reader: Fitted | ZeroShot | Head, classes: Sequence[str]) -> Callable[[np.ndarray], np.ndarray]:
    """Unit embeddings [n, width] to probabilities [n, C]."""
    if isinstance(reader, Fitted):
        return lambda unit: reader.probabilities(unit.astype(float))
    if isinstance(reader, ZeroShot):
        return lambda unit: softmax((reader.scale * (unit @ reader.texts.T)).astype(float), axis=1)
    import torch

    from har.models.checkpoint import load_kept
    from har.training.loop import predict

    model, _ = load_kept(reader.folder, classes)

    def through(unit: np.ndarray) -> np.ndarray:
        x = unit if reader.texts is None else unit @ reader.texts.T
        return softmax(predict(model, torch.as_tensor(x), lambda batch: batch).numpy().astype(float), axis=1)

    return through
