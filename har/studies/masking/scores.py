"""Figures of the masking study from its predictions, with intervals over images.

All are means over images of one number an image, so that differences between conditions and models are paired: an
image's number is subtracted before images are drawn. Where images have a group (har.data.groups), an image goes by its
group and image_id, and groups are what varies.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from har.core.errors import HarError
from har.data.groups import by_image
from har.evaluation.bootstrap import Mean, mean_with_interval
from har.evaluation.predictions import classes_of
from har.studies.masking.conditions import NONE, drawn_name


def per_image(frame: pd.DataFrame) -> pd.DataFrame:
    """One model's predictions (har.studies.masking.predict) by image_id, or by group and image_id, with, for each row,
    0 to 1: accuracy (1: right), confidence (the largest probability), true_class (its probability), flips (1: says
    another class than with nothing hidden); and `guess`, the class it says."""
    classes = np.array(classes_of(frame))
    chances = frame[[f"p_{name}" for name in classes]].to_numpy(float)
    truth = pd.Index(classes).get_indexer(frame["label"])
    found = frame[["condition", "covered", "label"]].set_axis(by_image(frame))
    found["condition"] = found["condition"].astype("category")  # looked up hundreds of times
    found["guess"] = classes[chances.argmax(1)]
    found["accuracy"] = (chances.argmax(1) == truth).astype(float)
    found["confidence"] = chances.max(1)
    found["true_class"] = chances[np.arange(len(frame)), truth]
    whole = found.loc[found["condition"] == NONE, "guess"]
    found["flips"] = (found["guess"] != whole.reindex(found.index)).astype(float)
    return found


def of_condition(images: pd.DataFrame, condition: str, measure: str = "accuracy") -> pd.Series:
    """One column of `per_image` under a condition; empty where no image has it."""
    return images.loc[(images["condition"] == condition).to_numpy(), measure]


def by_share(images: pd.DataFrame, kinds: Sequence[str], share: float, measure: str = "accuracy") -> pd.Series:
    """The mean over `kinds` of drawn masks that hide `share`, of each image; share 0: nothing hidden."""
    if share == 0:
        return of_condition(images, NONE, measure)
    several = [of_condition(images, drawn_name(kind, share), measure) for kind in kinds]
    if any(one.empty for one in several):
        raise HarError(f"masking: the predictions lack a mask that hides {share:g}")
    return pd.concat(several, axis=1).mean(axis=1)


def area_under_curve(images: pd.DataFrame, kinds: Sequence[str], shares: Sequence[float]) -> pd.Series:
    """Each image's normalised area under accuracy against the share hidden, mean over `kinds`: trapezoids from
    nothing hidden to the largest share, divided by that share, so 1 is always right and a constant keeps its value."""
    points = [0.0, *shares]
    curve = pd.concat([by_share(images, kinds, share) for share in points], axis=1)
    return pd.Series(np.trapezoid(curve, points, axis=1) / points[-1], index=curve.index)


def corrected(values: pd.Series, images: pd.DataFrame, level: float = 0.95) -> Mean:
    """The mean of `values` (a share of right answers for each image) over images with each class counting the same,
    scaled so that chance is 0 and always right 1. What says the same of every image has 0 (Cohen's kappa for balanced
    classes)."""
    labels = of_condition(images, NONE, "label")[values.index]
    classes = labels.nunique()
    if classes < 2:
        return Mean(None, None, None)
    weights = len(labels) / (classes * labels.map(labels.value_counts()))
    scaled = (values * weights - 1 / classes) / (1 - 1 / classes)
    return mean_with_interval(scaled, (-1 / (classes - 1), 1.0), level)


def difference(a: pd.Series, b: pd.Series, level: float = 0.95) -> Mean:
    """a - b, paired over the images that both have."""
    both = pd.concat([a, b], axis=1, join="inner").astype(float)
    return mean_with_interval(both.iloc[:, 0] - both.iloc[:, 1], (-1.0, 1.0), level)
