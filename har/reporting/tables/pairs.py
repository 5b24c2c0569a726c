"""Every pair of models on the same images."""

from collections.abc import Mapping
from itertools import combinations

from har.evaluation.mcnemar import estimated_difference, mcnemar, minimum_detectable_difference, same_images
from har.evaluation.multiple import holm
from har.evaluation.scored import HEADLINE, Key, Scored
from har.reporting.names import model_name, split_name
from har.reporting.table import NONE, Column, Table, number, p_value, pivoted, signed_estimate
from har.reporting.tables.columns import ranked, tasks_in, triple

POWER = 0.8


def pairs(found: Mapping[Key, Scored], tukeys: Mapping, task: str, split: str, level: float) -> list[dict]:
    """Every pair of models of `task`, a the better one, largest difference first; Holm over all of them.
    `tukeys`: Tukey's p-values."""
    mine = {model: one for (_, model), one in ranked(found, task).items()}
    hits = {model: one.ensemble_hits for model, one in mine.items()}
    rows = []
    for a, b in combinations(mine, 2):
        same_images(mine[a], mine[b], split)
        gap = estimated_difference(mine[a].estimates[HEADLINE], mine[b].estimates[HEADLINE], level)
        exact, n = mcnemar(hits[a], hits[b]), gap["n"]
        discordant = exact["only_a"] + exact["only_b"]
        least, note = minimum_detectable_difference(n, discordant / n, 1 - level, POWER)
        rows.append(
            {
                "task": task,
                "split": split,
                "a": a,
                "b": b,
                "n": n,
                "difference": gap["difference"],
                "difference_low": gap["ci_low"],
                "difference_high": gap["ci_high"],
                "p": gap["p"],
                "p_holm": None,
                "ensemble_difference": (exact["only_a"] - exact["only_b"]) / n,
                "only_a": exact["only_a"],
                "only_b": exact["only_b"],
                "p_mcnemar": exact["p"],
                "p_mcnemar_holm": None,
                "cohens_g": exact["cohens_g"],
                "odds_ratio": exact["odds_ratio"],
                "minimum_detectable": least,
                "p_tukey": tukeys.get((a, b)),
                "note": " ".join(filter(None, (gap["note"], exact["note"], note))),
            }
        )
    for name in ("p", "p_mcnemar"):
        for row, p in zip(rows, holm([row[name] for row in rows]), strict=True):
            row[f"{name}_holm"] = p
    return sorted(rows, key=lambda row: -row["difference"])


def pairs_table(
    scored: Mapping[str, Mapping[Key, Scored]], tukeys: Mapping[tuple[str, str], Mapping], header: str, level: float
) -> Table:
    """Every pair of models on the same images. All in the CSV; for people the first task's pairs, a row each with
    both splits, by the difference on the larger one."""
    tasks = tasks_in(scored)
    rows = []
    for task in tasks:
        for split, found in scored.items():
            rows += pairs(found, tukeys[task, split]["p"], task, split, level)
    first = [row for row in rows if row["task"] == tasks[0]] if tasks else []
    splits = [split for split in scored if any(row["split"] == split for row in first)]
    leading: dict[frozenset, Mapping] = {}  # of each pair the row on the larger split, which tells which is minus which
    for row in first:
        leading.setdefault(frozenset((row["a"], row["b"])), row)
    alike = [row if leading[frozenset((row["a"], row["b"]))]["a"] == row["a"] else turned(row) for row in first]
    notes = [
        f"Shown: {tasks[0] if tasks else 'nothing'}; pairs.csv has all tasks, odds ratios, unadjusted and Tukey's p.",
        f"Difference: of balanced accuracies, mean over runs [{level:.0%} interval over images, paired: images are "
        "drawn within each class, with all runs of both; not widened for the number of pairs]. p: of no difference, "
        "from the same samples as the interval, adjusted for all pairs of the task and split (Holm).",
        "Only A, only B: images that one model's ensemble (mean probability over runs) gets right and the other's "
        "wrong, whatever their class. McNemar: p of the exact test on them (Holm), which counts a class by its number "
        "of images. Ensembles can differ otherwise than the means of runs do.",
        f"Detectable: the least difference in accuracy that this test (unadjusted, α = {1 - level:.2g}) finds with "
        f"power {POWER:.0%} at this n and share of discordant images, by exact binomial sums (Connor 1987 "
        f"approximates it); {NONE}: none, even if every discordant image favoured one model.",
    ]
    if not first:
        notes = ["A single model: there is no pair to compare."]
    if any(row["difference_low"] == row["difference_high"] for row in first):
        notes.append("An interval that is a point: every resample shows the same difference.")
    columns = [
        Column(("a", "b"), "Pair", lambda a, b: f"{model_name(a)} − {model_name(b)}"),
        *map(Column, ("task", "split", "n", *triple("difference"))),
        *(Column(name, format=p_value) for name in ("p", "p_holm")),
        *map(Column, ("ensemble_difference", "only_a", "only_b")),
        *(Column(name, format=p_value) for name in ("p_mcnemar", "p_mcnemar_holm")),
        *map(Column, ("cohens_g", "odds_ratio", "minimum_detectable")),
        Column("p_tukey", format=p_value),
        Column("note"),
        *(column for split in splits for column in _shown(split)),
    ]
    lines = pivoted(alike, ("a", "b"), "split")
    return Table("pairs", "Every pair of models", header, rows, columns, notes, lines)


def _shown(split: str) -> list[Column]:
    """What people read of a pair on `split`."""
    name = split_name(split)
    return [
        Column(
            tuple(f"{key}_{split}" for key in triple("difference")),
            f"{name.capitalize()}: difference",
            signed_estimate,
            csv=False,
        ),
        Column(f"p_holm_{split}", f"p (Holm), {name}", p_value, csv=False),
        Column((f"only_a_{split}", f"only_b_{split}"), f"Only A / only B, {name}", "{} / {}".format, csv=False),
        Column(f"p_mcnemar_holm_{split}", f"McNemar, {name}", p_value, csv=False),
        Column(f"minimum_detectable_{split}", f"Detectable, {name}", number, csv=False),
    ]


def turned(row: Mapping) -> dict:
    """The same pair as b minus a."""
    g = row["cohens_g"]
    return {
        **row,
        "a": row["b"],
        "b": row["a"],
        "difference": -row["difference"],
        "difference_low": -row["difference_high"],
        "difference_high": -row["difference_low"],
        "only_a": row["only_b"],
        "only_b": row["only_a"],
        "cohens_g": None if g is None else -g,
    }
