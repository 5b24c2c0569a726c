"""What each model did with each test image, beside what the image is like: the frame that all else here derives
from.

One row for each task, model and image of test and extended: task, model, split, image_id, label, runs, error (share
of the runs that are wrong), predicted (class of the largest mean probability over runs: the ensemble's), p_predicted,
p_true (mean probabilities of that class and of the true one), then the image's FACTORS, and its group where there are
any.
"""

from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from har.core.errors import HarError
from har.evaluation.ensemble import ensemble
from har.evaluation.metrics import cells
from har.evaluation.predictions import in_split

SPLITS = ("test", "extended")
DIGITS = 6  # of shares and probabilities


class Factor(NamedTuple):
    """What an image is like, in one number; empty (NaN) where nothing is annotated."""

    title: str
    unit: str  # share, count or pixels
    what: str


FACTORS = {
    "person_size": Factor("Person size", "share", "share of the image that the largest person's box covers"),
    "persons": Factor("Number of people", "count", "annotated people, crowds aside"),
    "labelled_joints": Factor(
        "Joints labelled",
        "share",
        "share of the largest person's 17 joints that carry a label (keypoint visibility 1 or 2); the others lie "
        "outside the image, or, in COCO, nobody could say where",
    ),
    "hidden_joints": Factor(
        "Joints hidden",
        "share",
        "share of the largest person's labelled joints that things, other people or the own body hide (keypoint "
        "visibility 1)",
    ),
    "overlap": Factor(
        "Overlap", "share", "share of the largest person's box that other people's boxes, crowds too, overlap"
    ),
    "pixels": Factor("Image size", "pixels", "width times height of the image file"),
    "caption_agreement": Factor(
        "Caption agreement", "share", "share of the image's captions that mention its label's activity"
    ),
}


def factor_frame(manifest: pd.DataFrame, visibility: pd.DataFrame) -> pd.DataFrame:
    """image_id and FACTORS of every image of `manifest` (har.data.manifest), with `visibility` as
    har.data.coco.keypoints reads it. A crowd has no size and no count, so an image with nobody else has neither."""
    frame = manifest.merge(visibility, on="image_id", how="left", validate="one_to_one")
    single = frame["persons"] > 0
    frame = frame.assign(
        person_size=frame["person_area"].where(single),
        persons=frame["persons"].where(single),
        pixels=frame["width"] * frame["height"],
        caption_agreement=frame["captions_for_label"] / frame["captions_total"].where(frame["captions_total"] > 0),
    )
    return frame[["image_id", *FACTORS]].astype({name: float for name in FACTORS})


def outcome_frame(predictions: Mapping[tuple[str, str], pd.DataFrame], factors: pd.DataFrame) -> pd.DataFrame:
    """The frame of outcomes, from (task, model) to predictions and the `factor_frame`. HarError where there is no
    prediction on SPLITS, where an image has no factors, or where models of a task saw other images."""
    parts = []
    for ((task, model), frame), split in product(predictions.items(), SPLITS):
        if not in_split(frame, split).any():
            continue
        one = cells(frame, split)
        guess, mean = ensemble(one.probabilities)  # [n], [n, C]
        rows, names = np.arange(len(mean)), np.array(one.classes)
        part = {
            "task": task,
            "model": model,
            "split": split,
            "image_id": one.image_ids,
            "label": names[one.truth],
            "runs": len(one.seeds),
            "error": (one.guess != one.truth[:, None]).mean(1),
            "predicted": names[guess],
            "p_predicted": mean[rows, guess],
            "p_true": mean[rows, one.truth],
        }
        parts.append(pd.DataFrame(part))
    if not parts:
        raise HarError(f"errors: no model has predictions on {' or '.join(SPLITS)}")
    frame = pd.concat(parts, ignore_index=True)
    if lost := sorted(set(frame["image_id"]) - set(factors["image_id"])):
        raise HarError(f"errors: image {lost[0]} is predicted but not in the manifest")
    models = frame.groupby("task")["model"].transform("nunique")
    of_image = frame.groupby(["task", "split", "image_id"])
    for bad, what in (
        (of_image["model"].transform("size") != models, "is not predicted by every model"),
        (of_image["label"].transform("nunique") > 1, "has two labels"),
    ):
        if bad.any():
            row = frame[bad].iloc[0]
            raise HarError(f"errors: {row.task}: image {row.image_id} {what}")
    grouped = [one[["image_id", "group"]] for one in predictions.values() if "group" in one]
    if grouped:
        factors = factors.merge(pd.concat(grouped).drop_duplicates("image_id"), on="image_id", how="left")
    frame = frame.merge(factors, on="image_id", how="left", validate="many_to_one", sort=False)
    return frame.round(dict.fromkeys(["error", "p_predicted", "p_true", *FACTORS], DIGITS))
