"""The backbone door: one folder in the hub's format, whatever its source."""

import shutil
from pathlib import Path

from har.config.models import Backbone
from har.core.errors import HarError
from har.core.readers import one_line, read_json
from har.models.hub import fetch_folder, fetch_hub

# More than any base or large image-text encoder weighs, and far below a full disk.
MAX_BYTES = 10_000_000_000


def provide(config: Backbone, out: str | Path, *, pretrained: str | Path) -> None:
    """Write the backbone's files to `out`: configuration, preprocessing, tokenizer and, unless the source is
    random, weights. `pretrained` is the folder of the project's miniature of that name. Raises HarError where
    something could not be downloaded."""
    out = Path(out)
    source = config.shape
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    # an architecture without weights: whoever loads the folder draws fresh ones from its seed
    weights = config.source != "random"
    if source == "open_clip":
        from har.models import open_clip_door  # costs seconds: only where it is used

        print(f"{out.name}: {open_clip_door.provide(config, out, max_bytes=MAX_BYTES)}")
    elif source == "hub":
        fetch_hub(config.id, config.revision, out, sha256=config.sha256, max_bytes=MAX_BYTES, weights=weights)
    else:
        folder = Path(pretrained if source == "pretrain" else config.folder)
        if source == "pretrain" and not (folder / "config.json").exists():
            raise HarError(f"{folder}: the miniature is not there; make it with: dvc repro pretrain@{folder.name}")
        fetch_folder(folder, out, max_bytes=MAX_BYTES, weights=weights)
    kind = one_line(str(read_json(out / "config.json", "a model").get("model_type", "?")), 60)
    size = sum(file.stat().st_size for file in out.glob("*.safetensors"))
    print(f"{out.name}: {kind}, {size / 1e6:.1f} MB of weights from {config.source}")
