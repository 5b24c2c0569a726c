"""A trained model as a folder of its own: weights, what reads photographs for it, and its model card."""

import os
import shutil
import tempfile
from pathlib import Path

from har.app.network import ENCODER, SETTINGS, TEXTS, OnEmbeddings, open_checkpoint, stored_short_side
from har.config.profile import Params, load_params
from har.core.errors import HarError
from har.core.files import write_json, write_text
from har.core.machine import commit
from har.evaluation.predictions import read_predictions
from har.models.hub_files import SMALL_FILES
from har.models.registry import Trained, named
from har.reporting.model_card import card


def export(name: str, folder: str | Path, *, profile: str = "", root: str | Path = ".") -> list[str]:
    """Copy the trained model `name` with its model card to `folder`, whole or not at all; returns the files.

    Raises HarError where `folder` holds something already, or the model, its predictions or its metrics are missing.
    """
    folder, root = Path(folder), Path(root)
    params, profile = asked(folder, profile, root)
    one = named(name, profile, root)
    text = described(one, params.profiles[profile], root, commit(root))
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        # beside its place, so that the last step is a rename
        with tempfile.TemporaryDirectory(dir=folder.absolute().parent, prefix=f".{folder.name}.") as room:
            fresh = Path(room) / "new"
            fresh.mkdir()
            _fill(one, fresh)
            write_text(fresh / "README.md", text)
            os.replace(fresh, folder)
    except OSError as error:
        raise HarError(f"{folder}: cannot be written: {error}") from None
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def asked(folder: Path, profile: str, root: Path) -> tuple[Params, str]:
    """The parameters of the project at `root`, and `profile` or else the active one. HarError where there is none of
    that name, or `folder` holds something already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise HarError(f"{folder}: exists and is not empty; name a new folder")
    params = load_params(root / "params.yaml")
    profile = profile or params.profile
    if profile not in params.profiles:
        raise HarError(f"params.yaml has no profile {profile}; expected one of {', '.join(params.profiles)}")
    return params, profile


def described(one: Trained, profile, root: Path, made_by: str = "") -> str:
    """The model card of `one`, from its metrics and predictions in the project at `root`."""
    if not one.metrics:
        raise HarError(f"reports/{one.profile}/metrics/{one.name}.json is missing; run `dvc repro train@{one.name}`")
    if one.folder.parent.name != "models":
        raise HarError(f"{one.name} is a row, which is not exported; har predict --model {one.name} uses it from here")
    if one.model not in profile.models:
        raise HarError(f"{one.folder}: models of profile {one.profile} in params.yaml has no {one.model} any more")
    classes = profile.tasks.get(one.task)
    predictions = read_predictions(root / "data" / one.profile / "predictions" / f"{one.name}.parquet", classes)
    return card(one, profile, predictions, made_by)


def _fill(one: Trained, folder: Path) -> None:
    for file in one.folder.iterdir():
        if file.suffix in (".json", ".safetensors") or file.name in SMALL_FILES:
            shutil.copyfile(file, folder / file.name)
    write_json(folder / SETTINGS, {"name": one.name, "short_side": stored_short_side(one.folder)})
    if one.in_hub_format:
        return
    network = open_checkpoint(one.folder)
    if not isinstance(network, OnEmbeddings):
        return
    encoder = network.encoder
    shutil.copytree(encoder.folder, folder / ENCODER, copy_function=shutil.copyfile)
    if not list(encoder.folder.glob("*.safetensors*")):  # source: random, drawn anew at each load
        encoder.model.save_pretrained(folder / ENCODER)
    if network.texts is not None:
        from safetensors.torch import save_file

        save_file({"texts": network.texts.contiguous()}, folder / TEXTS)
