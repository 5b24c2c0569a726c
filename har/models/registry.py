"""What a project has trained: where the models lie, and how good they are (light: no torch, no pandas)."""

import difflib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field

from har.config.load import Block, validate
from har.config.models import Model
from har.config.rows import Row, recommended
from har.core.errors import HarError
from har.core.readers import is_number, is_text, is_whole, read_json

SPLITS = ("validation", "test", "held_out")  # held out: test and extended images together
SCORES, ENDS = ("accuracy", "balanced_accuracy", "f1"), ("balanced_low", "balanced_high")
KINDS = ("models", "baselines", "ensembles")  # folders of a profile's data that hold trained models and rows


class Settings(Block):
    config: Annotated[Model | Row, Field(discriminator="kind")]


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

    @cached_property
    def settings(self) -> Model:
        return settings(self.folder)

    @property
    def in_hub_format(self) -> bool:
        return "model_type" in self.config

    @property
    def pipeline(self) -> str:
        """The task of the hub's pipeline that opens it; empty where none does."""
        kind = str(self.config.get("architectures"))
        if not self.in_hub_format or "EmbeddingClassifier" in kind:
            return ""
        return "image-classification" if "ForImageClassification" in kind else "zero-shot-image-classification"


def read_config(folder: Path) -> dict:
    """A checkpoint's config.json; HarError where there is none."""
    return read_json(folder / "config.json", "the configuration of a model")


def settings(folder: Path) -> Model:
    """The block of params.yaml that the model in `folder` was trained by, from its config.json."""
    return validate(Settings, {"config": read_config(folder).get("config")}, f"{folder}/config.json").config


def own_settings(folder: Path) -> tuple[Model, list[str]] | None:
    """Settings and classes of one of the project's own networks, None for a model in the hub's format. Raises
    HarError where they are not understood."""
    config = read_config(folder)
    if "classes" not in config or "config" not in config:
        return None
    found, classes = settings(folder), config["classes"]
    if not isinstance(classes, list) or not all(map(is_text, classes)) or not 2 <= len(set(classes)) == len(classes):
        raise HarError(f"{folder}/config.json: classes must be a list of two or more different names")
    if getattr(found, "fine_tuned", False):
        raise HarError(f"{folder}/config.json: kind finetune is kept in the hub's format")
    return found, classes


def trained(profile: str, root: str | Path = ".") -> list[Trained]:
    """The trained models and rows of `profile` in the project at `root`, each kind by name."""
    root = Path(root)
    data = root / "data" / profile
    folders = [path.parent for kind in KINDS for path in sorted((data / kind).glob("*/config.json"))]
    return [Trained(profile, path.name, path, metrics_of(root / "reports" / profile, path.name)) for path in folders]


def metrics_of(reports: Path, name: str) -> dict:
    """The metrics of the trained model `name` in a profile's reports, {} where there are none; HarError names what in
    them is no score."""
    path = reports / "metrics" / f"{name}.json"
    if not path.exists():
        path = reports / "metrics/baselines" / path.name
    if not path.exists():
        return {}
    metrics = read_json(path, "the metrics of a model")
    for split in SPLITS:
        scores = metrics.get(split, dict.fromkeys(SCORES, 0))
        for key in (*SCORES, *ENDS):
            if not isinstance(scores, dict) or not is_number(scores.get(key, 0 if key in ENDS else None), 1):
                raise HarError(f"{path}: {split}.{key} is no number of 0 to 1")
    if "dev" in metrics and not (isinstance(metrics["dev"], dict) and is_number(metrics["dev"].get("log_loss"))):
        raise HarError(f"{path}: dev.log_loss is no number")
    for key in ("parameters", "kept_seed"):
        if key in metrics and not is_whole(metrics[key]):
            raise HarError(f"{path}: {key} is no whole number of 0 or more")
    return metrics


def named(name: str, profile: str, root: str | Path = ".") -> Trained:
    """The trained model `name` of `profile`; HarError tells what there is."""
    found = {one.name: one for one in trained(profile, root)}
    if name in found:
        return found[name]
    if not found:
        raise HarError(f"profile {profile} has no trained model: run `dvc repro` or `dvc pull` first")
    near = difflib.get_close_matches(name, found, n=1, cutoff=0)[0]
    raise HarError(f"no trained model {name!r} in profile {profile}, the nearest is {near}; of {', '.join(found)}")


def best(profile: str, root: str | Path = ".", task: str = "activity") -> Trained:
    """The row of `task` with the lowest log loss out of fold on train and validation; where no row has that, the model
    with the best balanced accuracy on validation (F1, then the name, at a tie). Test plays no part."""
    every = {one.name: one for one in trained(profile, root) if one.task == task and one.metrics}
    if row := recommended({name: one.metrics for name, one in every.items()}):
        return every[row]
    found = [one for one in every.values() if "validation" in one.metrics]
    if not found:
        raise HarError(f"profile {profile} has no trained {task} model: run `dvc repro` or `dvc pull` first")
    scores = {one.name: one.metrics["validation"] for one in found}
    return min(found, key=lambda one: (-scores[one.name]["balanced_accuracy"], -scores[one.name]["f1"], one.name))
