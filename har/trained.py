"""What a project has trained: where the models lie, and how good they are (light: no torch, no pandas)."""

import difflib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from har.errors import HarError

SPLITS = ("validation", "test", "extended")


@dataclass(frozen=True)
class Trained:
    """One trained model of a profile. `metrics` as in reports/<profile>/metrics/<name>.json, {} where missing."""

    profile: str
    name: str
    folder: Path
    metrics: dict

    @property
    def task(self) -> str:
        return self.name.split("-", 1)[0]

    @property
    def model(self) -> str:
        return self.name.split("-", 1)[-1]

    @property
    def bytes(self) -> int:
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())

    @cached_property
    def config(self) -> dict:
        """The checkpoint's config.json."""
        return read_config(self.folder)

    @property
    def opens_in_transformers(self) -> bool:
        return "model_type" in self.config


def read_config(folder: Path) -> dict:
    """A checkpoint's config.json; HarError where there is none."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HarError(f"{folder}/config.json: cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise HarError(f"{folder}/config.json: expected a mapping")
    return config


def trained(profile: str, root: str | Path = ".") -> list[Trained]:
    """The trained models of `profile` in the project at `root`, by name."""
    root = Path(root)
    folders = sorted(path.parent for path in (root / "data" / profile / "models").glob("*/config.json"))
    return [Trained(profile, path.name, path, _metrics(root, profile, path.name)) for path in folders]


def _metrics(root: Path, profile: str, name: str) -> dict:
    path = root / "reports" / profile / "metrics" / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise HarError(f"{path}: cannot be read: {error}") from None


def named(name: str, profile: str, root: str | Path = ".") -> Trained:
    """The trained model `name` of `profile`; HarError tells what there is."""
    found = {one.name: one for one in trained(profile, root)}
    if name in found:
        return found[name]
    from har.recovery import maker  # only where something is missing

    folder = Path(root) / "data" / profile / "models" / name
    if now := maker(Path(root), folder):
        raise HarError(f"{folder} is not there yet: {now}")
    if not found:
        raise HarError(f"profile {profile} has no trained model: run `dvc repro` or `dvc pull` first")
    near = difflib.get_close_matches(name, found, n=1, cutoff=0)[0]
    raise HarError(f"no trained model {name!r} in profile {profile}, the nearest is {near}; of {', '.join(found)}")


def best(profile: str, root: str | Path = ".", task: str = "activity") -> Trained:
    """The model of `task` with the best validation accuracy (F1, then the name, at a tie). Test plays no part."""
    found = [one for one in trained(profile, root) if one.task == task and "validation" in one.metrics]
    if not found:
        raise HarError(f"profile {profile} has no trained {task} model: run `dvc repro` or `dvc pull` first")
    return min(
        found, key=lambda one: (-one.metrics["validation"]["accuracy"], -one.metrics["validation"]["f1"], one.name)
    )
