"""What was found, in sentences made from the tables: they hold no number that a table lacks."""

from pathlib import Path

import pandas as pd

from har.evaluation.predictions import HELD_OUT
from har.evaluation.scored import HEADLINE
from har.reporting.names import class_name, model_name, needs_boxes
from har.reporting.page.charts import SCORES, read_table
from har.reporting.table import estimate

DIFFERENCE = ("difference", "difference_low", "difference_high")
PAIR = ("a", "b", "task", "split", *DIFFERENCE)
PER_CLASS = ("model", "task", "split", "class", "recall", "recall_low", "recall_high")
TABLES = ("tables/table7.csv", "significance/pairs.csv", "significance/per_class.csv")
SHOWN = 3  # rows named beside the leader


def findings(reports: Path, task: str, classes: int, unit: str = "images") -> list[str]:
    """The row with the highest balanced accuracy of those that need nothing but the photograph, what it is better than
    and what it is not told apart from, where it fails, what person boxes add and what the paper has: of the held-out
    images, or of test where there are no others. Empty without Table 7.

    Args:
        reports: the folder of tables.
        task: whose pairs and classes are read.
        classes: of the task, which gives chance.
        unit: what predictions are of (har.config.data.Data.unit).
    """
    table, pairs, per_class = (reports / path for path in TABLES)
    if not table.exists():
        return []
    scores = read_table(table, SCORES)
    split = HELD_OUT if (scores.split == HELD_OUT).any() else "test"
    ranked = scores[scores.split == split].sort_values(HEADLINE, ascending=False)
    boxed = ranked.model.map(needs_boxes).astype(bool)
    boxes, ranked = ranked[boxed], ranked[~boxed]
    if ranked.empty:
        return []
    best, score = ranked.iloc[0], _score(ranked.iloc[0])
    told = [
        f"{model_name(best.model)} has the highest balanced accuracy of {len(ranked)} rows: {score} on {best.n:,} "
        f"{split.replace('_', '-')} {unit}, where chance is {1 / classes:.2f}."
    ]
    if pairs.exists() and (line := _others(read_table(pairs, PAIR), best.model, task, split)):
        told.append(line)
    if per_class.exists():
        told += _weakest(read_table(per_class, PER_CLASS), best.model, task, split, unit)
    if len(boxes):
        told.append(f"Where a person's box is annotated: {model_name(boxes.iloc[0].model)}, {_score(boxes.iloc[0])}.")
    if "paper_accuracy" in scores and (printed := _printed(scores)):
        told.append(printed)
    return told


def _score(row: pd.Series) -> str:
    return estimate(row[HEADLINE], row.balanced_low, row.balanced_high, digits=2)


def _others(pairs: pd.DataFrame, best: str, task: str, split: str) -> str:
    """What the intervals of the differences of `best` and each other row leave."""
    mine = pairs[(pairs.task == task) & (pairs.split == split) & ((pairs.a == best) | (pairs.b == best))]
    mine = mine[~mine.a.map(needs_boxes).astype(bool) & ~mine.b.map(needs_boxes).astype(bool)]
    mine = mine.dropna(subset=list(DIFFERENCE))
    turned = mine.b == best
    other = mine.a.where(turned, mine.b)
    low = mine.difference_low.where(~turned, -mine.difference_high)
    high = mine.difference_high.where(~turned, -mine.difference_low)
    mine = pd.DataFrame({"other": other, "gap": mine.difference.where(~turned, -mine.difference), "low": low})
    mine = mine.assign(high=high).sort_values("gap")
    tied, beaten = mine[mine.low <= 0], mine[mine.low > 0]
    lines = []
    if len(beaten):
        one = beaten.iloc[0]
        lines.append(
            f"Compared with all at once, it is better than {len(beaten)} of the {len(mine)} others, the closest of "
            f"these {_by(one)}."
        )
    if len(tied):
        named = ", ".join(_by(one) for one in tied[:SHOWN].itertuples())
        lines.append(
            f"Not shown to differ from it: {named}" + (f" and {n} more." if (n := len(tied) - SHOWN) > 0 else ".")
        )
    return " ".join(lines)


def _by(one) -> str:
    return f"{model_name(one.other)} by {estimate(one.gap, one.low, one.high, sign=True)}"


def _weakest(scores: pd.DataFrame, best: str, task: str, split: str, unit: str) -> list[str]:
    mine = scores[(scores.model == best) & (scores.task == task) & (scores.split == split)]
    mine = mine.dropna(subset=["recall"]).sort_values("recall")
    if mine.empty:
        return []
    one = mine.iloc[0]
    recall = estimate(one.recall, one.recall_low, one.recall_high, digits=2)
    return [f"It fails most on {class_name(one['class'])}: it finds {recall} of these {unit}."]


def _printed(scores: pd.DataFrame) -> str:
    """The row whose accuracy on the test images differs most from the paper's."""
    both = scores[(scores.split == "test") & scores.paper_accuracy.notna()]
    if both.empty:
        return ""
    one = both.loc[(both.accuracy - both.paper_accuracy).abs().idxmax()]
    return (
        f"Furthest from the paper: {model_name(one.model)}, accuracy "
        f"{estimate(one.accuracy, one.ci_low, one.ci_high, digits=2)} on {one.n:,} test images; the paper prints "
        f"{one.paper_accuracy:.2f}."
    )
