"""A model in open_clip's own format, opened: checked as others are, and with the methods of transformers' CLIP."""

import logging
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from har.core.readers import is_whole, read_json
from har.models.checks import check_finite, check_size, opening
from har.models.hub_files import OPEN_CLIP, TOKENIZER_FILES, check_json, check_open_clip
from har.models.preprocess import MAX_SIDE

LOCAL = "local-dir:"  # open_clip's own prefix
# What a text tower may ask of its tokenizer; others read files, draw at random or fetch something.
TOKENIZER = {"clean", "strip_sep_token"}


def load(folder: str | Path) -> "OpenClip":
    """The open_clip model in `folder`, as har.models.open_clip_door writes it, and its tokenizer."""
    folder = Path(folder)
    with opening(folder, "a model in open_clip's format"):
        return OpenClip(open_model(folder), open_tokenizer(folder))


class OpenClip(nn.Module):
    """An open_clip model with the methods of transformers' CLIPModel that har.models.encoder calls."""

    def __init__(self, model: nn.Module, tokenizer):
        super().__init__()
        self.model, self.tokens = model, tokenizer

    def get_image_features(self, pixel_values: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(pooler_output=self.model.encode_image(pixel_values, normalize=False))

    def get_text_features(self, input_ids: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(pooler_output=self.model.encode_text(input_ids, normalize=False))

    @property
    def logit_scale(self) -> torch.Tensor:
        return self.model.logit_scale


def check_settings(folder: Path) -> None:
    """ValueError where a configuration asks for more than weights: another network's files, code, or memory."""
    settings = check_json(str(folder), OPEN_CLIP, folder / OPEN_CLIP).get("model_cfg")
    towers = [settings.get(key) if isinstance(settings, dict) else None for key in ("vision_cfg", "text_cfg")]
    if not all(isinstance(tower, dict) for tower in towers):
        raise ValueError(f"{OPEN_CLIP} has no model_cfg with vision_cfg and text_cfg")
    vision, text = towers
    if text.get("hf_model_name"):
        told = f"its text tower is {text['hf_model_name']!r:.60}, which open_clip fetches apart and unpinned"
        raise ValueError(f"{told}; take a model whose text tower is open_clip's own")
    if not re.fullmatch(r"[\w.]*", vision.get("timm_model_name") or "", re.ASCII):
        raise ValueError(f"timm_model_name {vision['timm_model_name']!r:.60} is no name of timm's own")
    if unknown := set(text.get("tokenizer_kwargs") or {}) - TOKENIZER:
        raise ValueError(f"tokenizer_kwargs has {unknown.pop()!r:.60}, which is not used here")
    sizes = [("image_size", vision.get("image_size", 224)), ("context_length", text.get("context_length", 77))]
    for key, value in sizes:
        for side in value if isinstance(value, list) else [value]:
            if not is_whole(side, 1, MAX_SIDE):
                raise ValueError(f"{key} is {value!r:.60}, expected 1 to {MAX_SIDE}")


def open_model(folder: Path, weights: bool = True) -> nn.Module:
    """The model in evaluation mode; on the meta device, as shapes alone, without `weights`. Raises ValueError and
    whatever open_clip meets a damaged folder with."""
    import open_clip

    check_settings(folder)
    held, name = check_open_clip(folder) if weights else None, f"{LOCAL}{folder}"
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # open_clip warns that shapes alone have no weights
    try:
        shapes = partial(open_clip.create_model, name, load_weights=False, pretrained_text=False, device="meta")
        check_size(shapes, held)
        if not weights:
            return shapes().eval()
        model = open_clip.create_model(name, require_pretrained=True)
    finally:
        logging.getLogger().setLevel(level)
    check_finite(model)
    return model.eval()


def open_tokenizer(folder: Path):
    """The tokenizer of a model whose settings are checked; ValueError where it would have to be fetched."""
    import open_clip

    asked = read_json(folder / OPEN_CLIP, "a model")["model_cfg"]["text_cfg"].get("hf_tokenizer_name")
    if asked and not any((folder / name).exists() for name in TOKENIZER_FILES):
        raise ValueError(f"its tokenizer, {asked!r:.60}, is not among its files")
    return open_clip.get_tokenizer(f"{LOCAL}{folder}")
