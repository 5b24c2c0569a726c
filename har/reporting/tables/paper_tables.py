"""The paper's tables, ours beside its printed values, as CSV for programs and Markdown for people.

Everything derives from predictions. A figure that does not exist is an empty cell in the CSV and – in the
Markdown, with a footnote; never NaN.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from har.core.errors import HarError
from har.core.files import write_csv, write_text
from har.evaluation.anova import anova, paired_t_test
from har.evaluation.bootstrap import RESAMPLES
from har.evaluation.mcnemar import difference
from har.evaluation.metrics import seed_scores
from har.evaluation.summary import summarise
from har.reporting import paper
from har.reporting.names import class_name, model_name, policy_name
from har.reporting.table import (
    NONE,
    Table,
    interval,
    markdown_table,
    number,
    p_value,
    plain_frame,
    printed_score,
    significant,
)

BASELINE = "cnn_base"
Predictions = Mapping[tuple[str, str], pd.DataFrame]


def is_reference(model: str) -> bool:
    """A row without fine-tuning, which is one run and so takes no part in tests over runs."""
    return model in ("majority", "metadata") or model.startswith(("zero_shot", "probe_"))


def profile_header(profile: str, backbones: Mapping[str, str] | None = None) -> str:
    """The line that says what made a table; `backbones` maps each to its source (hub, folder, pretrain,
    random)."""
    made = {
        "sample": "profile sample: generated world, miniature backbones — not COCO's numbers",
        "coco": "profile coco: photographs of COCO val2017",
    }.get(profile, f"profile {profile}")
    if not backbones:
        return made
    return f"{made}; backbones: " + ", ".join(f"{model_name(k)} {source}" for k, source in backbones.items())


# --- tables of scores --------------------------------------------------------------------------------------


def _score_row(key: str, split: str, scores: Mapping, printed: paper.Score, by: str) -> dict:
    accuracy = scores["accuracy"]
    row = {
        by: key,
        "split": split,
        "n": scores["n"],
        "runs": scores["runs"],
        "accuracy": accuracy["mean"],
        "accuracy_sd": accuracy.get("sd"),
        "ci_low": accuracy["ci_low"],
        "ci_high": accuracy["ci_high"],
    }
    row |= {metric: scores[metric]["mean"] for metric in ("balanced_accuracy", "precision", "recall", "f1")}
    row |= {"f1_ci_low": scores["f1"]["ci_low"], "f1_ci_high": scores["f1"]["ci_high"]}
    row |= {f"paper_{metric}": getattr(printed, metric) for metric in ("accuracy", "precision", "recall", "f1")}
    gap = None if printed.accuracy is None else round(accuracy["mean"] - printed.accuracy, 6)
    return row | {"difference": gap}


def _score_text(row: Mapping, printed: paper.Score, name: str, by: str, level: float, where: str = "") -> dict:
    cells = [printed.accuracy, printed.precision, printed.recall, printed.f1]
    said = printed.text or (NONE if cells[0] is None else " / ".join(printed_score(cell) for cell in cells))
    spread = "" if row["accuracy_sd"] is None else f" ± {number(row['accuracy_sd'])}"
    return {
        by.capitalize(): name,
        "Split": row["split"],
        "n": f"{row['n']:,}",
        "Runs": str(row["runs"]),
        "Accuracy": number(row["accuracy"]) + spread,
        f"{level:.0%} interval": interval(row["ci_low"], row["ci_high"]),
        "Precision": number(row["precision"]),
        "Recall": number(row["recall"]),
        "F1": number(row["f1"]),
        "Paper: acc. / prec. / rec. / F1": said + (f" ({where})" if where and said != NONE else ""),
        "Ours − paper": number(row["difference"], sign=True),
    }


def _policy_or_reference(key: str) -> str:
    return model_name(key) if is_reference(key) else policy_name(key)


def _note(level: float) -> str:
    return (
        f"Accuracy: mean ± sd over runs. {level:.0%} interval: over images, of the mean of these runs (bootstrap "
        "of images, each with all its runs; Wilson for a single run). Precision, recall, F1: macro, 0 where "
        "undefined."
    )


def score_table(
    name: str,
    title: str,
    header: str,
    summaries: Mapping[str, Mapping],
    keys: Sequence[str],
    splits: Sequence[str] = ("test", "extended"),
    level: float = 0.95,
    by: str = "model",
    ranked: bool = False,
    notes: Sequence[str] = (),
    missing: Sequence[str] = (),
) -> Table:
    """A row for each split and each of `keys` in `summaries` (`evaluate.summarise`), in this order or,
    `ranked`, by accuracy. The paper's values stand on the split that it reports, the first one; HarError for
    no row at all."""
    naming = _policy_or_reference if by == "policy" else model_name
    rows, text = [], []
    for split in splits:
        present = [key for key in keys if split in summaries.get(key, {})]
        if ranked:
            present.sort(key=lambda key: -summaries[key][split]["accuracy"]["mean"])
        for key in present:
            printed, where = paper.Score(), ""
            if split == splits[0]:
                printed = paper.score(name, key)
                if name == "table7":
                    printed, source = paper.activity_score(key)
                    where = "" if source in ("", "table7") else f"its T{source[-1]}"
            row = _score_row(key, split, summaries[key][split], printed, by)
            rows.append(row)
            text.append(_score_text(row, printed, naming(key), by, level, where))
    if not rows:
        raise HarError(f"{name}: none of {', '.join(keys)} has predictions on {' or '.join(splits)}")
    lacking = [naming(key) for key in missing if key not in summaries]
    absent = [f"Not in this run: {', '.join(lacking)}."] if lacking else []
    return Table(name, title, header, plain_frame(rows), pd.DataFrame(text), (_note(level), *notes, *absent))


def _parameters(table: Table, parameters: Mapping[str, int]) -> Table:
    """Table 2 with a column of parameter counts."""
    counts = [parameters.get(key) for key in table.frame["model"]]
    frame, text = table.frame.copy(), table.text.copy()
    frame.insert(1, "parameters", pd.Series(counts, dtype=object))
    text.insert(1, "Parameters", [NONE if count is None else f"{count:,}" for count in counts])
    return Table(table.name, table.title, table.header, frame, text, table.notes)


# --- the others --------------------------------------------------------------------------------------------


def size_tables(size_table: pd.DataFrame, size_tests: pd.DataFrame, header: str) -> dict[str, Table]:
    """Table 1 from `eda.size_table`, and its claim tested, from `eda.size_tests`."""
    rows, text = [], []
    for ours in size_table.to_dict("records"):
        theirs = paper.TABLE1.get(ours["label"], paper.ClassSize(None, None))
        printed = {
            f"paper_{key}": getattr(theirs, key) for key in ("count", "share", "width", "height", "aspect_ratio")
        }
        rows.append({k: round(v, 6) if isinstance(v, float) else v for k, v in (ours | printed).items()})
        sizes = (theirs.width, theirs.height, theirs.aspect_ratio)
        text.append(
            {
                "Class": class_name(ours["label"]),
                "Images": f"{ours['count']:,}",
                "Share": f"{ours['share']:.1%}",
                "Mean width (px)": number(ours["width"], 0),
                "Mean height (px)": number(ours["height"], 0),
                "Mean aspect ratio": number(ours["aspect_ratio"], 2),
                "Paper: images": NONE if theirs.count is None else f"{theirs.count} ({theirs.share:.1%})",
                "Paper: width × height, ratio": NONE if None in sizes else f"{sizes[0]} × {sizes[1]}, {sizes[2]}",
            }
        )
    one = Table("table1", "Table 1. The images", header, plain_frame(rows), pd.DataFrame(text))
    text = [
        {
            "Measure": row["measure"].replace("_", " "),
            "n": f"{row['n']:,}",
            "H": number(row["H"], 2),
            "df": str(row["df"]),
            "p": p_value(row["p"]),
            "p (Holm)": p_value(row["p_holm"]),
            "Effect size ε²": number(row["epsilon_squared"]),
        }
        for row in size_tests.to_dict("records")
    ]
    notes = ["Kruskal–Wallis; ε² from 0 (none) to 1. A large p does not show that sizes are equal, a small ε² does."]
    notes += sorted({row["note"] for row in size_tests.to_dict("records") if row["note"]})
    title = "Does a class differ in size? The paper says that none does"
    tests = Table(
        "size_tests",
        title,
        header,
        plain_frame(
            {k: significant(v) if isinstance(v, float) else v for k, v in row.items()}
            for row in size_tests.to_dict("records")
        ),
        pd.DataFrame(text),
        tuple(notes),
    )
    return {"table1": one, "size_tests": tests}


def statistics_table(predictions: Predictions, header: str, task: str = "activity") -> Table:
    """The paper's two tests on the runs' test accuracies, as it describes them, with what they cannot say."""
    scores = {
        model: seed_scores(frame)
        for (of, model), frame in predictions.items()
        if of == task and not is_reference(model) and (frame["split"] == "test").any()
    }
    overall = anova(scores)
    empty = pd.Series(dtype=float)
    pair = paired_t_test(scores.get("cnn_base", empty), scores.get("fnn_base", empty))
    groups = f"{overall['groups']} models, {overall['runs']} runs"
    rows = [
        {
            "test": paper.ANOVA.name,
            "compares": groups,
            "statistic_name": "F",
            "statistic": significant(overall["F"]),
            "df": f"{overall['df_between']}, {overall['df_within']}",
            "p": significant(overall["p"]),
            "paper_statistic": paper.ANOVA.statistic,
            "paper_p": paper.ANOVA.p_text,
            "note": overall["note"],
        },
        {
            "test": paper.PAIRED_T.name,
            "compares": f"CNN_base, FNN_base, {pair['runs']} runs",
            "statistic_name": "t",
            "statistic": significant(pair["t"]),
            "df": str(pair["df"]),
            "p": significant(pair["p"]),
            "paper_statistic": paper.PAIRED_T.statistic,
            "paper_p": paper.PAIRED_T.p_text,
            "note": pair["note"],
        },
    ]
    text = [
        {
            "Test": row["test"],
            "Compares": row["compares"],
            "Statistic": NONE if row["statistic"] is None else f"{row['statistic_name']} = {number(row['statistic'])}",
            "df": row["df"],
            "p": p_value(row["p"]),
            "Paper": f"{row['statistic_name']} = {row['paper_statistic']}, p = {row['paper_p']}".replace("= <", "<"),
        }
        for row in rows
    ]
    notes = [f"One-way ANOVA: {overall['caveat']}", f"Paired t-test: {pair['caveat']}"]
    notes += [f"{row['test']}: {row['note']}" for row in rows if row["note"]]
    title = "The paper's two tests, on test accuracy of the runs"
    return Table("statistics", title, header, plain_frame(rows), pd.DataFrame(text), tuple(notes))


def differences_table(
    predictions: Predictions, header: str, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Table | None:
    """Each model minus CNN_base on the same images, largest first; None if nothing can be compared."""
    rows = []
    for split in ("test", "extended"):
        for task in dict.fromkeys(task for task, _ in predictions):
            base = predictions.get((task, BASELINE))
            block = []
            for (of, model), frame in predictions.items():
                both = base is not None and all((one["split"] == split).any() for one in (base, frame))
                if of == task and model != BASELINE and both:
                    gap = difference(frame, base, split, "accuracy", resamples, seed, level)
                    block.append({"task": task, "model": model, "split": split, "n": gap.pop("n"), **gap})
            rows += sorted(block, key=lambda row: -row["difference"])
    if not rows:
        return None
    text = [
        {
            "Model": model_name(row["model"]),
            "Task": row["task"],
            "Split": row["split"],
            "n": f"{row['n']:,}",
            "Minus CNN_base": number(row["difference"], sign=True),
            f"{level:.0%} interval": interval(row["ci_low"], row["ci_high"], sign=True),
            "Resamples below 0": f"{row['share_below_zero']:.1%}",
        }
        for row in rows
    ]
    notes = (
        "Accuracy, mean over runs, on the same images; interval over images (paired bootstrap: images are drawn, "
        "each with all runs of both). The intervals are not widened for the number of comparisons.",
        *sorted({row["note"] for row in rows if row["note"]}),
    )
    frame = plain_frame([{k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()} for row in rows])
    title = "How far is each model from CNN_base?"
    return Table("differences", title, header, frame, pd.DataFrame(text), notes)


# --- all of them -------------------------------------------------------------------------------------------


def build_tables(
    predictions: Predictions,
    augment: Mapping[str, pd.DataFrame],
    parameters: Mapping[str, int],
    size_table: pd.DataFrame,
    size_tests: pd.DataFrame,
    header: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Table]:
    """Every table by name: table1, size_tests, table2 to table7, statistics, differences.

    `predictions` maps (task, model) to its frame, with "majority" and "zero_shot" among the models where they
    were made; `augment` maps a policy to CNN_base's frame under it; `parameters` counts a model's parameters.
    A table of which no row was trained is left out, a row that is missing is named below its table.
    """
    every = {key: summarise(frame, ("test", "extended"), resamples, seed, level) for key, frame in predictions.items()}
    activity = {model: summary for (task, model), summary in every.items() if task == "activity"}
    posture = {model: summary for (task, model), summary in every.items() if task == "posture"}
    policies = {name: summarise(frame, ("validation",), resamples, seed, level) for name, frame in augment.items()}
    if ("activity", "majority") in predictions:
        majority = predictions["activity", "majority"]
        policies["majority"] = summarise(majority, ("validation",), resamples, seed, level)

    def known(summaries: Mapping, *first: str) -> list[str]:
        """`first`, then every other model of the run, then the rows without training."""
        others = [key for key in summaries if key not in first]
        return [*first, *sorted(others, key=is_reference)]

    plans = [
        (
            "table2",
            "Table 2. The baselines, three activities",
            activity,
            ("cnn_base", "fnn_base"),
            "majority",
        ),
        (
            "table3",
            "Table 3. Augmentation of CNN_base, three activities",
            policies,
            tuple(paper.TABLE3),
            "majority",
        ),
        (
            "table4",
            "Table 4. The generalising CNN, three activities",
            activity,
            ("cnn_gen", "cnn_base"),
            "majority",
        ),
        ("table5", "Table 5. Sitting or standing", posture, ("vit", "clip", "siglip2"), "others"),
        (
            "table6",
            "Table 6. On CLIP's embeddings, three activities",
            activity,
            ("multimodal", "feature"),
            "reference",
        ),
        ("table7", "Table 7. All models, three activities", activity, tuple(paper.TABLE7), "others"),
    ]
    notes = {
        "table3": (
            "The paper's accuracies of perspective, all combined, colour jitter and rotation do not fit their "
            "own precision, recall and F1.",
        ),
        "table4": ("The paper prints .3862 (Table 2) and .3793 (here) for CNN_base.",),
        "table5": ("The paper's figures are 13, 11 and 10 of 20 images; its majority class has 12.",),
        "table6": ("The paper's second row is exactly what a constant prediction scores.",),
        "table7": ("The paper's cells of this table are lost but for CLIP's; (its T…) is the same model's row there.",),
    }
    tables = size_tables(size_table, size_tests, header)
    for name, title, summaries, first, rest in plans:
        keys = {
            "majority": [*first, "majority"],
            "reference": [*first, *(key for key in activity if is_reference(key))],
            "others": known(summaries, *first),
        }[rest]
        splits = ("validation",) if name == "table3" else ("test", "extended")
        if not any(split in summaries.get(key, {}) for key in first for split in splits):
            continue
        table = score_table(
            name,
            title,
            header,
            summaries,
            keys,
            splits,
            level,
            "policy" if name == "table3" else "model",
            ranked=name in ("table3", "table7"),
            notes=notes.get(name, ()),
            missing=first,
        )
        tables[name] = _parameters(table, parameters) if name == "table2" else table
    tables["statistics"] = statistics_table(predictions, header)
    if (gaps := differences_table(predictions, header, level, resamples, seed)) is not None:
        tables["differences"] = gaps
    return tables


def write_tables(tables: Mapping[str, Table], folder: Path | str) -> None:
    """<name>.csv and <name>.md for each table."""
    for name, table in tables.items():
        write_csv(Path(folder) / f"{name}.csv", table.frame)
        write_text(Path(folder) / f"{name}.md", table.markdown())


def summary_markdown(tables: Mapping[str, Table]) -> str:
    """The README's result table: all models on three activities, best first on the larger test set."""
    if "table7" not in tables:
        raise HarError("summary: table7 is missing, no model was trained for three activities")
    frame = tables["table7"].frame
    splits = [split for split in ("test", "extended") if (frame["split"] == split).any()]
    scores = {split: frame[frame["split"] == split].set_index("model").to_dict("index") for split in splits}
    gaps = {}
    if "differences" in tables:
        all_gaps = tables["differences"].frame
        chosen = all_gaps[(all_gaps["task"] == "activity") & (all_gaps["split"] == splits[-1])]
        gaps = chosen.set_index("model").to_dict("index")
    papers = "paper_accuracy" in frame.columns
    models = sorted(
        dict.fromkeys(frame["model"]),
        key=lambda model: -scores[splits[-1]].get(model, {"accuracy": -1})["accuracy"],
    )
    text = []
    for model in models:
        row = {"Model": model_name(model)}
        for split in splits:
            one = scores[split].get(model)
            images = max(other["n"] for other in scores[split].values())
            said = NONE if one is None else f"{number(one['accuracy'])} {interval(one['ci_low'], one['ci_high'])}"
            row[f"Accuracy, {split} (n = {images:,})"] = said
        last = scores[splits[-1]].get(model)
        row["F1"] = NONE if last is None else number(last["f1"])
        gap = gaps.get(model)
        minus = (
            f"{number(gap['difference'], sign=True)} {interval(gap['ci_low'], gap['ci_high'], True)}" if gap else NONE
        )
        row["Minus CNN_base"] = minus
        if papers:
            printed, _ = paper.activity_score(model)
            row["Paper (29 images)"] = printed.text or printed_score(printed.accuracy)
        text.append(row)
    where = "extended test set" if splits[-1] == "extended" else "test set"
    note = f"Accuracy: mean over runs [interval over images]. F1 and the difference from CNN_base: on the {where}."
    note += f" {NONE}: not printed by the paper." if papers else ""
    return f"*{tables['table7'].header}*\n\n{markdown_table(pd.DataFrame(text))}\n\n{note}\n"
