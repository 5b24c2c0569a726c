"""How time and memory of four stages grow with the images: `python -m har.dev.bench.scaling`, or `make scaling`.

The images are copies of the sample's 285 under ids of their own, with their captions, annotations and files;
predictions, and what else the stages are given, are drawn at random. Writes NAME.scaling.md and .csv in reports/bench,
where NAME tells the hardware.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from har.core.errors import exit_with_message
from har.core.files import write_csv, write_text
from har.dev.bench import measure
from har.dev.bench.report import file_name, hardware
from har.dev.bench.scaled import ENCODER, MODELS
from har.reporting.table import markdown_table

SIZES = (285, 2_850, 28_500, 118_000)  # the last: as many as COCO's train2017 has
# Commands in a project of so many images, in the order in which one needs the other, each with the stage as which it is
# measured; '': not measured.
PARTS = (
    ("curate", "stages curate"),
    ("", "stages split"),
    ("", "har.dev.bench.scaled predictions"),
    ("embed", "har.dev.bench.scaled store"),
    ("embed", f"stages embed {ENCODER}"),
    ("significance", "stages significance"),
    ("page", "har.dev.bench.scaled page"),
)
STAGES = tuple(dict.fromkeys(stage for stage, _ in PARTS if stage))
NOTES = (
    "The stages as `dvc repro` runs them, each in a process of its own. curate: every caption and annotation, all "
    "images chosen; embed: photographs to store (stage images) to CLIP's embeddings (the sample's); significance: "
    f"predictions of {len(MODELS)} models, five runs each, and the learning curve's; page: its photographs are links, "
    "re-encoding them is left out.",
    "Memory: the most that a stage and its processes had at a time, what several share counted once.",
)
Measured = Mapping[tuple[str, int], measure.Spent]


def measured(sizes: Sequence[int], folder: Path) -> Measured:
    """(stage, images) to what it took, in `folder`, which needs about 0.2 MB an image."""

    def run(command: str, where: Path) -> measure.Spent:
        return measure.run([sys.executable, "-m", *command.split()], where)

    run("har.dev.bench.scaled scenes", folder)
    spent = {}
    for size in sizes:
        run(f"har.dev.bench.scaled given {size}", folder)
        for stage, command in PARTS:
            one = run(command, folder / str(size))
            if stage:
                before = spent.get((stage, size), measure.Spent(0.0, 0))
                spent[stage, size] = measure.Spent(before.seconds + one.seconds, max(before.bytes, one.bytes))
                print(f"{command}, {size:,} images: {_cell(one)}", flush=True)
        shutil.rmtree(folder / str(size))
    return spent


def table(spent: Measured) -> pd.DataFrame:
    sizes = dict.fromkeys(size for _, size in spent)
    rows = [[f"{size:,}", *(_cell(spent[stage, size]) for stage in STAGES)] for size in sizes]
    return pd.DataFrame(rows, columns=["Images", *STAGES])


def _cell(one: measure.Spent) -> str:
    seconds = f"{one.seconds:.2g}" if one.seconds < 10 else f"{one.seconds:.0f}"
    return f"{seconds} s, {one.bytes / 1e6:.0f} MB"


def growth(spent: Measured) -> str:
    """How much more the largest number of images takes than the one before it; '' where there is one only."""
    *_, less, more = [0, *sorted({size for _, size in spent})]
    if not less:
        return ""
    ratios = [
        f"{stage} {spent[stage, more].seconds / spent[stage, less].seconds:.2g} × and "
        f"{spent[stage, more].bytes / spent[stage, less].bytes:.1f} ×"
        for stage in STAGES
    ]
    return f"From {less:,} to {more:,} images ({more / less:.2g} ×), time and memory grow: {', '.join(ratios)}."


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m har.dev.bench.scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of images, at least 285")
    sizes = parser.parse_args(arguments).sizes
    if min(sizes) < min(SIZES):
        parser.error(f"--sizes: {min(sizes)} images, at least {min(SIZES)}: those of the sample")
    with tempfile.TemporaryDirectory(prefix="har-scaling-") as name:
        spent = measured(sizes, Path(name))
    notes = "\n".join(f"- {note}" for note in filter(None, (growth(spent), *NOTES)))
    text = f"**{hardware()}**: time and peak memory\n\n{markdown_table(table(spent))}\n\n{notes}\n"
    out = Path("reports/bench")
    rows = [(stage, size, one.seconds, one.bytes) for (stage, size), one in spent.items()]
    write_csv(out / f"{file_name()}.scaling.csv", pd.DataFrame(rows, columns=["stage", "images", "seconds", "bytes"]))
    write_text(out / f"{file_name()}.scaling.md", text)
    print(f"\n{text}\nwritten to {out / file_name()}.scaling.md")


if __name__ == "__main__":
    with exit_with_message("scaling"):
        main()
