"""Measure this project against what else one would take: `python -m har.dev.bench`, or `make bench`.

Prints a table, and writes NAME.md and .csv of reports/bench, where NAME tells the hardware. docs/performance.md says
what is compared. Commands take turns, so that what slows the machine for a while slows both.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import yaml

from har.core.errors import HarError, exit_with_message
from har.core.files import write_csv, write_text
from har.dev.bench import work
from har.dev.bench.measure import PROJECT, Spent, file_name, hardware, run
from har.evaluation.predictions import predictions_frame, read_predictions
from har.evaluation.summary import scalars
from har.reporting.table import markdown_table

OURS = [sys.executable, "-m", "har.dev.bench.work"]
THEIRS = [sys.executable, str(Path(__file__).with_name("theirs.py"))]
REPRO = [sys.executable, "-m", "dvc", "repro"]
PACKAGES = ("torch", "transformers", "dvc")


def rows_of(what: str, beside: str, spent: Sequence[tuple[Spent, Spent]], times: int = 1) -> pd.DataFrame:
    """A row for each repeat; times: how often the other's command would have to run for what ours does once."""
    pairs = [(ours.seconds, times * other.seconds, ours.bytes, other.bytes) for ours, other in spent]
    frame = pd.DataFrame(pairs, columns=["ours", "other", "ours_bytes", "other_bytes"])
    return frame.assign(what=what, beside=beside, repeat=range(1, len(spent) + 1))


def training(folder: Path, checkpoint: Path, repeats: int, jobs: int) -> tuple[pd.DataFrame, str]:
    profile, images = work.profile(), work.read_images(folder)
    seeds, classes = profile.training.seeds, sorted(images.label.unique())
    asked, spent, theirs = images[images.split != "train"], [], []
    for seed in seeds[:repeats]:
        ours = run([*OURS, "train", str(checkpoint), str(jobs)], folder)
        spent.append((ours, run([*THEIRS, "train", str(checkpoint), str(seed)], folder)))
        shares = np.load(folder / f"trainer-{seed}.npy")
        theirs.append(predictions_frame(asked.image_id, asked.label, asked.split, shares, classes, seed))

    def accuracy(predictions: pd.DataFrame) -> str:
        score = scalars(predictions, profile.report)["test"]
        return f"{score['accuracy']:.3f} [{score['ci_low']:.3f}, {score['ci_high']:.3f}]"

    sizes, model = images.split.value_counts(), work.recipe()
    note = (
        "Fine-tuning: whole commands, from JPEG files to predictions and weights, with the same recipe; "
        f"{sizes['train']} images, {model.epochs} epochs, batches of {model.batch_size}. A command of ours trains "
        f"{len(seeds)} seeds; one of Trainer's trains one, and what it took counts {len(seeds)} times. Accuracy on "
        f"{sizes['test']} images that neither saw, with an interval over images: ours "
        f"{accuracy(read_predictions(folder / 'ours.parquet', classes))} and Trainer's {accuracy(pd.concat(theirs))}."
    )
    what = f"Fine-tuning {checkpoint.name} with {len(seeds)} seeds"
    return rows_of(what, f"Trainer, {len(seeds)} commands", spent, len(seeds)), note


def embedding(folder: Path, encoder: Path, repeats: int, jobs: int) -> tuple[pd.DataFrame, str]:
    commands = [*OURS, "embed", str(encoder), str(jobs)], [*THEIRS, "embed", str(encoder)]
    spent = [tuple(run(command, folder) for command in commands) for _ in range(repeats)]
    ours, theirs = np.load(folder / "ours/image.npy"), np.load(folder / "theirs.npy")
    cosines = (ours * theirs).sum(1) / (np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1))
    note = (
        f"Embedding: whole commands, from JPEG files, {len(ours)} images. The embeddings agree to a cosine of "
        f"{cosines.mean():.4f}."
    )
    return rows_of(f"Embedding by {encoder.name}", "a plain loop, transformers", spent), note


def graph(folder: Path, repeats: int) -> tuple[pd.DataFrame, str]:
    """DVC's own time, where nothing is to do. Each stage of the other project has one dep and one out, the least with
    which DVC can tell that nothing changed."""
    command = [*REPRO[:-1], "stage", "list", "--name-only"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    stages = len(listed.stdout.split())
    empty = folder / "empty"
    empty.mkdir()
    (empty / "in.txt").write_text("in\n")
    made = {f"stage{i}": {"cmd": f"echo > {i}.txt", "deps": ["in.txt"], "outs": [f"{i}.txt"]} for i in range(stages)}
    (empty / "dvc.yaml").write_text(yaml.safe_dump({"stages": made}), encoding="utf-8")
    run([*REPRO[:-1], "init", "--no-scm"], empty)
    run(REPRO, empty)
    spent = [(run(REPRO, PROJECT, folder / "repro.log"), run(REPRO, empty)) for _ in range(repeats)]
    note = "Graph: DVC's own time where nothing is to do."
    return rows_of("`dvc repro`, nothing to do", f"an empty project of {stages} stages", spent), note


def table(measured: pd.DataFrame) -> pd.DataFrame:
    """As people read it: medians, and the smallest and largest ratio, each of commands that ran one after the other."""
    rows = []
    for (what, beside), one in measured.groupby(["what", "beside"], sort=False):
        low, middle, high = np.quantile(one.other / one.ours, [0, 0.5, 1])
        rows.append({
            "": what,
            "Ours": f"{one.ours.median():.3g} s",
            "Beside it": beside,
            "Its": f"{one.other.median():.3g} s",
            "Ours is as fast": f"{middle:.2f} × [{low:.2f}, {high:.2f}]",
            "Peak memory, ours / its": f"{one.ours_bytes.max() / 1e9:.1f} GB / {one.other_bytes.max() / 1e9:.1f} GB",
        })  # fmt: skip
    return pd.DataFrame(rows)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m har.dev.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, choices=range(1, 6), default=3, help="of each comparison (3)")
    parser.add_argument(
        "--checkpoint", type=Path, help="to fine-tune: a folder in the hub's format, instead of the project's CLIP"
    )
    options, jobs = parser.parse_args(arguments), joblib.cpu_count()
    if subprocess.run([*REPRO[:-1], "status", "--quiet"], capture_output=True, cwd=PROJECT).returncode:
        raise HarError("`dvc status` has something to do; run `make repro` first, as an idle `dvc repro` is timed")
    checkpoint = (options.checkpoint or PROJECT / "data/pretrained/clip").resolve()
    with tempfile.TemporaryDirectory(prefix="har-bench-") as name:
        folder = Path(name)
        work.make(folder, checkpoint, jobs)
        found = [
            training(folder, checkpoint, options.repeats, jobs),
            embedding(folder, work.random_vit(folder / "ViT-B-32"), options.repeats, jobs),
            graph(folder, options.repeats),
        ]
    measured, notes = pd.concat([frame for frame, _ in found]), "\n".join(f"- {note}" for _, note in found)
    used = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    text = f"**{hardware()}** ({used})\n\n{markdown_table(table(measured))}\n\n{notes}\n"
    out = PROJECT / "reports/bench" / file_name()
    write_csv(out.with_suffix(".csv"), measured)
    write_text(out.with_suffix(".md"), text)
    print(f"{text}\nwritten to {out}.md")


if __name__ == "__main__":
    with exit_with_message("bench"):
        main()
