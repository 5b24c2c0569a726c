"""The backbone door: one folder in the hub's format, whatever its source."""

import shutil
from functools import partial
from pathlib import Path

from har.config.models import Backbone
from har.core.errors import HarError
from har.core.files import file_sha256
from har.core.readers import one_line
from har.models.hub import fetch_folder, fetch_hub
from har.models.hub_files import model_type, transformers_files

# More than any base or large image-text encoder weighs, and far below a full disk.
MAX_BYTES = 10_000_000_000


def provide(config: Backbone, out: str | Path, *, pretrained: str | Path) -> None:
    """Write the backbone's files to `out`: configuration, preprocessing, tokenizer and, unless the source is
    random, weights. `pretrained` is the folder of the project's miniature of that name. Raises HarError where
    something could not be downloaded."""
    out, source = Path(out), config.shape
    shutil.rmtree(out, ignore_errors=True)
    # an architecture without weights: whoever loads the folder draws fresh ones from its seed
    choose = partial(transformers_files, weights=config.source != "random")
    if source == "open_clip":
        from har.models import open_clip  # costs seconds: only where it is used

        open_clip.provide(config, out, max_bytes=MAX_BYTES)
    elif source == "hub":
        fetch_hub(config.id, config.revision, out, max_bytes=MAX_BYTES, choose=choose)
    else:
        folder = Path(pretrained if source == "pretrain" else config.folder)
        if source == "pretrain" and not (folder / "config.json").exists():
            raise HarError(f"{folder}: the miniature is not there; make it with: dvc repro pretrain@{folder.name}")
        fetch_folder(folder, out, max_bytes=MAX_BYTES, choose=choose)
    weights = list(out.glob("*.safetensors"))
    for file in weights:
        if config.sha256 and source in ("hub", "open_clip") and (found := file_sha256(file)) != config.sha256.lower():
            shutil.rmtree(out)
            raise HarError(f"{out.name}: {file.name} has sha256 {found}, expected {config.sha256} (as given)")
    size = sum(file.stat().st_size for file in weights)
    print(f"{out.name}: {one_line(model_type(out), 60)}, {size / 1e6:.1f} MB of weights from {config.source}")
