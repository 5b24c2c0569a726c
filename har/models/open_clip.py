"""The encoders that open_clip lists, at a hub or in a local folder or file: open_clip's own networks, for embeddings.

A backbone of this source is a folder in open_clip's format beside a config.json that says so. It is opened with the
methods of transformers' CLIP that har.models.encoder calls; nothing trains it. Files are taken as har.models.hub takes
them: safetensors alone, no code.
"""

import difflib
import logging
import re
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from har.config.models import Backbone
from har.core.errors import HarError
from har.core.files import replacing_folder, write_json
from har.core.readers import is_whole, listed
from har.models.checks import check_finite, check_size, opening
from har.models.hub import fetch_folder, fetch_hub, newest
from har.models.hub_files import (
    OPEN_CLIP,
    OPEN_CLIP_WEIGHTS,
    TOKENIZER_FILES,
    check_json,
    count_numbers,
    open_clip_files,
)
from har.models.preprocess import MAX_SIDE

WEIGHTS = OPEN_CLIP_WEIGHTS[0]
HUB, LOCAL = "hf-hub:", "local-dir:"  # open_clip's own prefixes
FILTERS = {"bicubic": 3, "bilinear": 2}  # of Pillow
# What a text tower may ask of its tokenizer; others read files, draw at random or fetch something.
TOKENIZER = {"clean", "strip_sep_token"}


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


def load(folder: str | Path) -> OpenClip:
    """The open_clip model in `folder` and its tokenizer. HarError where it is none, or asks for more than it holds."""
    with opening(folder, "a model in open_clip's format"):
        return _open(Path(folder))


def _open(folder: Path) -> OpenClip:
    import open_clip

    text = _check_settings(folder)
    name, held = f"{LOCAL}{folder}", count_numbers(folder / WEIGHTS)
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # open_clip warns that shapes alone have no weights
    try:
        check_size(partial(open_clip.create_model, name, load_weights=False, device="meta"), held)
        model = open_clip.create_model(name, require_pretrained=True)
    finally:
        logger.setLevel(level)
    check_finite(model)
    asked = text.get("hf_tokenizer_name")
    if asked and not any((folder / file).exists() for file in TOKENIZER_FILES):
        raise ValueError(f"its tokenizer, {asked!r:.60}, is not among its files")
    return OpenClip(model.eval(), open_clip.get_tokenizer(name))


def _check_settings(folder: Path) -> dict:
    """The settings of the text tower; ValueError where a configuration asks for more than weights: another network's
    files, code, or memory."""
    settings = check_json(folder / OPEN_CLIP).get("model_cfg")
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
    return text


def provide(config: Backbone, out: Path, *, max_bytes: int) -> None:
    """Write the model that `config` names to `out`, in open_clip's format.

    Raises HarError, in one line, for a name that open_clip does not have, a model without safetensors, and whatever is
    wrong with its files.
    """
    with replacing_folder(out) as folder:
        _gather(config, folder, max_bytes)
        for path in folder.glob("*.safetensors"):
            path.rename(folder / WEIGHTS)
        with opening(config.model, "a model in open_clip's format"):
            settings = _open(folder).model.visual.preprocess_cfg
            write_json(folder / "preprocessor_config.json", _preprocessor(settings))
        write_json(folder / "config.json", {"model_type": "open_clip", "model": config.model})


def _gather(config: Backbone, folder: Path, max_bytes: int) -> None:
    """Put the files of the model into `folder`, and fetch what does not lie on this machine."""
    if config.model.startswith(LOCAL):
        fetch_folder(config.model.removeprefix(LOCAL), folder, max_bytes=max_bytes, choose=open_clip_files)
        return
    settings, tag = ({}, None) if config.model.startswith(HUB) else _named(config)
    if config.local:
        shutil.copyfile(config.pretrained, folder / WEIGHTS)
    else:
        repo, commit = repository(config)
        if not commit:
            commit = newest(repo)
            print(f"{repo} is at {commit}; add @{commit} to its name and no later change reaches you")
        file = f"{Path(tag['hf_hub'].rpartition('/')[2]).stem}.safetensors" if tag else ""
        fetch_hub(repo, commit, folder, max_bytes=max_bytes, choose=partial(open_clip_files, weights=file))
    if settings:  # the library's own, whatever the repository says
        write_json(folder / OPEN_CLIP, {"model_cfg": settings, "preprocess_cfg": tag or {}})


def repository(config: Backbone) -> tuple[str, str]:
    """Name and commit (empty: none was given) of the repository where the model lies. HarError for a name that
    open_clip does not have."""
    if config.model.startswith(HUB):
        name, _, commit = config.model.removeprefix(HUB).partition("@")
        return name, commit
    return _named(config)[1]["hf_hub"].rpartition("/")[0], config.pretrained.partition("@")[2]


def _named(config: Backbone) -> tuple[dict, dict | None]:
    """open_clip's settings of an architecture by name, and of its tag (None: a file), where it is pretrained."""
    import open_clip
    from open_clip import pretrained

    name, tag = config.model, config.pretrained.partition("@")[0]
    settings = open_clip.get_model_config(name) if re.fullmatch(r"[\w.-]+", name) else None
    if settings is None:
        raise HarError(
            f"open_clip has no model {name!r:.60}, the nearest are {_nearest(name, open_clip.list_models())}"
        )
    if config.local:
        if not Path(config.pretrained).is_file():
            raise HarError(f"{config.pretrained}: no such file; expected weights of {name}")
        return settings, None
    tags = pretrained.list_pretrained_tags_by_model(name)
    known = pretrained.get_pretrained_cfg(name, tag)
    if not known:
        near = f"the nearest of its tags are {_nearest(tag, tags)}" if tags else "it has none; take a file or hf-hub:"
        raise HarError(f"open_clip's {name} has no pretrained {tag!r:.60}, {near}")
    if known.get("quick_gelu", False) != settings.get("quick_gelu", False):
        other = name.removesuffix("-quickgelu") if name.endswith("-quickgelu") else f"{name}-quickgelu"
        raise HarError(f"{name}, {tag}: these weights were trained with another activation; take model {other}")
    if not known.get("hf_hub"):
        raise HarError(
            f"{name}, {tag}: open_clip has it at a URL alone, as a pickle, which may run code; take another tag "
            f"({listed(tags)}) or source: hub, as with openai/clip-vit-base-patch32"
        )
    return settings, known


def _nearest(name: str, known: Sequence[str]) -> str:
    folded = {one.casefold(): one for one in known}
    return ", ".join(folded[one] for one in difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0))


def _preprocessor(settings: dict) -> dict:
    """open_clip's preprocessing as the hub's preprocessor_config.json."""
    size, mode, way = settings["size"], settings["resize_mode"], settings["interpolation"]
    high, wide = (size, size) if isinstance(size, int) else size
    if high != wide or mode not in ("shortest", "squash") or way not in FILTERS:
        raise ValueError(f"preprocessing ({high} × {wide}, {mode}, {way}) that this project does not do")
    square = {"height": high, "width": wide}
    return {
        "image_processor_type": "CLIPImageProcessor",
        "size": square if mode == "squash" else {"shortest_edge": high},
        "resample": FILTERS[way],
        "do_center_crop": mode == "shortest",
        "crop_size": square,
        "image_mean": list(settings["mean"]),
        "image_std": list(settings["std"]),
    }
