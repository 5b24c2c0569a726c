"""The backbone door: one folder in the hub's format, whatever its source."""

import json
import shutil
from pathlib import Path

from har.errors import HarError
from har.hub import fetch_folder, fetch_hub
from har.params.schema import Backbone

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


def provide(config: Backbone, out: str | Path, *, pretrained: str | Path, cache: str | Path) -> None:
    """Write the backbone's files to `out`: configuration, preprocessing, tokenizer and, unless the source is
    random, weights. `pretrained` is the folder of the project's miniature of that name, `cache` keeps
    downloads. Raises HarError where something can't be had."""
    out = Path(out)
    source = config.architecture if config.source == "random" else config.source
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    if source == "hub":
        known = {"model.safetensors": config.sha256} if config.sha256 else None
        fetch_hub(config.id, config.revision, out, cache_dir=cache, sha256=known)
    else:
        folder = Path(pretrained if source == "pretrain" else config.folder)
        if source == "pretrain" and not (folder / "config.json").exists():
            raise HarError(f"{folder}: the miniature is not there; make it with: dvc repro pretrain@{folder.name}")
        fetch_folder(folder, out)
    if config.source == "random":
        # no weights: whoever loads the folder draws fresh ones from its seed
        for file in out.glob("*.safetensors*"):
            file.unlink()
    print(f"{out.name}: {_describe(out)} from {config.source}")


def _describe(folder: Path) -> str:
    kind = json.loads((folder / "config.json").read_text()).get("model_type", "?")
    size = sum((folder / name).stat().st_size for name in WEIGHTS if (folder / name).exists())
    return f"{kind}, {size / 1e6:.1f} MB of weights"
