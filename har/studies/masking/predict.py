"""Predictions of models on masked images, one file a model: the data of the masking study.

A row for each condition and image: `condition, covered, image_id, split, label, p_<class>...`; covered is the share
of the input that is black. Masks lie on the network's own input, after cropping and scaling and before
normalisation, and black is pixel value 0.
"""

from collections import defaultdict
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
from har.core.parallel import side_by_side
from har.data.coco.instances import Instances
from har.data.crops import PersonStore
from har.data.store import Store
from har.evaluation.clips import unit_of
from har.studies.masking.conditions import BOX, CROP, annotated_regions, masked, relevant_region
from har.studies.masking.predictors import Frozen, Trained
from har.training.loop import make_reproducible, pick_device
from har.training.run import LOADED

MARGIN = 0.2  # around a person that is given alone, of its box on each side
TOLD = ("image_id", "split", "label", "group", "clip")  # of an image
DIGITS = 6  # of a probability: shorter ones halve the file, and every figure derives from the file


def choose_images(split: pd.DataFrame, classes: Sequence[str], most: int, seed: int) -> pd.DataFrame:
    """At most `most` images that no model learnt from (image_id, label, split), in order of image_id: the test images,
    and as many of the extended ones, drawn at random, as there is room for."""
    unseen = split[split.label.isin(classes) & split.split.isin(["test", "extended"])]
    order = np.random.default_rng(seed).permutation(len(unseen))
    drawn = unseen.sort_values("image_id").iloc[order].sort_values("split", key=lambda s: s != "test", kind="stable")
    if "clip" in drawn:  # frames of one after the other
        drawn = drawn.iloc[np.argsort(pd.factorize(unit_of(drawn))[0], kind="stable")]
    return drawn.head(most).sort_values("image_id", ignore_index=True)


def study(
    models: Sequence[Trained | Frozen],
    images: pd.DataFrame,
    classes: Sequence[str],
    store: Path,
    instances: Mapping[int, Instances],
    config: Masking,
    training: Training,
    keep: Path | None = None,
) -> dict[str, pd.DataFrame]:
    """The predictions of each model, by name, under every condition.

    images: image_id, label, split; instances: what is annotated in them. Models go side by side; the number of jobs
    changes nothing. keep: a folder in which a model's predictions outlive an interruption (har.core.cache).
    """
    rest = images, list(classes), store, instances, config, training.device
    found: dict[str, pd.DataFrame] = {}
    with lasting(keep) as room:
        calls, _ = kept_calls([delayed(_predict)(model, *rest) for model in models], room)
        done = side_by_side(training, len(models), LOADED)(calls)
        for frames in tqdm(done, total=len(models), desc="masking", unit="model"):
            found |= frames
    return found


def _predict(model, images, classes, store, instances, config, device) -> dict[str, pd.DataFrame]:
    make_reproducible()
    preprocess, predict = model.load(classes, pick_device(device))
    ids = images.image_id.to_numpy()
    x = preprocess.load(Store(store), ids)
    regions = list(annotated_regions(instances, images.set_index("image_id").label, config.cues, preprocess))
    if model.maps is not None:
        guesses = predict(x)[model.name].argmax(1)
        regions.append(relevant_region(model.maps, guesses, ids, config.relevance.share, x.shape[-1]))
    alone = (
        (CROP, rows, preprocess.load(PersonStore(store, MARGIN), ids[rows]), 1 - masks.mean((1, 2)))
        for name, rows, masks in regions
        if name == BOX
    )
    parts = defaultdict(list)
    for condition, rows, shown, covered in chain(masked(x, ids, config, regions), alone):
        for name, probabilities in predict(shown).items():
            parts[name].append(told(images.iloc[rows], condition, covered, probabilities, classes))
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
