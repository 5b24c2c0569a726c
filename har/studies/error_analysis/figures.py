"""Figure 5 and its kin: the images that each model gets wrong, which factors go along with errors, and which models
err alike."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import Colormap

from har.reporting.names import class_name, model_name
from har.reporting.style import GREY, INK, RIGHT, SERIES, WRONG, add_picture, drawing, tints
from har.reporting.table import number
from har.studies.error_analysis.outcomes import FACTORS, SPLITS

COLUMNS = 5  # pictures side by side; more go on in a further line


def failure_cases(outcomes: pd.DataFrame, task: str, model: str, examples: int) -> pd.DataFrame:
    """At most `examples` rows of `outcomes` (paper, Figure 5): images that most runs of the model get wrong and its
    mean probability too; of test, and of extended where test has too few; within each the most confident first."""
    mine = outcomes[(outcomes["task"] == task) & (outcomes["model"] == model)]
    order = mine[failed(mine)].sort_values(["split", "p_predicted", "image_id"], ascending=[False, False, True])
    return order.head(examples).reset_index(drop=True)


def failed(outcomes: pd.DataFrame) -> pd.Series:
    """Whether most runs and the mean probability are wrong."""
    return (outcomes["error"] > 0.5) & (outcomes["predicted"] != outcomes["label"])


def figure_failures(
    outcomes: pd.DataFrame,
    task: str,
    models: Sequence[str],
    load: Callable[[int], np.ndarray],
    path: Path | str,
    title: str,
    examples: int,
    unit: str = "images",
) -> None:
    """Figure 5: a row of `failure_cases` for each model, uncropped. `load(image_id)` gives uint8 [H, W, 3]."""
    cases = {model: failure_cases(outcomes, task, model, examples) for model in models}
    width, cell, tall, caption, header, gap = 8.0, 8.0 / COLUMNS, 1.13, 0.66, 0.23, 0.06  # inches
    lines = [-(-len(found) // COLUMNS) for found in cases.values()]
    total = 1.0 + sum(header + n * (tall + caption) + (0 if n else 0.2) for n in lines)
    load = cache(load)  # several models may miss one image
    with drawing(path, title, width, total, layout=None) as figure:

        def write(x: float, y: float, text: str, **options) -> None:
            figure.text((x + gap) / width, y / total, text, va="top", **options)

        explained = (
            "Images that most runs and their mean probability get wrong, of test first, the most confident first.\n"
            "p: mean probability of the predicted class; then the runs that are wrong; right: how many such images"
        )
        write(0, total - 0.55, explained, color=GREY)
        top = total - 1.0
        for model, found in cases.items():
            write(0, top, model_name(model), weight="bold")
            counts = f"{_wrong_in_most(outcomes, task, model)} {unit}"
            figure.text((width - gap) / width, top / total, counts, va="top", ha="right")
            top -= header
            if not len(found):
                write(0, top, "none", color=GREY)
                top -= 0.2
            for place, case in enumerate(found.itertuples()):
                column = place % COLUMNS
                picture = load(case.image_id)
                scale = min((cell - 2 * gap) / picture.shape[1], tall / picture.shape[0])
                across, down = picture.shape[1] * scale, picture.shape[0] * scale
                left = column * cell + gap
                bounds = (left / width, (top - tall) / total, across / width, down / total)
                add_picture(figure, bounds, picture, str(case.image_id), pad=1)
                below = top - tall - 0.03
                write(column * cell, below, f"{class_name(case.label)}, but")
                write(column * cell, below - 0.16, f"→ {class_name(case.predicted)}", color=WRONG)
                runs = f", {round(case.error * case.runs)}/{case.runs}" if case.runs > 1 else ""
                write(column * cell, below - 0.32, f"p {case.p_predicted:.2f}{runs}, {case.split}", color=GREY)
                if column == COLUMNS - 1 or place == len(found) - 1:
                    top -= tall + caption


def _wrong_in_most(outcomes: pd.DataFrame, task: str, model: str) -> str:
    """9 of 29 test, 310 of 1,000 extended; nothing else is drawn."""
    mine = outcomes[(outcomes["task"] == task) & (outcomes["model"] == model)]
    wrong = failed(mine).groupby(mine["split"])
    parts = [f"{wrong.sum()[split]:,} of {wrong.size()[split]:,} {split}" for split in SPLITS if split in wrong.groups]
    return ", ".join(parts)


def figure_trends(rows: Sequence[Mapping], task: str, path: Path | str, title: str, alpha: float = 0.05) -> None:
    """The correlations of `trends` of `task`: a row for each model, a column for each factor, in a frame where Holm's p
    lies below `alpha`."""
    # a model that errs alike on all images of a class has nothing to show
    mine = [row for row in rows if row["task"] == task and row["rho"] is not None]
    found = pd.DataFrame(mine, columns=["model", "factor", "rho", "p_holm"])
    models = found["model"].unique()
    values, p = (
        found.pivot(index="model", columns="factor", values=name).reindex(models, columns=FACTORS).to_numpy(float)
        for name in ("rho", "p_holm")
    )
    limit = max(0.1, np.ceil(10 * np.nanmax(np.abs(values), initial=0)) / 10)
    names = [factor.title.replace(" ", "\n", 1) for factor in FACTORS.values()]
    note = (
        "Correlation of errors within classes. Above 0 (red): more errors where it is larger,\n"
        f"below 0 (green): fewer. Framed: Holm's p < {alpha:.2g}"
    )
    colours = tints(WRONG, RIGHT)
    _matrix(values, [model_name(m) for m in models], names, path, title, note, colours, limit, p < alpha)


def figure_overlap(rows: Sequence[Mapping], task: str, path: Path | str, title: str) -> None:
    """Kappa of the errors of every pair of models of `task` (`overlaps`), the models with fewest errors first."""
    mine = [row for row in rows if row["task"] == task]
    shares = {row[k]: row[f"missed_{k}"] for row in mine for k in "ab"}
    models = sorted(shares, key=lambda model: (shares[model], model))
    half = pd.DataFrame(mine, columns=["a", "b", "kappa"]).pivot(index="a", columns="b", values="kappa")
    half = half.reindex(models, columns=models).astype(float)
    values = half.fillna(half.T).to_numpy()  # a pair stands on one side of the diagonal
    limit = max(0.2, np.ceil(10 * np.nanmax(np.abs(values), initial=0)) / 10)
    names = [model_name(m) for m in models]
    note = "κ of errors: 1 the same ones, 0 as often together as if independent. Fewest errors first, with their share"
    rows_named = [f"{name} ({shares[model]:.0%})" for name, model in zip(names, models, strict=True)]
    colours = tints(SERIES[0], SERIES[1])
    # the first row and the last column of the triangle are empty
    _matrix(values[1:, :-1], rows_named[1:], names[:-1], path, title, note, colours, limit, triangle=True)


def _matrix(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    path: Path | str,
    title: str,
    note: str,
    colours: Colormap,
    limit: float,
    marked: np.ndarray | None = None,
    triangle: bool = False,
) -> None:
    """Numbers from -limit to limit as coloured cells with their values; – where one is not defined. A triangle has many
    columns: their names are turned, and nothing is drawn above its diagonal."""
    from matplotlib.patches import Rectangle

    width = max(7.2, 3.2 + 0.36 * len(columns)) if triangle else 7.6
    with drawing(path, title, width, 0.27 * max(len(rows), 1) + (2.6 if triangle else 1.9)) as figure:
        axis = figure.subplots()
        if not values.size:
            axis.set_title("nothing to show: no such model, or none that errs", color=GREY, x=0)
            axis.set_axis_off()
            return
        edges = (np.arange(count + 1) - 0.5 for count in values.shape[::-1])
        hidden = np.triu(np.full(values.shape, triangle), 1)
        drawn = np.ma.masked_where(hidden | np.isnan(values), values)
        axis.pcolormesh(*edges, drawn, cmap=colours, vmin=-limit, vmax=limit)
        axis.invert_yaxis()
        for (row, column), value in np.ndenumerate(values):
            if hidden[row, column]:
                continue
            text = number(value, 2, sign=not triangle)
            if triangle:  # many columns leave little room
                text = text.replace("0.", ".", 1)
            axis.text(column, row, text, ha="center", va="center")
            if marked is not None and marked[row, column]:
                frame = Rectangle((column - 0.46, row - 0.43), 0.92, 0.86, fill=False, edgecolor=INK, linewidth=1.2)
                axis.add_patch(frame)
        turn = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if triangle else {}
        axis.set_xticks(range(len(columns)), columns, **turn)
        axis.set_yticks(range(len(rows)), rows)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        figure.supxlabel(note, x=0.01, ha="left")
