"""The tests over runs: the paper's two, and those that keep to their assumptions."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from har.evaluation.anova import (
    Result,
    Scores,
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
from har.reporting.tables.columns import SPLIT, Evidence, equals, ranked, tasks_in

METRICS = {"test": "accuracy"}  # as the paper does; HEADLINE elsewhere


def run_scores(found: Mapping[Key, Scored], task: str, split: str) -> dict[str, pd.Series]:
    """Each model's score in each run, indexed by seed."""
    return {
        model: pd.Series(one.estimates[METRICS.get(split, HEADLINE)].runs, index=one.cells.seeds)
        for (_, model), one in ranked(found, task).items()
    }


def _cnn_against_fnn(scores: Scores) -> Result | None:
    pair = ("cnn_base", "fnn_base")
    if not set(pair) & set(scores):
        return None
    found = paired_t_test(*(scores.get(name, pd.Series(dtype=float)) for name in pair))
    return found._replace(compares=f"{' − '.join(map(model_name, pair))}, {found.compares}")


# In the order of the table: a test's name, its statistic, its effect size, and the function of the scores of runs and
# the level of significance; None where there is nothing to compare.
TESTS: list[tuple[str, str, str, Callable[[Scores, float], Result | None]]] = [
    (paper.ANOVA.name, "F", "partial η²", lambda scores, alpha: anova(scores)),
    (paper.PAIRED_T.name, "t", "Cohen's d of the differences", lambda scores, alpha: _cnn_against_fnn(scores)),
    ("repeated-measures ANOVA", "F", "partial η²", lambda scores, alpha: repeated_measures_anova(scores)),
    ("Friedman", "χ²", "Kendall's W", lambda scores, alpha: friedman(scores)),
    ("Tukey HSD", "pairs with p < {:.2g}", "", tukey),
    ("Levene (medians)", "W", "", lambda scores, alpha: levene(scores)),
    ("Shapiro–Wilk", "W", "", lambda scores, alpha: shapiro(scores)),
]
PRINTED = {test.name: test for test in paper.TESTS}


def _rows(scores: Scores, alpha: float, papers: bool) -> list[dict]:
    """A row for each of TESTS on one task and split. papers: whether the paper's values stand beside."""
    rows = []
    for name, statistic, effect, test in TESTS:
        if (found := test(scores, alpha)) is not None:
            printed = PRINTED.get(name) if papers else None
            row = {"test": name, "statistic_name": statistic.format(alpha), "effect_name": effect, **found._asdict()}
            row |= {"df": ", ".join(map(str, found.df))}
            row |= {"paper_statistic": printed and printed.statistic, "paper_p": printed and printed.p}
            rows.append(row)
    return rows


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


def over_runs_table(of: Evidence) -> Table:
    """The paper's two tests on the accuracies of runs, and those that suit runs which share seeds."""
    rows, notes, noted, alpha = [], [], {}, 1 - of.level
    for task in tasks_in(of.scored):
        for split, found in reversed(of.scored.items()):  # the paper's split first
            where, scores = f"{task}, {split_name(split)}", run_scores(found, task, split)
            if not scores:
                continue
            block = _rows(scores, alpha, of.papers and (task, split) == ("activity", "test"))
            rows += [{"task": task, "split": split, **row} for row in block]
            notes += _failed_assumptions(block, alpha, where)
            for row in block:
                noted.setdefault((where, row["note"]), []).append(row["test"])
    # each note once, with all that it holds for
    places: dict[tuple[str, str], list[str]] = {}
    for (where, note), tests in noted.items():
        if note:
            places.setdefault((", ".join(tests), note), []).append(where)
    told = [f"{'; '.join(wheres)}: {tests}: {note}" for (tests, note), wheres in places.items()]
    fixed = [
        "Of the runs' accuracies on test, as in the paper, and of their balanced accuracies on held out; models with a "
        "single run have no spread and take no part.",
        "One-way ANOVA: Its error term is the spread between runs on one split, so a small p says that the models "
        "differ on these very images, not that they would on others; runs that share seeds and images are not "
        f"independent groups.{' The paper lists eight models where it says seven.' if of.papers else ''}",
        "Paired t-test: It pairs runs, not images: with few runs it speaks of the randomness of training on "
        "one split and has little power; that it does not reject is no sign of equality.",
        "Repeated-measures ANOVA and Friedman's test compare models within seeds; GG: Greenhouse and Geisser's "
        "correction for differences that do not spread alike. They too speak of training on these images, not of "
        "other images: for those see the pairs. With few seeds the χ² of Friedman's test is an approximation.",
        "Tukey: how many pairs differ, and the least p, adjusted for all pairs. Levene, Shapiro–Wilk: equal spread and "
        "normal residuals, which the one-way ANOVA and Tukey's test assume; few runs seldom disprove them.",
    ]

    def printed(statistic: float, p: str, name: str) -> str:
        return f"{name} = {statistic}, {equals('p', p)}"

    def statistic(value: float, name: str) -> str:
        return f"{value:.0f} {name}" if name.startswith("pairs") else f"{name} = {number(value)}"

    columns = [
        Column("test", "Test"),
        Column("task", "Task"),
        SPLIT,
        Column("compares", "Compares"),
        Column(("statistic", "statistic_name"), "Statistic", statistic),
        Column("df", "df", lambda df: df or NONE),
        Column("p", "p", p_value),
        Column("p_corrected", "p (GG)", p_value),
        Column(("effect", "effect_name"), "Effect", lambda value, name: f"{name} = {number(value)}"),
        *([Column(("paper_statistic", "paper_p", "statistic_name"), "Paper", printed)] if of.papers else []),
        Column("note"),
    ]
    title = "Tests over runs: those of the paper, and those that fit the design"
    return Table("tests", title, of.header, rows, columns, [*fixed, *notes, *told])
