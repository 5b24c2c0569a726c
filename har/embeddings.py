"""Reading frozen embeddings. A folder holds

images.npy        float32 [n, width], not normalised
index.csv         image_id of each row
similarities.npy  float32 [n, classes], cosine of image and prompt ensemble (encoders with text)
texts.npy         float32 [classes, width], unit length (encoders with text)
about.json        {"classes": [...], "logit_scale": factor on cosines or null, "width": ...}
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from har.errors import HarError
from har.evaluate import zero_shot_predictions


@dataclass(frozen=True)
class Embeddings:
    index: pd.Index
    images: np.ndarray
    similarities: np.ndarray | None
    classes: list[str]
    logit_scale: float | None
    texts: np.ndarray | None = None

    def text_rows(self, classes: Sequence[str]) -> np.ndarray:
        """Unit text embeddings of `classes`, float32 [classes, width]; HarError for an encoder without text."""
        if self.texts is None:
            raise HarError("this encoder has no text tower, so no text embeddings: choose clip")
        return self.texts[[self.classes.index(label) for label in classes]]

    def rows(self, image_ids: Sequence[int], features: str, classes: Sequence[str]) -> np.ndarray:
        """float32 [n, width]: embeddings of unit length ("image") or cosines to `classes` ("similarity")."""
        at = self.index.get_indexer(pd.Index(image_ids))
        if (at < 0).any():
            raise HarError(f"image {list(image_ids)[int(np.argmin(at))]} has no embedding")
        if features == "image":
            chosen = self.images[at]
            return chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
        if self.similarities is None:
            raise HarError("this encoder has no text tower, so no image-text similarities: choose clip or siglip2")
        return self.similarities[at][:, [self.classes.index(label) for label in classes]]

    def zero_shot(self, parts: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """Predictions by the nearest prompt ensemble for images `parts` (image_id, label, split)."""
        cosines = self.rows(parts.image_id, "similarity", classes)
        return zero_shot_predictions(cosines, self.logit_scale, parts.image_id, parts.label, parts.split, classes)


def read(folder: str | Path) -> Embeddings:
    """The embeddings in `folder`; HarError names what is missing."""
    folder = Path(folder)
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        similarities, texts = folder / "similarities.npy", folder / "texts.npy"
        return Embeddings(
            index=pd.Index(pd.read_csv(folder / "index.csv").image_id),
            images=np.load(folder / "images.npy"),
            similarities=np.load(similarities) if similarities.exists() else None,
            classes=about["classes"],
            logit_scale=about["logit_scale"],
            texts=np.load(texts) if texts.exists() else None,
        )
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise HarError(f"{folder}: not a folder of embeddings: {error}") from None


def texts(folder: str | Path, classes: Sequence[str]) -> np.ndarray:
    """float32 [classes, width]: the unit vectors of the prompts of `classes`; HarError names what is missing."""
    folder = Path(folder)
    try:
        known = json.loads((folder / "about.json").read_text(encoding="utf-8"))["classes"]
        return np.load(folder / "texts.npy")[[known.index(label) for label in classes]]
    except (OSError, ValueError, KeyError) as error:
        raise HarError(f"{folder}: no text embeddings of {', '.join(classes)}: {error}") from None
