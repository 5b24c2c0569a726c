"""Reading frozen embeddings. A folder holds

images.npy        float32 [n, width], not normalised
index.csv         image_id of each row
similarities.npy  float32 [n, classes], cosine of image and prompt ensemble (encoders with text)
texts.npy         float32 [classes, width], unit length (encoders with text)
about.json        {"classes": [...], "logit_scale": factor on cosines or null, "width": ...}
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from har.core.errors import HarError
from har.core.readers import is_number, is_text, listed, read_array, read_json, read_table
from har.evaluation.predictions import zero_shot_predictions


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
        return self.texts[[self._place(label) for label in classes]]

    def rows(self, image_ids: Sequence[int], features: str, classes: Sequence[str]) -> np.ndarray:
        """float32 [n, width]: embeddings of unit length ("image") or cosines to `classes` ("similarity")."""
        at = self.index.get_indexer(pd.Index(image_ids))
        if (at < 0).any():
            raise HarError(f"image {list(image_ids)[int(np.argmin(at))]} has no embedding")
        if features == "image":
            chosen = self.images[at]
            return chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
        if self.similarities is None or self.logit_scale is None:
            raise HarError("this encoder has no text tower, so no image-text similarities: choose clip or siglip2")
        return self.similarities[at][:, [self._place(label) for label in classes]]

    def _place(self, label: str) -> int:
        if label not in self.classes:
            raise HarError(f"no text embedding of {label}, only of {listed(self.classes)}: run stage embed again")
        return self.classes.index(label)

    def zero_shot(self, parts: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """Predictions by the nearest prompt ensemble for images `parts` (image_id, label, split)."""
        cosines = self.rows(parts.image_id, "similarity", classes)
        return zero_shot_predictions(cosines, self.logit_scale, parts.image_id, parts.label, parts.split, classes)


def read(folder: str | Path) -> Embeddings:
    """The embeddings in `folder`; HarError names the file that is missing or does not fit the others."""
    folder = Path(folder)
    classes, logit_scale = _about(folder)
    index = read_table(folder / "index.csv", {"image_id": "int64"}).image_id
    images = read_array(folder / "images.npy", "an embedding of each image of index.csv", (len(index), None))
    if not images.any(axis=1).all():
        raise HarError(f"{folder}/images.npy: the embedding of image {index[images.any(axis=1).argmin()]} is 0")
    similarities, texts = folder / "similarities.npy", None
    if similarities.exists():
        texts = read_array(folder / "texts.npy", "a row for each class of about.json", (len(classes), images.shape[1]))
    return Embeddings(
        index=pd.Index(index),
        images=images,
        similarities=None if texts is None else read_array(
            similarities, "a row for each image, a column for each class", (len(index), len(classes))
        ),
        classes=classes,
        logit_scale=logit_scale,
        texts=texts,
    )  # fmt: skip


def texts(folder: str | Path, classes: Sequence[str]) -> np.ndarray:
    """float32 [classes, width]: the unit vectors of the prompts of `classes`; HarError names what is missing."""
    folder = Path(folder)
    known, _ = _about(folder)
    if unknown := [label for label in classes if label not in known]:
        raise HarError(f"{folder}/about.json: no text embedding of {unknown[0]}, only of {listed(known)}")
    rows = read_array(folder / "texts.npy", "a row for each class of about.json", (len(known), None))
    return rows[[known.index(label) for label in classes]]


def _about(folder: Path) -> tuple[list[str], float | None]:
    """Classes and logit_scale of a folder's about.json."""
    about = read_json(folder / "about.json", "what a folder of embeddings holds")
    classes, scale = about.get("classes"), about.get("logit_scale")
    if not isinstance(classes, list) or not all(map(is_text, classes)) or len(set(classes)) < len(classes):
        raise HarError(f"{folder}/about.json: classes must be a list of different names")
    if scale is not None and not (is_number(scale, 1e6) and scale > 0):
        raise HarError(f"{folder}/about.json: logit_scale must be a number above 0, or null")
    return classes, scale
