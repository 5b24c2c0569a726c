"""Predictions of models on masked images, one file a model: the data of the masking study.

A row for each condition and image: `condition, covered, image_id, split, label, p_<class>...`; covered is the share
of the input that is black. Masks lie on the network's own input, after cropping and scaling and before
normalisation, and black is pixel value 0. This module loads no torch; the processes that predict do.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import delayed
from tqdm import tqdm

from har.config.studies import Masking
from har.config.training import Training
from har.core.cache import kept_calls, lasting
from har.core.errors import HarError
from har.core.parallel import side_by_side
from har.core.readers import read_array, read_table
from har.data.coco.instances import Instances
from har.data.crops import PersonStore
from har.data.store import Store
from har.studies.masking.conditions import BOX, CROP, annotated_regions, masked, relevant_region
from har.studies.masking.predictors import Frozen, Trained
from har.training.run import LOADED

MARGIN = 0.2  # around a person that is given alone, of its box on each side
TOLD = ("image_id", "split", "label", "group", "clip")  # of an image
DIGITS = 6  # of a probability: shorter ones halve the file, and every figure derives from the file
Maps = tuple[np.ndarray, Sequence[int]]  # [m, classes, side, side], and the images that they are of


def read_maps(folder: Path) -> Maps:
    """The maps that stage explain wrote to `folder`; HarError where there are none."""
    if not (folder / "maps.npy").exists():
        raise HarError(f"{folder}: no maps.npy; run stage explain or empty masking.relevance.models")
    ids = read_table(folder / "index.csv", {"image_id": "int64"}).image_id.tolist()
    maps = read_array(folder / "maps.npy", "maps of each image of index.csv", (len(ids), None, None, None), mapped=True)
    return maps, ids


def choose_images(split: pd.DataFrame, classes: Sequence[str], most: int, seed: int) -> pd.DataFrame:
    """At most `most` images that no model learnt from (image_id, label, split), in order of image_id: the test images,
    and as many of the extended ones, drawn at random, as there is room for."""
    unseen = split[split.label.isin(classes) & split.split.isin(["test", "extended"])]
    order = np.random.default_rng(seed).permutation(len(unseen))
    drawn = unseen.sort_values("image_id").iloc[order].sort_values("split", key=lambda s: s != "test", kind="stable")
    if "clip" in drawn:  # frames of one after the other
        drawn = drawn.iloc[np.argsort(pd.factorize(drawn["clip"])[0], kind="stable")]
    return drawn.head(most).sort_values("image_id", ignore_index=True)


def study(
    models: Sequence[Trained | Frozen],
    images: pd.DataFrame,
    classes: Sequence[str],
    store: Path,
    instances: Mapping[int, Instances],
    config: Masking,
    *,
    training: Training,
    explanations: Mapping[str, Maps] | None = None,
    keep: Path | None = None,
) -> dict[str, pd.DataFrame]:
    """The predictions of each model, by name, under every condition.

    images: image_id, label, split; instances: what is annotated in them; explanations: of models that are also masked
    by their own relevance. Models go side by side; the number of jobs changes nothing. keep: a folder in which a
    model's predictions outlive an interruption (har.core.cache).
    """
    work = []
    for model in models:
        # an encoder may go by the name of the model that was fine-tuned from it, but has no maps
        maps = (explanations or {}).get(model.name) if isinstance(model, Trained) else None
        work.append(delayed(_predict)(model, images, list(classes), store, instances, config, training.device, maps))
    found: dict[str, pd.DataFrame] = {}
    with lasting(keep) as room:
        calls, _ = kept_calls(work, room)
        done = side_by_side(training, len(models), LOADED, batch_size=1)(calls)
        for frames in tqdm(done, total=len(models), desc="masking", unit="model"):
            found |= frames
    return found


def _predict(model, images, classes, store, instances, config, device, explanation) -> dict[str, pd.DataFrame]:
    from har.training.loop import make_reproducible, pick_device

    make_reproducible()
    predict, preprocess = model.load(classes, pick_device(device)), model.preprocess
    ids, parts = images.image_id.to_numpy(), {name: [] for name in model.names}
    x = preprocess.load(Store(store), ids)

    def tell(condition: str, rows: np.ndarray, hidden: np.ndarray, covered: np.ndarray) -> None:
        for name, probabilities in predict(hidden).items():
            parts[name].append(told(images.iloc[rows], condition, covered, probabilities, classes))

    regions = annotated_regions(instances, dict(zip(ids.tolist(), images.label, strict=True)), config.cues, preprocess)
    if explanation is not None:
        guesses = predict(x)[model.name].argmax(1)
        own = relevant_region(*explanation, guesses, ids, config.relevance.share, x.shape[-1])
        regions = chain(regions, [own])
    alone = None
    for condition, rows, hidden, covered in masked(x, ids, config, regions):
        tell(condition, rows, hidden, covered)
        if condition == f"hide_{BOX}":
            alone = rows, 1 - covered
    if alone is not None:
        rows, covered = alone
        tell(CROP, rows, preprocess.load(PersonStore(store, MARGIN), ids[rows]), covered)
    return {name: pd.concat(some, ignore_index=True) for name, some in parts.items()}


def told(
    images: pd.DataFrame, condition: str, covered: np.ndarray | float, probabilities: np.ndarray, classes: Sequence[str]
) -> pd.DataFrame:
    """The rows of a model's file under one condition."""
    head = images[[name for name in TOLD if name in images]].reset_index(drop=True)
    head.insert(0, "condition", condition)
    head.insert(1, "covered", np.round(covered, 4))
    values = pd.DataFrame(probabilities.round(DIGITS), columns=[f"p_{c}" for c in classes])
    return pd.concat([head, values], axis=1)
