"""A page to test: made-up predictions, captions that try to break out, a few tables, and photographs of one colour."""

import base64
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from har.config.report import Page
from har.data.sources import SOURCES
from har.evaluation.predictions import predictions_frame
from har.reporting.page import build as pages
from har.reporting.page.build import Source
from har.reporting.style import drawing
from har.reporting.table import Column, Table, count, number, write_tables
from har.reporting.tables.funnel import funnel_table

TASKS = {"activity": ["walking_running", "sitting", "standing"], "posture": ["sitting", "standing"]}
RUNS = {("activity", "clip"): 5, ("activity", "probe_clip"): 1, ("activity", "majority"): 1, ("posture", "clip"): 5}
SETTINGS = Page(thumbnail=48, image=64, quality=70, jobs=1)
EVIL = '</script><img src=x onerror="globalThis.broken = 1"> a man & a "dog" sit'
FLICKR = "http://farm7.staticflickr.com/6116/6255196340_da26cf2c9e_z.jpg"
HEADER, WIDE = "profile sample: generated", "abcdefghijkl"
ROWS = [
    {"model": "CLIP", "split": "test", "n": 29, "accuracy": 0.71, "paper": "≈ .76 (22/29)"},
    {"model": "ViT", "split": "test", "n": 29, "accuracy": -0.4},
    {"model": "CNN_base", "split": "extended", "n": 1000, "accuracy": 0.401, "paper": ".3862"},
]
COLUMNS = [
    Column("model", "Model"), Column("split", "Split"), Column("n", "n", count),
    Column("accuracy", "Accuracy", number), Column("paper", "Paper"),
]  # fmt: skip
TABLES = {
    name: Table(name, title, HEADER, ROWS, COLUMNS, ["A note with <b>marks</b>."])
    for name, title in (("table7", "Table 7. Three activities"), ("summary", "All models"))
}
TABLES["table6"] = Table(  # long and wide
    "table6", "Table 6. Long and wide", HEADER,
    [{"model": f"Probe on CLIP, views + person boxes {row}"} | dict.fromkeys(WIDE, 0.1) for row in range(40)],
    [Column("model", "Model"), *(Column(one, f"{one} [low, high]", "{:.2f} [0.53, 0.84]".format) for one in WIDE)],
)  # fmt: skip


def source(folder: Path, count: int = 24) -> Source:
    """`count` images: a third each class, a quarter train and the others test and extended in turn."""
    random = np.random.default_rng(7)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "photo.jpg"
    Image.effect_mandelbrot((64, 48), (-2, -1.5, 1, 1.5), 50).convert("RGB").save(file)
    ids = 1000 + 7 * np.arange(count)
    label = np.array(TASKS["activity"])[np.arange(count) % 3]
    part = np.array(["train", "test", "extended", "extended"])[np.arange(count) // 3 % 4]
    manifest = pd.DataFrame(
        {
            "image_id": ids, "label": label, "part": "drawn", "file_name": "photo.jpg", "width": 64, "height": 48,
            "license": np.arange(count) % 9, "url": "http://example.org/a.jpg",
            "flickr_url": np.where(np.arange(count) % 2, FLICKR, "javascript:alert(1)"),
            "persons": 1, "person_area": 0.25,
        }
    )  # fmt: skip
    captions = [
        (i, k, EVIL if k == 1 else f"a person near bench number {n} in view {k}", "sitting" if k == 1 else "")
        for n, i in enumerate(ids)
        for k in range(5)
    ]
    evidence = pd.DataFrame(captions, columns=["image_id", "caption_index", "caption", "mentions"])
    predictions = {}
    for (task, model), seeds in RUNS.items():
        classes = TASKS[task]
        asked = np.isin(label, classes) & (part != "train")
        images = ids[asked], label[asked], part[asked]
        chances = random.dirichlet(np.ones(len(classes)), (seeds, asked.sum()))
        runs = [predictions_frame(*images, one, classes, seed) for seed, one in enumerate(chances)]
        predictions[task, model] = pd.concat(runs, ignore_index=True)
    explain = folder / "explain/activity-clip"
    explain.mkdir(parents=True, exist_ok=True)
    told = predictions["activity", "clip"].image_id.unique()
    grids = np.linspace(0, 1, 3 * 4 * 4).reshape(3, 4, 4)
    np.save(explain / "maps.npy", np.repeat(grids[None], len(told), 0).astype(np.float16))
    pd.DataFrame({"image_id": told}).to_csv(explain / "index.csv", index=False)
    about = {"classes": TASKS["activity"], "side": 4, "fit": "crop", "crop_pct": 0.5, "method": "legrad", "blocks": 2}
    (explain / "about.json").write_text(json.dumps(about))
    embeddings = folder / "embeddings/clip"
    embeddings.mkdir(parents=True, exist_ok=True)
    np.save(embeddings / "image.npy", random.normal(size=(count, 8)).astype(np.float32))
    pd.DataFrame({"image_id": ids}).to_csv(embeddings / "index.csv", index=False)
    size = {"name": "person_size", "title": "Person size", "bins": {"small": "small (≤ 5 %)", "large": "large (> 5 %)"}}
    return Source(
        profile="sample",
        header="profile sample: generated world",
        images=SOURCES["world"],
        manifest=manifest,
        split=pd.DataFrame({"image_id": ids, "label": label, "split": part}),
        evidence=evidence,
        tasks=TASKS,
        predictions=predictions,
        photographs=folder,
        explain=folder / "explain",
        deviations="We leave it.\n\n| | paper | here |\n|---|---|---|\n| a | b | c |\n",
        traits=pd.DataFrame({"image_id": ids[1:], "labelled_joints": 1.0, "hidden_joints": np.nan, "overlap": 0.5}),
        factors=[size | {"of": pd.Series(np.arange(count) % 3, index=ids)}],  # 2: not annotated
        embeddings=embeddings,
    )


def reports(folder: Path) -> Path:
    """A report's folder with a few of its tables and figures."""
    (folder / "tables").mkdir(parents=True)
    (folder / "figures").mkdir()
    write_tables(TABLES, folder / "tables")
    (folder / "tables/table7.csv").write_text(
        "model,split,n,runs,accuracy,ci_low,ci_high,balanced_accuracy,balanced_low,balanced_high,paper_accuracy\n"
        "vit,test,29,5,0.4,0.24,0.58,0.4,0.24,0.58,\nclip,test,29,5,0.7,0.5,0.8,0.71,0.53,0.84,0.7586\n"
        "vit,held_out,1000,5,0.4,0.3,0.5,0.36,0.33,0.39,\nclip,held_out,1000,5,0.6,0.5,0.7,0.62,0.59,0.65,\n"
    )
    rules = {"rule": ["images in the captions file", "drawn"], "images": [50, 20], "images_sitting": [None, 20]}
    write_tables({"funnel": funnel_table(pd.DataFrame(rules).astype({"images_sitting": "Int64"}))}, folder)
    for name in ("accuracy_activity", "curves_activity-clip", "confusion_activity_test"):
        with drawing(folder / f"figures/{name}.svg", name, 5, 2):
            pass
    return folder


def read_script(path: Path):
    """The value that a data script sets."""
    text = path.read_text(encoding="ascii")
    assert "<" not in text
    return json.loads(text[text.index("] = ") + 4 : text.rindex(";")])


def unpacked(text: str, kind: str) -> np.ndarray:
    """What `har.reporting.page.scripts.packed` packed, in one dimension."""
    return np.frombuffer(base64.b64decode(text), dtype=f"<{kind}")


def written(folder: Path, count: int, link_photographs=None) -> tuple[Source, Path]:
    """A source of `count` images and its page."""
    made = source(folder / "data", count)
    if link_photographs is not None:
        link_photographs.setattr(pages, "write_photographs", _links)
    return made, pages.build(made, reports(folder / "reports"), SETTINGS)


def _links(files, images: int, folder: Path, settings: Page, turn: bool) -> None:
    """The same photograph under every id, in no time."""
    for name in ("thumbnails", "images"):
        (folder / name).mkdir(parents=True)
    for image_id, path in files:
        for name in ("thumbnails", "images"):
            (folder / name / f"{image_id}.jpg").hardlink_to(path)
