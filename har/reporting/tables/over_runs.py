"""The tests over runs: the paper's two, and those that keep to their assumptions."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from har.evaluation.anova import (
    ANOVA_CAVEAT,
    T_TEST_CAVEAT,
    anova,
    friedman,
    levene,
    paired_t_test,
    repeated_measures_anova,
    shapiro,
    tukey,
)
from har.evaluation.scored import HEADLINE, Key, Scored
from har.reporting import paper
from har.reporting.names import model_name, split_name
from har.reporting.table import NONE, Column, Table, number, p_value
from har.reporting.tables.columns import SPLIT, equals, ranked, tasks_in


def _test(
    name: str,
    compares: str,
    statistic: tuple[str, float | None],
    df: str,
    p: float | None,
    note: str,
    effect: tuple[str, float | None] = ("", None),
    p_corrected: float | None = None,
    printed: paper.Test | None = None,
) -> dict:
    return {
        "test": name,
        "compares": compares,
        "statistic_name": statistic[0],
        "statistic": statistic[1],
        "df": df,
        "p": p,
        "p_corrected": p_corrected,
        "effect_name": effect[0],
        "effect": effect[1],
        "paper_statistic": printed.statistic if printed else None,
        "paper_p": printed.p_text if printed else None,
        "note": note,
    }


Scores = Mapping[str, pd.Series]  # of each model in each run, indexed by seed
METRICS = {"test": "accuracy"}  # as the paper does; HEADLINE elsewhere


def run_scores(found: Mapping[Key, Scored], task: str, split: str) -> dict[str, pd.Series]:
    """Each model's score in each run, indexed by seed."""
    return {
        model: pd.Series(one.estimates[METRICS.get(split, HEADLINE)].runs, index=one.seeds)
        for (_, model), one in ranked(found, task).items()
    }


def _anova(scores: Scores, alpha: float, printed: bool) -> dict:
    found = anova(scores)
    return _test(
        paper.ANOVA.name,
        f"{found['groups']} models, {found['runs']} runs",
        ("F", found["F"]),
        f"{found['df_between']}, {found['df_within']}",
        found["p"],
        found["note"],
        ("partial η²", found["partial_eta_squared"]),
        printed=paper.ANOVA if printed else None,
    )


def _paired_t(scores: Scores, alpha: float, printed: bool) -> dict | None:
    if not {"cnn_base", "fnn_base"} & set(scores):
        return None
    empty = pd.Series(dtype=float)
    pair = paired_t_test(scores.get("cnn_base", empty), scores.get("fnn_base", empty))
    names = " − ".join(map(model_name, ("cnn_base", "fnn_base")))
    return _test(
        paper.PAIRED_T.name,
        f"{names}, {pair['runs']} runs",
        ("t", pair["t"]),
        str(pair["df"]),
        pair["p"],
        pair["note"],
        ("Cohen's d of the differences", None if pair["t"] is None else pair["t"] / pair["runs"] ** 0.5),
        printed=paper.PAIRED_T if printed else None,
    )


def _within_seeds(scores: Scores, alpha: float, printed: bool) -> dict:
    found = repeated_measures_anova(scores)
    return _test(
        "repeated-measures ANOVA",
        f"{found['models']} models, {found['runs']} seeds",
        ("F", found["F"]),
        f"{found['df_model']}, {found['df_error']}",
        found["p"],
        found["note"],
        ("partial η²", found["partial_eta_squared"]),
        p_corrected=found["p_corrected"],
    )


def _friedman(scores: Scores, alpha: float, printed: bool) -> dict:
    found, effect = friedman(scores), "Kendall's W"
    compares = f"{found['models']} models, {found['runs']} seeds"
    statistic, df = ("χ²", found["chi_squared"]), str(found["df"])
    return _test("Friedman", compares, statistic, df, found["p"], found["note"], (effect, found["kendalls_w"]))


def _tukey(scores: Scores, alpha: float, printed: bool) -> dict:
    over, found = anova(scores), tukey(scores)
    every = found["p"].values()
    statistic = f"pairs with p < {alpha:.2g}", float(sum(p < alpha for p in every)) if every else None
    df = f"{over['df_between']}, {over['df_within']}"
    return _test("Tukey HSD", f"{len(every)} pairs of models", statistic, df, min(every, default=None), found["note"])


def _levene(scores: Scores, alpha: float, printed: bool) -> dict:
    found, over = levene(scores), anova(scores)
    df = f"{found['df_between']}, {found['df_within']}"
    compares = f"{over['groups']} models, {over['runs']} runs"
    return _test("Levene (medians)", compares, ("W", found["W"]), df, found["p"], found["note"])


def _shapiro(scores: Scores, alpha: float, printed: bool) -> dict:
    found = shapiro(scores)
    return _test("Shapiro–Wilk", f"{found['n']} residuals", ("W", found["W"]), "", found["p"], found["note"])


# Of one task on one split, in the order of the table: (scores of runs, the level of significance,
# whether the paper's values stand beside) to a row of `_test`, None where a test has nothing to compare.
TESTS: list[Callable[[Scores, float, bool], dict | None]] = [
    _anova,
    _paired_t,
    _within_seeds,
    _friedman,
    _tukey,
    _levene,
    _shapiro,
]


def _failed_assumptions(rows: Sequence[Mapping], alpha: float, where: str) -> list[str]:
    sentences = {
        "Levene (medians)": "the runs of some models spread more than those of others (Levene)",
        "Shapiro–Wilk": "the residuals are not normal (Shapiro–Wilk)",
    }
    failed = [row for row in rows if row["test"] in sentences and row["p"] is not None and row["p"] < alpha]
    return [
        f"{where}: {sentences[row['test']]}, {equals('p', p_value(row['p']))}: an assumption of the one-way ANOVA and "
        "of Tukey's test fails; Friedman's test does not need it."
        for row in failed
    ]


def _told_once(noted: Mapping[tuple[str, str], Sequence[str]]) -> list[str]:
    """The notes of tests, (task and split, note) to tests, each in one line with all that it holds for."""
    places: dict[tuple[str, str], list[str]] = {}
    for (where, note), tests in noted.items():
        if note:
            places.setdefault((", ".join(tests), note), []).append(where)
    return [f"{'; '.join(wheres)}: {tests}: {note}" for (tests, note), wheres in places.items()]


def over_runs_table(
    scored: Mapping[str, Mapping[Key, Scored]],
    header: str,
    level: float,
    papers: bool = True,
) -> Table:
    """The paper's two tests on the accuracies of runs, and those that suit runs which share seeds.

    Args:
        scored: models on each split.
        header: what made the table.
        level: of confidence.
        papers: whether the paper's values stand beside its two tests.
    """
    rows, notes, noted, alpha = [], [], {}, 1 - level
    for task in tasks_in(scored):
        for split, found in reversed(scored.items()):  # the paper's split first
            scores = run_scores(found, task, split)
            if not scores:
                continue
            printed = papers and (task, split) == ("activity", "test")
            block = [row for test in TESTS if (row := test(scores, alpha, printed))]
            rows += [{"task": task, "split": split, **row} for row in block]
            notes += _failed_assumptions(block, alpha, f"{task}, {split_name(split)}")
            for row in block:
                noted.setdefault((f"{task}, {split_name(split)}", row["note"]), []).append(row["test"])
    fixed = [
        "Of the runs' accuracies on test, as in the paper, and of their balanced accuracies on held out; models with a "
        "single run have no spread and take no part.",
        f"One-way ANOVA: {ANOVA_CAVEAT}{' The paper lists eight models where it says seven.' if papers else ''}",
        f"Paired t-test: {T_TEST_CAVEAT}",
        "Repeated-measures ANOVA and Friedman's test compare models within seeds; GG: Greenhouse and Geisser's "
        "correction for differences that do not spread alike. They too speak of training on these images, not of "
        "other images: for those see the pairs. With few seeds the χ² of Friedman's test is an approximation.",
        "Tukey: how many pairs differ, and the least p, adjusted for all pairs. Levene, Shapiro–Wilk: equal spread and "
        "normal residuals, which the one-way ANOVA and Tukey's test assume; few runs seldom disprove them.",
    ]
    columns = [
        Column("test", "Test"),
        Column("task", "Task"),
        SPLIT,
        Column("compares", "Compares"),
        Column(("statistic", "statistic_name"), "Statistic", _statistic_text),
        Column("df", "df", lambda df: df or NONE),
        Column("p", "p", p_value),
        Column("p_corrected", "p (GG)", p_value),
        Column(("effect", "effect_name"), "Effect", lambda value, name: f"{name} = {number(value)}"),
        *([Column(("paper_statistic", "paper_p", "statistic_name"), "Paper", _printed_text)] if papers else []),
        Column("note"),
    ]
    title = "Tests over runs: those of the paper, and those that fit the design"
    return Table("tests", title, header, rows, columns, [*fixed, *notes, *_told_once(noted)])


def _printed_text(statistic: float, p: str, name: str) -> str:
    return f"{name} = {statistic}, {equals('p', p)}"


def _statistic_text(value: float, name: str) -> str:
    return f"{value:.0f} {name}" if name.startswith("pairs") else f"{name} = {number(value)}"
