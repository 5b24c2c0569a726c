"""params.yaml as tests need it, whatever a working tree has made of it: profile sample, the whole run.

Tests that need a certain value set it, by its key: `write(folder, {"models.clip.head": "text"})`. This module alone
knows how the file is laid out.
"""

import copy
import functools
import io
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from har.config.load import read_yaml
from har.config.profile import Params, Profile, load_params
from har.core.errors import HarError

FILE = Path(__file__).parents[2] / "params.yaml"
SHIPPED = ("sample", "coco")
TRAINED = {
    "activity": ("cnn_base", "fnn_base", "cnn_gen", "vit", "clip", "clip_patches", "siglip2", "multimodal", "feature"),
    "posture": ("vit", "clip", "siglip2"),
}


def _run(models: Mapping[str, dict]) -> dict:
    train = {}
    for task, names in TRAINED.items():
        for name in names:
            backbone = (models.get(models[name].get("like"), {}) | models[name]).get("backbone")
            train[f"{task}-{name}"] = {
                "task": task, "model": name, "input": f"embeddings/{backbone}" if backbone else "store",
            }  # fmt: skip
    return {"encoders": ["vit", "clip", "siglip2"], "train": train, "generative": [], "noise": "clip", "tune": []}


def _settled(found: dict) -> dict:
    """`found`, what a params.yaml holds, with the shipped profiles alone, sample active and the whole run."""
    for name in set(found["profiles"]) - set(SHIPPED):
        del found["profiles"][name]
    return found | {"profile": "sample", "run": _run(found["models"])}


@functools.cache
def _data() -> dict:
    return _settled(read_yaml(FILE))


@functools.cache
def text() -> str:
    """`data` in the form of params.yaml, for what edits the file."""
    yaml = YAML()
    content, out = yaml.load(FILE.read_text(encoding="utf-8")), io.StringIO()
    content.update(_settled(content))
    yaml.dump(content, out)
    return out.getvalue()


def data(changes: Mapping[str, Any] | None = None) -> dict:
    """The file's content with `changes` (dotted key to value). A key that another profile than sample sets is
    `profiles.coco.split.seed`."""
    content = copy.deepcopy(_data())
    for key, value in (changes or {}).items():
        block, name = _place(content, key)
        block[name] = value
    return content


def _place(content: dict, key: str) -> tuple[dict, str]:
    *path, name = key.split(".")
    for part in path:
        content = content.setdefault(part, {})
    return content, name


def value(key: str) -> Any:
    """What stands at a key, as `data` takes it."""
    block, name = _place(_data(), key)
    return block[name]


def write(folder: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """folder/params.yaml with `data(changes)`, in JSON, which is YAML."""
    file = folder / "params.yaml"
    file.write_text(json.dumps(data(changes), indent=1), encoding="utf-8")
    return file


def error(folder: Path, changes: Mapping[str, Any]) -> str:
    """The line with which load_params refuses that file."""
    file = write(folder, changes)
    with pytest.raises(HarError) as told:
        load_params(file)
    assert "\n" not in str(told.value)
    return str(told.value).replace(f"{folder}/", "")


def override(folder: Path, changes: Mapping[str, Any]) -> None:
    """folder/params.yaml after `dvc exp run -S key=value ...`."""
    from dvc.utils.hydra import apply_overrides  # what -S calls

    apply_overrides(folder / "params.yaml", [f"{key}={json.dumps(new)}" for key, new in changes.items()])


@functools.cache
def params() -> Params:
    with tempfile.TemporaryDirectory() as folder:
        return load_params(write(Path(folder)))


def profile(name: str = "sample") -> Profile:
    """A shipped profile, resolved."""
    return params().profiles[name]
