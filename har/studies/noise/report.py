"""Tables and figure of the noise study: does it help, whom, and against what?"""

from collections.abc import Mapping, Sequence
from itertools import cycle, product
from pathlib import Path

import numpy as np
import pandas as pd

from har.config.report import Report
from har.evaluation.bootstrap import bootstrap_interval, mean_with_interval, resample_counts
from har.reporting.names import class_name, model_name
from har.reporting.style import CLASS_MARKERS, GREY, INK, SERIES, drawing
from har.reporting.table import NONE as BLANK
from har.reporting.table import Column, Table, number, signed_estimate
from har.reporting.tables.columns import figure_column, figures, triple
from har.studies.masking.conditions import NONE, drawn_name
from har.studies.masking.scores import by_share, difference, of_condition, per_image
from har.studies.noise.learn import ANY, ERASING, NOTHING
from har.studies.noise.select import Study

SHOWN = 4  # classes whose patterns the figure has room for
Images = Mapping[str, pd.DataFrame]  # method to har.studies.masking.scores.per_image


def method_name(method: str) -> str:
    known = {NOTHING: "Nothing", ERASING: "Trained on masked images"}
    return known.get(method, method.replace("_", " ").capitalize())


def _change(value: float, low: float, high: float, method: str) -> str:
    return BLANK if method == NOTHING else signed_estimate(value, low, high)


def masked_mean(images: pd.DataFrame, shares: Sequence[float], measure: str = "accuracy") -> pd.Series:
    """Each image's mean of a measure over the shares hidden."""
    return pd.concat([by_share(images, [ANY], share, measure) for share in shares], axis=1).mean(axis=1)


def class_bias(
    images: pd.DataFrame, conditions: Sequence[str], classes: Sequence[str], resamples: int, seed: int
) -> np.ndarray:
    """Total variation distance between predicted and true class shares (half the sum of absolute differences, 0 to 1),
    [1 + resamples]: first on the images themselves, then on each bootstrap sample of them, or of groups of them."""
    told = [images[images["condition"] == c].sort_index(level="image_id") for c in conditions]
    said = np.mean([[one["guess"] == name for name in classes] for one in told], axis=0).T  # [n, C]
    true = np.array([told[0]["label"] == name for name in classes], dtype=float).T
    unit = told[0].index.get_level_values(0)  # the group, where there are any
    gaps = pd.DataFrame(said - true).groupby(unit)
    gaps, sizes = gaps.sum().to_numpy(), gaps.size().to_numpy()
    counts = np.vstack([np.ones((1, len(gaps))), resample_counts(len(gaps), resamples, seed)])
    return np.abs(counts @ gaps).sum(1) / 2 / (counts @ sizes)


def build_tables(
    study: Study, classes: Sequence[str], shares: Sequence[float], model: str, header: str, report: Report
) -> dict[str, Table]:
    """noise (accuracy and confidence), effects (class bias, against erasing), validation (what was chosen from)."""
    images = {method: per_image(learnt.predictions) for method, learnt in study.best.items()}
    tables = [
        noise_table(study, images, shares, model, header, report.confidence),
        effect_table(images, classes, shares, header, report),
        validation_table(study, header),
    ]
    return {table.name: table for table in tables}


def noise_table(study: Study, images: Images, shares: Sequence[float], model: str, header: str, level: float) -> Table:
    """A row for each method: accuracy and probability of the true class, whole and masked, and their paired change."""
    rows, measures = {}, {"accuracy": "accuracy", "true_class": "true class"}
    taken = {
        "whole": lambda found, measure: of_condition(found, NONE, measure),
        "masked": lambda found, measure: masked_mean(found, shares, measure),
    }
    for method, found in images.items():
        row = {"method": method, "chosen": method == study.chosen, "n": len(of_condition(found, NONE))}
        row["validation_loss"] = study.best[method].loss
        for (where, values), measure in product(taken.items(), measures):
            name, value = f"{where}_{measure}", values(found, measure)
            gap = difference(value, values(images[NOTHING], measure), level)
            row |= {name: value.mean(), f"{name}_change": gap.mean, f"{name}_low": gap.low, f"{name}_high": gap.high}
        rows[method] = row
    columns = [
        Column(
            ("method", "chosen"), "Method", lambda name, chosen: method_name(name) + (" (chosen)" if chosen else "")
        ),
        Column("n"),
        Column("validation_loss", "Validation loss", number),
    ]
    for where, (measure, title) in product(taken, measures.items()):
        name, title = f"{where}_{measure}", f"{where.capitalize()}: {title}"
        change = (f"{name}_change", f"{name}_low", f"{name}_high", "method")
        columns += [Column(name, title, number), Column(change, f"{title}, change", _change)]
    percents = ", ".join(f"{share:.0%}" for share in shares)
    notes = (
        f"{model_name(model)}, its kept run; {rows[NOTHING]['n']:,} test and extended images. Masked: mean over "
        f"{percents} hidden, one mask an image and share, of a shape drawn for it. True class: its probability. "
        f"Changes: from nothing, paired, with {level:.0%} interval over images.",
        "Noise is added to the masked image at inference, without the label; the weights are frozen. Trained on masked "
        "images: no noise, all weights trained on with random erasing, as many forward and backward passes.",
        *verdict(study, rows),
    )
    title = "Does class-specific noise help when part of the image is black?"
    return Table("noise", title, header, list(rows.values()), columns, notes)


def verdict(study: Study, rows: Mapping[str, Mapping]) -> list[str]:
    """What the numbers say, in sentences."""

    def told(method: str, where: str, measure: str) -> str:
        value, low, high = (rows[method][f"{where}_{measure}_{end}"] for end in ("change", "low", "high"))
        word = "better" if low > 0 else "worse" if high < 0 else "no effect shown (the interval holds 0)"
        return f"{signed_estimate(value, low, high)}, {word}"

    main = next(method for method in rows if method not in (NOTHING, ERASING))
    said = [
        f"Lowest validation loss, of no noise and all noises: {method_name(study.chosen)}."
        + (" So no noise would be used." if study.chosen == NOTHING else "")
    ]
    for method in dict.fromkeys([main, study.chosen, ERASING]):
        if method != NOTHING:
            said.append(
                f"{method_name(method)}: masked accuracy {told(method, 'masked', 'accuracy')}; probability of "
                f"the true class {told(method, 'masked', 'true_class')}; whole images' accuracy "
                f"{told(method, 'whole', 'accuracy')}."
            )
    return said


def effect_table(images: Images, classes: Sequence[str], shares: Sequence[float], header: str, report: Report) -> Table:
    """Class bias of each method, its recalls, and how it compares with training on masked images."""
    rows, level = [], report.confidence
    conditions = [drawn_name(ANY, share) for share in shares]
    biases = {m: class_bias(found, conditions, classes, report.resamples, report.seed) for m, found in images.items()}
    for method, found in images.items():
        n = len(of_condition(found, NONE))
        units = found.index.unique("group").size if "group" in found.index.names else n
        bias, gap = biases[method], biases[method] - biases[NOTHING]
        low, high = bootstrap_interval(float(gap[0]), gap[1:], units, (-1.0, 1.0), level)
        row = {"method": method, "n": n, "bias": float(bias[0])} | figures("bias_change", float(gap[0]), low, high)
        if method != ERASING:
            against = difference(masked_mean(found, shares), masked_mean(images[ERASING], shares), level)
            row |= figures("minus_erasing", *against)
        for name in classes:
            mine = found[found["label"] == name]
            if len(mine):  # few images may lack a class
                row[f"recall_{name}"] = masked_mean(mine, shares).mean()
        rows.append(row)
    columns = [
        Column("method", "Method", method_name),
        Column("n"),
        Column("bias", "Class bias, masked", number),
        Column((*triple("bias_change"), "method"), "Change", _change),
        figure_column("minus_erasing", "Masked accuracy − trained on masked images", sign=True),
        *(Column(f"recall_{name}", f"Recall, {class_name(name)}", number) for name in classes),
    ]
    notes = (
        "Class bias: total variation distance between the shares of predicted and of true classes (half the sum of "
        "absolute differences), 0 (none) to 1, over all masked images; recalls of the same.",
    )
    title = "Class bias and recall under masks, beside training on masked images"
    return Table("effects", title, header, rows, columns, notes)


def validation_table(study: Study, header: str) -> Table:
    """All candidates that validation was asked about, the best first."""
    columns = [
        Column("method", "Method", method_name),
        Column("bound", "Bound", lambda bound: number(bound, 0) if bound else BLANK),
        Column("rate", "Learning rate", lambda rate: np.format_float_positional(rate, trim="-") if rate else BLANK),
        Column("epoch", "Epoch"),
        Column("rule", "Rule"),
        Column("nll", "Loss", number),
        Column("accuracy", "Accuracy", number),
    ]
    notes = (
        "Loss: mean negative log-probability of the true class over the validation images, whole and under every shape "
        "of mask, nothing hidden weighing as much as each share. Bound: largest change of a pixel value (of 255). "
        "Ablations are learnt at the bound that serves the first variant best. Rule: own scores each class under its "
        "own pattern, average is the mean of the probabilities over patterns.",
    )
    rows = study.candidates.to_dict("records")
    return Table("validation", "Candidates compared on validation", header, rows, columns, notes)


def draw(study: Study, classes: Sequence[str], shares: Sequence[float], path: Path, title: str, level: float) -> None:
    """Left: accuracy against share for nothing, the first variant, shared noise and erasing. Right: the patterns of
    the first variant, grey is 0."""
    images = {method: per_image(learnt.predictions) for method, learnt in study.best.items()}
    main = next(method for method in images if method not in (NOTHING, ERASING))
    points, learnt = [0.0, *shares], study.best[main]
    shown = classes[:SHOWN]
    which = "" if len(shown) == len(classes) else f"the first {SHOWN} "
    title += f"; {which}patterns of {method_name(main).lower()}, ±{learnt.run.bound:g} of 255"
    with drawing(path, title, 9.2, 4.0) as figure:
        grid = figure.add_gridspec(1, 1 + len(shown), width_ratios=[2.6, *[1] * len(shown)])
        axis = figure.add_subplot(grid[0])
        for method, colour, marker in zip(images, (INK, *SERIES, *SERIES), cycle(CLASS_MARKERS), strict=False):
            several = [mean_with_interval(by_share(images[method], [ANY], share), level=level) for share in points]
            mean, low, high = zip(*several, strict=True)
            strong = method in (NOTHING, main, ERASING)
            axis.plot(points, mean, color=colour, marker=marker, markersize=4, linewidth=1.8 if strong else 0.8,
                      label=method_name(method))  # fmt: skip
            if strong:
                axis.fill_between(points, low, high, color=colour, alpha=0.1, linewidth=0)
        axis.axhline(1 / len(classes), color=GREY, linestyle=":", label=f"chance, 1/{len(classes)}")
        axis.set_xticks(points, [f"{share:.0%}" for share in points])
        axis.set(xlabel=f"share that is black (band: {level:.0%} interval)", ylabel="accuracy (higher is better)")
        axis.grid(axis="y")
        figure.legend(loc="outside lower center", ncols=3)
        for place, (name, pattern) in enumerate(zip(shown, learnt.patterns, strict=False)):
            panel = figure.add_subplot(grid[1 + place])
            panel.imshow(np.clip(0.5 + pattern.transpose(1, 2, 0) / (2 * learnt.run.bound), 0, 1))
            panel.set_title(class_name(name).replace(" / ", " /\n"))
            panel.set_axis_off()
