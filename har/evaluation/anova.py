"""Tests of configurations over their runs: the paper's two as it describes them, and what suits their design better."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

ROUNDING = 1e-12  # accuracies are ratios of counts: what is smaller is the order of a sum
Scores = Mapping[str, pd.Series]  # a model to its score in each run, indexed by seed


class Result(NamedTuple):
    """What a test found. A figure that these scores do not define is None, never NaN, and the note says why."""

    compares: str
    df: tuple[int, ...] = ()
    statistic: float | None = None
    p: float | None = None
    effect: float | None = None
    p_corrected: float | None = None
    note: str = ""

    def noted(self, note: str) -> "Result":
        return self._replace(note=f"{self.note} {note}".lstrip())


def _repeated(scores: Scores) -> tuple[list[np.ndarray], Result]:
    """The runs of the models with two or more, and a test between models and within them before it is made, whose note
    names the other models."""
    groups = [np.asarray(runs, dtype=float) for runs in scores.values() if len(runs) > 1]
    single, size = sorted(name for name, runs in scores.items() if len(runs) < 2), sum(map(len, groups))
    note = f"Left out, with a single run: {', '.join(single)}." if single else ""
    compares, df = f"{len(groups)} models, {size} runs", (max(len(groups) - 1, 0), size - len(groups))
    return groups, Result(compares, df, note=note)


def anova(scores: Scores) -> Result:
    """One-way ANOVA of the runs' accuracies with models as groups (paper, §2.3 and §3): F, and partial eta squared.

    Models with one run have no spread and are left out, as the note says.
    """
    groups, found = _repeated(scores)
    if len(groups) < 2:
        return found.noted("F is not defined: it needs two models with two runs or more.")
    if all(np.ptp(runs) < ROUNDING for runs in groups):
        return found.noted("F is not defined: no model's runs differ, so the spread within models is 0.")
    f, p = map(float, scipy.stats.f_oneway(*groups))
    return found._replace(statistic=f, p=p, effect=_partial_eta_squared(f, *found.df))


def _partial_eta_squared(f: float, df_effect: float, df_error: float) -> float:
    """SS_effect / (SS_effect + SS_error), 0 to 1, from F (Cohen 1973)."""
    return f * df_effect / (f * df_effect + df_error)


def paired_t_test(a: pd.Series, b: pd.Series) -> Result:
    """Paired t-test of two models over the seeds they share (paper, §3: CNN_base against FNN_base): t, and Cohen's d of
    the differences a minus b. `a`, `b`: a score for each run, indexed by seed."""
    both = pd.concat([a.rename("a"), b.rename("b")], axis=1, join="inner")
    runs, gap = len(both), (both["a"] - both["b"]).to_numpy(float)
    found = Result(f"{runs} runs", (max(runs - 1, 0),))
    if runs < 2:
        return found._replace(note=f"t is not defined: the models share {runs} seeds, it needs two or more.")
    if np.ptp(gap) < ROUNDING:  # equal but for rounding: scipy would divide by that rounding
        return found._replace(note="t is not defined: every run shows the same difference.")
    t, p = map(float, scipy.stats.ttest_rel(both["a"], both["b"]))
    return found._replace(statistic=t, p=p, effect=t / runs**0.5)


def _over_seeds(scores: Scores) -> tuple[pd.DataFrame, Result]:
    """Scores [seeds, models] of the models with two runs or more over the seeds that they all share, and a test within
    seeds before it is made, whose note tells what was left out."""
    _, found = _repeated(scores)
    table = pd.DataFrame({name: pd.Series(runs, dtype=float) for name, runs in scores.items() if len(runs) > 1})
    shared = table.sort_index().dropna()
    if lost := ", ".join(map(str, table.index.difference(shared.index))):
        found = found.noted(f"Left out, not run by every model: seed {lost}.")
    runs, models = shared.shape
    return shared, found._replace(compares=f"{models} models, {runs} seeds", df=(max(models - 1, 0),))


def repeated_measures_anova(scores: Scores) -> Result:
    """ANOVA of models as repeated measures on seeds, which takes out what a seed does to every model: F, and partial
    eta squared.

    `p_corrected` multiplies both df by Greenhouse and Geisser's epsilon (1959), since differences between models need
    not spread alike.
    """
    from statsmodels.stats.anova import AnovaRM

    table, found = _over_seeds(scores)
    runs, models = table.shape
    found = found._replace(df=(*found.df, found.df[0] * max(runs - 1, 0)))
    if models < 2 or runs < 2:
        return found.noted("F is not defined: it needs two models that share two seeds or more.")
    if (np.abs(_doubly_centred(table.to_numpy())) < ROUNDING).all():
        return found.noted("F is not defined: the models differ by the same amount in every run.")
    tidy = table.rename_axis(index="seed", columns="model").stack().rename("score").reset_index()
    row = AnovaRM(tidy, "score", "seed", within=["model"]).fit().anova_table.loc["model"]
    f, epsilon = float(row["F Value"]), greenhouse_geisser(table.to_numpy())
    corrected = float(scipy.stats.f.sf(f, *(epsilon * df for df in found.df)))
    effect = _partial_eta_squared(f, *found.df)
    return found._replace(statistic=f, p=float(row["Pr > F"]), effect=effect, p_corrected=corrected)


def _doubly_centred(matrix: np.ndarray) -> np.ndarray:
    """`matrix` without its row and column means."""
    return matrix - matrix.mean(0) - matrix.mean(1, keepdims=True) + matrix.mean()


def greenhouse_geisser(scores: np.ndarray) -> float:
    """Sphericity of `scores` [seeds, models]: 1 where differences between models spread alike, at the least
    1 / (models - 1) (Greenhouse & Geisser 1959). Two seeds or more, two models or more, some residual."""
    covariance = _doubly_centred(np.cov(scores, rowvar=False))
    return float(np.trace(covariance) ** 2 / ((len(covariance) - 1) * (covariance**2).sum()))


def friedman(scores: Scores) -> Result:
    """Friedman's test that no model ranks above another within seeds (Friedman 1937): chi squared, and Kendall's W
    (agreement of the seeds, 0 to 1)."""
    table, found = _over_seeds(scores)
    (runs, models), ranked = table.shape, table.to_numpy().round(12)  # a tie is a tie
    if models < 3 or runs < 2:
        return found.noted("Friedman's test is not defined: it needs three models that share two seeds or more.")
    if np.ptp(ranked, axis=1).max() == 0:
        return found.noted("Friedman's test is not defined: all models score the same in every run.")
    chi, p = map(float, scipy.stats.friedmanchisquare(*ranked.T))
    return found._replace(statistic=chi, p=p, effect=chi / (runs * (models - 1)))


def tukey(scores: Scores, alpha: float) -> Result:
    """Tukey's honestly significant differences between all models over runs (Tukey-Kramer): how many pairs have a p,
    already for the whole family, below `alpha`, and the least p."""
    groups, found = _repeated(scores)
    found = found._replace(compares="0 pairs of models")
    if len(groups) < 2:
        return found.noted("Tukey's test is not defined: it needs two models with two runs.")
    if all(np.ptp(runs) < ROUNDING for runs in groups):
        return found.noted("Tukey's test is not defined: no model's runs differ.")
    matrix = scipy.stats.tukey_hsd(*groups).pvalue.clip(0, 1)  # by quadrature: almost a probability
    p = matrix[np.triu_indices(len(groups), 1)]
    return found._replace(compares=f"{len(p)} pairs of models", statistic=float((p < alpha).sum()), p=float(p.min()))


def levene(scores: Scores) -> Result:
    """Levene's test, about medians (Brown & Forsythe 1974), that the runs of all models spread alike: W."""
    groups, found = _repeated(scores)
    if len(groups) < 2:
        return found.noted("Levene's test is not defined: it needs two models with two runs or more.")
    if all(np.ptp(np.abs(runs - np.median(runs))) < ROUNDING for runs in groups):
        return found.noted("Levene's test is not defined: within a model all runs lie equally far from their median.")
    w, p = map(float, scipy.stats.levene(*groups, center="median"))
    return found._replace(statistic=w, p=p)


def shapiro(scores: Scores) -> Result:
    """Shapiro and Wilk's test that the runs' distances from their model's mean are normal: W."""
    groups, found = _repeated(scores)
    residuals = np.concatenate([np.empty(0), *(runs - runs.mean() for runs in groups)])
    found = found._replace(compares=f"{len(residuals)} residuals", df=())
    if len(residuals) < 3 or np.ptp(residuals) < ROUNDING:
        return found.noted("Shapiro's test is not defined: it needs three runs or more that differ within a model.")
    w, p = map(float, scipy.stats.shapiro(residuals))
    return found._replace(statistic=w, p=p)


def kruskal_wallis(groups: Sequence[pd.Series]) -> dict:
    """Kruskal-Wallis test that no group lies higher than another: H, p, df, epsilon_squared, n, note.

    Effect size epsilon squared = H / (n - 1), 0 (none) to 1 (Tomczak & Tomczak 2014).
    """
    samples = [np.asarray(values, dtype=float) for values in groups if len(values)]
    n, df, same = sum(map(len, samples)), max(len(samples) - 1, 0), None
    if len(samples) < 2:
        note = "H is not defined: it needs two groups or more."
    elif np.ptp(np.concatenate(samples)) == 0:
        note, same = "H is not defined: every value is the same.", 0.0
    else:
        h, p = map(float, scipy.stats.kruskal(*samples))
        return {"H": h, "p": p, "df": df, "epsilon_squared": h / (n - 1), "n": n, "note": ""}
    return {"H": None, "p": None, "df": df, "epsilon_squared": same, "n": n, "note": note}


def with_holm(rows: list[dict]) -> list[dict]:
    """`rows`, each now with `p_holm`: its p adjusted for the family of those that have one (Holm 1979)."""
    from statsmodels.stats.multitest import multipletests

    defined = [row["p"] for row in rows if row["p"] is not None]
    adjusted = iter(multipletests(defined, method="holm")[1] if defined else ())
    for row in rows:
        row["p_holm"] = None if row["p"] is None else float(next(adjusted))
    return rows
