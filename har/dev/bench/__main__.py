"""`python -m har.dev.bench`: measure, print the table and write it to reports/bench. README.md says what is
compared."""

import argparse
import tempfile
import time
from pathlib import Path

import joblib

from har.config.profile import load_params
from har.core.errors import HarError, exit_with_message
from har.dev.bench import measure, report, task
from har.dev.bench.comparisons import SECTIONS
from har.reporting.table import markdown_table

PROFILE = "sample"  # whose recipe and seeds are taken
MODEL = "clip"  # of its models; the checkpoint too, unless another is named. The miniature ViT would learn nothing.
IMAGES = 485  # scenes, where no photographs are named: 228 to train on, 28 for validation, 229 to compare accuracies
MINUTES = 8
# In the order in which they run: least and most repeats, and the share of the minutes after which none beyond the least
# is to end. For training a repeat is a command of ours and one of the five of Trainer's.
PARTS = {
    "overhead": (1, 5, 0.1),
    "nodes": (1, 5, 0.2),
    "embeddings": (1, 5, 0.65),
    "training": (3, 10, 0.95),
}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m har.dev.bench", description=__doc__.splitlines()[0])
    told = f"about how long to measure, {MINUTES} by default: what there is time for is repeated"
    parser.add_argument("--minutes", type=float, default=MINUTES, help=told)
    parser.add_argument("--only", choices=SECTIONS, action="append", help="print this part, write nothing")
    parser.add_argument("--checkpoint", type=Path, help="a folder in the hub's format, instead of the project's own")
    parser.add_argument("--images", type=Path, help="a folder of photographs, FOLDER/<class>/..., instead of scenes")
    return parser


def main(arguments: list[str] | None = None) -> None:
    options, start = parser().parse_args(arguments), time.monotonic()
    profile, jobs = load_params().profiles[PROFILE], joblib.cpu_count()
    if not Path("dvc.yaml").exists():
        raise HarError("no dvc.yaml here: run it in the project's folder")
    checkpoint = options.checkpoint or Path("data/pretrained") / MODEL
    with tempfile.TemporaryDirectory(prefix="har-bench-") as name:
        folder = Path(name)
        sections = options.only or list(PARTS)
        if sections != ["overhead"]:
            images = options.images and task.found(options.images)
            images = task.drawn(folder / "images", profile, IMAGES, jobs) if images is None else images
            task.make(folder, profile, MODEL, checkpoint, images, jobs)
        found = {}
        for section in sections:
            print(f"{section} ...", flush=True)
            least, most, end = PARTS[section]
            rounds = measure.rounds(most, start + 60 * options.minutes * end, least)
            found[section] = rows, notes = SECTIONS[section](folder, rounds, jobs, options.checkpoint)
            print("\n".join([markdown_table(report.table(rows)), "", *notes, ""]), flush=True)
    if not options.only:
        rows = [row for section in SECTIONS for row in found[section][0]]
        notes = [note for section in SECTIONS for note in found[section][1]]
        print(f"written to {report.write(rows, notes, Path('reports/bench'))}")


if __name__ == "__main__":
    with exit_with_message("bench"):
        main()
