"""Tests of configurations over their runs: the paper's two as it describes them, and what suits their design better.

Each function returns a dict of scalars and a `note`: empty, or one sentence that says which figure is not
defined on this input and why. An undefined figure is None, never NaN.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import scipy

ANOVA_CAVEAT = (
    "Its error term is the spread between runs on one split, so a small p says that the models differ on "
    "these very images, not that they would on others; runs that share seeds and images are not independent "
    "groups."
)
T_TEST_CAVEAT = (
    "It pairs runs, not images: with five runs (df 4) it speaks of the randomness of training on one split "
    "and has little power; that it does not reject is no sign of equality."
)
ROUNDING = 1e-12  # accuracies are ratios of counts: what is smaller is the order of a sum
Scores = Mapping[str, pd.Series]  # a model to its score in each run, indexed by seed


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
        f, p = scipy.stats.f_oneway(*groups.values())
        effect = _partial_eta_squared(float(f), result["df_between"], result["df_within"])
        result |= {"F": float(f), "p": float(p), "partial_eta_squared": effect}
    return result | {"note": " ".join(notes)}


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
    }
    if len(gap) < 2:
        result["note"] = f"t is not defined: the models share {len(gap)} seeds, it needs two or more."
    elif np.ptp(gap) < 1e-12:  # equal but for rounding: scipy would divide by that rounding
        result["note"] = "t is not defined: every run shows the same difference."
    else:
        t, p = scipy.stats.ttest_rel(both["a"], both["b"])
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
        corrected = scipy.stats.f.sf(f, epsilon * result["df_model"], epsilon * result["df_error"])
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
        chi, p = scipy.stats.friedmanchisquare(*ranked.T)
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
    p = scipy.stats.tukey_hsd(*groups.values()).pvalue.clip(0, 1)  # by quadrature, so only almost a probability
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
        w, p = scipy.stats.levene(*groups.values(), center="median")
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
        w, p = scipy.stats.shapiro(residuals)
        result |= {"W": float(w), "p": float(p)}
    return result | {"note": " ".join(notes)}


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
        h, p = scipy.stats.kruskal(*samples)
        result |= {"H": float(h), "p": float(p), "epsilon_squared": float(h) / (n - 1)}
    assert all(not isinstance(value, float) or math.isfinite(value) for value in result.values())
    return result
