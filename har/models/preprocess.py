"""How a model wants its photographs: size, geometry and normalisation, as data."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from har.core.errors import HarError
from har.core.readers import is_number, is_whole
from har.data.store import Store, square
from har.models.hub_files import check_json, model_type

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

        # float32, as mps has no wider one
        mean = images.new_tensor(self.mean, dtype=torch.float32).view(3, 1, 1) * 255
        std = images.new_tensor(self.std, dtype=torch.float32).view(3, 1, 1) * 255
        # in place, on a copy: a further tensor for each step takes twice the time
        return images.to(torch.float32, copy=True).sub_(mean).div_(std)


# transformers' image processors whose steps are those of a Preprocess: resize, crop, rescale to 0..1, normalise.
PROCESSORS = ("Beit", "Bit", "CLIP", "ConvNext", "DINOv3ViT", "DeiT", "MobileNetV1", "MobileNetV2", "Pvt", "Segformer",
              "Siglip", "ViT")  # fmt: skip
FIELDS = ("size", "resample", "do_resize", "do_center_crop", "do_rescale", "rescale_factor", "do_normalize",
          "image_mean", "image_std")  # fmt: skip
MAX_SIDE = 1024  # pixels; of the encoders in use none takes more, and attention grows with the fourth power
LARGE = 384  # ConvNeXt's processor squashes from this size on, and crops below


def hub_config(folder: str | Path) -> tuple[dict, Path]:
    """What a checkpoint folder states of its preprocessing, and the file: processor_config.json where that has a part
    image_processor, as transformers reads it, else preprocessor_config.json. HarError without either."""
    path, whole = Path(folder) / "preprocessor_config.json", Path(folder) / "processor_config.json"
    config = check_json(whole) if whole.exists() else {}
    if "image_processor" not in config and (path.exists() or not whole.exists()):
        return check_json(path), path
    if not isinstance(config.get("image_processor"), dict):
        raise HarError(f"{whole}: not a preprocessor config: image_processor is missing or no object")
    return config["image_processor"], whole


def from_folder(folder: str | Path) -> Preprocess:
    """The preprocessing that a checkpoint folder states; what its file leaves out is as in transformers' processor of
    that type, or else of the model type in config.json."""
    config, path = hub_config(folder)
    return from_hub_config(config, str(path), model_type(folder))


def from_hub_config(config: dict, where: str, architecture: str = "") -> Preprocess:
    """A hub preprocessor_config.json as a Preprocess; architecture: the model type whose processor it is where it
    does not say itself.

    Raises HarError for a size that is not square, and for steps that a Preprocess has no name for.
    """
    named = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    kind = named.removesuffix("Fast").removesuffix("ImageProcessor").removesuffix("FeatureExtractor")
    kind = kind or _processor_of(architecture)
    if kind not in PROCESSORS:
        told = f"image_processor_type is {kind!r:.60}" if kind else "image_processor_type is missing"
        raise HarError(f"{where}: {told}, expected ImageProcessor of {', '.join(PROCESSORS)}")
    read = {*FIELDS, "crop_size"} if config.get("do_center_crop") else set(FIELDS)
    if not read <= set(config) or not isinstance(config["size"], dict):
        config = _defaults(kind) | config
    for step, usual in (("do_resize", True), ("do_rescale", True), ("do_flip_channel_order", False), ("do_pad", False)):
        if config.get(step, usual) is not usual:
            raise HarError(f"{where}: {step} is {config[step]!r:.60}, which this project's preprocessing does not do")
    factor = config.get("rescale_factor", 1 / 255)
    if not is_number(factor) or abs(factor * 255 - 1) > 1e-6:
        raise HarError(f"{where}: rescale_factor is {factor!r:.60}, expected 1/255")

    def side(value, key: str) -> tuple[int, str]:
        found = value, "squash" if config.get("default_to_square", True) else "crop"
        if isinstance(value, dict) and "shortest_edge" in value:
            found = value["shortest_edge"], "crop"
        elif isinstance(value, dict) and value.get("height") == value.get("width"):
            found = value.get("height"), "squash"
        if not is_whole(found[0], 1, MAX_SIDE):
            told = f"expected a square size or a shortest_edge, 1 to {MAX_SIDE} pixels"
            raise HarError(f"{where}: {key} is {value!r:.80}, {told}")
        return found

    def channels(key: str, least: float) -> tuple[float, float, float]:
        values = config.get(key)
        values = [values] * 3 if is_number(values) else values
        if (
            not isinstance(values, list)
            or len(values) != 3
            or not all(is_number(v, 1e6) and v >= least for v in values)
        ):
            raise HarError(f"{where}: {key} is {values!r:.80}, expected three numbers of at least {least:g}")
        return tuple(float(v) for v in values)

    size, fit = side(config.get("size"), "size")
    crop_pct = 1.0
    if config.get("do_center_crop") and kind != "ConvNext":
        cropped, _ = side(config.get("crop_size", size), "crop_size")
        if cropped > size:
            raise HarError(f"{where}: crop_size {cropped} is larger than size {size}")
        size, crop_pct = cropped, cropped / size
    elif kind == "ConvNext":  # also ResNet's: scales to size / crop_pct and keeps the centre
        fit, crop_pct = ("crop", config.get("crop_pct") or 224 / 256) if size < LARGE else ("squash", 1.0)
    if not is_number(crop_pct, 1) or crop_pct <= 0:
        raise HarError(f"{where}: crop_pct is {crop_pct!r:.60}, expected a share above 0 and up to 1")
    resample = config.get("resample")
    if not is_whole(resample, 0, 5):
        raise HarError(f"{where}: resample is {resample!r:.60}, expected a filter of Pillow, 0 to 5")
    plain = not config["do_normalize"]
    return Preprocess(
        size=size,
        fit=fit,
        mean=(0.0, 0.0, 0.0) if plain else channels("image_mean", -1e6),
        std=(1.0, 1.0, 1.0) if plain else channels("image_std", 1e-6),
        resample=resample,
        crop_pct=crop_pct,
    )


def _processor_of(model_type: str) -> str:
    """The first part of the name of transformers' image processor for a model type; empty where it has none."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    name = (IMAGE_PROCESSOR_MAPPING_NAMES.get(model_type) or {}).get("torchvision") or ""
    return name.removesuffix("ImageProcessor")


def _defaults(kind: str) -> dict:
    """The values that transformers' image processor has where its file says nothing."""
    import transformers

    processor = getattr(transformers, f"{kind}ImageProcessor")
    values = {key: getattr(processor, key, None) for key in (*FIELDS, "crop_size", "crop_pct", "default_to_square")}
    return {key: value for key, value in values.items() if value is not None} | {"resample": int(processor.resample)}
