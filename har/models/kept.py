"""The trained models that stage train keeps, read back: weights, classes and preprocessing of one folder."""

import json
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from har.errors import HarError
from har.models.builders import build
from har.models.preprocess import Preprocess, from_folder
from har.params.schema import Model


def load_kept(folder: str | Path, config: Model, classes: Sequence[str]) -> tuple[nn.Module, Preprocess | None]:
    """The model in `folder`, in evaluation mode, and its preprocessing (None for MLPs on embeddings).

    config: the block of params.yaml that it was trained by. Raises HarError where the folder holds no such model or
    one of other classes.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    if config.kind == "finetune":
        from har.models.pretrained import finetuned

        model = finetuned(folder)
        known = [name for _, name in sorted(model.config.id2label.items())]
    else:
        try:
            known = json.loads((folder / "config.json").read_text()).get("classes", [])
            weights = load_file(folder / "model.safetensors")
        except (OSError, ValueError, SafetensorError) as error:
            raise HarError(f"{folder}: not a trained model: {' '.join(str(error).split())}") from None
    if known != list(classes):
        raise HarError(f"{folder}: a model of {', '.join(known) or 'no classes'}, expected {', '.join(classes)}")
    if config.kind == "finetune":
        return model, from_folder(folder)
    features = weights["0.mean"].numel() if config.kind == "mlp" else 0
    model, preprocess = build(config, classes, features=features)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise HarError(f"{folder}: its weights do not fit params.yaml: {str(error).splitlines()[0]}") from None
    return model.eval(), preprocess
