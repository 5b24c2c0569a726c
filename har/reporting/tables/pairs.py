"""Every pair of models on the same images."""

from collections.abc import Mapping
from itertools import combinations

from har.evaluation.mcnemar import estimated_difference, mcnemar, minimum_detectable_difference, same_images
from har.evaluation.multiple import holm
from har.evaluation.scored import Key, Scored
from har.reporting.names import model_name
from har.reporting.table import NONE, Table, interval, number, p_value
from har.reporting.tables.columns import make_table, ranked, tasks_in

POWER = 0.8


def pairs(found: Mapping[Key, Scored], honest: Mapping, task: str, split: str, level: float) -> list[dict]:
    """Every pair of models of `task`, a the more accurate, largest difference first; Holm over all of them.
    `honest`: `tukey`'s p-values."""
    mine = {model: one for (_, model), one in ranked(found, task).items()}
    hits = {model: one.ensemble_hits for model, one in mine.items()}
    rows = []
    for a, b in combinations(mine, 2):
        same_images(mine[a], mine[b], split)
        gap = estimated_difference(mine[a].estimates["accuracy"], mine[b].estimates["accuracy"], level)
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
                "ensemble_difference": (exact["only_a"] - exact["only_b"]) / n,
                "only_a": exact["only_a"],
                "only_b": exact["only_b"],
                "p": exact["p"],
                "p_holm": None,
                "cohens_g": exact["cohens_g"],
                "odds_ratio": exact["odds_ratio"],
                "minimum_detectable": least,
                "p_tukey": honest.get((a, b)),
                "note": " ".join(filter(None, (gap["note"], exact["note"], note))),
            }
        )
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return sorted(rows, key=lambda row: -row["difference"])


PAIR_COLUMNS = (
    "task", "split", "a", "b", "n", "difference", "difference_low", "difference_high", "ensemble_difference",
    "only_a", "only_b", "p", "p_holm", "cohens_g", "odds_ratio", "minimum_detectable", "p_tukey", "note",
)  # fmt: skip


def pairs_table(
    scored: Mapping[str, Mapping[Key, Scored]], honest: Mapping[tuple[str, str], Mapping], header: str, level: float
) -> Table:
    """Every pair of models on the same images. All in the CSV; for people the first task's pairs, a row each with
    both splits, by the difference on the larger one."""
    tasks = tasks_in(scored)
    rows = []
    for task in tasks:
        for split, found in scored.items():
            rows += pairs(found, honest[task, split]["p"], task, split, level)
    first = [row for row in rows if row["task"] == tasks[0]] if tasks else []
    splits = [split for split in scored if any(row["split"] == split for row in first)]
    by_pair = {split: {frozenset((r["a"], r["b"])): r for r in first if r["split"] == split} for split in splits}
    order = {frozenset((row["a"], row["b"])): row for row in reversed(first)}  # the larger split has the last word
    leading = [row for row in first if order[frozenset((row["a"], row["b"]))] is row]
    text = []
    for row in leading:
        line = {"Pair": f"{model_name(row['a'])} − {model_name(row['b'])}"}
        for split in splits:
            line |= _pair_text(by_pair[split].get(frozenset((row["a"], row["b"]))), row["a"], split)
        text.append(line)
    shown = ["Pair", *(column for split in splits for column in _pair_text(None, "", split))]
    fixed = [
        f"Shown: {tasks[0] if tasks else 'nothing'}; pairs.csv has all tasks, odds ratios, unadjusted and Tukey's p.",
        f"Difference: of accuracies, mean over runs [{level:.0%} interval over images, paired: images are drawn, each "
        "with all runs of both; not widened for the number of pairs].",
        "Only A, only B: images that one model's ensemble (mean probability over runs) gets right and the other's "
        "wrong. p: exact McNemar test on them, adjusted for all pairs of the task and split (Holm). g: Cohen's g, the "
        "share of these images that A gets right minus 1/2. Ensembles can differ otherwise than the means of runs do.",
        f"Detectable: the least difference in accuracy that this test (unadjusted, α = {1 - level:.2g}) finds with "
        f"power {POWER:.0%} at this n and share of discordant images, by exact binomial sums (Connor 1987 "
        f"approximates it); {NONE}: none, even if every discordant image favoured one model.",
    ]
    if len({model for row in first for model in (row["a"], row["b"])}) < 2:
        fixed = ["A single model: there is no pair to compare."]
    if any(row["difference_low"] == row["difference_high"] for row in first):
        fixed.append("An interval that is a point: every resample shows the same difference.")
    if any(row["cohens_g"] is None for row in first):
        fixed.append(f"g is {NONE} where both ensembles get the same images right; p is 1 then.")
    title = "Every pair of models"
    digits = ("p", "p_holm", "p_tukey")
    return make_table("pairs", title, header, rows, text, PAIR_COLUMNS, shown or ["Pair"], fixed, digits)


def _pair_text(row: Mapping | None, first: str, split: str) -> dict:
    """The cells of a pair on `split`, `first` minus the other."""
    columns = (f"{split.capitalize()}: difference", "Only A / only B", "p (Holm)", "g", "Detectable")
    names = [columns[0], *(f"{column}, {split}" for column in columns[1:])]
    if row is None:
        return dict.fromkeys(names, NONE)
    turned = row["a"] != first
    gap, low, high = (row[name] for name in ("difference", "difference_low", "difference_high"))
    counts, g = (row["only_a"], row["only_b"]), row["cohens_g"]
    if turned:
        gap, low, high, counts, g = -gap, -high, -low, counts[::-1], None if g is None else -g
    text = (
        f"{number(gap, sign=True)} {interval(low, high, sign=True)}",
        f"{counts[0]} / {counts[1]}",
        p_value(row["p_holm"]),
        number(g, 2, sign=True),
        number(row["minimum_detectable"]),
    )
    return dict(zip(names, text, strict=True))
