"""Wrong labels among the training images: plain training against two remedies, by regressions on frozen embeddings.

A share of the labels is replaced by another class, drawn at random; each caption's mention is replaced at the same
rate, on its own, as those who wrote captions would err. The remedies:

    soft        labels that are shares of votes, the given label and each caption's mention counting one
    confident   confident learning (Northcutt et al. 2021), its core as cleanlab has it: probabilities out of fold, each
                class's mean own one as threshold, the counts of labels against confident predictions (the confident
                joint), and per class as many images left out as it says are wrong, those of lowest own probability
                first (prune by class)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from har.config.models import Probe
from har.config.studies import LabelNoise
from har.data.groups import by_image, group_codes, inner_folds
from har.evaluation.bootstrap import mean_with_interval
from har.evaluation.clips import of_clips, unit_of
from har.evaluation.predictions import predicted_classes
from har.reporting.table import Column, Table, percent
from har.reporting.tables.columns import N, figure_column, figures
from har.studies.masking.scores import difference
from har.training import probe

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

METHODS = {"plain": "Plain", "soft": "Soft labels by captions' votes", "confident": "Confident learning"}


def mentions(evidence: pd.DataFrame, image_ids: Sequence[int], classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The row (place in image_ids) and class index of each mention of a class in a caption of these images."""
    said = evidence.assign(mention=evidence["mentions"].fillna("").str.split("+")).explode("mention")
    rows = pd.Index(image_ids).get_indexer(said["image_id"])
    found = pd.Index(classes).get_indexer(said["mention"])
    kept = (rows >= 0) & (found >= 0)
    return rows[kept], found[kept]


def corrupted(y: np.ndarray, share: float, classes: int, random: np.random.Generator) -> np.ndarray:
    """Class indices of which exactly `share` (rounded) are another class than in y [n]."""
    wrong = random.permutation(len(y))[: round(share * len(y))]
    out = y.copy()
    out[wrong] = (y[wrong] + random.integers(1, classes, len(wrong))) % classes
    return out


def confident(chances: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which images confident learning keeps, bool [n]. chances: probabilities out of fold [n, C]; y: given labels."""
    count = chances.shape[1]
    thresholds = np.array([chances[y == c, c].mean() if (y == c).any() else 1.0 for c in range(count)])
    above = np.where(chances >= thresholds, chances, -1.0)
    sure = above.max(1) >= 0
    joint = np.zeros((count, count))
    np.add.at(joint, (y[sure], above.argmax(1)[sure]), 1)
    kept = np.ones(len(y), bool)
    for c in range(count):
        mine = np.flatnonzero(y == c)
        errors = 1 - joint[c, c] / max(joint[c].sum(), 1) if joint[c].any() else 0.0
        worst = mine[np.argsort(chances[mine, c], kind="stable")[: round(errors * len(mine))]]
        kept[worst if len(worst) < len(mine) else worst[:-1]] = False  # a class keeps an image
    return kept


def out_of_fold(
    model: "Pipeline", x: np.ndarray, y: np.ndarray, classes: int, folds: int, groups: np.ndarray | None
) -> np.ndarray:
    """Probabilities [n, classes] of each row by a fit on the other folds, of whole groups where there are any; as many
    folds as the rarest class has rows, if these are fewer. A row that no fold tests keeps its label."""
    chances = np.eye(classes)[y]
    for train, test in inner_folds(y, groups, folds):
        chances[test] = probe.Fitted(model.fit(x[train], y[train]), classes, None).probabilities(x[test])
    return chances


def study(
    x: np.ndarray, train: pd.DataFrame, said: tuple[np.ndarray, np.ndarray], others: np.ndarray, held: pd.DataFrame,
    classes: Sequence[str], config: LabelNoise, settings: Probe, clips: str,
) -> pd.DataFrame:  # fmt: skip
    """What each method reaches on images that none learnt from: share, method, image_id (and group where there are
    any), right (mean over draws).

    Args:
        x: embeddings [n, width] of the training images.
        train: their image_id and label (and group where there are any).
        said: `mentions` of these.
        others: embeddings of the other images.
        held: their image_id and label (and group and clip where there are any).
        classes: in the order of class indices.
        config: the shares of wrong labels, and how often they are drawn.
        settings: of the probe. Its strength is chosen on the wrong labels, and kept by the remedies.
        clips: what is averaged of a clip's frames (har.evaluation.clips).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    y, groups, count = pd.Index(classes).get_indexer(train.label), group_codes(train), len(classes)
    of = pd.factorize(unit_of(train))[0]  # a wrong label is that of a clip, so of all its frames
    first = np.unique(of, return_index=True)[1]
    rows, names = np.arange(len(y)), [f"p_{name}" for name in classes]
    held = held[[name for name in ("image_id", "label", "group", "clip") if name in held]].reset_index(drop=True)
    parts, methods = [], [name for name in METHODS if name != "soft" or len(said[0])]  # without captions no votes
    with threadpool_limits(limits=1):
        for share in (0.0, *config.shares):
            right = {method: [] for method in methods}
            for draw in range(config.draws):
                random = np.random.default_rng([config.seed, draw])
                given = corrupted(y[first], share, count, random)[of]
                votes = np.zeros((len(y), count))
                votes[rows, given] = 1
                np.add.at(votes, (said[0], corrupted(said[1], share, count, random)), 1)
                plain = probe.fit(x, given, count, settings, groups)
                told = dict.fromkeys(methods, plain.probabilities(others))
                if plain.c is not None:  # of labels that are all of one class there is nothing to learn
                    model = make_pipeline(StandardScaler(), LogisticRegression(C=plain.c, max_iter=1000))
                    kept = confident(out_of_fold(model, x, given, count, settings.folds, groups), given)
                    if "soft" in methods:
                        row, label = np.nonzero(votes)
                        weights = (votes / votes.sum(1, keepdims=True))[row, label]
                        model.fit(x[row], label, logisticregression__sample_weight=weights)
                        told["soft"] = probe.Fitted(model, count, None).probabilities(others)
                    model.fit(x[kept], given[kept])
                    told["confident"] = probe.Fitted(model, count, None).probabilities(others)
                for method, chances in told.items():
                    units = of_clips(held.assign(**dict(zip(names, chances.T, strict=True))), clips)
                    right[method].append(predicted_classes(units) == units["label"])
            units = units.drop(columns=["label", *names])
            parts += [
                units.assign(share=share, method=method, right=np.mean(found, axis=0))
                for method, found in right.items()
            ]
    return pd.concat(parts, ignore_index=True)[["share", "method", *units.columns, "right"]]


def table(found: pd.DataFrame, encoder: str, draws: int, header: str, level: float = 0.95) -> Table:
    """Accuracy by share of wrong labels and method, and what each remedy gains, from `study`."""
    rows, said, methods = [], [], [name for name in METHODS if (found.method == name).any()]
    for share, part in found.groupby("share"):
        right = {method: one["right"].set_axis(by_image(one)) for method, one in part.groupby("method")}
        for method in methods:
            row = {"share": share, "method": method, "n": len(right[method])}
            row |= figures("accuracy", *mean_with_interval(right[method], level=level))
            if method != "plain":
                gap = difference(right[method], right["plain"], level=level)
                row |= figures("gain", *gap)
                word = "helps" if gap.low > 0 else "costs" if gap.high < 0 else "shows no effect"
                said.append((method, share, word))
            rows.append(row)
    verdict = "; ".join(
        f"{name}: " + ", ".join(f"{word} at {share:.0%}" for one, share, word in said if one == method)
        for method, name in METHODS.items() if method in methods and method != "plain"
    )  # fmt: skip
    columns = [
        Column("share", "Wrong labels", percent),
        Column("method", "Method", METHODS.get),
        N,
        figure_column("accuracy", "Accuracy, held out"),
        figure_column("gain", "Minus plain", sign=True),
    ]
    notes = (
        f"{verdict}.",
        f"Logistic regression on frozen embeddings of {encoder}; mean over {draws} draws of wrong labels "
        f"[{level:.0%} interval over test and extended images, paired]. Confident learning's probabilities and the "
        "strength of the penalty come from the wrong labels.",
        "Captions' mentions are wrong at the same rate, each on its own: where all captions of an image err together, "
        "their votes tell nothing."
        if "soft" in methods
        else "",
    )
    remedies = "do votes of captions or confident learning" if "soft" in methods else "does confident learning"
    title = f"Wrong labels among training images: {remedies} help?"
    return Table("labels", title, header, rows, columns, notes)
