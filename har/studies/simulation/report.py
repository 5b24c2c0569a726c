"""The simulation's tables and its figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from har.reporting import paper
from har.reporting.style import GREY, INK, RIGHT, RULE, SERIES, drawing
from har.reporting.table import Column, Table, count, number, pivoted
from har.studies.simulation.simulate import FAMILY, FOLDS, IMAGES, LEVEL, MODELS, NULL_ACCURACY, REPEATS, RUNS

COVERED, REJECTED = (0.93, 0.97), (0.03, 0.07)  # rates that count as right
FIGURES = {"accuracy": "accuracy", "difference": "difference of two accuracies", "f1": "macro F1"}
RUN = {count: f"{count} run{'s' if count > 1 else ''}" for count in RUNS}
INTERVALS = {
    "runs": "t over runs",
    "wilson": "Wilson",
    "percentile": "percentile bootstrap",
    "expanded": "expanded percentile",
    "score": "score, effective n",
}
NULLS = {
    "strengths": "strong on other images",
    "runs": "alike but for the noise of runs",
    "training": "trained anew on each fold",
}
TESTS = {
    "anova": f"paper: ANOVA over runs, {MODELS} models",
    "paired_t": "paper: paired t over runs",
    "mcnemar": "exact McNemar, majority of runs",
    "mcnemar_mid": "mid-p McNemar, majority of runs",
    "percentile": "0 outside: percentile bootstrap",
    "expanded": "0 outside: expanded percentile",
    "score": "0 outside: score, effective n",
    "folds_t": "t over test folds",
    "corrected_t": "corrected t over test folds",
}


def _rate_column(name: str, title: str, band: tuple[float, float], csv: bool = True, at: str = "") -> Column:
    """A rate with its standard error; arrows where it leaves `band`. at: what follows the two names in a line."""

    def shown(rate: float, error: float) -> str:
        mark = " ↓" if rate < band[0] else " ↑" if rate > band[1] else ""
        return f"{number(100 * rate, 1)} ± {number(100 * error, 1)}{mark}"

    return Column((f"{name}{at}", f"standard_error{at}"), title, shown, csv)


def _band(band: tuple[float, float]) -> str:
    return f"% ± Monte-Carlo standard error. ↓ ↑: below or above {band[0]:.0%} to {band[1]:.0%}."


def _where(rows: Sequence[Mapping], **values: object) -> list[Mapping]:
    return [row for row in rows if all(row[key] == value for key, value in values.items())]


def _extent(rows: Sequence[Mapping]) -> str:
    rates = [100 * row["rate"] for row in rows]
    return f"{number(min(rates), 1)} to {number(max(rates), 1)} %"


def coverage_table(rows: Sequence[Mapping], header: str) -> Table:
    """The rows of `coverage`, an accuracy to a column."""
    most = max(row["experiments"] for row in rows)
    keys = ("figure", "runs", "images", "method")
    order = [list(names) for names in (FIGURES, RUNS[::-1], sorted({row["images"] for row in rows}), INTERVALS)]
    lines = sorted(rows, key=lambda row: [names.index(row[key]) for names, key in zip(order, keys, strict=True)])
    several = [row for row in rows if row["runs"] > 1]
    notes = [
        _band(COVERED),
        *(
            f"With several runs, {name}: {_extent(found)}."
            for method, name in INTERVALS.items()
            if (found := _where(several, method=method))
        ),
        "The difference is that from the next accuracy to the right (of the last one, from the first). t over runs: "
        "the mean of the runs' scores as if they came from independent test sets. All others are intervals over "
        "images, each image with all its runs.",
        "A single run on few images gives few different intervals, so that coverage jumps with the accuracy (Brown, "
        "Cai & DasGupta 2001).",
    ]
    if fewer := sorted({(row["images"], row["experiments"]) for row in rows if row["experiments"] < most}):
        notes.append("Macro F1 in fewer experiments: " + ", ".join(f"{e:,} at n = {n:,}" for n, e in fewer) + ".")
    columns = [
        Column(
            ("figure", "runs", "method"),
            "Interval of",
            lambda figure, runs, method: f"{FIGURES[figure]}, {RUN[runs]}: {INTERVALS[method]}",
        ),
        Column("images", "n", count),
        *map(Column, [name for name in rows[0] if name not in keys]),
        *(
            _rate_column("rate", f"Accuracy {accuracy:g}", COVERED, csv=False, at=f"_{accuracy}")
            for accuracy in dict.fromkeys(row["accuracy"] for row in lines)
        ),
    ]
    title = f"How often a {LEVEL:.0%} interval holds the truth"
    return Table("coverage", title, header, rows, columns, notes, pivoted(lines, keys, "accuracy"))


def rejection_table(rows: Sequence[Mapping], header: str) -> Table:
    """The rows of `rejection`."""
    lines = sorted(rows, key=lambda row: (list(NULLS).index(row["null"]), list(TESTS).index(row["test"])))
    shown = ("test", "null", "images", "rate", "standard_error")
    columns = [
        Column("test", "Test", TESTS.get),
        Column("null", "Models of equal accuracy", NULLS.get),
        Column("images", "n", count),
        *map(Column, [name for name in rows[0] if name not in shown]),
        _rate_column("rate", "Rejected", REJECTED),
    ]
    notes = (
        _band(REJECTED),
        f"Accuracy {NULL_ACCURACY:g}, {max(RUNS)} runs; two models where nothing else is said.",
        "Strong on other images: the models differ on any one test set, not on the population. The paper's tests "
        "take the first for the second, and a larger test set does not help. Where only the noise of the runs "
        "differs they are right.",
        "The exact McNemar test never rejects more often than it says, on few discordant images far less often.",
        f"Trained anew: two classifiers on features of their own, {REPEATS} times {FOLDS}-fold cross-validation; "
        "corrected: Nadeau & Bengio's variance.",
    )
    title = f"How often a test at the {1 - LEVEL:.0%} level tells equal models apart"
    return Table("rejection", title, header, rows, columns, notes, lines)


def families_table(rows: Sequence[Mapping], header: str) -> Table:
    """The rows of `families`, a number of images to a column."""
    columns = [
        Column("run_effect", "Variance of runs", "{:g}".format),
        *map(Column, ("figure", "images", "experiments", "rate", "standard_error")),
    ]
    for n in dict.fromkeys(row["images"] for row in rows):
        for figure, band in (("coverage", COVERED), ("rejection", REJECTED)):
            columns.append(
                _rate_column("rate", f"{figure.capitalize()}, {n:,} images", band, csv=False, at=f"_{figure}_{n}")
            )
    notes = (
        f"{_band(COVERED).rstrip('.')} (coverage), {REJECTED[0]:.0%} to {REJECTED[1]:.0%} (rejection).",
        f"All pairs of {len(FAMILY)} models of accuracies {', '.join(map(str, sorted(FAMILY)))}, {max(RUNS)} runs "
        f"each. Coverage: all {LEVEL:.0%} intervals hold at once. Rejection: all accuracies are {FAMILY[0]:g}, and "
        f"some pair is told apart at {1 - LEVEL:.0%}. Variance of runs: of the latent strength, which is 1 in all.",
    )
    lines = pivoted([row | {"at": f"{row['figure']}_{row['images']}"} for row in rows], ("run_effect",), "at")
    return Table("families", "All pairs of models at once", header, list(rows), columns, notes, lines)


SIZE_STYLES = ((SERIES[1], "s"), (SERIES[0], "o"), (SERIES[3], "^"))  # of the number of images, ascending


def _rates_panel(axis: Axes, groups: Mapping[str, Sequence[tuple[str, Sequence[Mapping]]]], floor: float) -> None:
    """A line for each (label, rows) under each group's heading: a point with two standard errors for each row,
    apart by number of images. Rates (in %) below `floor` are told in words at the left edge."""
    sizes = sorted({row["images"] for lines in groups.values() for _, rows in lines for row in rows})
    styles = dict(zip([n for n in sizes if n in IMAGES], SIZE_STYLES, strict=False))
    place, places, labels = 0, [], []
    for heading, lines in groups.items():
        axis.text(-0.02, place, heading, transform=axis.get_yaxis_transform(), ha="right", va="center", weight="bold")
        for label, rows in lines:
            place += 1
            places.append(place)
            labels.append(label)
            axis.axhline(place, color=RULE, linewidth=0.8, zorder=0)
            if below := [100 * row["rate"] for row in rows if 100 * row["rate"] < floor]:
                told = f"◂ {min(below):.0f} to {max(below):.0f} %"
                axis.text(0.01, place, told, transform=axis.get_yaxis_transform(), va="center", color=INK)
            for row in rows:
                colour, marker = styles.get(row["images"], (INK, "D"))
                shift = 0.0 if row["images"] not in styles else 0.22 * (list(styles).index(row["images"]) - 1)
                rate, error = 100 * row["rate"], 200 * row["standard_error"]
                look = {"fmt": marker, "color": colour, "markersize": 3.6, "elinewidth": 0.5, "alpha": 0.85}
                if rate >= floor:
                    axis.errorbar(rate, place + shift, xerr=[[min(error, rate)], [error]], **look)
        place += 1.4
    axis.set_yticks(places, labels)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.set_ylim(place - 0.7, -0.7)


def simulation_figure(covered: Sequence[Mapping], rejected: Sequence[Mapping], path: Path | str) -> None:
    """Rates of `coverage`, with several runs and of one run's Wilson interval, and of `rejection`, each beside the
    band in which they are right."""
    runs = max(RUNS)
    intervals = {
        f"{FIGURES[figure]}, {RUN[count]}": [
            (name, found)
            for method, name in INTERVALS.items()
            if (found := _where(covered, figure=figure, method=method, runs=count))
            and (count == runs or method in ("wilson", "score"))
        ]
        for figure in FIGURES
        for count in ((runs, 1) if figure == "accuracy" else (runs,))
    }
    tests = {
        title: [(name, found) for test, name in TESTS.items() if (found := _where(rejected, null=null, test=test))]
        for null, title in NULLS.items()
    }
    with drawing(path, "Do intervals cover and tests reject as they say? Simulated predictions", 11, 6.2) as figure:
        left, right = figure.subplots(1, 2)
        _rates_panel(left, intervals, floor=86)
        _rates_panel(right, tests, floor=0)
        left.set(xlim=(86, 100), xlabel="intervals that hold the truth (%)")
        # shows both 5 and 95 %; signed, as the layout asks for places left of the axis
        roots = (lambda x: np.sign(x) * np.sqrt(np.abs(x)), lambda x: np.sign(x) * np.square(x))
        right.set_xscale("function", functions=roots)
        right.set(xlim=(0, 100), xlabel="equal models told apart (%, square-root scale)")
        right.set_xticks([0, 1, 3, 5, 7, 10, 20, 40, 60, 80, 100], minor=False)
        left.set_title(f"Coverage of {LEVEL:.0%} intervals")
        right.set_title(f"Rejection at the {1 - LEVEL:.0%} level under the null")
        for axis, band, aim in ((left, COVERED, LEVEL), (right, REJECTED, 1 - LEVEL)):
            axis.axvspan(100 * band[0], 100 * band[1], color=RIGHT, alpha=0.15, linewidth=0, zorder=0)
            axis.axvline(100 * aim, color=GREY, linestyle=":", zorder=0)
        for (colour, marker), n in zip(SIZE_STYLES, IMAGES, strict=True):
            left.plot([], [], marker, color=colour, label=f"{n:,} images")
        left.plot([], [], "D", color=INK, label=f"{FOLDS * paper.TEST_IMAGES} images, cross-validated")
        figure.legend(loc="outside lower center", ncols=4)
