"""The trained models that stage train keeps, read back: weights, classes and preprocessing of one folder."""

import json
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from har.errors import HarError
from har.models.builders import build
from har.models.preprocess import Preprocess
from har.params.schema import Model


def load_kept(folder: str | Path, config: Model, classes: Sequence[str]) -> tuple[nn.Module, Preprocess | None]:
    """The model in `folder`, in evaluation mode, and its preprocessing (None for MLPs on embeddings).

    config: the block of params.yaml that it was trained by. Raises HarError where the folder holds no such model or
    one of other classes.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    try:
        about = json.loads((folder / "config.json").read_text())
        weights = load_file(folder / "model.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise HarError(f"{folder}: not a trained model: {' '.join(str(error).split())}") from None
    if config.kind == "finetune":
        known = [name for _, name in sorted(about.get("id2label", {}).items(), key=lambda item: int(item[0]))]
        lacking = {"classifier.weight", "classifier.bias"} - weights.keys()
    else:
        known, lacking = about.get("classes", []), set()
    if lacking:
        raise HarError(f"{folder}: not a trained model: its weights lack {min(lacking)}")
    if known != list(classes):
        raise HarError(f"{folder}: a model of {', '.join(known) or 'no classes'}, expected {', '.join(classes)}")
    features = weights["0.mean"].numel() if config.kind == "mlp" else 0
    model, preprocess = build(config, classes, folder, features=features)
    if config.kind != "finetune":  # transformers has read its own
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise HarError(f"{folder}: its weights do not fit params.yaml: {str(error).splitlines()[0]}") from None
    return model.eval(), preprocess
