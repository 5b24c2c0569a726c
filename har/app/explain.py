"""What each class was seen in: LeGrad's map (har.studies.explain) laid over one's own photographs, a PNG a class."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from har.app.predict import Classifier
from har.core.errors import HarError
from har.core.files import replacing
from har.data.photographs import Photograph
from har.studies.explain.legrad import legrad
from har.studies.explain.overlay import overlay


def explain_photographs(model: Classifier, photographs: Iterable[Photograph], folder: Path) -> None:
    """Write <photograph>-<hash of its path>.<model>.<class>.png to `folder`.

    Photographs that can't be read are left out. Raises HarError for a model without attention.
    """
    network = model.network
    if not hasattr(network.model, "set_attn_implementation"):
        raise HarError(f"{model.name} has no attention to show; choose a fine-tuned ViT, CLIP or SigLIP")
    for photograph in photographs:
        try:
            image = model.upright(photograph)
        except HarError:  # told by the prediction
            continue
        pixels = torch.from_numpy(network.square(image)[None]).to(model.device)
        maps = legrad(network.model, network.preprocess.normalise(pixels))[0].cpu().numpy()
        # photographs of the same name in several folders stay apart
        stem = f"{Path(photograph.name).stem}-{hashlib.sha256(photograph.name.encode()).hexdigest()[:8]}"
        for name, values in zip(_file_names(model.classes), maps, strict=True):
            picture = overlay(np.asarray(image), values, network.preprocess.fit, network.preprocess.crop_pct)
            with replacing(folder / f"{stem}.{model.name}.{name}.png") as partial:
                Image.fromarray(picture).save(partial)


def _file_names(classes: Sequence[str]) -> list[str]:
    """Classes, whose names may hold anything, as different parts of file names."""
    names = ["".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:60] for name in classes]
    alike = Counter(map(str.casefold, names))
    return [f"{name}-{place}" if alike[name.casefold()] > 1 else name for place, name in enumerate(names)]
