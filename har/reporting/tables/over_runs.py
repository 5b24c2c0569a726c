"""The tests over runs: the paper's two, and those that keep to their assumptions."""

from collections.abc import Mapping, Sequence

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
from har.evaluation.scored import Key, Scored
from har.reporting import paper
from har.reporting.names import model_name
from har.reporting.table import NONE, Table, number, p_value
from har.reporting.tables.columns import make_table, ranked, tasks_in


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


def run_scores(found: Mapping[Key, Scored], task: str) -> dict[str, pd.Series]:
    """Each model's accuracy in each run, indexed by seed."""
    return {
        model: pd.Series(one.estimates["accuracy"].runs, index=one.seeds)
        for (_, model), one in ranked(found, task).items()
    }


def honest_differences(scored: Mapping[str, Mapping[Key, Scored]]) -> dict[tuple[str, str], dict]:
    """`tukey` of each task and split; made once, since its integrals are slow and two tables show them."""
    return {
        (task, split): tukey(run_scores(found, task)) for task in tasks_in(scored) for split, found in scored.items()
    }


def _tests_of(scores: Mapping[str, pd.Series], honest: Mapping, alpha: float, printed: bool) -> list[dict]:
    """All tests over runs of one task on one split; `printed`: the paper's values stand beside them."""
    over, within, ranks = anova(scores), repeated_measures_anova(scores), friedman(scores)
    spread, normal = levene(scores), shapiro(scores)
    models, shared = (
        f"{over['groups']} models, {over['runs']} runs",
        f"{within['models']} models, {within['runs']} seeds",
    )
    between = f"{over['df_between']}, {over['df_within']}"
    found = sum(p < alpha for p in honest["p"].values())
    pairs = f"{len(honest['p'])} pairs of models"
    rows = [
        _test(
            paper.ANOVA.name,
            models,
            ("F", over["F"]),
            between,
            over["p"],
            over["note"],
            ("partial η²", over["partial_eta_squared"]),
            printed=paper.ANOVA if printed else None,
        ),
        _test(
            "repeated-measures ANOVA",
            shared,
            ("F", within["F"]),
            f"{within['df_model']}, {within['df_error']}",
            within["p"],
            within["note"],
            ("partial η²", within["partial_eta_squared"]),
            p_corrected=within["p_corrected"],
        ),
        _test(
            "Friedman",
            shared,
            ("χ²", ranks["chi_squared"]),
            str(ranks["df"]),
            ranks["p"],
            ranks["note"],
            ("Kendall's W", ranks["kendalls_w"]),
        ),
        _test(
            "Tukey HSD",
            pairs,
            (f"pairs with p < {alpha:.2g}", float(found) if honest["p"] else None),
            between,
            min(honest["p"].values(), default=None),
            honest["note"],
        ),
        _test(
            "Levene (medians)",
            models,
            ("W", spread["W"]),
            f"{spread['df_between']}, {spread['df_within']}",
            spread["p"],
            spread["note"],
        ),
        _test("Shapiro–Wilk", f"{normal['n']} residuals", ("W", normal["W"]), "", normal["p"], normal["note"]),
    ]
    if {"cnn_base", "fnn_base"} & set(scores):
        empty = pd.Series(dtype=float)
        pair = paired_t_test(scores.get("cnn_base", empty), scores.get("fnn_base", empty))
        effect = None if pair["t"] is None else pair["t"] / pair["runs"] ** 0.5
        names = " − ".join(map(model_name, ("cnn_base", "fnn_base")))
        t_test = _test(
            paper.PAIRED_T.name,
            f"{names}, {pair['runs']} runs",
            ("t", pair["t"]),
            str(pair["df"]),
            pair["p"],
            pair["note"],
            ("Cohen's d of the differences", effect),
            printed=paper.PAIRED_T if printed else None,
        )
        rows.insert(1, t_test)
    return rows


def _failed_assumptions(rows: Sequence[Mapping], alpha: float, where: str) -> list[str]:
    sentences = {
        "Levene (medians)": "the runs of some models spread more than those of others (Levene)",
        "Shapiro–Wilk": "the residuals are not normal (Shapiro–Wilk)",
    }
    failed = [row for row in rows if row["test"] in sentences and row["p"] is not None and row["p"] < alpha]
    return [
        f"{where}: {sentences[row['test']]}, {_equals('p', row['p'])}: an assumption of the one-way ANOVA and of "
        "Tukey's test fails; Friedman's test does not need it."
        for row in failed
    ]


def _told_once(noted: Mapping[tuple[str, str], Sequence[str]]) -> list[str]:
    """The notes of tests, (task and split, note) to tests, each in one line with all that it holds for."""
    places: dict[tuple[str, str], list[str]] = {}
    for (where, note), tests in noted.items():
        if note:
            places.setdefault((", ".join(tests), note), []).append(where)
    return [f"{'; '.join(wheres)}: {tests}: {note}" for (tests, note), wheres in places.items()]


def _equals(name: str, p: float | None) -> str:
    """p = 0.032, p < 0.001"""
    text = p_value(p)
    return f"{name} {text}" if text.startswith("<") else f"{name} = {text}"


def tests_table(
    scored: Mapping[str, Mapping[Key, Scored]], honest: Mapping[tuple[str, str], Mapping], header: str, level: float
) -> Table:
    """The paper's two tests on the accuracies of runs, and those that suit runs which share seeds."""
    rows, notes, noted, alpha = [], [], {}, 1 - level
    for task in tasks_in(scored):
        for split, found in reversed(scored.items()):  # the paper's split first
            scores = run_scores(found, task)
            if not scores:
                continue
            block = _tests_of(scores, honest[task, split], alpha, printed=(task, split) == ("activity", "test"))
            rows += [{"task": task, "split": split, **row} for row in block]
            notes += _failed_assumptions(block, alpha, f"{task}, {split}")
            for row in block:
                noted.setdefault((f"{task}, {split}", row["note"]), []).append(row["test"])
    notes += _told_once(noted)
    text = [
        {
            "Test": row["test"],
            "Task": row["task"],
            "Split": row["split"],
            "Compares": row["compares"],
            "Statistic": _statistic_text(row),
            "df": row["df"] or NONE,
            "p": p_value(row["p"]),
            "p (GG)": p_value(row["p_corrected"]),
            "Effect": NONE if row["effect"] is None else f"{row['effect_name']} = {number(row['effect'])}",
            "Paper": NONE
            if row["paper_statistic"] is None
            else f"{row['statistic_name']} = {row['paper_statistic']}, p = {row['paper_p']}".replace("= <", "<"),
        }
        for row in rows
    ]
    fixed = [
        "Of the runs' accuracies; models with a single run have no spread and take no part.",
        f"One-way ANOVA: {ANOVA_CAVEAT}",
        f"Paired t-test: {T_TEST_CAVEAT}",
        "Repeated-measures ANOVA and Friedman's test compare models within seeds; GG: Greenhouse and Geisser's "
        "correction for differences that do not spread alike. They too speak of training on these images, not of "
        "other images: for those see the pairs. With few seeds the χ² of Friedman's test is an approximation.",
        "Tukey: how many pairs differ, and the least p, adjusted for all pairs. Levene, Shapiro–Wilk: equal spread and "
        "normal residuals, which the one-way ANOVA and Tukey's test assume; few runs seldom disprove them.",
    ]
    columns = ["task", "split", *_test("", "", ("", None), "", None, "")]
    shown = ["Test", "Task", "Split", "Compares", "Statistic", "df", "p", "p (GG)", "Effect", "Paper"]
    digits = ("statistic", "p", "p_corrected", "effect")
    title = "Tests over runs: the paper's two and those that fit its design"
    return make_table("tests", title, header, rows, text, columns, shown, [*fixed, *notes], digits)


def _statistic_text(row: Mapping) -> str:
    if row["statistic"] is None:
        return NONE
    if row["test"] == "Tukey HSD":
        return f"{row['statistic']:.0f} {row['statistic_name']}"
    return f"{row['statistic_name']} = {number(row['statistic'])}"
