"""What is measured, each part with its commands in turn, so that what slows the machine for a while slows both."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from har.dev.bench import graph, measure, task
from har.dev.bench.report import Comparison
from har.evaluation.predictions import predictions_frame, read_predictions
from har.evaluation.summary import scalars

BATCH = 32  # images, when embedding
Found = tuple[list[Comparison], list[str]]  # rows of the table, and what is to be said below it


def training(folder: Path, rounds: Iterable[int], jobs: int, checkpoint: Path | None) -> Found:
    given, images = task.read(folder)
    seeds, told = given.training.seeds, images[images.split != "train"]
    ours, theirs, told_by = [], [], set()
    for number in rounds:
        seed = seeds[number % len(seeds)]
        ours.append(measure.run(_module("ours"), folder))
        theirs.append(measure.run(_module("trainer", str(seed)), folder))
        told_by.add(seed)
    columns = (told.image_id, told.label, told.split)
    frames = [
        predictions_frame(*columns, np.load(folder / f"trainer-{seed}.npy"), given.classes, seed)
        for seed in sorted(told_by)
    ]
    scores = {
        "ours": scalars(read_predictions(folder / "ours.parquet", given.classes), given.report)["test"],
        "`Trainer`'s": scalars(pd.concat(frames), given.report)["test"],
    }
    said = " and ".join(
        f"{name} {score['accuracy']:.3f} [{score['ci_low']:.3f}, {score['ci_high']:.3f}]"
        for name, score in scores.items()
    )
    sizes = images.split.value_counts()
    note = (
        "Fine-tuning: whole commands, from JPEG files to predictions and weights, with the same recipe; "
        f"{sizes['train']} images, {given.model.epochs} epochs, batches of {given.model.batch_size}. A command of ours "
        f"trains {len(seeds)} seeds; one of `Trainer`'s trains one seed, and what it took counts {len(seeds)} times "
        f"(seeds {', '.join(map(str, sorted(told_by)))}). Accuracy on {sizes['test']} images that neither saw, with an "
        f"interval over images: {said}."
    )
    row = Comparison(
        what=f"Fine-tuning `{Path(given.checkpoint).name}` with {len(seeds)} seeds",
        beside=f"`Trainer`, {len(seeds)} commands",
        unit="s",
        said="faster",
        ours=[one.seconds for one in ours],
        other=[len(seeds) * one.seconds for one in theirs],
        bytes=(max(one.bytes for one in ours), max(one.bytes for one in theirs)),
    )
    return [row], [note]


def embeddings(folder: Path, rounds: Iterable[int], jobs: int, checkpoint: Path | None) -> Found:
    if checkpoint is None:
        from har.dev.bench.encoder import clip

        encoder, name, loops = clip(folder / "encoder"), "CLIP ViT-B/32", ["transformers", "open_clip"]
    else:
        encoder, name, loops = checkpoint, f"`{checkpoint.name}`", ["transformers"]
    short_side = task.short_side(encoder, 0)
    found: dict[str, list[float]] = {}
    memory: dict[str, int] = {}
    for _ in rounds:
        for way in ("ours", *loops, "forward", "side_by_side"):
            arguments = [way, str(encoder.resolve()), str(BATCH), str(jobs), str(short_side)]
            spent = measure.run(_module("embedding", *arguments), folder)
            memory[way] = max(memory.get(way, 0), spent.bytes)
            rate = json.loads((folder / f"{way}.json").read_text())["images_per_second"]
            found.setdefault(way, []).append(rate)
    same = _cosine(np.load(folder / "ours.npy"), np.load(folder / "transformers.npy"))
    alone = "the forward pass alone"
    beside = {way: (f"a plain loop, {way}", "faster") for way in loops}
    beside["forward"] = (f"{alone}, the cores sharing each batch", "share")
    beside["side_by_side"] = (f"{alone}, a core for each batch", "share")
    rows = [
        Comparison(
            f"Embedding by {name}", text, "images/s", said, found["ours"], found[way], (memory["ours"], memory[way])
        )
        for way, (text, said) in beside.items()
    ]
    return rows, [
        f"Embedding: from JPEG files, decoding included, batches of {BATCH}; the forward pass alone has its images in "
        f"memory. Ours and transformers' agree to a cosine of {same:.4f}."
    ]


def overhead(folder: Path, rounds: Iterable[int], jobs: int, checkpoint: Path | None) -> Found:
    dvc, project = [sys.executable, "-m", "dvc"], Path.cwd()
    places = {name: folder / "graphs" / name for name in ("ours", "empty")}
    count = graph.hollow(project, places["ours"])
    graph.empty(places["empty"], count)
    cold, still = {}, {name: [] for name in places}
    for name, place in places.items():
        measure.run([*dvc, "init", "--no-scm", "--quiet"], place)
        cold[name] = measure.run([*dvc, "repro", "--quiet"], place)
    for _ in rounds:
        for name, place in places.items():
            still[name].append(measure.run([*dvc, "repro", "--quiet"], place))
    what, beside = "`dvc repro` of this graph", f"an empty project of {count} stages"

    def row(done: str, found: dict[str, list[measure.Spent]]) -> Comparison:
        seconds = {name: [one.seconds for one in some] for name, some in found.items()}
        memory = tuple(max(one.bytes for one in found[name]) for name in places)
        return Comparison(f"{what}, {done}", beside, "s", "longer", seconds["ours"], seconds["empty"], memory)

    rows = [row("nothing to do", still), row("all to do", {name: [one] for name, one in cold.items()})]
    note = "Graph: DVC's own time, with commands that write a small file for each out."
    if subprocess.run([*dvc, "status", "--quiet"], capture_output=True).returncode == 0:
        with_data = {"ours": [measure.run([*dvc, "repro", "--quiet"], project, folder) for _ in still["empty"]]}
        rows.append(row("nothing to do, with its data", with_data | {"empty": still["empty"]}))
    else:
        note += " With its data it was not timed: it was not up to date."
    return rows, [note]


def nodes(folder: Path, rounds: Iterable[int], jobs: int, checkpoint: Path | None) -> Found:
    if importlib.util.find_spec("ray") is None:
        return [], ["Ray is not installed: a cluster was not measured."]
    found: dict[int, list[float]] = {1: [], 2: []}
    for _ in rounds:
        for count, seconds in found.items():
            measure.run(_module("nodes", str(count)), folder)
            seconds.append(json.loads((folder / f"nodes-{count}.json").read_text())["seconds"])
    row = Comparison("Six seeds on two local nodes of Ray", "one node", "s", "faster", found[2], found[1])
    return [row], ["Ray: a core for each node, seeds of one epoch each, workers that have loaded torch before."]


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"har.dev.bench.{name}", *arguments]


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The mean over rows."""
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).mean())


SECTIONS = {"training": training, "embeddings": embeddings, "overhead": overhead, "nodes": nodes}
