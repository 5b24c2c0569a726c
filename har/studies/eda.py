"""What the selected images look like: Table 1, the test of its claim, Figures 1 and 2.

All take the manifest frame (image_id, label, part, width, height, ...; sizes in pixels) and look at the images drawn
for train, validation and test, as the paper does.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from har.evaluation.anova import kruskal_wallis, with_holm
from har.reporting.names import class_name
from har.reporting.paper import ClassSize
from har.reporting.style import CLASS_COLOURS, CLASS_MARKERS, INK, MANY, PAPER, add_picture, drawing
from har.reporting.table import Column, Table, count, number, p_value, percent
from har.reporting.tables.columns import class_text

SHOWN = 20  # classes with examples: a page, not a scroll


def by_class(manifest: pd.DataFrame, classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The drawn images of each class, in order of image_id, with area (pixels) and aspect_ratio (width / height)."""
    frame = manifest[manifest["part"] == "drawn"].sort_values("image_id")
    frame = frame.assign(area=frame["width"] * frame["height"], aspect_ratio=frame["width"] / frame["height"])
    return {label: frame[frame["label"] == label] for label in classes}


def size_table(manifest: pd.DataFrame, classes: Sequence[str]) -> list[dict]:
    """Table 1: label, count, share, width, height, aspect_ratio (means; NaN without an image), a row for each class and
    one for "all"."""
    groups = by_class(manifest, classes)
    groups["all"] = pd.concat(groups.values())
    means = ["width", "height", "aspect_ratio"]
    return [
        {"label": label, "count": len(group), "share": len(group) / len(groups["all"]), **group[means].mean()}
        for label, group in groups.items()
    ]


def size_tests(manifest: pd.DataFrame, classes: Sequence[str]) -> list[dict]:
    """The claim that no class differs in size (paper, §2.1), tested: measure, H, df, p, p_holm,
    epsilon_squared, n, note for width, height, area and aspect ratio. Kruskal-Wallis, p_holm over the four
    (Holm 1979)."""
    groups, measures = by_class(manifest, classes).values(), ("width", "height", "area", "aspect_ratio")
    return with_holm([{"measure": name, **kruskal_wallis([group[name] for group in groups])} for name in measures])


def size_tables(
    manifest: pd.DataFrame, classes: Sequence[str], header: str, printed: Mapping[str, ClassSize] | None = None
) -> dict[str, Table]:
    """Table 1 (`size_table`) and the test of its claim (`size_tests`); `printed`: the paper's Table 1, if these are its
    images."""
    rows = size_table(manifest, classes)
    columns = [
        Column("label", "Class", class_text),
        Column("count", "Images", count),
        Column("share", "Share", partial(percent, digits=1)),
        Column("width", "Mean width (px)", partial(number, digits=0)),
        Column("height", "Mean height (px)", partial(number, digits=0)),
        Column("aspect_ratio", "Mean aspect ratio", partial(number, digits=2)),
    ]
    if printed:
        measures = ("count", "share", "width", "height", "aspect_ratio")
        rows = [row | {f"paper_{key}": getattr(printed[row["label"]], key) for key in measures} for row in rows]
        sizes = tuple(f"paper_{key}" for key in measures[2:])
        columns += [
            Column(("paper_count", "paper_share"), "Paper: images", "{} ({:.1%})".format),
            Column(sizes, "Paper: width × height, ratio", "{} × {}, {}".format),
        ]
    tests = size_tests(manifest, classes)
    notes = ["Kruskal–Wallis; ε² from 0 (none) to 1. A large p does not show that sizes are equal, a small ε² does."]
    notes += sorted({row["note"] for row in tests if row["note"]})
    measured = [
        Column("measure", "Measure", lambda name: name.replace("_", " ")),
        Column("n", "n", count),
        Column("H", "H", partial(number, digits=2)),
        Column("df", "df"),
        Column("p", "p", p_value),
        Column("p_holm", "p (Holm)", p_value),
        Column("epsilon_squared", "Effect size ε²", number),
        Column("note"),
    ]
    claim = "Does a class differ in size?" + (" The paper says that none does" if printed else "")
    return {
        "table1": Table("table1", "Table 1. The images", header, rows, columns),
        "size_tests": Table("size_tests", claim, header, tests, measured, notes),
    }


def choose_examples(
    manifest: pd.DataFrame, classes: Sequence[str], per_class: int = 4, seed: int = 0
) -> dict[str, list[int]]:
    """`per_class` image ids of each class, drawn at random (not picked); fewer where a class has fewer."""
    random = np.random.default_rng(seed)
    return {
        label: sorted(
            random.choice(group["image_id"].to_numpy(), size=min(per_class, len(group)), replace=False).tolist()
        )
        for label, group in by_class(manifest, classes).items()
    }


def figure_examples(
    manifest: pd.DataFrame,
    classes: Sequence[str],
    load: Callable[[int], np.ndarray],
    path: Path | str,
    title: str,
    per_class: int = 4,
    seed: int = 0,
) -> None:
    """Figure 1: a row of uncropped images for each class. `load(image_id)` gives uint8 [H, W, 3]. Of more than SHOWN
    classes the first ones."""
    if len(classes) > SHOWN:
        title += f" (the first {SHOWN} of {len(classes)} classes)"
    chosen = choose_examples(manifest, classes[:SHOWN], per_class, seed)
    images = {label: {image_id: load(image_id) for image_id in ids} for label, ids in chosen.items() if ids}
    width, gap, header, tallest, top = 7.2, 0.06, 0.26, 2.1, 0.5  # inches
    heights = {}
    for label, row in images.items():  # all of a row as high as makes them fill the width together
        aspects = sum(image.shape[1] / image.shape[0] for image in row.values())
        heights[label] = min(tallest, (width - gap * (len(row) + 1)) / aspects)
    total = top + sum(heights.values()) + header * len(images) + gap
    with drawing(path, title, width, total, layout=None) as figure:
        place = total - top
        for label, row in images.items():
            figure.text(gap / width, (place - 0.06) / total, class_name(label), va="top")
            place -= header + heights[label]
            left = gap
            for image_id, image in row.items():
                across = heights[label] * image.shape[1] / image.shape[0]
                bounds = (left / width, place / total, across / width, heights[label] / total)
                add_picture(figure, bounds, image, str(image_id), pad=1.2)
                left += across + gap


def figure_sizes(manifest: pd.DataFrame, classes: Sequence[str], path: Path | str, title: str) -> None:
    """Figure 2: width against height, box plots of both, and the histogram of the aspect ratio, by class."""
    groups = by_class(manifest, classes)
    with drawing(path, f"{sum(map(len, groups.values()))} images: {title}", 7.2, 6.4) as figure:
        axes = figure.subplots(2, 2)
        _scatter(axes[0, 0], groups)
        _aspect(axes[0, 1], groups)
        for axis, measure in zip(axes[1], ("width", "height"), strict=True):
            _boxes(axis, groups, measure)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, markerscale=2, loc="outside lower center", ncols=min(3, len(classes)))


def _scatter(axis: Axes, groups: Mapping[str, pd.DataFrame]) -> None:
    # most photographs are 640 wide or 640 high and would hide each other: spread them by up to 6 pixels
    random = np.random.default_rng(0)
    for place, (label, group) in enumerate(groups.items()):
        spread = random.uniform(-6, 6, (2, len(group)))
        axis.scatter(
            group["width"] + spread[0],
            group["height"] + spread[1],
            s=13,
            alpha=0.55,
            linewidths=0,
            color=CLASS_COLOURS[place % 6],
            marker=CLASS_MARKERS[place % 6],
            label=f"{class_name(label)} ({len(group)})",
            rasterized=sum(map(len, groups.values())) > MANY,
        )
    axis.set(title="Size (points spread by up to 6 px)", xlabel="width (px)", ylabel="height (px)")
    axis.grid()


def _aspect(axis: Axes, groups: Mapping[str, pd.DataFrame]) -> None:
    ratios = [group["aspect_ratio"] for group in groups.values()]
    low, high = pd.concat(ratios).agg(["min", "max"])
    edges = np.arange(np.floor(low * 10) / 10, high + 0.1, 0.1) if high > low else np.array([low - 0.05, low + 0.05])
    axis.hist(
        ratios,
        bins=edges,
        stacked=True,
        linewidth=0.4,
        edgecolor=PAPER,
        color=[CLASS_COLOURS[place % 6] for place in range(len(groups))],
    )
    for ratio, name in ((3 / 4, "3:4"), (1, "1:1"), (4 / 3, "4:3")):
        if edges[0] <= ratio <= edges[-1]:
            axis.axvline(ratio, color=INK, linestyle=":", linewidth=1)
            axis.text(ratio, 1.0, name, transform=axis.get_xaxis_transform(), ha="center", va="bottom")
    axis.set_title("Aspect ratio (classes stacked)", pad=12)
    axis.set(xlabel="width / height", ylabel="images")
    axis.grid(axis="y")


def _boxes(axis: Axes, groups: Mapping[str, pd.DataFrame], measure: str) -> None:
    boxes = axis.boxplot(
        [group[measure] for group in groups.values()],
        orientation="vertical",
        widths=0.55,
        patch_artist=True,
        showmeans=True,
        tick_labels=[class_name(label).replace(" / ", "/\n") for label in groups],
        medianprops={"color": INK, "linewidth": 1.4},
        flierprops={"markersize": 3, "markeredgecolor": INK, "alpha": 0.5},
        meanprops={"marker": "D", "markersize": 4, "markerfacecolor": PAPER, "markeredgecolor": INK},
    )
    # names of many classes side by side would cover each other
    axis.tick_params(axis="x", rotation=90 if len(groups) > 4 else 0)
    for place, box in enumerate(boxes["boxes"]):
        box.set(facecolor=CLASS_COLOURS[place % 6], alpha=0.6)
    axis.set(title=f"{measure.capitalize()} (line: median, diamond: mean)", ylabel=f"{measure} (px)")
    axis.grid(axis="y")
