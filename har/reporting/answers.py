"""What each section of the results has found, in sentences made from its tables: they hold no number that a table
lacks."""

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from har.core.readers import read_csv
from har.evaluation.predictions import HELD_OUT
from har.evaluation.scored import HEADLINE
from har.reporting.names import model_name, needs_boxes, policy_name
from har.reporting.table import estimate, number

ALPHA = 0.05
NOISE = {"class_noise": "class-specific noise", "erasing": "training on masked images"}


def answers(section: str, reports: Path, unit: str = "images") -> list[str]:
    """What the section has found, in a sentence for each of its tables in ANSWERS that `reports` holds. unit: what
    predictions are of (har.config.data.Data.unit), which sentences call {unit}."""
    told = []
    for path, tell in ANSWERS.get(section, ()):
        if (reports / path).exists():
            frame = read_csv(reports / path, "a table of the reports", text=False)
            told += tell(frame).replace("{unit}", unit).splitlines() if len(frame) else []
    return told


def _interval(row: pd.Series, name: str, sign: bool = False) -> str:
    return estimate(row[name], row[f"{name}_low"], row[f"{name}_high"], sign=sign)


def _score(row: pd.Series) -> str:
    return f"balanced accuracy {estimate(row[HEADLINE], row.balanced_low, row.balanced_high)}"


def _names(models: Iterable[str]) -> str:
    return ", ".join(map(model_name, dict.fromkeys(models))) or "none"


def _best(frame: pd.DataFrame, column: str) -> pd.Series:
    return frame.loc[frame[column].idxmax()]


def _claims(frame: pd.DataFrame) -> str:
    shown = (frame.verdict != "not shown").sum()
    told = [f"Of the protocol's {len(frame)} comparisons, by intervals for these alone, {shown} have an answer."]
    told += [
        f"{one['question']} {one['verdict'].capitalize()}: {model_name(one['a'])} minus {model_name(one['b'])} is "
        f"{_interval(one, 'difference', sign=True)}."
        for one in frame.to_dict("records")
    ]
    return "\n".join(told)


def _from_scratch(frame: pd.DataFrame) -> str:
    mine = frame[frame.model.isin(("cnn_base", "fnn_base", "cnn_gen")) & (frame.split == HELD_OUT)]
    if mine.empty:
        return ""
    one = _best(mine, HEADLINE)
    return f"Best network trained from scratch on held-out {{unit}}: {model_name(one.model)}, {_score(one)}."


def _augmentation(frame: pd.DataFrame) -> str:
    policies = frame[frame.policy != "majority"].set_index("policy")
    first = policies.index[0]
    if "none" not in policies.index or first == "none":
        return ""
    scores = [estimate(*policies.loc[name, [HEADLINE, "balanced_low", "balanced_high"]]) for name in (first, "none")]
    return (
        f"Best augmentation of CNN_base on {policies.n.iloc[0]} validation {{unit}}: {policy_name(first).lower()}, "
        f"{scores[0]}, where none has {scores[1]}."
    )


def _posture(frame: pd.DataFrame) -> str:
    mine = frame[frame.split == HELD_OUT]
    mine = mine[~mine.model.map(needs_boxes).astype(bool)]
    return (
        f"Sitting or standing: {model_name((one := _best(mine, HEADLINE)).model)}, {_score(one)}." if len(mine) else ""
    )


def _power(frame: pd.DataFrame) -> str:
    mine = frame[frame.task == frame.task.iloc[0]].dropna(subset=["detectable"])
    least = [
        f"{part.detectable.min():.3f} with {part.n.iloc[0]:,} {split.replace('_', '-')} {{unit}}"
        for split, part in mine.groupby("split")
    ]
    return f"The least difference that any pair of models can show with power 80%: {', '.join(least)}."


def _folds(frame: pd.DataFrame) -> str:
    one = _best(frame, HEADLINE)
    return f"Over {one.images} {{unit}}, each predicted out of fold, {model_name(one.model)} leads with {_score(one)}."


def _curve(frame: pd.DataFrame) -> str:
    mine = frame[(frame.model == frame.model.iloc[0]) & (frame.split == frame.split.iloc[0])].sort_values("size")
    first, last = mine.iloc[0], mine.iloc[-1]
    return (
        f"Accuracy of {model_name(first.model)} with {first['size']} training images: {number(first.accuracy)}; with "
        f"{last['size']}: {number(last.accuracy)}."
    )


def _controls(frame: pd.DataFrame) -> str:
    mine = frame[frame.split == HELD_OUT].to_dict("records")
    return "\n".join(
        f"To a probe's balanced accuracy, {one['shown']} add {_interval(one, 'difference', sign=True)}." for one in mine
    )


def _prompts(frame: pd.DataFrame) -> str:
    one = frame.iloc[0]
    return (
        f"Captions alone reach {_interval(one, 'score')} by the mean of a class's prompts; by one prompt a class from "
        f"{number(one.lowest)} to {number(one.highest)}."
    )


def _ablation(frame: pd.DataFrame) -> str:
    mine = frame[(frame.split == "out_of_fold")].dropna(subset=["difference"])
    if mine.empty:
        return ""
    most, least = _best(mine, "difference"), mine.loc[mine.difference.idxmin()]
    return (
        f"Of {len(mine)} variants {(mine.difference_low > 0).sum()} are better than the reference out of fold and "
        f"{(mine.difference_high < 0).sum()} worse. Highest: {_variant(most)}; lowest: {_variant(least)}."
    )


def _variant(one: pd.Series) -> str:
    return f"{one.variant.replace('_', ' ')}, {_interval(one, 'difference', sign=True)}"


def _factors(frame: pd.DataFrame) -> str:
    mine = frame[(frame.task == frame.task.iloc[0])].dropna(subset=["rho"])
    found = mine[mine.p_holm < ALPHA]
    if found.empty:
        return "No property of {unit} goes along with the errors of any row, adjusted for all rows and properties."
    factor, rows = found.factor.value_counts().index[0], found.factor.value_counts().iloc[0]
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
    for rival, name in (("rollout", "attention rollout"), ("centre", "the middle of the image")):
        mine = frame[frame.rival == rival]
        if len(mine):
            told.append(f"better than {name} for {_names(mine[mine.auc_low > 0].model)}")
    return f"LeGrad finds people {'; '.join(told)}." if told else ""


def _patch_auc(frame: pd.DataFrame) -> str:
    frame = frame[frame.method == "legrad"].dropna(subset=["auc"])  # without boxes there is none
    if frame.empty:
        return ""
    one = _best(frame[frame.n == frame.n.max()], "auc")
    auc = _interval(one, "auc")
    return f"It ranks the patches that show people best for {model_name(one.model)}: AUC {auc}, where chance is 0.5."


def _masked(frame: pd.DataFrame) -> str:
    one = frame.iloc[0]
    most = max(int(share[1]) for name in frame if (share := re.fullmatch(r"accuracy_(\d+)", name)))
    return (
        f"With {most}% of the image black the accuracy of {model_name(one.model)} falls from {number(one.accuracy_0)} "
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
    found = int(mine.across_splits.sum())
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
