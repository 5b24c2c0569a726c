"""How every figure looks."""

import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from har.core.files import write_bytes

BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
GREY, INK = "#8A8A8A", "#222222"
CLASS_COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
CLASS_MARKERS = ("o", "s", "^", "D", "v", "P")
DPI = 150
STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same everywhere
    "text.parse_math": False,  # a name may hold dollar signs
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "figure.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "legend.frameon": False,
}

# Tried in turn for characters that the first font lacks.
FURTHER_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans", "Source Han Sans SC", "WenQuanYi Zen Hei", "PingFang SC",
    "Hiragino Sans GB", "Microsoft YaHei", "Arial Unicode MS",
)  # fmt: skip


@cache
def _families() -> list[str]:
    """matplotlib's own font, then those of this machine that have what it lacks."""
    names = {font.name for font in fontManager.ttflist}
    return [STYLE["font.family"], *(name for name in FURTHER_FONTS if name in names)]


@cache
def _tell_of_boxes() -> None:
    told = f"figures: no font here has all characters of a name, boxes stand for them; install {FURTHER_FONTS[0]}"
    print(told, file=sys.stderr)


@contextmanager
def drawing(
    path: Path | str, width: float, height: float, layout: str | None = "constrained", colours: int | None = None
) -> Iterator[Figure]:
    """An empty figure of `width` x `height` inches; written to `path`, atomically, when the block ends well. `colours`
    (at most 256) writes it with a palette, a quarter of the size where it shows many pictures of few colours.

    The user's matplotlibrc has no say, and the file carries no software version.
    """
    with style.context(["default", STYLE | {"font.family": _families()}]):
        figure = Figure(figsize=(width, height), layout=layout)
        yield figure
        buffer = io.BytesIO()
        with warnings.catch_warnings(record=True) as caught:
            figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    for one in caught:
        if "missing from" in str(one.message):
            _tell_of_boxes()
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if colours is not None:
        from PIL import Image

        picture = Image.open(buffer).convert("RGB").quantize(colours)
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG", optimize=True)
    write_bytes(path, buffer.getvalue())
