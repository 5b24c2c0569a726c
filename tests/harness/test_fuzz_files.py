"""Files of settings, annotations and tables, from outside or from stage to stage, as anybody may have made them."""

import copy
import io
import json
import shutil
import zipfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import parameters
import pytest

from fuzzing import MB, as_json, bytes_of, csv_bytes, csv_of, hold, hold_files  # isort: skip
from fuzzing import json_of, one_of, parquet_bytes, parquet_of, text  # isort: skip
from PIL import Image
from pycocotools.mask import encode

from har.app.cli import verbs
from har.config.data import Curate
from har.config.profile import load_params
from har.config.resolved import resolved
from har.core import cache as kept
from har.core.errors import HarError
from har.data import store
from har.data.coco.annotations import read_records
from har.data.coco.curate import curate
from har.data.coco.fetch import fetch_annotations
from har.data.coco.instances import read_instances
from har.data.coco.keypoints import read_visibility
from har.data.coco.vcoco import ACTIVITY_OF, read_people
from har.data.crops import largest_persons, read_boxes
from har.data.folder.inspect import read_images
from har.data.folder.recognise import recognise
from har.data.manifest import MANIFEST_COLUMNS, read_evidence, read_manifest, write_manifest
from har.data.split import read_split
from har.data.video.lists import find_clips
from har.dev import gate
from har.evaluation.predictions import read_predictions
from har.models import registry
from har.reporting import answers
from har.reporting.page import relevance
from har.reporting.page.gallery import read_traits
from har.studies.audit.duplicates import read_dates
from har.studies.learning_curve.report import read_curve
from har.training import embeddings
from stages.lib.context import read_context


def js(value):
    """A JSON file: its bytes, and hostile ones."""
    return as_json(value), json_of(value)


def table(rows):
    return csv_bytes(rows), csv_of(rows)


def parquet(rows):
    return parquet_bytes(rows), one_of([*[parquet_of(rows)] * 2, lambda draw: bomb()])


@cache
def bomb():
    """5 KB that unfold to 500 GB of text."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(5_000_000, np.int32)), ["x" * 100_000])
    out = io.BytesIO()
    write_table(pa.table({"label": text}), out, store_schema=False)
    return out.getvalue()


def npy(array, **options):
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def headed(kind, shape):
    """A header that tells this type and shape, with 24 bytes of data."""
    head = f"{{'descr': {kind}, 'fortran_order': False, 'shape': ({shape}), }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + b"\0" * 24


SHAPES = ("1000000000000,", "-1,", "3, 2", "2, 3", "0,", "", "10**9,", "9" * 400 + ",", "'a',", "1.5,", "True,")
TYPES = ("'|O'", "'<U1'", "'<f8'", "'<c8'", "'|V4'", "[('a', '<f4')]", "'<M8[s]'", "'|b1'", "'nonsense'", "5")
ARRAYS = [
    *(headed("'<f4'", shape) for shape in SHAPES), *(headed(kind, "2, 3") for kind in TYPES),
    headed("'<f4'", "(" * 300 + ")" * 300), headed("'<f4'", "__import__('os').system('true')"),
    npy(np.array([{"a": 1}], dtype=object), allow_pickle=True), npy(np.full((3, 2), np.nan)),
]  # fmt: skip


def array(values):
    return npy(values), one_of([bytes_of(npy(values)), one_of(ARRAYS)])


# --- COCO ------------------------------------------------------------------------------------------------------------

IMAGES = [
    {"id": i, "file_name": f"{i:012d}.jpg", "width": 40, "height": 30, "license": 3, "coco_url": "http://x/a.jpg",
     "flickr_url": "http://farm1.staticflickr.com/1/12_ab_z.jpg", "date_captured": "2013-11-14 17:02:52"}
    for i in (1, 2, 3, 9)
]  # fmt: skip
CODE = encode(np.asfortranarray(np.tri(30, 40, dtype=np.uint8)))["counts"]
TEXTS = ("a man sits", "a woman sitting on a chair", "two men stand", "a boy standing", "people walk", "a girl walking")
CAPTIONS = {
    "images": IMAGES,
    "annotations": [{"id": n, "image_id": (1, 2, 3)[n // 2], "caption": text} for n, text in enumerate(TEXTS)],
}
OUTLINES = (
    [[2.5, 2, 20, 2, 20, 18.5, 2, 18]],
    [[1, 1, 9, 1, 9, 9], [11, 11, 19, 11, 19, 19]],
    {"size": [30, 40], "counts": [100, 50, 1050]},
    {"size": [30, 40], "counts": CODE.decode()},
)
INSTANCES = {
    "images": IMAGES,
    "categories": [{"id": 1, "name": "person", "supercategory": "person"}, {"id": 17, "name": "cat"}],
    "annotations": [
        {"id": 10 + n, "image_id": (1, 2, 3, 1)[n], "category_id": 1, "iscrowd": int(n == 3), "bbox": [2, 2, 18.5, 17],
         "area": 90.5, "segmentation": outline}
        for n, outline in enumerate(OUTLINES)
    ],
}  # fmt: skip
KEYPOINTS = INSTANCES | {
    "annotations": [one | {"keypoints": [3, 4, 2] * 12 + [0, 0, 0] * 5} for one in INSTANCES["annotations"]]
}
VCOCO = [
    {"action_name": verb, "image_id": [1, 2, 3], "ann_id": [10, 11, 12], "label": [1, 0, 1], "role_name": ["agent"],
     "role_object_id": [10, 11, 12]}
    for verb in ACTIVITY_OF
]  # fmt: skip
CLASSES = {
    "sitting": {"count": 1, "keywords": ["sits", "sitting"]},
    "standing": {"count": 1, "keywords": ["stand", "standing"]},
    "walking": {"count": 1, "keywords": ["walk", "walking"]},
}
RULE = Curate(classes=CLASSES, person_words=["man", "men", "woman", "boy", "people", "girl"], min_captions=1,
              precedence=[], require_person=True, extended=5, seed=1)  # fmt: skip


def use(folder):
    """What stages annotations, curate and boxes do with captions and instances."""
    files = folder / "captions.json", folder / "instances.json"
    found = curate(*files, RULE)
    write_manifest(found.manifest, folder / "manifest.csv")
    assert len(read_manifest(folder / "manifest.csv")) == len(found.manifest)
    records = read_records(*files)
    largest_persons(records, records)


def outlines(folder):
    for image in read_instances(folder / "instances.json", [1, 2, 3, 9, 77]).values():
        image.region(["person", "cat"])
        image.region(["person", "cat"], boxes=True)


# --- tables and arrays -----------------------------------------------------------------------------------------------

ROW = [1, "sitting", "drawn", "000000000001.jpg", 40, 30, 3, "http://x/a.jpg", "", 1, 0.25, 2, 5, "r", "[]"]
MANIFEST = [list(MANIFEST_COLUMNS), ROW, [2, "standing", "extended", "000000000002.jpg", *ROW[4:]]]
EVIDENCE = [["image_id", "caption_index", "caption", "mentions"], [1, 0, "a man", "sitting"], [1, 1, "b, c", ""]]
SPLIT = [["image_id", "label", "split"], [1, "a", "train"], [2, "b", "test"]]
BOXES = [["image_id", "left", "top", "right", "bottom"], [1, 0.1, 0.1, 0.5, 0.5], [2, 0, 0, 1, 1]]
OWN = [["image_id", "file_name", "name", "label", "group", "split", "width", "height", "sha256"],
       [5, "5.jpg", "a/5.jpg", "a", "", "", 4, 4, "0f"]]  # fmt: skip
REPORT = [["model", "split", "n", "runs", "accuracy", "ci_low", "ci_high"],
          ["clip", "test", 29, 5, 0.7, 0.5, 0.8], ["clip", "extended", 1000, 5, 0.6, 0.5, 0.7]]  # fmt: skip
TRAITS = [["image_id", "labelled_joints", "hidden_joints", "overlap"], [1, 0.5, 0.1, None], [2, 0.5, 0.1, 0.0]]
PREDICTIONS = [["seed", "image_id", "split", "label", "p_a", "p_b"],
               *([s, i, "test", "ab"[i % 2], 0.25, 0.75] for s in (0, 1) for i in (1, 2, 3))]  # fmt: skip
CURVE = [["model", "size", "run", "image_id", "split", "label", "p_a", "p_b"],
         *([m, n, 0, i, "test", "ab"[i % 2], 0.25, 0.75] for m in "cd" for n in (5, 9) for i in (1, 2))]  # fmt: skip
VECTORS = np.arange(1, 7, dtype=np.float32).reshape(3, 2)
EMBEDDINGS = {
    "about.json": js({"classes": ["a", "b"], "logit_scale": 10.0, "width": 2}),
    "index.csv": table([["image_id"], [1], [2], [3]]),
    "image.npy": array(VECTORS),
    "texts.npy": array(VECTORS[:2] / 8),
}
MAPS = {
    "about.json": js({"classes": ["a", "b"], "side": 3, "fit": "crop", "crop_pct": 0.9, "method": "legrad"}),
    "index.csv": table([["image_id"], [1], [2]]),
    "maps.npy": array(np.linspace(0, 1, 2 * 2 * 9, dtype=np.float16).reshape(2, 2, 3, 3)),
}


def embedded(folder):
    found = embeddings.read(folder)
    for features in ("image", "similarity"):
        assert found.rows([1, 2, 3], features, ["a", "b"]).shape[0] == 3
    assert len(embeddings.texts(folder, ["b", "a"])) == 2
    parts = pd.DataFrame({"image_id": [1, 2, 3], "label": ["a", "b", "a"], "split": "test"})
    found.zero_shot(parts, ["a", "b"])


# --- metrics ---------------------------------------------------------------------------------------------------------

SCORES = dict.fromkeys(("accuracy", "balanced_accuracy", "f1"), 0.5) | {"balanced_low": 0.4, "balanced_high": 0.6}
METRICS = {
    split: {"n": 29, "runs": 5, "sd": 0.1, "f1_sd": 0.1, **SCORES} for split in ("validation", "test", "held_out")
} | {"parameters": 1234, "kept_seed": 3, "epochs": 3.5}  # fmt: skip


def gated(folder):
    now = gate.read_now([str(folder)])
    before = {name: copy.deepcopy(METRICS) for name in now}
    gate.markdown(gate.compare(before, now), "HEAD")
    gate.compare(now, before)


# reader -> its files, and what reads them from a folder
READERS = {
    "COCO captions and boxes": ({"captions.json": js(CAPTIONS), "instances.json": js(INSTANCES)}, use),
    "COCO keypoints": (
        {"k.json": js(KEYPOINTS), "i.json": js(INSTANCES)},
        lambda folder: read_visibility(folder / "i.json", folder / "k.json", [1, 2, 3, 9, 77]),
    ),
    "COCO outlines": ({"instances.json": js(INSTANCES)}, outlines),
    "COCO dates": ({"c.json": js(CAPTIONS)}, lambda folder: read_dates(folder / "c.json")),
    "V-COCO": ({"v.json": js(VCOCO)}, lambda folder: read_people(folder / "v.json")),
    "Table: manifest": ({"t.csv": table(MANIFEST)}, lambda folder: read_manifest(folder / "t.csv")),
    "Table: captions of images": ({"t.csv": table(EVIDENCE)}, lambda folder: read_evidence(folder / "t.csv")),
    "Table: split": ({"t.csv": table(SPLIT)}, lambda folder: read_split(folder / "t.csv")),
    "Table: boxes": ({"t.csv": table(BOXES)}, lambda folder: read_boxes(folder / "t.csv")),
    "Table: own images": ({"images.csv": table(OWN)}, read_images),
    "Report tables": ({"t.csv": table(REPORT)}, lambda folder: answers.read_table(folder / "t.csv", tuple(REPORT[0]))),
    "Table: traits": ({"t.parquet": parquet(TRAITS)}, lambda folder: read_traits(folder / "t.parquet")),
    "Predictions": ({"p.parquet": parquet(PREDICTIONS)}, lambda folder: read_predictions(folder / "p.parquet")),
    "Predictions on fewer training images": (
        {"c.parquet": parquet(CURVE)}, lambda folder: read_curve(folder / "c.parquet"),
    ),
    "Embeddings": (EMBEDDINGS, embedded),
    "Maps of explain": (MAPS, lambda folder: relevance.read_maps(folder, [1, 2, 3], ["a", "b", "c"])),
    "Metrics of the gate": ({"a.json": js(METRICS)}, gated),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_files(reader, tmp_path):
    files, read = READERS[reader]
    hold_files(reader, tmp_path, files, read)


def test_kept_results(tmp_path):
    """What was kept comes back as it was, or is done again."""

    def made() -> pd.DataFrame:
        return pd.DataFrame({"x": [1, 2], "y": ["a", "b"], "z": [(1, 2.5), None]})

    def read(case):
        (tmp_path / kept.RESULT).write_bytes(case)
        assert kept._kept(tmp_path, made, (), {}, False).equals(made())

    read(b"")
    whole = (tmp_path / kept.RESULT).read_bytes()
    read(whole)  # not below: the guard holds that what is damaged is not unpickled
    damaged = lambda draw: next(case for case in iter(lambda: bytes_of(whole)(draw), None) if case != whole)  # noqa: E731
    hold("Kept results", tmp_path, damaged, read, whole[:-1])


def test_image_store(tmp_path):
    files = {i: tmp_path / f"{i}.png" for i in (1, 2)}
    for i, path in files.items():
        Image.new("RGB", (9, 7), (i, 2, 3)).save(path)
    store.build(files, tmp_path / "store", 4)
    index = [line.split(",") for line in (tmp_path / "store/index.csv").read_text().splitlines()]

    def read(folder):
        opened = store.Store(folder)
        for image_id in opened.index.index[:5]:
            assert opened.image(image_id).ndim == 3
        opened.square(opened.index.index[:2], 4, "crop")

    hold_files("Image store", tmp_path / "store", {"index.csv": table(index)}, read)


def test_own_table(tmp_path):
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    for file in (home / "a.jpg", home / "b.jpg", home / "sub/c.jpg", tmp_path / "secret.jpg"):
        file.write_bytes(b"x")
    rows = [["image", "label", "group", "split"], ["a.jpg", "A", "g", "train"], ["b.jpg", "B", "", "test"],
            ["sub/c.jpg", "A", "h", "val"]]  # fmt: skip
    hostile = [*rows, ["../secret.jpg", "A", "", "train"]]

    def read(folder):
        _, found = recognise(str(folder / "t.csv"), "", {})
        assert all(one.path.resolve().is_relative_to(home.resolve()) for one in found.images)

    hold_files("Own table of images", home, {"t.csv": (csv_bytes(rows), one_of([csv_of(rows), csv_of(hostile)]))}, read)


def test_lists_of_clips(tmp_path):
    clips = [f"{label}/v_{label}_g{group:02d}_c01.avi" for label in ("Archery", "YoYo") for group in range(1, 9)]
    for clip in clips:
        (tmp_path / clip).parent.mkdir(exist_ok=True)
        (tmp_path / clip).write_bytes(b"x")
    numbered = [f"{clip} {1 + clip.startswith('Y')}" for clip in clips[:5] + clips[8:13]]
    lists = {"trainlist01": numbered, "testlist01": clips[5:8] + clips[13:], "classInd": ["1 Archery", "2 YoYo"]}
    texts = {name: "\n".join(lines).encode() for name, lines in lists.items()}
    mixed = lambda draw: b"\n".join(draw.choices([*b"\n".join(texts.values()).split(b"\n"), b"../a", b"7"], k=9))  # noqa: E731
    files = {f"lists/{name}.txt": (text, one_of([bytes_of(text), mixed])) for name, text in texts.items()}
    read = lambda folder: find_clips(folder, "", str(folder / "lists"))  # noqa: E731
    hold_files("Lists of clips", tmp_path, files, read)


def test_metrics(tmp_path, capsys):
    """What `har models` lists and the best model is chosen by."""
    for name in ("activity-vit", "activity-clip"):
        (tmp_path / "data/sample/models" / name).mkdir(parents=True)
        (tmp_path / "data/sample/models" / name / "config.json").write_text('{"model_type": "vit"}')
    metrics = "reports/sample/metrics"
    files = {f"{metrics}/activity-vit.json": js(METRICS), f"{metrics}/activity-clip.json": js(METRICS)}

    def read(folder):
        registry.best("sample", folder)
        verbs.models(SimpleNamespace(project=folder, profile="sample", json=False))

    hold_files("Metrics of models", tmp_path, files, read)


def test_parameters_of_a_stage(tmp_path, monkeypatch):
    found = json.loads(json.dumps(resolved(parameters.params())))
    (tmp_path / "dvc.yaml").write_bytes(Path("dvc.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    read = lambda folder: read_context("train", ["activity", "clip"])  # noqa: E731
    hold_files("Parameters of a stage", tmp_path, {"data/params.json": js(found)}, read, memory=128 * MB)


def test_run_length_codes(tmp_path):
    """The compressed code is decoded in C: whatever text stands there."""
    codes = "".join(map(chr, range(48, 112)))

    def read(code):
        one = INSTANCES["annotations"][0] | {"segmentation": {"size": [30, 40], "counts": code}}
        (tmp_path / "i.json").write_bytes(as_json(INSTANCES | {"annotations": [one]}))
        assert read_instances(tmp_path / "i.json", [1])[1].region(["person"]).shape == (30, 40)

    damaged = bytes_of(CODE)
    cases = one_of([
        text, lambda draw: "".join(draw.choices(codes, k=draw.randint(0, 12))),
        lambda draw: damaged(draw).decode("latin-1"),
    ])  # fmt: skip
    hold("COCO run-length codes", tmp_path, cases, read, CODE.decode())


def zipped(method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("annotations/captions.json", as_json(CAPTIONS))
        archive.writestr("annotations/instances.json", b"{}" * 40)
    return out.getvalue()


def test_archives(tmp_path):
    """Damaged zips of every method: unpacked whole into their folder, or refused and nothing unpacked."""
    server, out = tmp_path / "server", tmp_path / "out"
    server.mkdir()
    kinds = list(map(zipped, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)))

    def read(case):
        for folder in (out, tmp_path / "cache"):  # a good archive that is kept would be taken for all later ones
            shutil.rmtree(folder, ignore_errors=True)
        (server / "a.zip").write_bytes(case)
        try:
            fetch_annotations(server.as_uri(), out, tmp_path / "cache", sha256=None, size=None,
                              members=["captions.json"], archive="a.zip")  # fmt: skip
        except HarError:
            assert not out.exists() or not list(out.iterdir())
            raise
        assert {p.name: p.read_bytes() for p in out.iterdir()} == {"captions.json": as_json(CAPTIONS)}

    hold("Archives", tmp_path, one_of(map(bytes_of, kinds)), read, kinds[1])


# --- params.yaml: changed values in JSON's notation (which YAML reads) and in YAML's own -----------------------------

LINES = parameters.text().splitlines()
YAML = (
    "!!python/object/apply:os.system ['true']", "!!float x", "!!int x", "!!binary '%'", "!!timestamp 2024-13-45",
    "!x y", "2024-13-45", "2024-99-99 25:61:61", "&a [*a]", "*nowhere", "&b b", "<<: {a: 1}", "? [1]", "? {a: b}",
    "{[1]: 2}", "!!set {a}", "!!omap [a: 1]", "!!pairs [a: 1]", ".inf", "-.inf", ".nan", "1e999", "9" * 400, "9" * 5000,
    "0x" + "f" * 40, "0o777", "1_000", "190:20:30", "yes", "~", "|", ">-", '"\\x00"', '"\\ud800"', "'", "[", "]", "{",
    "- - - -", "\t", "%YAML 1.1", "---", "...", "[" * 3000 + "]" * 3000, "{a: " * 3000, "- " * 3000, "? " * 3000,
    "x" * 900_000, "[" + "1, " * 300_000 + "]", "\u2028", "\ufeff", "💥", "!!null ''", "!!bool maybe", "2024-01-01",
    "=", "<<", "!!merge x", "!<tag:yaml.org,2002:int> z",
)  # fmt: skip


def yaml_of(draw):
    lines = list(LINES)
    for _ in range(draw.randint(1, 3)):
        at, put = draw.randrange(len(lines)), draw.choice([draw.choice(YAML), text(draw)])
        line = lines[at]
        indent, (key, _, value) = line[: len(line) - len(line.lstrip())], line.partition(":")
        forms = f"{key}: {put}", f"{key}: {put}", f"{indent}{put}", f"{indent}{put}:{value}", f"{line}\n{line}", ""
        lines[at] = draw.choice(forms)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def test_params(tmp_path):
    valid = parameters.data()
    cases = one_of([json_of(valid), yaml_of, bytes_of("\n".join(LINES).encode())])
    read = lambda folder: load_params(folder / "params.yaml").model_dump_json()  # noqa: E731
    # 1 MB is what may be read; as small values and their marks in the text it unfolds to about 250 times as much
    hold_files("params.yaml", tmp_path, {"params.yaml": (as_json(valid), cases)}, read, memory=300 * MB)
