"""Reading frozen embeddings. A folder holds

<view>.npy        float32 [n, width], embeddings of a view of each image (har.data.crops), of unit length; of a view of
                  several windows the mean of these
index.csv         image_id of each row
texts.npy         float32 [classes, width], unit length, the mean of each class's prompts (encoders with text)
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
    """views: float32 [n, width] of each."""

    index: pd.Index
    views: list[np.ndarray]
    classes: list[str]
    logit_scale: float | None
    texts: np.ndarray | None = None

    def text_rows(self, classes: Sequence[str]) -> np.ndarray:
        """Unit text embeddings of `classes`, float32 [classes, width]; HarError for an encoder without text."""
        if self.texts is None:
            raise HarError("this encoder has no text tower, so no text embeddings: choose clip or siglip2")
        if unknown := [label for label in classes if label not in self.classes]:
            raise HarError(f"no text embedding of {unknown[0]}, only of {listed(self.classes)}: run stage embed again")
        return self.texts[[self.classes.index(label) for label in classes]]

    def rows(self, image_ids: Sequence[int], features: str, classes: Sequence[str]) -> np.ndarray:
        """float32: the views' embeddings of unit length side by side, [n, views * width] ("image"), or their mean
        cosines to `classes`, [n, classes] ("similarity")."""
        at = self.index.get_indexer(pd.Index(image_ids))
        if (at < 0).any():
            raise HarError(f"image {list(image_ids)[int(np.argmin(at))]} has no embedding")
        chosen = [view[at] for view in self.views]
        if features == "similarity":
            return np.mean(chosen, axis=0) @ self.text_rows(classes).T
        return np.hstack([view / np.linalg.norm(view, axis=1, keepdims=True) for view in chosen])

    def zero_shot(self, parts: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """Predictions by the nearest prompt ensemble for images `parts` (image_id, label, split)."""
        cosines = self.rows(parts.image_id, "similarity", classes)
        return zero_shot_predictions(cosines, self.logit_scale, parts, classes)


def read(folder: str | Path, views: Sequence[str] = ("image",)) -> Embeddings:
    """The embeddings of `views` in `folder`; HarError names the file that is missing or does not fit the others."""
    folder = Path(folder)
    classes, logit_scale = _about(folder)
    index = read_table(folder / "index.csv", {"image_id": "int64"}).image_id
    found: list[np.ndarray] = []
    for view in views:
        shape = len(index), found[0].shape[1] if found else None
        rows = read_array(folder / f"{view}.npy", "an embedding of each image of index.csv", shape)
        if not rows.any(axis=1).all():
            raise HarError(f"{folder}/{view}.npy: the embedding of image {index[rows.any(axis=1).argmin()]} is 0")
        found.append(rows)
    texts = None
    if logit_scale is not None:
        shape = len(classes), found[0].shape[1] if found else None
        texts = read_array(folder / "texts.npy", "a row for each class of about.json", shape)
    return Embeddings(pd.Index(index), found, classes, logit_scale, texts)


def texts(folder: str | Path, classes: Sequence[str]) -> np.ndarray:
    """float32 [classes, width]: the unit vectors of the prompts of `classes`; HarError names what is missing."""
    return read(folder, ()).text_rows(classes)


def _about(folder: Path) -> tuple[list[str], float | None]:
    """Classes and logit_scale of a folder's about.json."""
    about = read_json(folder / "about.json", "what a folder of embeddings holds")
    classes, scale = about.get("classes"), about.get("logit_scale")
    if not isinstance(classes, list) or not all(map(is_text, classes)) or len(set(classes)) < len(classes):
        raise HarError(f"{folder}/about.json: classes must be a list of different names")
    if scale is not None and not (is_number(scale, 1e6) and scale > 0):
        raise HarError(f"{folder}/about.json: logit_scale must be a number above 0, or null")
    return classes, scale
