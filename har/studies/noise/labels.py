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

import numpy as np
import pandas as pd

from har.config.models import Probe
from har.config.studies import LabelNoise
from har.reporting.table import Column, Table, percent
from har.reporting.tables.columns import N, figure_column, figures
from har.studies.masking.scores import difference, mean_with_interval
from har.training import probe

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


def study(
    x: np.ndarray, y: np.ndarray, said: tuple[np.ndarray, np.ndarray], held: np.ndarray, truth: pd.Series,
    config: LabelNoise, settings: Probe,
) -> pd.DataFrame:  # fmt: skip
    """What each method reaches on images that none learnt from: share, method, image_id, right (mean over draws).

    Args:
        x, y: embeddings [n, width] and class indices [n] of the training images.
        said: `mentions` of these.
        held: embeddings of the other images.
        truth: their class indices, by image_id.
        config: the shares of wrong labels, and how often they are drawn.
        settings: of the probe. Its strength is chosen on the wrong labels, and kept by the remedies.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    count, rows = int(max(y.max(), truth.max())) + 1, np.arange(len(y))
    right = {}
    with threadpool_limits(limits=1):
        for share in (0.0, *config.shares):
            for draw in range(config.draws):
                random = np.random.default_rng([config.seed, draw])
                given = corrupted(y, share, count, random)
                votes = np.zeros((len(y), count))
                votes[rows, given] = 1
                np.add.at(votes, (said[0], corrupted(said[1], share, count, random)), 1)
                plain = probe.fit(x, given, count, settings)
                model = make_pipeline(StandardScaler(), LogisticRegression(C=plain.c or settings.c[0], max_iter=1000))
                kept = confident(cross_val_predict(model, x, given, cv=settings.folds, method="predict_proba"), given)
                row, label = np.nonzero(votes)
                weights = (votes / votes.sum(1, keepdims=True))[row, label]
                predicted = {
                    "plain": plain.probabilities(held).argmax(1),
                    "soft": model.fit(x[row], label, logisticregression__sample_weight=weights).predict(held),
                    "confident": model.fit(x[kept], given[kept]).predict(held),
                }
                for method, guess in predicted.items():
                    right.setdefault((share, method), []).append(guess == truth.to_numpy())
    parts = [
        pd.DataFrame({"share": share, "method": method, "image_id": truth.index, "right": np.mean(found, axis=0)})
        for (share, method), found in right.items()
    ]
    return pd.concat(parts, ignore_index=True)


def table(found: pd.DataFrame, encoder: str, draws: int, header: str, level: float = 0.95) -> Table:
    """Accuracy by share of wrong labels and method, and what each remedy gains, from `study`."""
    rows, said = [], []
    for share, part in found.groupby("share"):
        right = {method: one.set_index("image_id")["right"] for method, one in part.groupby("method")}
        for method in METHODS:
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
        for method, name in METHODS.items() if method != "plain"
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
        f"[{level:.0%} interval over test and extended images, paired]. Captions' mentions are wrong at the same rate, "
        "each on its own: where all captions of an image err together, their votes tell nothing. Confident learning's "
        "probabilities and the strength of the penalty come from the wrong labels.",
    )
    title = "Wrong labels among training images: do votes of captions or confident learning help?"
    return Table("labels", title, header, rows, columns, notes)
