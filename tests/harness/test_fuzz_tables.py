"""CSV files, arrays and JSON that stages hand to each other, and tables that people bring, as anybody may have made
them."""

import csv
import io
import json
from functools import cache
from itertools import zip_longest

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fuzzing import MB, VALUES, Fuzz, as_json, bytes_of, json_of, several
from hypothesis import strategies as st
from PIL import Image
from pyarrow.parquet import write_table

from har.app.cli import verbs
from har.data import store
from har.data.crops import read_boxes
from har.data.folder.inspect import read_images
from har.data.folder.recognise import recognise
from har.data.manifest import MANIFEST_COLUMNS, read_evidence, read_manifest
from har.data.split import read_split
from har.dev import gate
from har.evaluation.predictions import read_predictions
from har.models import registry
from har.reporting.page import charts, relevance
from har.reporting.page.gallery import read_traits
from har.studies.learning_curve.report import read_curve
from har.training import embeddings

BOUND = 96 * MB
CELLS = [str(value) for value in VALUES if not isinstance(value, list | dict)] + [
    "=1+1", "1_0", "１", "1.5", "1e3", "True", "0x10", '"', '""', "'", ";", "\t", "2026-01-01", "+1", "1,2", "a\rb",
]  # fmt: skip
EDITS = ("cell", "cell", "cell", "column", "row", "head", "swap")


def edit(chance):
    return chance.choice(EDITS), chance.randrange(500), chance.randrange(40), chance.choice(CELLS)


def table(rows):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass")


def changed(rows, edits):
    rows = [list(row) for row in rows]
    for what, y, x, new in edits:
        row = rows[y % len(rows)] if rows else []
        x = x % len(row) if row else 0
        if what == "cell" and row:
            row[x] = new
        elif what == "column":
            for one in rows:
                del one[x : x + 1]
        elif what == "row" and row:
            rows.insert(y % len(rows), [*row, new] if x % 2 else row[:-1] if x % 3 else list(row))
        elif what == "head" and rows and rows[0]:
            rows[0][x % len(rows[0])] = new
        elif what == "swap" and row:
            row[x], row[0] = row[0], row[x]
    return rows


def csv_of(rows):
    """The table with cells, rows and columns changed, or its bytes damaged."""
    whole = several(edit, 4).map(lambda edits: table(changed(rows, edits)))
    return st.one_of(whole, whole, whole, bytes_of(table(rows)))


def parquet(rows):
    """The Parquet file of a header and rows: a column of one type as it is, any other as text."""
    head, *rows = rows
    columns = []
    for column in zip_longest(*rows):
        kinds = {type(value) for value in column} - {type(None)}
        columns.append(
            pa.array(column if len(kinds) < 2 else [None if value is None else str(value) for value in column])
        )
    out = io.BytesIO()
    names = [str(name) for name in head] + ["more"] * (len(columns) - len(head))
    write_table(pa.Table.from_arrays(columns, names[: len(columns)]), out, store_schema=False)
    return out.getvalue()


def edit_value(chance):
    return *edit(chance)[:3], chance.choice(
        [None, "nan", "坐着", -1, 2**63 - 1, 0.5, float("nan"), float("inf"), True, [1], ""]
    )


def parquet_of(rows):
    """The table with cells, rows and columns changed, or the bytes of its file damaged."""
    whole = several(edit_value, 4).map(lambda edits: parquet(changed(rows, edits)))
    damaged = bytes_of(parquet(rows))
    return st.one_of(whole, damaged, damaged, st.just(bomb()))


@cache
def bomb():
    """5 KB that unfold to 500 GB of text."""
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(5_000_000, np.int32)), ["x" * 100_000])
    out = io.BytesIO()
    write_table(pa.table({"label": text}), out, store_schema=False)
    return out.getvalue()


@pytest.fixture
def fuzz(tmp_path):
    return lambda reader, memory=BOUND: Fuzz(reader, tmp_path, memory)


def file(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


def manifest_rows():
    row = [1, "sitting", "drawn", "000000000001.jpg", 40, 30, 3, "http://x/a.jpg", "", 1, 0.25, 2, 5, "r", "[]"]
    return [list(MANIFEST_COLUMNS), row, [2, "standing", "extended", "000000000002.jpg", *row[4:]]]


CAPTIONS = [["image_id", "caption_index", "caption", "mentions"], [1, 0, "a man", "sitting"], [1, 1, "b, c", ""]]
SIMPLE = {
    "manifest": (manifest_rows(), read_manifest),
    "captions of images": (CAPTIONS, read_evidence),
    "split": ([["image_id", "label", "split"], [1, "a", "train"], [2, "b", "test"]], read_split),
    "boxes": ([["image_id", "left", "top", "right", "bottom"], [1, 0.1, 0.1, 0.5, 0.5], [2, 0, 0, 1, 1]], read_boxes),
}  # fmt: skip


@pytest.mark.parametrize("name", SIMPLE)
def test_tables_between_stages(fuzz, tmp_path, name):
    rows, reader = SIMPLE[name]
    fuzz(f"Table: {name}").run(csv_of(rows), lambda case: reader(file(tmp_path, "table.csv", case)), table(rows))


def test_own_images_looked_at(fuzz, tmp_path):
    rows = [["image_id", "file_name", "name", "label", "group", "split", "width", "height", "sha256"],
            [5, "5.jpg", "a/5.jpg", "a", "", "", 4, 4, "0f"]]  # fmt: skip

    def read(case):
        file(tmp_path, "images.csv", case)
        read_images(tmp_path)

    fuzz("Table: own images").run(csv_of(rows), read, table(rows))


def test_traits(fuzz, tmp_path):
    rows = [["image_id", "labelled_joints", "hidden_joints", "overlap"], [1, 0.5, 0.1, None], [2, 0.5, 0.1, 0.0]]
    fuzz("Table: traits").run(
        parquet_of(rows), lambda case: read_traits(file(tmp_path, "t.parquet", case)), parquet(rows)
    )


def test_predictions(fuzz, tmp_path):
    head = ["seed", "image_id", "split", "label", "p_a", "p_b"]
    rows = [head, *([s, i, "test", "ab"[i % 2], 0.25, 0.75] for s in (0, 1) for i in (1, 2, 3))]
    read = lambda case: read_predictions(file(tmp_path, "p.parquet", case))  # noqa: E731
    fuzz("Predictions").run(parquet_of(rows), read, parquet(rows))


def test_learning_curve(fuzz, tmp_path):
    head = ["model", "size", "run", "image_id", "split", "label", "p_a", "p_b"]
    rows = [head, *([m, n, 0, i, "test", "ab"[i % 2], 0.25, 0.75] for m in "cd" for n in (5, 9) for i in (1, 2))]
    reader = fuzz("Predictions on fewer training images")
    reader.run(parquet_of(rows), lambda case: read_curve(file(tmp_path, "c.parquet", case)), parquet(rows))


def test_own_table(fuzz, tmp_path):
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "sub/c.jpg"):
        (home / name).write_bytes(b"x")
    (tmp_path / "secret.jpg").write_bytes(b"x")
    rows = [["image", "label", "group", "split"], ["a.jpg", "A", "g", "train"], ["b.jpg", "B", "", "test"],
            ["sub/c.jpg", "A", "h", "val"]]  # fmt: skip
    hostile = [[*row] for row in rows] + [["../secret.jpg", "A", "", "train"]]

    def read(case):
        _, found = recognise(str(file(home, "t.csv", case)), "", {})
        assert all(one.path.resolve().is_relative_to(home.resolve()) for one in found.images)

    fuzz("Own table of images").run(st.one_of(csv_of(rows), csv_of(rows), csv_of(hostile)), read, table(rows))


def test_report_tables(fuzz, tmp_path):
    head = ["model", "split", "n", "runs", "accuracy", "ci_low", "ci_high"]
    rows = [head, ["clip", "test", 29, 5, 0.7, 0.5, 0.8], ["clip", "extended", 1000, 5, 0.6, 0.5, 0.7]]
    fuzz("Report tables").run(
        csv_of(rows), lambda case: charts.read_table(file(tmp_path, "table.csv", case), tuple(head)), table(rows)
    )


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def pickled():
    out = io.BytesIO()
    np.save(out, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return out.getvalue()


def shaped(text):
    """A header that tells `text`, with 24 bytes of data."""
    head = (text + "\n").encode()
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + b"\0" * 24


HEADERS = (
    [
        shaped(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}")
        for shape in (
            "1000000000000,",
            "-1,",
            "3, 2",
            "2, 3",
            "0,",
            "",
            "10**9,",
            "9" * 400 + ",",
            "'a',",
            "1.5,",
            "True,",
        )
    ]
    + [
        shaped(f"{{'descr': {kind}, 'fortran_order': False, 'shape': (2, 3), }}")
        for kind in (
            "'|O'",
            "'<U1'",
            "'<f8'",
            "'<c8'",
            "'|V4'",
            "[('a', '<f4')]",
            "'<M8[s]'",
            "'|b1'",
            "'nonsense'",
            "5",
        )
    ]
    + [
        shaped("(" * 300 + ")" * 300),
        shaped("__import__('os').system('true')"),
        pickled(),
        npy(np.full((3, 2), np.nan)),
    ]
)


def arrays_of(array):
    return st.one_of(bytes_of(npy(array)), bytes_of(npy(array)), st.sampled_from(HEADERS))


def test_embeddings(fuzz, tmp_path):
    good = {
        "about.json": as_json(about := {"classes": ["a", "b"], "logit_scale": 10.0, "width": 2}),
        "index.csv": table(index := [["image_id"], [1], [2], [3]]),
        "image.npy": npy(images := np.arange(1, 7, dtype=np.float32).reshape(3, 2)),
        "texts.npy": npy(images[:2] / 8),
    }
    cases = {"about.json": json_of(about), "index.csv": csv_of(index), "image.npy": arrays_of(images),
             "texts.npy": arrays_of(images[:2] / 8)}  # fmt: skip

    def read(case):
        for name, content in (good | dict([case])).items():
            file(tmp_path, name, content)
        found = embeddings.read(tmp_path)
        for features in ("image", "similarity"):
            assert found.rows([1, 2, 3], features, ["a", "b"]).shape[0] == 3
        assert len(embeddings.texts(tmp_path, ["b", "a"])) == 2
        parts = pd.DataFrame({"image_id": [1, 2, 3], "label": ["a", "b", "a"], "split": "test"})
        found.zero_shot(parts, ["a", "b"])

    changed = st.one_of(*(st.tuples(st.just(n), c) for n, c in cases.items()))
    fuzz("Embeddings").run(changed, read, ("index.csv", good["index.csv"]))


def test_maps_of_the_page(fuzz, tmp_path):
    values = np.linspace(0, 1, 2 * 2 * 9, dtype=np.float16).reshape(2, 2, 3, 3)
    about = {"classes": ["a", "b"], "side": 3, "fit": "crop", "crop_pct": 0.9, "method": "legrad"}
    good = {
        "about.json": as_json(about),
        "index.csv": table(index := [["image_id"], [1], [2]]),
        "maps.npy": npy(values),
    }
    cases = {"about.json": json_of(about), "index.csv": csv_of(index), "maps.npy": arrays_of(values)}

    def read(case):
        for name, content in (good | dict([case])).items():
            file(tmp_path, name, content)
        relevance.read_maps(tmp_path, [1, 2, 3], ["a", "b", "c"])

    changed = st.one_of(*(st.tuples(st.just(n), c) for n, c in cases.items()))
    fuzz("Maps of explain").run(changed, read, ("index.csv", good["index.csv"]))


def test_image_store(fuzz, tmp_path):
    files = {}
    for i in (1, 2):
        files[i] = tmp_path / f"{i}.png"
        Image.new("RGB", (9, 7), (i, 2, 3)).save(files[i])
    store.build(files, tmp_path / "store", 4)
    index = [line.split(",") for line in (tmp_path / "store/index.csv").read_text().splitlines()]

    def read(case):
        file(tmp_path / "store", "index.csv", case)
        opened = store.Store(tmp_path / "store")
        for image_id in opened.index.index[:5]:
            assert opened.image(image_id).ndim == 3
        opened.square(opened.index.index[:2], 4, "crop")

    fuzz("Image store").run(csv_of(index), read, table(index))


SCORES = dict.fromkeys(("accuracy", "balanced_accuracy", "f1"), 0.5) | {"balanced_low": 0.4, "balanced_high": 0.6}
METRICS = {
    split: {"n": 29, "runs": 5, "sd": 0.1, "f1_sd": 0.1, **SCORES} for split in ("validation", "test", "held_out")
} | {"parameters": 1234, "kept_seed": 3, "epochs": 3.5}  # fmt: skip


def test_metrics(fuzz, tmp_path, capsys):
    """What `har models` lists and the best model is chosen by."""
    folder = tmp_path / "reports/sample/metrics"
    folder.mkdir(parents=True)
    for name in ("activity-vit", "activity-clip"):
        (tmp_path / "data/sample/models" / name).mkdir(parents=True)
        file(tmp_path / "data/sample/models" / name, "config.json", b'{"model_type": "vit"}')
        file(folder, f"{name}.json", as_json(METRICS))

    class Options:
        project, profile, json = tmp_path, "sample", False

    def read(case):
        file(folder, "activity-vit.json", case)
        registry.best("sample", tmp_path)
        verbs.models(Options)

    fuzz("Metrics of models").run(json_of(METRICS), read, as_json(METRICS))


def test_gate(fuzz, tmp_path):
    folder = tmp_path / "metrics"
    folder.mkdir()

    def read(case):
        file(folder, "a.json", case)
        now = gate.read_now([str(folder)])
        before = {name: json.loads(json.dumps(METRICS)) for name in now}
        gate.markdown(gate.compare(before, now), "HEAD")
        gate.compare(now, before)

    fuzz("Metrics of the gate").run(json_of(METRICS), read, as_json(METRICS))
