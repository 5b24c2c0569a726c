"""How a model wants its photographs: size, geometry and normalisation, as data."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from har.core.errors import HarError
from har.core.readers import is_number, is_whole, read_json
from har.data.store import Store, square

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
        import torch

        mean = images.new_tensor(self.mean, dtype=float).float().view(3, 1, 1) * 255
        std = images.new_tensor(self.std, dtype=float).float().view(3, 1, 1) * 255
        # in place, on a copy: a further tensor for each step takes twice the time
        return images.to(torch.float32, copy=True).sub_(mean).div_(std)


# Kinds to which a single number as size means the short side; to the others it means both sides.
SHORT_SIDE = ("CLIP", "Bit", "ConvNext", "ConvNeXT", "Levit", "PoolFormer")
MAX_SIDE = 1024  # pixels; of the encoders in use none takes more, and attention grows with the fourth power
LARGE = 384  # ConvNeXt's processor squashes from this size on, and crops below


def hub_config(folder: str | Path) -> dict:
    """A checkpoint folder's preprocessor_config.json, or the image part of its processor_config.json; HarError
    without either."""
    folder = Path(folder)
    path = folder / "preprocessor_config.json"
    whole = folder / "processor_config.json"
    if path.exists() or not whole.exists():
        config = read_json(path, "a preprocessor config")
    else:
        path, config = whole, read_json(whole, "a preprocessor config").get("image_processor")
    if not isinstance(config, dict):
        raise HarError(f"{path}: not a preprocessor config: image_processor is missing or no object")
    if code := [key for key in ("auto_map", "custom_pipelines") if config.get(key)]:
        raise HarError(f"{path}: has {code[0]}: it wants to run code from the repository")
    return config


def from_folder(folder: str | Path) -> Preprocess:
    """The preprocessing that a checkpoint folder states."""
    return from_hub_config(hub_config(folder), str(Path(folder) / "preprocessor_config.json"))


def from_hub_config(config: dict, where: str) -> Preprocess:
    """A hub preprocessor_config.json as a Preprocess.

    Raises HarError for a size that is not square, and for steps that a Preprocess has no name for.
    """
    kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    for step in ("do_flip_channel_order", "rescale_offset", "do_pad"):
        if config.get(step):
            raise HarError(f"{where}: {step} is on, which this project's preprocessing does not do")

    def side(value, key: str) -> tuple[int, str]:
        found = value, "crop" if kind.startswith(SHORT_SIDE) else "squash"
        if isinstance(value, dict) and "shortest_edge" in value:
            found = value["shortest_edge"], "crop"
        elif isinstance(value, dict) and value.get("height") == value.get("width"):
            found = value.get("height"), "squash"
        if not is_whole(found[0], 1, MAX_SIDE):
            told = f"expected a square size or a shortest_edge, 1 to {MAX_SIDE} pixels"
            raise HarError(f"{where}: {key} is {value!r:.80}, {told}")
        return found

    def channels(key: str, otherwise: float, least: float) -> tuple[float, float, float]:
        values = config.get(key)
        values = [otherwise] * 3 if values is None else [values] * 3 if is_number(values) else values
        if (
            not isinstance(values, list)
            or len(values) != 3
            or not all(is_number(v, 1e6) and v >= least for v in values)
        ):
            raise HarError(f"{where}: {key} is {values!r:.80}, expected three numbers of at least {least:g}")
        return tuple(float(v) for v in values)

    size, fit = side(config.get("size"), "size")
    crop_pct = 1.0
    if config.get("do_center_crop") and not kind.startswith("ConvN"):
        cropped, _ = side(config.get("crop_size", size), "crop_size")
        if cropped > size:
            raise HarError(f"{where}: crop_size {cropped} is larger than size {size}")
        size, crop_pct = cropped, cropped / size
    elif kind.startswith("ConvN"):  # also ResNet's: scales to size / crop_pct and keeps the centre
        fit, crop_pct = ("crop", config.get("crop_pct") or 224 / 256) if size < LARGE else ("squash", 1.0)
    if not is_number(crop_pct, 1) or crop_pct <= 0:
        raise HarError(f"{where}: crop_pct is {crop_pct!r:.60}, expected a share above 0 and up to 1")
    resample = config.get("resample", 3)
    if not is_whole(resample, 0, 5):
        raise HarError(f"{where}: resample is {resample!r:.60}, expected a filter of Pillow, 0 to 5")
    plain = config.get("do_normalize") is False
    return Preprocess(
        size=size,
        fit=fit,
        mean=(0.0, 0.0, 0.0) if plain else channels("image_mean", 0.5, -1e6),
        std=(1.0, 1.0, 1.0) if plain else channels("image_std", 0.5, 1e-6),
        resample=resample,
        crop_pct=crop_pct,
    )
