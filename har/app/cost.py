"""What a run of a profile takes: downloads, disk and memory, from the parameters and the encoders' shapes.

The constants fit what was measured of profile coco at full size on a CPU: to a tenth or so.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from har.config.models import Miniature
from har.config.profile import Params
from har.core.readers import is_whole, read_json

CHECKPOINT = 0.85e9  # bytes, where neither the file nor the hub says: base-sized ones have 0.35 (ViT) to 1.5 (SigLIP 2)
REST = 0.7e9  # bytes of everything but photographs and base-sized networks: the sample (README)
PROCESS = 0.8e9  # bytes of a process that has loaded torch and the data
ACTIVATION = 73  # bytes, of training for each token, channel and block of an image
RELEVANCE = 22  # bytes, of LeGrad for each attention weight of an image


class Encoder(NamedTuple):
    """The image tower of a checkpoint: numbers of its shape, and bytes of the whole checkpoint."""

    width: int
    layers: int
    heads: int
    tokens: int
    checkpoint: float

    @property
    def parameters(self) -> int:
        return 12 * self.layers * self.width**2


class Cost(NamedTuple):
    """All in bytes. peak: of the disk, at times; memory: of all processes side by side."""

    downloads: float
    disk: float
    peak: float
    memory: float


def encoder(folder: Path, id: str, listed: int | None) -> Encoder:
    """The encoder whose checkpoint lies in `folder`, or else, from its hub `id` or open_clip's name, one of base size;
    listed: the bytes of its weights as the hub says them."""
    weights = [file.stat().st_size for file in folder.glob("*.safetensors")]
    config = read_json(folder / "config.json", "a model") if (folder / "config.json").is_file() else {}
    vision = config.get("vision_config") if isinstance(config.get("vision_config"), dict) else config
    patch = re.search(r"(?:patch|^ViT-\w+-)([0-9]{1,3})", id)

    def number(key: str, otherwise: int) -> int:
        return vision[key] if is_whole(vision.get(key), 1, 10**6) else otherwise

    side = number("image_size", 224) // number("patch_size", int(patch[1]) if patch else 16)
    shape = number("hidden_size", 768), number("num_hidden_layers", 12), number("num_attention_heads", 12)
    return Encoder(*shape, side**2 + 1, sum(weights) or listed or CHECKPOINT)


def miniature(config: Miniature) -> Encoder:
    """The project's own, as params.yaml says it."""
    made = Encoder(config.width, config.layers, config.heads, (config.image_size // config.patch_size) ** 2 + 1, 0)
    return made._replace(checkpoint=4 * made.parameters)


def cost(params: Params, encoders: Mapping[str, Encoder], foreign: int, linked: bool) -> Cost:
    """What a run from nothing takes.

    Args:
        encoders: name to shape, of those in run.encoders.
        foreign: bytes of photographs and annotations to be fetched.
        linked: whether the hub's cache is on the project's file system, so that checkpoints lie there once.
    """
    profile = params.active
    fetched = [name for name, one in profile.backbones.items() if one.source in ("hub", "open_clip") and not one.local]
    checkpoints = sum(encoders[name].checkpoint for name in fetched if name in encoders)
    models = {name: profile.models[run.model] for name, run in params.run.train.items()}
    tuned = [(encoders[model.backbone], model) for model in models.values() if model.fine_tuned]
    weights = [4 * one.parameters for one, _ in tuned]
    jobs = 1 if profile.training.backend == "sequential" else profile.training.jobs
    disk = REST + 2 * foreign + (1 if linked else 2) * checkpoints + sum(weights)
    # unfinished runs keep weights and the optimiser's two moments, finished ones their weights
    unfinished = (3 * jobs + len(profile.training.seeds)) * max(weights, default=0)
    needs = [
        12 * one.parameters + one.checkpoint + ACTIVATION * model.batch_size * one.tokens * one.layers * one.width
        for one, model in tuned
    ]
    for one in (encoders[models[name].backbone] for name in profile.explain.models):
        attention = profile.explain.batch_size * one.heads * one.tokens**2 * one.layers
        needs.append(8 * one.parameters + RELEVANCE * attention)
    memory = jobs * (PROCESS + max(needs, default=0))
    return Cost(checkpoints + foreign, disk, disk + unfinished, memory)
