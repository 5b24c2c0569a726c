"""The door of open_clip: every encoder that it lists, at a hub or in a local folder or file of its own format.

Where transformers has the same architecture (har.models.twin), the backbone becomes a checkpoint in transformers'
format, proved equal before it is used. Any other stays open_clip's: har.models.encoder opens it, so that it gives
embeddings, and nothing trains it. Files are taken as har.models.hub takes them: safetensors alone, no code.
"""

import difflib
import re
import shutil
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from har.config.models import Backbone
from har.core.errors import HarError
from har.core.files import file_sha256, replacing_folder, write_json
from har.core.readers import listed, read_json
from har.models.checks import opening
from har.models.encoder import Encoder
from har.models.hub import fetch_folder, fetch_hub, newest
from har.models.hub_files import OPEN_CLIP, OPEN_CLIP_FORMAT, OPEN_CLIP_WEIGHTS, TOKENIZER_FILES, open_clip_weights
from har.models.open_clip import LOCAL, open_model, open_tokenizer
from har.models.twin import NoTwinError, twin

WEIGHTS = OPEN_CLIP_WEIGHTS[0]
HUB = "hf-hub:"  # open_clip's own prefix
FILTERS = {"bicubic": 3, "bilinear": 2}  # of Pillow
# Both ways must give the same features: capitals, and more words than any tower reads.
TEXTS = ("a photo of a person walking", "Two People sitting on a bench", " ".join(["a dog runs"] * 300))
SAME = 1e-3  # of the largest feature; rounding alone gives a hundredth of that


def provide(config: Backbone, out: Path, *, max_bytes: int) -> str:
    """Write what `config` names to `out` and say in a few words what it has become.

    Raises HarError, in one line, for a name that open_clip does not have, a model without safetensors, and whatever is
    wrong with its files.
    """
    weights = config.source != "random"
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".") as room:
        folder = Path(room) / "open_clip"
        _gather(config, folder, max_bytes, weights)
        with opening(config.model, "a model in open_clip's format"):
            model = open_model(folder, weights)
            tokenizer = open_tokenizer(folder)
            preprocessor = _preprocessor(model.visual.preprocess_cfg)
        try:
            with replacing_folder(out) as made:
                network = twin(model)
                (network if weights else network.config).save_pretrained(made)
                _save_tokenizer(folder, made, tokenizer)
                write_json(made / "preprocessor_config.json", preprocessor)
                if weights:
                    _prove(made, model, tokenizer)
            return f"{network.config.model_type} with open_clip's weights"
        except NoTwinError as error:
            if not weights:
                raise HarError(
                    f"{config.model}: transformers has no such architecture ({error}); source random needs one"
                ) from None
            reason = str(error)
        write_json(folder / "config.json", {"model_type": "open_clip", "model": config.model})
        write_json(folder / "preprocessor_config.json", preprocessor)
        with replacing_folder(out) as made:
            shutil.copytree(folder, made, dirs_exist_ok=True)
    return f"open_clip, embeddings alone ({reason})"


def check_fine_tuned(config: Backbone, users: Sequence[str]) -> None:
    """HarError where `users` are to be trained from an encoder by name that transformers does not have: known before
    anything is fetched. Of a repository nothing is known before, so it passes."""
    if not users or config.model.startswith((HUB, LOCAL)):
        return
    with tempfile.TemporaryDirectory() as room, opening(config.model, "a model of open_clip"):
        write_json(Path(room) / OPEN_CLIP, {"model_cfg": _named(config)[0]})
        model = open_model(Path(room), weights=False)
    try:
        twin(model)
    except NoTwinError as error:
        raise HarError(
            f"{config.model} cannot be fine-tuned, as {listed(users)} would: transformers has no such architecture "
            f"({error}); it gives embeddings alone (rows from captions, probes, MLPs)"
        ) from None


def _gather(config: Backbone, folder: Path, max_bytes: int, weights: bool) -> None:
    """The files of the model in `folder`, in open_clip's format and under its names."""
    options = {"max_bytes": max_bytes, "weights": weights}
    if config.model.startswith(LOCAL):
        fetch_folder(config.model.removeprefix(LOCAL), folder, **options, form=OPEN_CLIP_FORMAT)
    elif config.model.startswith(HUB):
        _fetch(*repository(config), folder, **options, form=OPEN_CLIP_FORMAT)
    else:
        settings, tag = _named(config)
        if tag is None:
            folder.mkdir(parents=True)
            if weights:
                shutil.copyfile(config.pretrained, folder / WEIGHTS)
        else:
            file = Path(tag["hf_hub"].rpartition("/")[2]).stem
            form = replace(OPEN_CLIP_FORMAT, first="", weights=partial(_tagged, config, (f"{file}.safetensors",)))
            _fetch(*repository(config), folder, **options, form=form)
        write_json(folder / OPEN_CLIP, {"model_cfg": settings, "preprocess_cfg": tag or {}})
    for path in folder.glob("*.safetensors"):
        path.rename(folder / WEIGHTS)
        if config.sha256 and (found := file_sha256(folder / WEIGHTS)) != config.sha256:
            raise HarError(f"{config.model}: {path.name} has sha256 {found}, expected {config.sha256} (as given)")
    if not (folder / OPEN_CLIP).exists():
        raise HarError(f"{config.model}: {OPEN_CLIP} is missing; expected a model in open_clip's format")


def repository(config: Backbone) -> tuple[str, str]:
    """Name and commit (empty: none was given) of the repository where the model lies; no name for a local one.
    HarError for a name that open_clip does not have."""
    if config.local:
        return "", ""
    if config.model.startswith(HUB):
        name, _, commit = config.model.removeprefix(HUB).partition("@")
        return name, commit
    tag = _named(config)[1] or {}
    return tag.get("hf_hub", "").rpartition("/")[0], config.pretrained.partition("@")[2]


def _fetch(repo: str, commit: str, folder: Path, **options) -> None:
    """Fetch a repository at `commit`, or where it is now."""
    if not commit:
        commit = newest(repo)
        print(f"{repo} is at {commit}; add @{commit} to its name and no later change reaches you")
    fetch_hub(repo, commit, folder, **options)


def _named(config: Backbone) -> tuple[dict, dict | None]:
    """open_clip's settings of an architecture by name, and of its tag (None: a file), where it is pretrained."""
    import open_clip
    from open_clip import pretrained

    name, tag = config.model, config.pretrained.partition("@")[0]
    settings = open_clip.get_model_config(name) if re.fullmatch(r"[\w.-]+", name) else None
    if settings is None:
        near = _nearest(name, open_clip.list_models())
        raise HarError(f"open_clip has no model {name!r:.60}, the nearest are {near}")
    if config.pretrained.endswith(".safetensors"):
        if not Path(config.pretrained).is_file():
            raise HarError(f"{config.pretrained}: no such file; expected weights of {name}")
        return settings, None
    if not tag:  # source random
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


def _tagged(config: Backbone, others: tuple[str, ...], label: str, names: Collection[str]) -> list[str]:
    """As open_clip_weights; where there is none, HarError says what would do."""
    from open_clip import pretrained

    try:
        return open_clip_weights(label, names, others)
    except HarError as error:
        tag = config.pretrained.partition("@")[0]
        rest = [one for one in pretrained.list_pretrained_tags_by_model(config.model) if one != tag]
        would = f"other tags of {config.model}: {listed(rest)}" if rest else "another model"
        raise HarError(f"{config.model}, {tag}: {error}; take {would}") from None


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
        "do_resize": True,
        "size": square if mode == "squash" else {"shortest_edge": high},
        "resample": FILTERS[way],
        "do_center_crop": mode == "shortest",
        "crop_size": square,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(settings["mean"]),
        "image_std": list(settings["std"]),
        "do_convert_rgb": True,
    }


def _save_tokenizer(folder: Path, made: Path, tokenizer) -> None:
    """The tokenizer in transformers' format. NoTwinError for one that does more than transformers' would."""
    from open_clip.tokenizer import SimpleTokenizer
    from transformers import CLIPTokenizer

    asked = read_json(folder / OPEN_CLIP, "a model")["model_cfg"]["text_cfg"]
    more = {key: value for key, value in (asked.get("tokenizer_kwargs") or {}).items() if value != "canonicalize"}
    if more or asked.get("tokenizer_mode"):
        raise NoTwinError("its tokenizer has rules of its own")
    if not isinstance(tokenizer, SimpleTokenizer):
        for name in TOKENIZER_FILES:
            if (folder / name).exists():
                shutil.copyfile(folder / name, made / name)
        return
    words = [*list(tokenizer.encoder)[:-2], "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: i for i, word in enumerate(words)}
    length = tokenizer.context_length
    CLIPTokenizer(vocab=vocabulary, merges=list(tokenizer.bpe_ranks), model_max_length=length).save_pretrained(made)


def _prove(made: Path, model: nn.Module, tokenizer) -> None:
    """NoTwinError unless the encoder in `made` gives the features of open_clip's `model`, images and texts."""
    ours = Encoder(made)
    size = ours.preprocess.size
    pixels = torch.randint(0, 256, (2, 3, size, size), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    with torch.inference_mode():
        pairs = {
            "images": (ours.images(pixels), model.encode_image(ours.preprocess.normalise(pixels), normalize=False)),
            "texts": (ours.texts(TEXTS), model.encode_text(tokenizer(list(TEXTS)), normalize=False)),
        }
    for name, (a, b) in pairs.items():
        apart = float((a - b).abs().max() / b.abs().max())
        if not apart <= SAME:
            raise NoTwinError(f"transformers gives other embeddings of {name}, {apart:.1e} apart")
    if abs(ours.logit_scale / float(model.logit_scale.detach().exp()) - 1) > SAME:
        raise NoTwinError("transformers has another temperature")
