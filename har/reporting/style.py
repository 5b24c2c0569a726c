"""How every figure looks: SVG with its text as text, in light and dark, and what a colour means."""

import base64
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

from har.core.files import write_text

# Each on paper and, in a reader's dark mode, on black: at least 3 : 1 on both. Hues stand for classes (as in page.css)
# or, in SERIES, for the methods that a figure compares; ink for held-out images, grey for the smaller split beside
# them; green for right, red for wrong.
PAPER, INK, GREY, RULE, RIGHT, WRONG = "#ffffff", "#222222", "#757575", "#e4e4e4", "#1a6b45", "#a4341c"
CLASS_COLOURS = ("#0072b2", "#b87700", "#00875f", "#d55e00", "#b85f93", "#2b87c3")
CLASS_MARKERS = ("o", "s", "^", "D", "v", "P")
SERIES = ("#332288", "#7d7a00", "#0f7d74", "#882255", "#b3446c", "#4f7f2a")
DARK = {
    PAPER: "#1d1f21", INK: "#e8e6e1", GREY: "#9a9a9a", RULE: "#35383b", RIGHT: "#74c99a", WRONG: "#f0937c",
    **dict(zip(CLASS_COLOURS, ("#4aa8e0", "#e8a53a", "#3cc39a", "#ee8a4a", "#d993bb", "#8ccaf2"), strict=True)),
    **dict(zip(SERIES, ("#a79df0", "#cfc95a", "#57c4b8", "#d98ac6", "#f59ab0", "#a9d67c"), strict=True)),
}  # fmt: skip
ON_PICTURE = "#f5f5f5"  # the same in both modes, as is black
FONT = "DejaVu Sans"  # comes with matplotlib, so figures are measured alike everywhere; Verdana is as wide
MANY = 5_000  # points that are drawn as a picture
STYLE = {
    "font.family": FONT,
    "svg.fonttype": "none",
    "svg.hashsalt": "har",
    "text.parse_math": False,  # a name may hold dollar signs
    "font.size": 9,  # 12 px where a figure is shown in its own size
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "figure.titlesize": 10,
    "figure.labelsize": 9,
    "legend.fontsize": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "legend.frameon": False,
    **{f"boxplot.{part}props.color": INK for part in ("box", "whisker", "cap")},
}


def tints(colour: str, below: str | None = None) -> LinearSegmentedColormap:
    """From nothing to as much of `colour` as ink is read on, in both modes; of `below` where values are negative."""
    ends = [(below, 0.55), (below, 0.0), (colour, 0.0), (colour, 0.55)] if below else [(colour, 0.0), (colour, 0.55)]
    places = [0, 0.5, 0.5, 1] if below else [0, 1]
    return LinearSegmentedColormap.from_list("tints", list(zip(places, ends, strict=True)), N=24)


@contextmanager
def drawing(
    path: Path | str, title: str, width: float, height: float, layout: str | None = "constrained"
) -> Iterator[Figure]:
    """An empty figure of `width` x `height` inches under its title; written to `path`, atomically, when the block ends
    well. The same data give the same bytes; the user's matplotlibrc has no say."""
    with style.context(["default", STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*missing from")
        figure = Figure(figsize=(width, height), layout=layout)
        at = {} if layout else {"y": 1 - 0.08 / height}
        head = figure.suptitle(title, x=0.01, ha="left", **at)
        fits = 0.98 * width * figure.dpi / head.get_window_extent().width
        if fits < 1:  # smaller, or its end, which may say whose numbers these are not, would be cut
            head.set_fontsize(head.get_fontsize() * fits)
        yield figure
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", dpi=150, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = re.sub(f"'{FONT}'[^;\"]*", f"'{FONT}', Verdana, sans-serif", buffer.getvalue())
    svg = numbered(re.sub(r"data:image/png;base64,\s*([\w+/=\s]+)", _smaller, svg))
    write_text(path, svg.replace("<defs>", f"<defs>\n  <style>{_dark()}</style>", 1))


def add_curve(
    axis: Axes, x: pd.Series, mean: pd.Series, ends: Sequence[pd.Series], label: str, place: int, curves: int
) -> None:
    """The line `place` of `curves`, with intervals from `ends[0]` to `ends[1]`: aside by a few per cent, so that
    intervals at one x, on a logarithmic axis, do not hide each other."""
    axis.errorbar(
        x * 1.03 ** (place - (curves - 1) / 2),
        mean,
        yerr=[np.abs(end - mean) for end in ends],
        color=SERIES[place % len(SERIES)],
        marker=CLASS_MARKERS[place % len(CLASS_MARKERS)],
        markersize=5,
        linewidth=1.6,
        elinewidth=1,
        label=label,
    )


def add_picture(figure: Figure, bounds: Sequence[float], image: np.ndarray, name: str, pad: float) -> None:
    """Axes at `bounds`, shares of the figure, filled by an image [H, W, 3], with its name in a box in the corner."""
    axis = figure.add_axes(bounds)
    axis.imshow(image, aspect="auto", interpolation="antialiased")
    axis.set_axis_off()
    box = {"facecolor": "black", "alpha": 0.55, "pad": pad, "linewidth": 0}
    axis.text(0.02, 0.03, name, transform=axis.transAxes, color=ON_PICTURE, bbox=box)


def numbered(svg: str) -> str:
    """`svg` with its clip paths numbered: matplotlib names them by digits that rounding decides."""
    names = dict.fromkeys(re.findall(r'clipPath id="(p[0-9a-f]{10})"', svg))
    numbers = {name: f"clip{number}" for number, name in enumerate(names)}
    return re.sub(r"(?<=[#\"])p[0-9a-f]{10}\b", lambda found: numbers[found[0]], svg)


def _smaller(picture: re.Match) -> str:
    """A picture without transparency as JPEG: a fifth of its size."""
    image = Image.open(io.BytesIO(base64.b64decode(picture[1])))
    if image.convert("RGBA").getextrema()[3][0] < 255:
        return picture[0]
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@cache
def _dark() -> str:
    rules = (
        f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    return f"@media (prefers-color-scheme:dark){{{''.join(rules)}}}"


def size_of(path: Path) -> tuple[int, int]:
    """Width and height in CSS pixels of a figure that `drawing` wrote."""
    with path.open(encoding="utf-8") as file:
        width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', file.read(2_000)).groups()
    return round(float(width) * 4 / 3), round(float(height) * 4 / 3)
