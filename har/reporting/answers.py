"""What a profile and each section of its results have found, in sentences made from tables: they hold no number that a
table lacks."""

import re
from pathlib import Path

import pandas as pd

from har.core.errors import HarError
from har.core.readers import read_csv
from har.evaluation.predictions import HELD_OUT
from har.evaluation.scored import HEADLINE
from har.reporting.names import class_name, model_name, needs_boxes, policy_name, split_name
from har.reporting.table import NONE, estimate, number
from har.reporting.tables.columns import triple
from har.reporting.tables.pairs import OPEN, POWER, turned

ALPHA = 0.05
NOISE = {"class_noise": "class-specific noise", "erasing": "training on masked images"}
BALANCED = (HEADLINE, "balanced_low", "balanced_high")
DIFFERENCE, RECALL = triple("difference"), triple("recall")
SCORES = ("model", "split", "n", "runs", *BALANCED)
SHOWN = 3  # rows named beside the leader


def read_table(path: Path, columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """A table of the reports as CSV; HarError names a column that is missing."""
    frame = read_csv(path, "a table of the reports", text=False)
    if missing := [name for name in columns if name not in frame.columns]:
        raise HarError(f"{path}: column {missing[0]!r} is missing, expected {', '.join(columns)}")
    return frame


def _best(frame: pd.DataFrame, column: str = HEADLINE) -> pd.Series:
    return frame.loc[frame[column].idxmax()]


def _interval(row: pd.Series | dict, name: str, sign: bool = False, digits: int = 3) -> str:
    return estimate(*(row[key] for key in triple(name)), sign=sign, digits=digits).removesuffix(f" {NONE}")


def _score(row: pd.Series, digits: int = 3) -> str:
    return estimate(*(row[key] for key in BALANCED), digits=digits)


def _largest(splits: pd.Series) -> str:
    """The split that carries the claims: the held-out images where there are any."""
    return HELD_OUT if (splits == HELD_OUT).any() else splits.iloc[0]


def _boxed(models: pd.Series) -> pd.Series:
    return models.map(needs_boxes).astype(bool)


# --- the profile ---------------------------------------------------------------------------------------------


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
    table, pairs, per_class = (
        reports / path for path in ("tables/table7.csv", "significance/pairs.csv", "significance/per_class.csv")
    )
    if not table.exists():
        return []
    scores = read_table(table, SCORES)
    split = HELD_OUT if (scores.split == HELD_OUT).any() else "test"
    ranked = scores[scores.split == split].sort_values(HEADLINE, ascending=False)
    boxes, ranked = ranked[_boxed(ranked.model)], ranked[~_boxed(ranked.model)]
    if ranked.empty:
        return []
    best = ranked.iloc[0]
    told = [
        f"{model_name(best.model)} has the highest balanced accuracy of {len(ranked)} rows: {_score(best, 2)} on "
        f"{best.n:,} {split.replace('_', '-')} {unit}, where chance is {1 / classes:.2f}."
    ]
    if pairs.exists():
        found = read_table(pairs, ("a", "b", "task", "split", *DIFFERENCE))
        told.append(_others(found[(found.task == task) & (found.split == split)], best.model))
    if per_class.exists():
        found = read_table(per_class, ("model", "task", "split", "class", *RECALL)).dropna(subset=["recall"])
        mine = found[(found.model == best.model) & (found.task == task) & (found.split == split)]
        for one in mine.nsmallest(1, "recall").to_dict("records"):
            recall = _interval(one, "recall", digits=2)
            told.append(f"It fails most on {class_name(one['class'])}: it finds {recall} of these {unit}.")
    if len(boxes):
        one = boxes.iloc[0]
        told.append(f"Where a person's box is annotated: {model_name(one.model)}, {_score(one, 2)}.")
    if "paper_accuracy" in scores:
        told.append(_furthest(scores[(scores.split == "test") & scores.paper_accuracy.notna()]))
    return [sentence for sentence in told if sentence]


def _others(pairs: pd.DataFrame, best: str) -> str:
    """What the intervals of the differences of `best` and each other row leave."""
    mine = pairs[((pairs.a == best) | (pairs.b == best)) & ~_boxed(pairs.a) & ~_boxed(pairs.b)]
    mine = mine.dropna(subset=list(DIFFERENCE)).to_dict("records")
    mine = sorted((row if row["a"] == best else turned(row) for row in mine), key=lambda row: row["difference"])
    told = [f"{model_name(row['b'])} by {_interval(row, 'difference', sign=True)}" for row in mine]
    tied = [text for text, row in zip(told, mine, strict=True) if row["difference_low"] <= 0]
    beaten = [text for text, row in zip(told, mine, strict=True) if row["difference_low"] > 0]
    lines = []
    if beaten:
        lines.append(
            f"Compared with all at once, it is better than {len(beaten)} of the {len(mine)} others, the closest of "
            f"these {beaten[0]}."
        )
    if tied:
        more = f" and {len(tied) - SHOWN} more." if len(tied) > SHOWN else "."
        lines.append(f"Not shown to differ from it: {', '.join(tied[:SHOWN])}{more}")
    return " ".join(lines)


def _furthest(both: pd.DataFrame) -> str:
    """The row whose accuracy on the test images differs most from the paper's."""
    if both.empty:
        return ""
    one = both.loc[(both.accuracy - both.paper_accuracy).abs().idxmax()]
    return (
        f"Furthest from the paper: {model_name(one.model)}, accuracy "
        f"{estimate(one.accuracy, one.ci_low, one.ci_high, digits=2)} on {one.n:,} test images; the paper prints "
        f"{one.paper_accuracy:.2f}."
    )


# --- its sections --------------------------------------------------------------------------------------------


def answers(section: str, reports: Path, unit: str = "images") -> list[str]:
    """What the section has found, in a sentence for each of its tables in ANSWERS that `reports` holds. unit: what
    predictions are of (har.config.data.Data.unit), which sentences call {unit}."""
    told = []
    for path, tell in ANSWERS.get(section, ()):
        if (reports / path).exists():
            frame = read_table(reports / path)
            told += tell(frame).replace("{unit}", unit).splitlines() if len(frame) else []
    return told


def _claims(frame: pd.DataFrame) -> str:
    shown = (frame.verdict != OPEN).sum()
    have = "has" if shown == 1 else "have"
    told = [f"Of the protocol's {len(frame)} comparisons, by intervals for these alone, {shown} {have} an answer."]
    told += [
        f"{one['question']} {one['verdict'].capitalize()}: {model_name(one['a'])} minus {model_name(one['b'])} is "
        f"{_interval(one, 'difference', sign=True)}."
        for one in frame.to_dict("records")
    ]
    return "\n".join(told)


def _leader(frame: pd.DataFrame) -> str:
    """The best of the rows on held-out images; empty where there are none."""
    mine = frame[frame.split == HELD_OUT]
    return f"{model_name(_best(mine).model)}, balanced accuracy {_score(_best(mine))}." if len(mine) else ""


def _from_scratch(frame: pd.DataFrame) -> str:
    best = _leader(frame[frame.model.isin(("cnn_base", "fnn_base", "cnn_gen"))])
    return best and f"Best network trained from scratch on held-out {{unit}}: {best}"


def _posture(frame: pd.DataFrame) -> str:
    best = _leader(frame[~_boxed(frame.model)])
    return best and f"Sitting or standing: {best}"


def _augmentation(frame: pd.DataFrame) -> str:
    policies = frame[frame.policy != "majority"].set_index("policy")
    first = policies.index[0]
    if "none" not in policies.index or first == "none":
        return ""
    return (
        f"Best augmentation of CNN_base on {policies.n.iloc[0]} validation {{unit}}: {policy_name(first).lower()}, "
        f"{_score(policies.loc[first])}, where none has {_score(policies.loc['none'])}."
    )


def _power(frame: pd.DataFrame) -> str:
    mine = frame[frame.task == frame.task.iloc[0]].dropna(subset=["detectable"])
    least = [
        f"{part.detectable.median():.3f} with {part.n.iloc[0]:,} {split.replace('_', '-')} {{unit}}"
        for split, part in mine.groupby("split")
    ]
    return f"To be shown with power {POWER:.0%}, half of all pairs of rows must differ by at least {', '.join(least)}."


def _folds(frame: pd.DataFrame) -> str:
    one = _best(frame)
    return (
        f"Over {one.images} {{unit}}, each predicted out of fold, {model_name(one.model)} leads with balanced accuracy "
        f"{_score(one)}."
    )


def _curve(frame: pd.DataFrame) -> str:
    mine = frame[(frame.model == frame.model.iloc[0]) & (frame.split == _largest(frame.split))].sort_values("size")
    first, last = mine.iloc[0], mine.iloc[-1]
    return (
        f"Balanced accuracy of {model_name(first.model)} with {first['size']} training images: "
        f"{number(first[HEADLINE])}; with {last['size']}: {number(last[HEADLINE])}."
    )


def _controls(frame: pd.DataFrame) -> str:
    mine = frame[frame.split == HELD_OUT].to_dict("records")
    return "\n".join(
        f"To a probe's balanced accuracy, {one['shown']} add {_interval(one, 'difference', sign=True)} "
        "(one pre-training each)."
        for one in mine
    )


def _prompts(frame: pd.DataFrame) -> str:
    one = frame.iloc[0]
    return (
        f"Captions alone reach {_interval(one, 'score')} by the mean of a class's prompts; by one prompt a class from "
        f"{number(one.lowest)} to {number(one.highest)}."
    )


def _ablation(frame: pd.DataFrame) -> str:
    split = _largest(frame.split)
    mine = frame[frame.split == split].dropna(subset=["difference"]).sort_values("difference")
    if mine.empty:
        return ""
    least, most = (
        f"{one.variant.replace('_', ' ')}, {_interval(one, 'difference', sign=True)}"
        for one in (mine.iloc[0], mine.iloc[-1])
    )
    return (
        f"{split_name(split).capitalize()}, by intervals for each alone, of {len(mine)} variants better than the "
        f"reference: {(mine.difference_low > 0).sum()}, worse: {(mine.difference_high < 0).sum()}. Highest: {most}; "
        f"lowest: {least}."
    )


def _factors(frame: pd.DataFrame) -> str:
    mine = frame[frame.task == frame.task.iloc[0]].dropna(subset=["rho"])
    found = mine[mine.p_holm < ALPHA]
    if found.empty:
        return "No property of {unit} goes along with the errors of any row, adjusted for all rows and properties."
    factor, rows = next(found.factor.value_counts().items())
    one = found[found.factor == factor].iloc[0]
    return (
        f"Errors go along most often with {factor.replace('_', ' ')}, for {rows} rows of {mine.model.nunique()}: "
        f"{model_name(one.model)} has the correlation {number(one.rho, sign=True)}."
    )


def _misses(frame: pd.DataFrame) -> str:
    mine = frame[frame.task == frame.task.iloc[0]]
    models, images = mine.models.iloc[0], mine.set_index("missed_by").images
    return (
        f"Of {images.sum():,} {{unit}} {images.get(models, 0)} are missed by all {models} rows that see the picture, "
        f"and {images.get(0, 0)} by none."
    )


def _maps(frame: pd.DataFrame) -> str:
    told, frame = [], frame.dropna(subset=["auc_low"])
    for rival, name in (
        ("random", "a random map"),
        ("rollout", "attention rollout"),
        ("centre", "the middle of the image"),
    ):
        mine = frame[(frame.rival == rival) & (frame.auc_n == frame.auc_n.max())]
        better = ", ".join(map(model_name, mine[mine.auc_low > 0].model.unique()))
        told += [f"better than {name} for {better or 'none'}"] if len(mine) else []
    return f"LeGrad ranks the patches that show people {'; '.join(told)}." if told else ""


def _patch_auc(frame: pd.DataFrame) -> str:
    frame = frame[frame.method == "legrad"].dropna(subset=["auc"])  # without boxes there is none
    if frame.empty:
        return ""
    mine = frame[frame.n == frame.n.max()].sort_values("auc")
    ends = (f"{_interval(one, 'auc')} for {model_name(one.model)}" for _, one in mine.iloc[[0, -1]].iterrows())
    return f"Its AUC there is {' to '.join(dict.fromkeys(ends))}; chance is 0.5."


def _masked(frame: pd.DataFrame) -> str:
    one = frame.iloc[0]
    most = max((share[1] for name in frame if (share := re.fullmatch(r"accuracy_([\d.]+)", name))), key=float)
    return (
        f"With {most}% of the image black the accuracy of {model_name(one.model)} goes from {number(one.accuracy_0)} "
        f"to {number(one[f'accuracy_{most}'])}."
    )


def _context(frame: pd.DataFrame) -> str:
    if "crop_box" not in frame or frame.crop_box.isna().all():
        return ""
    fills = [name for name in frame if name.startswith("person_minus_context") and name.endswith("_low")]
    fills = [name for name in fills if "black" not in name]
    one, of = frame.iloc[0], int((frame[fills] > 0).all(axis=1).sum())
    return (
        f"The person alone tells {of} of {len(frame)} models more than the context alone, by every fill but black: "
        f"{model_name(one.model)} is right on {number(one.crop_box)} of the {{unit}} by the person."
    )


def _noise(frame: pd.DataFrame) -> str:
    mine = frame[frame.method.isin(("class_noise", "erasing"))].to_dict("records")
    told = [
        f"{NOISE[one['method']]} "
        + estimate(*(one[f"masked_accuracy_{key}"] for key in ("change", "low", "high")), sign=True)
        for one in mine
    ]
    return f"Accuracy on masked {{unit}}, against nothing done: {', '.join(told)}." if told else ""


def _duplicates(frame: pd.DataFrame) -> str:
    mine = frame[frame.check.isin(("file", "pixels", "perceptual_hash")) & (frame.status == "done")]
    found = int(mine.across_splits.max())  # equal files have equal pixels, and these equal hashes
    return f"Pairs of equal or nearly equal images across splits: {found or 'none'}."


def _labels(frame: pd.DataFrame) -> str:
    one = frame.iloc[0]
    if pd.isna(one.agree_share):
        return ""
    share = estimate(one.agree_share, one.agree_low, one.agree_high)
    return f"Where people do one thing only, captions name it for a share of {share} of the images."


def _recomputed(frame: pd.DataFrame) -> str:
    return (
        f"{frame.rows.sum():,} reported rows, computed again from the predictions, differ by at most "
        f"{frame.largest_distance.max():.0e}."
    )


def _printed_rows(frame: pd.DataFrame) -> str:
    odd = (~frame.verdict.str.startswith("consistent")).sum()
    return f"Of {len(frame)} rows that the paper prints, the four figures of {odd} fit no confusion matrix."


# section of har.reporting.contents -> a table, and what makes a sentence of it
ANSWERS = {
    "Results": [("significance/claims.csv", _claims), ("controls/prompts.csv", _prompts)],
    "The paper's experiments": [
        ("tables/table7.csv", _from_scratch),
        ("tables/table3.csv", _augmentation),
        ("tables/table5.csv", _posture),
    ],
    "How sure are these numbers?": [("significance/pairs.csv", _power)],
    "Other splits, fewer images": [
        ("cross_validation/cross_validation.csv", _folds),
        ("significance/learning_curve.csv", _curve),
    ],
    "What did pre-training teach?": [("controls/controls.csv", _controls), ("controls/prompts.csv", _prompts)],
    "What is each setting worth?": [("ablation/ablation.csv", _ablation)],
    "Where do they fail?": [("errors/miss_counts.csv", _misses), ("errors/factors.csv", _factors)],
    "What do the models look at?": [("explain/differences.csv", _maps), ("explain/scores.csv", _patch_auc)],
    "When the cues are hidden": [
        ("masking/masking.csv", _masked),
        ("masking/context.csv", _context),
        ("noise/noise.csv", _noise),
    ],
    "Are the data what they claim?": [("audit/labels.csv", _labels), ("audit/leakage.csv", _duplicates)],
    "Are the numbers consistent?": [
        ("consistency/rows.csv", _recomputed),
        ("consistency/paper_consistency.csv", _printed_rows),
    ],
}
