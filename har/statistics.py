"""Tests between configurations: the paper's two as it describes them, and the paired interval over images.

Each function returns a dict of scalars and a `note`: empty, or one sentence that says which figure is not
defined on this input and why. An undefined figure is None, never NaN.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from har.errors import HarError
from har.evaluate import METRICS, RESAMPLES, cells, percentile_interval, resample_counts

ANOVA_CAVEAT = (
    "Its error term is the spread between runs on one split, so a small p says that the models differ on "
    "these very images, not that they would on others; runs that share seeds and images are not independent "
    "groups, and the paper lists eight models where it says seven."
)
T_TEST_CAVEAT = (
    "It pairs runs, not images: with five runs (df 4) it speaks of the randomness of training on one split "
    "and has little power; that it does not reject is no sign of equality."
)


def anova(scores: Mapping[str, pd.Series | np.ndarray]) -> dict:
    """One-way ANOVA of the runs' accuracies with models as groups (paper, §2.3 and §3): F, p, df_between,
    df_within, groups, runs, note, caveat.

    `scores` maps a model to its accuracies, one a run. Models with one run have no spread and are left out,
    as the note says.
    """
    values = {name: np.asarray(runs, dtype=float) for name, runs in scores.items()}
    groups = {name: runs for name, runs in values.items() if len(runs) > 1}
    notes = []
    if single := [name for name in values if name not in groups]:
        notes.append(f"Left out, with a single run: {', '.join(single)}.")
    total = sum(len(runs) for runs in groups.values())
    result = {
        "F": None,
        "p": None,
        "df_between": max(len(groups) - 1, 0),
        "df_within": total - len(groups),
        "groups": len(groups),
        "runs": total,
    }
    if len(groups) < 2:
        notes.append("F is not defined: it needs two models with two runs or more.")
    elif all(np.ptp(runs) == 0 for runs in groups.values()):
        notes.append("F is not defined: no model's runs differ, so the spread within models is 0.")
    else:
        f, p = stats.f_oneway(*groups.values())
        result |= {"F": float(f), "p": float(p)}
    return result | {"note": " ".join(notes), "caveat": ANOVA_CAVEAT}


def paired_t_test(a: pd.Series, b: pd.Series) -> dict:
    """Paired t-test of two models over the seeds they share (paper, §3: CNN_base against FNN_base): t, p, df,
    difference (mean of a minus b), runs, note, caveat. `a`, `b`: a score for each run, indexed by seed."""
    both = pd.concat([a.rename("a"), b.rename("b")], axis=1, join="inner")
    gap = (both["a"] - both["b"]).to_numpy(float)
    result = {
        "t": None,
        "p": None,
        "df": max(len(gap) - 1, 0),
        "difference": float(gap.mean()) if len(gap) else None,
        "runs": len(gap),
        "note": "",
        "caveat": T_TEST_CAVEAT,
    }
    if len(gap) < 2:
        result["note"] = f"t is not defined: the models share {len(gap)} seeds, it needs two or more."
    elif np.ptp(gap) < 1e-12:  # equal but for rounding: scipy would divide by that rounding
        result["note"] = "t is not defined: every run shows the same difference."
    else:
        t, p = stats.ttest_rel(both["a"], both["b"])
        result |= {"t": float(t), "p": float(p)}
    return result


def difference(
    a: pd.DataFrame,
    b: pd.DataFrame,
    split: str = "test",
    metric: str = "accuracy",
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> dict:
    """a minus b on the same images, mean over runs, with a `level` paired cluster-bootstrap interval over
    images: difference, ci_low, ci_high, share_below_zero (of the resamples), n, runs_a, runs_b, note.

    A resample draws images, each with all runs of both, so what makes an image hard cancels. HarError when
    the two were not measured on the same images with the same labels and classes.
    """
    if metric not in METRICS:
        raise HarError(f"metric {metric!r} is unknown, expected one of {', '.join(METRICS)}")
    first, second = cells(a, split), cells(b, split)
    if first.classes != second.classes:
        raise HarError(f"difference on {split}: classes {first.classes} are not {second.classes}")
    if not np.array_equal(first.image_ids, second.image_ids):
        alone = sorted(set(first.image_ids) ^ set(second.image_ids))
        raise HarError(f"difference on {split}: image {alone[0]} is predicted by one of the two only")
    if (unlike := first.truth != second.truth).any():
        raise HarError(f"difference on {split}: image {first.image_ids[unlike][0]} has two labels")
    n = len(first.truth)
    counts = np.vstack([np.ones((1, n)), resample_counts(n, resamples, seed)])
    values = first.metrics(counts)[metric].mean(1) - second.metrics(counts)[metric].mean(1)
    values = np.where(np.abs(values) < 1e-12, 0.0, values)  # sums in another order are no difference
    estimate, resampled = float(values[0]), values[1:]
    low, high = percentile_interval(estimate, resampled, level)
    note = ""
    if n == 1:
        note = "A single image: the interval is a point and says nothing about others."
    elif np.ptp(resampled) == 0:
        note = "Every image shows the same difference: the interval is a point."
    return {
        "difference": estimate,
        "ci_low": low,
        "ci_high": high,
        "share_below_zero": float((resampled < 0).mean()),
        "n": n,
        "runs_a": len(first.seeds),
        "runs_b": len(second.seeds),
        "note": note,
    }


def kruskal_wallis(groups: Mapping[str, np.ndarray]) -> dict:
    """Kruskal-Wallis test that no group lies higher than another: H, p, df, epsilon_squared, n, note.

    Effect size epsilon squared = H / (n - 1), 0 (none) to 1 (Tomczak & Tomczak 2014).
    """
    samples = [np.asarray(values, dtype=float) for values in groups.values() if len(values)]
    n = sum(map(len, samples))
    result = {
        "H": None,
        "p": None,
        "df": max(len(samples) - 1, 0),
        "epsilon_squared": None,
        "n": n,
        "note": "",
    }
    if len(samples) < 2:
        result["note"] = "H is not defined: it needs two groups or more."
    elif np.ptp(np.concatenate(samples)) == 0:
        result |= {"epsilon_squared": 0.0, "note": "H is not defined: every value is the same."}
    else:
        h, p = stats.kruskal(*samples)
        result |= {"H": float(h), "p": float(p), "epsilon_squared": float(h) / (n - 1)}
    assert all(not isinstance(value, float) or math.isfinite(value) for value in result.values())
    return result
