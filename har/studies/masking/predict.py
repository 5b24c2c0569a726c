"""Predictions of models on masked images, one file a model: the data of the masking study.

A row for each condition and image: `condition, covered, image_id, split, label, p_<class>...`; covered is the share
of the input that is black. Masks lie on the network's own input, after cropping and scaling and before
normalisation, and black is pixel value 0. This module loads no torch; the processes that predict do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import delayed
from tqdm import tqdm

from har.config.training import Training
from har.core.cache import kept_calls, lasting
from har.core.errors import HarError
from har.core.files import write_parquet
from har.core.parallel import side_by_side
from har.core.readers import read_array, read_parquet, read_table
from har.data.crops import PersonStore
from har.data.store import Store
from har.evaluation.predictions import PREDICTIONS, validate_predictions
from har.models.preprocess import Preprocess
from har.studies.masking.conditions import BOX, CROP, NONE, Drawing, Region, View, masked, relevance_region
from har.studies.masking.predictors import Frozen, Trained
from har.training.run import LOADED

MARGIN = 0.2  # around a person that is given alone, of its box on each side
TOLD = ("image_id", "split", "label", "group", "clip")  # of an image
DIGITS = 6  # of a probability: shorter ones halve the file, and every figure derives from the file


@dataclass(frozen=True)
class Explanation:
    """The maps of a model, [m, classes, side, side], and the images that they are of."""

    maps: np.ndarray
    image_ids: Sequence[int]


def read_explanation(folder: Path) -> Explanation:
    """The maps that stage explain wrote to `folder`; HarError where there are none."""
    if not (folder / "maps.npy").exists():
        raise HarError(f"{folder}: no maps.npy; run stage explain or empty masking.relevance.models")
    ids = read_table(folder / "index.csv", {"image_id": "int64"}).image_id.tolist()
    maps = read_array(folder / "maps.npy", "maps of each image of index.csv", (len(ids), None, None, None), mapped=True)
    return Explanation(maps, ids)


def choose_images(split: pd.DataFrame, classes: Sequence[str], most: int, seed: int) -> pd.DataFrame:
    """At most `most` images that no model learnt from (image_id, label, split), in order of image_id: the test images,
    and as many of the extended ones, drawn at random, as there is room for."""
    unseen = split[split.label.isin(classes) & split.split.isin(["test", "extended"])]
    order = np.random.default_rng(seed).permutation(len(unseen))
    drawn = unseen.sort_values("image_id").iloc[order].sort_values("split", key=lambda s: s != "test", kind="stable")
    if "clip" in drawn:  # frames of one after the other
        drawn = drawn.iloc[np.argsort(pd.factorize(drawn["clip"])[0], kind="stable")]
    return drawn.head(most).sort_values("image_id", ignore_index=True)


def view_of(preprocess: Preprocess) -> View:
    return View(preprocess.size, preprocess.fit, preprocess.crop_pct)


def study(
    models: Sequence[Trained | Frozen],
    images: pd.DataFrame,
    classes: Sequence[str],
    store: Path,
    drawing: Drawing,
    regions: Mapping[View, Mapping[str, Region]],
    *,
    training: Training,
    explanations: Mapping[str, Explanation] | None = None,
    relevance_share: float = 0.3,
    keep: Path | None = None,
) -> dict[str, pd.DataFrame]:
    """The predictions of each model, by name, under every condition.

    images: image_id, label, split; regions: for each model's view, see har.studies.masking.conditions; explanations:
    for
    models that are also masked by their own relevance. Models go side by side; the number of jobs changes nothing.
    keep: a folder in which a model's predictions outlive an interruption (har.core.cache).
    """
    work = (
        delayed(_predict)(
            model, images, list(classes), store, drawing, regions.get(view_of(model.preprocess), {}), training.device,
            # an encoder may go by the name of the model that was fine-tuned from it, but has no maps
            (explanations or {}).get(model.name) if isinstance(model, Trained) else None, relevance_share,
        )
        for model in models
    )  # fmt: skip
    found: dict[str, pd.DataFrame] = {}
    with lasting(keep) as room:
        calls, _ = kept_calls(work, room)
        done = side_by_side(training, len(models), LOADED, batch_size=1)(calls)
        for frames in tqdm(done, total=len(models), desc="masking", unit="model"):
            found |= frames
    return found


def _predict(model, images, classes, store, drawing, regions, device, explanation, share) -> dict[str, pd.DataFrame]:
    from har.training.loop import make_reproducible, pick_device

    make_reproducible()
    predict = model.load(classes, pick_device(device))
    ids = images.image_id.to_numpy()
    x = model.preprocess.load(Store(store), ids)
    if explanation is not None:
        guesses = predict(x)[model.name].argmax(1)
        own = relevance_region(explanation.maps, explanation.image_ids, guesses, ids, share, x.shape[-1])
        regions = {**regions, "relevant": own}
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in model.names}
    conditions = masked(x, ids, drawing, regions)
    if BOX in regions:
        rows, persons = regions[BOX].rows, PersonStore(store, MARGIN)
        crop = CROP, rows, model.preprocess.load(persons, ids[rows]), 1 - regions[BOX].unpack().mean((1, 2))
        conditions = chain(conditions, [crop])
    for condition, rows, hidden, covered in conditions:
        head = images.iloc[rows][[name for name in TOLD if name in images]].reset_index(drop=True)
        head.insert(0, "condition", condition)
        head.insert(1, "covered", covered.round(4))
        for name, probabilities in predict(hidden).items():
            values = pd.DataFrame(probabilities.round(DIGITS), columns=[f"p_{c}" for c in classes])
            parts[name].append(pd.concat([head, values], axis=1))
    return {name: pd.concat(some, ignore_index=True) for name, some in parts.items()}


def validate_masking(frame: pd.DataFrame, source: str | Path = "masking") -> pd.DataFrame:
    """`frame` itself if it keeps the contract, otherwise HarError that names `source` and what is wrong."""
    for column in ("condition", "covered", "image_id"):
        if column not in frame.columns:
            raise HarError(f"{source}: column {column!r} is missing")
    if not (frame["condition"] == NONE).any():
        raise HarError(f"{source}: no row of condition {NONE!r}, the images with nothing hidden")
    if not frame["covered"].between(0, 1).all():
        raise HarError(f"{source}: column 'covered' holds something else than shares from 0 to 1")
    known = set(frame.loc[frame["condition"] == NONE, "image_id"])
    for condition, part in frame.groupby("condition", sort=False):
        validate_predictions(part.drop(columns=["condition", "covered"]).assign(seed=0), f"{source}: {condition}")
        if not set(part["image_id"]) <= known:
            raise HarError(f"{source}: {condition} has an image that {NONE!r} lacks")
    return frame


def write_masking(path: Path | str, frame: pd.DataFrame) -> None:
    """Validates, then writes atomically."""
    write_parquet(path, validate_masking(frame, path))


def read_masking(path: Path | str) -> pd.DataFrame:
    """The validated frame in the Parquet file `path`."""
    return validate_masking(read_parquet(path, PREDICTIONS), path)
