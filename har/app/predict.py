"""Prediction on one's own photographs and clips, by any trained model:

    from har.app.predict import load

    model = load("activity-clip")
    model.predict(["photo.jpg"])

The numbers are the pipeline's own: a photograph takes the way through the image store (decoded to its short side,
then resized to what the network wants) that the model's training images took. Of a clip, the probabilities
of its frames are averaged.
"""

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import joblib
import numpy as np
import torch
from PIL import Image

from har.app.network import Network, open_checkpoint, stored_short_side
from har.config.profile import load_params
from har.core.errors import HarError
from har.data.photographs import Photograph, rgb
from har.data.video.decode import FRAMES, is_clip, read_clip
from har.models import registry
from har.training.loop import pick_device

BATCH = 32


@dataclass(frozen=True)
class Prediction:
    """path; model; label, the most probable class; probabilities, class to its share; or the error instead."""

    path: str
    model: str
    label: str | None = None
    probabilities: dict[str, float] | None = None
    error: str | None = None


class Classifier:
    """A trained model with its reading of photographs.

    short_side: pixels to which a photograph is decoded first, None for its full size.
    """

    def __init__(self, name: str, network: Network, short_side: int | None, device: str = "cpu"):
        self.name = name
        self.network = network
        self.classes = network.classes
        self.short_side = short_side
        self.device = device
        network.to(device)

    def upright(self, photograph: Photograph | str | Path) -> Image.Image:
        """The photograph, or the middle frame of a clip, as RGB at `short_side`, before the network's own resizing."""
        return next(self.frames(photograph, 1))[1]

    def frames(self, photograph: Photograph | str | Path, count: int = FRAMES) -> Iterator[tuple[float, Image.Image]]:
        """Second and picture of each of `count` frames of a clip, of a photograph nought and itself; as `upright`."""
        if not isinstance(photograph, Photograph):
            photograph = Photograph(str(photograph), Path(photograph))
        if not is_clip(photograph.name) or photograph.error:
            yield 0.0, photograph.read(self.short_side)
            return
        for second, image in read_clip(photograph.source, count, photograph.name):
            yield second, rgb(image, photograph.name, self.short_side)

    @torch.inference_mode()
    def probabilities(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """What the network's `square` gives of several photographs to float64 [n, classes]."""
        scores = self.network.logits(self.network.stack(images))
        return torch.softmax(scores.float().cpu().double(), dim=1).numpy()

    def predict(self, paths: Iterable[Photograph | str | Path], batch_size: int = BATCH) -> list[Prediction]:
        """One prediction a path, in their order; a file that can't be read gives one with an error."""
        return list(self.stream(paths, batch_size))

    def stream(
        self,
        paths: Iterable[Photograph | str | Path],
        batch_size: int = BATCH,
        workers: int | None = None,
        by_frame: bool = False,
    ) -> Iterator[Prediction]:
        """`predict`, one after the other; of a long list only a few batches are in memory at a time.

        Args:
            paths: photographs and clips.
            batch_size: how many are computed together.
            workers: threads; None for a thread a core.
            by_frame: of a clip a prediction for each frame, whose path ends in `#t=` and its second.
        """
        if batch_size < 1:
            raise HarError(f"batch size is {batch_size}, expected at least 1")
        # Each thread takes a batch from file to probabilities with one core for its sums: no thread waits for
        # another, as threads that share the sums of one batch do, and decoding overlaps with computing.
        alone = threading.Lock() if self.device != "cpu" else nullcontext()
        queue = iter(paths)
        batches = iter(lambda: list(islice(queue, batch_size)), [])
        workers = workers or joblib.cpu_count()
        with _one_thread_each(), ThreadPoolExecutor(workers) as pool:
            jobs = (pool.submit(self._batch, batch, alone, by_frame) for batch in batches)
            pending = deque(islice(jobs, 2 * workers))
            try:
                while pending:
                    found = pending.popleft().result()
                    pending.extend(islice(jobs, 1))
                    yield from found
            finally:  # also where the caller has had enough
                pool.shutdown(cancel_futures=True)

    def _batch(self, batch: list, alone: AbstractContextManager, by_frame: bool) -> list[Prediction]:
        files, images, out = [], [], []
        for item in batch:
            name = item.name if isinstance(item, Photograph) else str(item)
            try:
                pictures = [(second, self.network.square(image)) for second, image in self.frames(item)]
                files.append((name, [second for second, _ in pictures], None))
                images += [pixels for _, pixels in pictures]
            except HarError as error:
                files.append((name, [], str(error)))
        with alone:  # a clip has several frames, so in parts
            parts = [self.probabilities(images[i : i + len(batch)]) for i in range(0, len(images), len(batch))]
        rows = (row for part in parts for row in part)
        for name, seconds, error in files:
            shares = [next(rows) for _ in seconds]
            if error is not None:
                out.append(Prediction(name, self.name, error=error))
            elif by_frame and is_clip(name):
                out += [self._prediction(f"{name}#t={s}", row) for s, row in zip(seconds, shares, strict=True)]
            else:
                out.append(self._prediction(name, np.mean(shares, axis=0)))
        return out

    def _prediction(self, name: str, shares: np.ndarray) -> Prediction:
        if not np.isfinite(shares).all():
            error = f"{name}: {self.name} gives NaN or infinity for it; the model's weights are spoilt"
            return Prediction(name, self.name, error=error)
        told = dict(zip(self.classes, map(float, shares), strict=True))
        return Prediction(name, self.name, self.classes[int(shares.argmax())], told)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def load(model: str | Path = "", *, profile: str = "", root: str | Path = ".", device: str = "auto") -> Classifier:
    """A trained model, ready for photographs.

    model: the name of a trained one or of a row (`har models` lists them), or the folder of a checkpoint, the project's
    own, an exported one or any image classifier in the hub's format; empty takes the profile's best that needs nothing
    but the photograph (har.models.registry.best).
    profile: empty for the active one of params.yaml. root: the project's folder.

    Raises HarError where there is no such model or its folder can't be understood.
    """
    root = Path(root)
    if os.path.isfile(Path(model) / "config.json") and str(model):  # unlike Path's, no error for a name too long
        folder, name = Path(model), Path(model).resolve().name
    else:
        if str(model) and (os.sep in str(model) or os.path.isdir(model)):
            raise HarError(f"{model}: no checkpoint there (config.json and model.safetensors)")
        profile = profile or load_params(root / "params.yaml").profile
        found = registry.named(str(model), profile, root) if str(model) else registry.best(profile, root)
        folder, name = found.folder, found.name
    return Classifier(name, open_checkpoint(folder), stored_short_side(folder), pick_device(device))
