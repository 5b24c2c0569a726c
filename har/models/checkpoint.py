"""A trained model's folder, opened."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from har.config.models import Model
from har.core.errors import HarError
from har.core.readers import is_text, listed
from har.models.build import build
from har.models.checks import check_finite, check_shapes, opening
from har.models.hub_files import check_safetensors
from har.models.preprocess import Preprocess, from_folder
from har.models.registry import own_settings


def load_kept(folder: str | Path, classes: Sequence[str]) -> tuple[nn.Module, Preprocess | None]:
    """The model in `folder`, in evaluation mode, and its preprocessing (None for MLPs on embeddings).

    Raises HarError where the folder holds no such model or one of other classes.
    """
    folder = Path(folder)
    if own := own_settings(folder):
        config, known = own
        model, preprocess = load_own(folder, config, known)
    else:
        from har.models.classifier import finetuned

        model, preprocess = finetuned(folder), from_folder(folder)
        known = labels_of(model, folder)
    if known != list(classes):
        raise HarError(f"{folder}: a model of {listed(known)}, expected {', '.join(classes)}")
    return model, preprocess


def load_own(folder: Path, config: Model, classes: Sequence[str]) -> tuple[nn.Module, Preprocess | None]:
    """One of the project's own networks, as `load_kept` gives it; HarError where its weights are not those that
    `config` describes, or hold NaN."""
    from safetensors.torch import load_file

    path = folder / "model.safetensors"
    with opening(folder, "a trained model"):
        check_safetensors(path)
        weights = load_file(path)
        # the width of an MLP's input is that of its standardisation
        width = weights["0.mean"].numel() if not config.sees_images else 0
        check_shapes(lambda: build(config, classes, features=width)[0], weights)
        model, preprocess = build(config, classes, features=width)
        model.load_state_dict(weights)
        check_finite(model)
    return model.eval(), preprocess


def labels_of(model: nn.Module, folder: Path) -> list[str]:
    """The classes of a classifier in the hub's format, in their order; HarError unless they are different names."""
    names = [name for _, name in sorted(model.config.id2label.items())]
    if not names or not all(map(is_text, names)) or len(set(names)) < len(names):
        raise HarError(f"{folder}/config.json: id2label must hold a different name for each class")
    return names
