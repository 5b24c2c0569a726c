"""Tests between configurations: the paper's two as it describes them, what suits their design better, and
comparisons over images: the paired interval, McNemar's test and what it can find at all.

Each function returns a dict of scalars and a `note`: empty, or one sentence that says which figure is not
defined on this input and why. An undefined figure is None, never NaN.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import stats

from har.errors import HarError
from har.evaluate import (
    LOSSES,
    METRICS,
    RESAMPLES,
    Cells,
    Estimate,
    bootstrap_interval,
    cells,
    estimates,
    percentile_interval,
)

ANOVA_CAVEAT = (
    "Its error term is the spread between runs on one split, so a small p says that the models differ on "
    "these very images, not that they would on others; runs that share seeds and images are not independent "
    "groups, and the paper lists eight models where it says seven."
)
T_TEST_CAVEAT = (
    "It pairs runs, not images: with five runs (df 4) it speaks of the randomness of training on one split "
    "and has little power; that it does not reject is no sign of equality."
)
ROUNDING = 1e-12  # accuracies are ratios of counts: what is smaller is the order of a sum
Scores = Mapping[str, pd.Series]  # a model to its score in each run, indexed by seed


# --- over runs ---------------------------------------------------------------------------------------------


def _repeated(scores: Mapping[str, pd.Series | np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The models with two runs or more, and a note that names the others."""
    values = {name: np.asarray(runs, dtype=float) for name, runs in scores.items()}
    groups = {name: runs for name, runs in values.items() if len(runs) > 1}
    single = sorted(name for name in values if name not in groups)
    return groups, [f"Left out, with a single run: {', '.join(single)}."] if single else []


def anova(scores: Mapping[str, pd.Series | np.ndarray]) -> dict:
    """One-way ANOVA of the runs' accuracies with models as groups (paper, §2.3 and §3): F, p, df_between,
    df_within, partial_eta_squared, groups, runs, note, caveat.

    `scores` maps a model to its accuracies, one a run. Models with one run have no spread and are left out,
    as the note says.
    """
    groups, notes = _repeated(scores)
    total = sum(len(runs) for runs in groups.values())
    result = {
        "F": None,
        "p": None,
        "df_between": max(len(groups) - 1, 0),
        "df_within": total - len(groups),
        "partial_eta_squared": None,
        "groups": len(groups),
        "runs": total,
    }
    if len(groups) < 2:
        notes.append("F is not defined: it needs two models with two runs or more.")
    elif all(np.ptp(runs) == 0 for runs in groups.values()):
        notes.append("F is not defined: no model's runs differ, so the spread within models is 0.")
    else:
        f, p = stats.f_oneway(*groups.values())
        effect = _partial_eta_squared(float(f), result["df_between"], result["df_within"])
        result |= {"F": float(f), "p": float(p), "partial_eta_squared": effect}
    return result | {"note": " ".join(notes), "caveat": ANOVA_CAVEAT}


def _partial_eta_squared(f: float, df_effect: float, df_error: float) -> float:
    """SS_effect / (SS_effect + SS_error), 0 to 1, from F (Cohen 1973)."""
    return f * df_effect / (f * df_effect + df_error)


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


def over_seeds(scores: Scores) -> tuple[pd.DataFrame, list[str]]:
    """Scores [seeds, models] of the models with two runs or more over the seeds that they all share, and
    notes on what was left out."""
    groups, notes = _repeated(scores)
    if not groups:
        return pd.DataFrame(), notes
    table = pd.concat({name: pd.Series(scores[name], dtype=float) for name in groups}, axis=1, join="inner")
    every = set().union(*(pd.Series(scores[name]).index for name in groups))
    if lost := sorted(every - set(table.index)):
        notes.append(f"Left out, not run by every model: seed {', '.join(map(str, lost))}.")
    return table.sort_index(), notes


def repeated_measures_anova(scores: Scores) -> dict:
    """ANOVA of models as repeated measures on seeds, which takes out what a seed does to every model: F, p,
    df_model, df_error, epsilon, p_corrected, partial_eta_squared, models, runs, note.

    `p_corrected` multiplies both df by `epsilon` (Greenhouse & Geisser 1959), since differences between models
    need not spread alike.
    """
    from statsmodels.stats.anova import AnovaRM

    table, notes = over_seeds(scores)
    runs, models = table.shape
    result = {
        "F": None,
        "p": None,
        "df_model": max(models - 1, 0),
        "df_error": max(models - 1, 0) * max(runs - 1, 0),
        "epsilon": None,
        "p_corrected": None,
        "partial_eta_squared": None,
        "models": models,
        "runs": runs,
    }
    if models < 2 or runs < 2:
        notes.append("F is not defined: it needs two models that share two seeds or more.")
    elif (np.abs(_doubly_centred(table.to_numpy())) < ROUNDING).all():
        notes.append("F is not defined: the models differ by the same amount in every run.")
    else:
        tidy = table.rename_axis(index="seed", columns="model").stack().rename("score").reset_index()
        found = AnovaRM(tidy, "score", "seed", within=["model"]).fit().anova_table.loc["model"]
        f = float(found["F Value"])
        epsilon = greenhouse_geisser(table.to_numpy())
        corrected = stats.f.sf(f, epsilon * result["df_model"], epsilon * result["df_error"])
        result |= {"F": f, "p": float(found["Pr > F"]), "epsilon": epsilon, "p_corrected": float(corrected)}
        result["partial_eta_squared"] = _partial_eta_squared(f, result["df_model"], result["df_error"])
    return result | {"note": " ".join(notes)}


def _doubly_centred(matrix: np.ndarray) -> np.ndarray:
    """`matrix` without its row and column means."""
    return matrix - matrix.mean(0) - matrix.mean(1, keepdims=True) + matrix.mean()


def greenhouse_geisser(scores: np.ndarray) -> float:
    """Sphericity of `scores` [seeds, models]: 1 where differences between models spread alike, at the least
    1 / (models - 1) (Greenhouse & Geisser 1959). Two seeds or more, two models or more, some residual."""
    covariance = _doubly_centred(np.cov(scores, rowvar=False))
    return float(np.trace(covariance) ** 2 / ((len(covariance) - 1) * (covariance**2).sum()))


def friedman(scores: Scores) -> dict:
    """Friedman's test that no model ranks above another within seeds (Friedman 1937): chi_squared, p, df,
    kendalls_w (agreement of the seeds, 0 to 1), models, runs, note."""
    table, notes = over_seeds(scores)
    runs, models = table.shape
    result = {
        "chi_squared": None,
        "p": None,
        "df": max(models - 1, 0),
        "kendalls_w": None,
        "models": models,
        "runs": runs,
    }
    ranked = table.to_numpy().round(12)  # a tie is a tie
    if models < 3 or runs < 2:
        notes.append("Friedman's test is not defined: it needs three models that share two seeds or more.")
    elif np.ptp(ranked, axis=1).max() == 0:
        notes.append("Friedman's test is not defined: all models score the same in every run.")
    else:
        chi, p = stats.friedmanchisquare(*ranked.T)
        result |= {"chi_squared": float(chi), "p": float(p), "kendalls_w": float(chi) / (runs * (models - 1))}
    return result | {"note": " ".join(notes)}


def tukey(scores: Scores) -> dict:
    """Tukey's honestly significant differences between all models over runs (Tukey-Kramer): `p` maps a pair
    of models, in the order of `scores`, to its p-value, already for the whole family; note."""
    groups, notes = _repeated(scores)
    if len(groups) < 2:
        return {"p": {}, "note": " ".join([*notes, "Tukey's test is not defined: it needs two models with two runs."])}
    if all(np.ptp(runs) < ROUNDING for runs in groups.values()):
        return {"p": {}, "note": " ".join([*notes, "Tukey's test is not defined: no model's runs differ."])}
    p = stats.tukey_hsd(*groups.values()).pvalue.clip(0, 1)  # by quadrature, so only almost a probability
    names = list(groups)
    found = {(names[i], names[j]): float(p[i, j]) for i in range(len(names)) for j in range(i + 1, len(names))}
    return {"p": found, "note": " ".join(notes)}


def levene(scores: Scores) -> dict:
    """Levene's test, about medians (Brown & Forsythe 1974), that the runs of all models spread alike: W, p,
    df_between, df_within, note."""
    groups, notes = _repeated(scores)
    total = sum(map(len, groups.values()))
    result = {"W": None, "p": None, "df_between": max(len(groups) - 1, 0), "df_within": total - len(groups)}
    deviations = [np.abs(runs - np.median(runs)) for runs in groups.values()]
    if len(groups) < 2:
        notes.append("Levene's test is not defined: it needs two models with two runs or more.")
    elif all(np.ptp(values) < ROUNDING for values in deviations):
        notes.append("Levene's test is not defined: within a model all runs lie equally far from their median.")
    else:
        w, p = stats.levene(*groups.values(), center="median")
        result |= {"W": float(w), "p": float(p)}
    return result | {"note": " ".join(notes)}


def shapiro(scores: Scores) -> dict:
    """Shapiro and Wilk's test that the runs' distances from their model's mean are normal: W, p, n, note."""
    groups, notes = _repeated(scores)
    residuals = np.concatenate([runs - runs.mean() for runs in groups.values()]) if groups else np.array([])
    result = {"W": None, "p": None, "n": len(residuals)}
    if len(residuals) < 3 or np.ptp(residuals) < ROUNDING:
        notes.append("Shapiro's test is not defined: it needs three runs or more that differ within a model.")
    else:
        w, p = stats.shapiro(residuals)
        result |= {"W": float(w), "p": float(p)}
    return result | {"note": " ".join(notes)}


# --- over images -------------------------------------------------------------------------------------------


def same_images(a: Cells, b: Cells, split: str) -> None:
    """HarError unless both were measured on the same images with the same labels and classes."""
    if a.classes != b.classes:
        raise HarError(f"difference on {split}: classes {a.classes} are not {b.classes}")
    if not np.array_equal(a.image_ids, b.image_ids):
        alone = sorted(set(a.image_ids) ^ set(b.image_ids))
        raise HarError(f"difference on {split}: image {alone[0]} is predicted by one of the two only")
    if (unlike := a.truth != b.truth).any():
        raise HarError(f"difference on {split}: image {a.image_ids[unlike][0]} has two labels")


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
    same_images(first, second, split)
    found = (estimates(one, resamples, seed)[metric] for one in (first, second))
    return estimated_difference(*found, level)


def estimated_difference(a: Estimate, b: Estimate, level: float = 0.95) -> dict:
    """`difference` of two estimates. Paired if both come from the same images and bootstrap samples; if from
    other images and independently drawn samples, the interval is that of two independent means."""
    values = a.resampled - b.resampled
    resampled = np.where(np.abs(values) < ROUNDING, 0.0, values)  # sums in another order are no difference
    estimate = a.mean - b.mean
    estimate = 0.0 if abs(estimate) < ROUNDING else estimate
    if a.metric in LOSSES:
        low, high = percentile_interval(estimate, resampled, level)
    else:
        low, high = bootstrap_interval(estimate, resampled, min(a.units, b.units), (-1.0, 1.0), level)
    note = ""
    if min(a.units, b.units) == 1:
        note = "A single image: the interval is all that a difference can be and says nothing about others."
    elif np.ptp(resampled) == 0:
        note = "Every image shows the same difference: the interval is a point."
    return {
        "difference": estimate,
        "ci_low": low,
        "ci_high": high,
        "share_below_zero": float((resampled < 0).mean()),
        "n": a.n,
        "runs_a": len(a.runs),
        "runs_b": len(b.runs),
        "note": note,
    }


def mcnemar(a: np.ndarray, b: np.ndarray) -> dict:
    """Exact McNemar test of two models on the same images (McNemar 1947; binomial, two-sided), from whether
    each is right, bool [n]: only_a, only_b (discordant images), p, cohens_g, odds_ratio, note.

    Cohen's g: the share of the discordant images that only a gets right, minus 1/2. Odds ratio: only_a /
    only_b.
    """
    from statsmodels.stats.contingency_tables import mcnemar as exact_mcnemar

    a, b = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    result = {"only_a": only_a, "only_b": only_b, "p": 1.0, "cohens_g": None, "odds_ratio": None, "note": ""}
    if not only_a + only_b:
        return result | {"note": "No image that one gets right and the other wrong: p is 1, no effect size is defined."}
    table = [[int((a & b).sum()), only_a], [only_b, int((~a & ~b).sum())]]
    result |= {"p": float(exact_mcnemar(table, exact=True).pvalue), "cohens_g": only_a / (only_a + only_b) - 0.5}
    if only_b:
        return result | {"odds_ratio": only_a / only_b}
    return result | {"note": "The odds ratio is not defined: no image that only the second gets right."}


def _discordant(n: int, share: float, alpha: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The numbers of discordant images that `n` images may show, their probabilities, and for each the largest
    count on the rarer side at which the exact two-sided McNemar test rejects (-1: it cannot)."""
    number = np.arange(n + 1)
    weight = stats.binom.pmf(number, n, share)
    number, weight = number[weight > 1e-15], weight[weight > 1e-15]
    critical = stats.binom.ppf(alpha / 2, number, 0.5)
    exceeds = 2 * stats.binom.cdf(critical, number, 0.5) > alpha
    return number, weight, critical - exceeds


def _power(number: np.ndarray, weight: np.ndarray, critical: np.ndarray, favoured: float) -> float:
    favoured = min(favoured, 1.0)  # rounding
    rejects = stats.binom.cdf(critical, number, favoured) + stats.binom.sf(number - critical - 1, number, favoured)
    return float((weight * np.where(critical >= 0, rejects, 0.0)).sum())


def mcnemar_power(n: int, discordant: float, difference: float, alpha: float = 0.05) -> float:
    """Probability that the exact two-sided McNemar test on `n` images rejects at `alpha` when a share
    `discordant` of images is got right by one model only and the accuracies differ by `difference`
    (0 <= difference <= discordant, discordant > 0).

    Exact and unconditional: the number of discordant images is Binomial(n, discordant), those that favour
    the better model are Binomial(number, (discordant + difference) / (2 discordant)); the sum over both that
    Connor (1987) approximates.
    """
    return _power(*_discordant(n, discordant, alpha), (discordant + difference) / (2 * discordant))


@lru_cache(maxsize=1000)  # many pairs of models differ on as many images
def minimum_detectable_difference(
    n: int, discordant: float, alpha: float = 0.05, power: float = 0.8
) -> tuple[float | None, str]:
    """The smallest difference in accuracy that the exact McNemar test on `n` images finds at `alpha` with
    `power`, given the share of `discordant` images (`mcnemar_power`), and a note. None if it finds none: no
    difference can exceed the discordant share."""
    from scipy.optimize import brentq

    none = "No detectable difference: even if all discordant images favoured one model the power is less."
    if discordant <= 0:
        return None, none
    counts = _discordant(n, discordant, alpha)
    if _power(*counts, 1.0) < power:
        return None, none
    favoured = brentq(lambda share: _power(*counts, share) - power, 0.5, 1.0, xtol=1e-9)
    return float(discordant * (2 * favoured - 1)), ""


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted for the family that they form (Holm 1979), in their order; None stays None and does not
    count."""
    from statsmodels.stats.multitest import multipletests

    defined = [p for p in p_values if p is not None]
    adjusted = iter(multipletests(defined, method="holm")[1] if defined else ())
    return [None if p is None else float(next(adjusted)) for p in p_values]


# --- between groups of images ------------------------------------------------------------------------------


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
