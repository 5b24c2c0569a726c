"""How a model wants its photographs: size, geometry and normalisation, as data."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from har.errors import HarError
from har.store import Store, square

if TYPE_CHECKING:
    import torch  # a process that only decodes does not pay for it


@dataclass(frozen=True)
class Preprocess:
    """size: pixels; fit: "squash" or "crop"; mean and std: per RGB channel on a 0..1 scale;
    resample: a Pillow filter number, as in the hub's preprocessor_config.json; crop_pct: the share of each
    side that the network sees (DeiT's own processor scales to 256 and keeps 224: 0.875)."""

    size: int
    fit: str = "squash"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    resample: int = 3
    crop_pct: float = 1.0

    def load(self, store: Store, image_ids) -> np.ndarray:
        """Images of a store as uint8 [n, 3, size, size]."""
        images = store.square(image_ids, self.size, self.fit, self.resample, self.crop_pct)
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))

    def square(self, image: Image.Image) -> np.ndarray:
        """One RGB image as uint8 [3, size, size]."""
        pixels = square(image, self.size, self.fit, self.resample, self.crop_pct)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def normalise(self, images: "torch.Tensor") -> "torch.Tensor":
        """uint8 [n, 3, size, size] to float of the same shape, as the network takes it."""
        mean = images.new_tensor(self.mean, dtype=float).float().view(3, 1, 1) * 255
        std = images.new_tensor(self.std, dtype=float).float().view(3, 1, 1) * 255
        return (images.float() - mean) / std


def from_folder(folder: str | Path) -> Preprocess:
    """The preprocessing that a checkpoint folder states in its preprocessor_config.json."""
    path = Path(folder) / "preprocessor_config.json"
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise HarError(f"{path}: not a preprocessor config: {error}") from None
    return from_hub_config(config, str(path))


def from_hub_config(config: dict, where: str) -> Preprocess:
    """A hub preprocessor_config.json as a Preprocess.

    Raises HarError for a size that is not square: no model of this project has one.
    """

    kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")

    def side(value, key: str) -> tuple[int, str]:
        if isinstance(value, int):
            # one number means the short side to CLIP's processor and both sides to the others'
            return value, "crop" if kind.startswith("CLIP") else "squash"
        if isinstance(value, dict) and "shortest_edge" in value:
            return value["shortest_edge"], "crop"
        if isinstance(value, dict) and value.get("height") == value.get("width") is not None:
            return value["height"], "squash"
        raise HarError(f"{where}: {key} is {value!r}, expected a square size or a shortest_edge")

    size, fit = side(config.get("size"), "size")
    crop_pct = 1.0
    if config.get("do_center_crop"):
        cropped, _ = side(config.get("crop_size", size), "crop_size")
        if cropped > size:
            raise HarError(f"{where}: crop_size {cropped} is larger than size {size}")
        size, crop_pct = cropped, cropped / size
    return Preprocess(
        size=size,
        fit=fit,
        mean=tuple(config.get("image_mean") or (0.5, 0.5, 0.5)),
        std=tuple(config.get("image_std") or (0.5, 0.5, 0.5)),
        resample=config.get("resample", 3),
        crop_pct=crop_pct,
    )
