"""Own images, own classes and another backbone go through the whole pipeline by parameters alone."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import trees
from conftest import picture
from pages import read_script
from PIL import Image
from ruamel.yaml import YAML

from har.config.overrides import differing, merged

HAR = (sys.executable, "-m", "har.app.cli")
# Names that programs take for something else, few images of some.
NAMES = {"nan": 12, "rule": 10, "坐着": 9, "站立": 8, "None": 8, "a, b|c": 7, '$x$ "q"': 6, "🚶": 5, "1": 4, "all": 3}


def photographs(root: Path) -> Path:
    """Unbalanced classes, four formats, names with blanks and other letters, at two depths."""
    for kind, (name, count) in enumerate(NAMES.items()):
        for i in range(count):
            folder = root / name / ("more" if i % 3 == 0 else "")
            folder.mkdir(parents=True, exist_ok=True)
            suffix = ("jpg", "png", "webp", "bmp")[i % 4]
            image = Image.fromarray(picture(1000 * kind + i, 36 + 4 * i, 70 - 3 * i))
            image.save(folder / f"a {i}, {name[0].lower()}.{suffix}")
    return root


def convnext(folder: Path) -> Path:
    """A backbone of another family, in the hub's format."""
    import torch
    from transformers import ConvNextConfig, ConvNextForImageClassification

    torch.manual_seed(0)
    config = ConvNextConfig(hidden_sizes=[8, 16, 16, 24], depths=[1, 1, 1, 1], image_size=32)
    ConvNextForImageClassification(config).save_pretrained(folder)
    processor = {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 32}, "crop_pct": 0.875}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def shell(folder: Path, *command: str) -> subprocess.CompletedProcess:
    variables = os.environ | {"OMP_NUM_THREADS": "1", "DVC_NO_ANALYTICS": "1", "TQDM_DISABLE": "1", "HAR_WARM": "0"}
    variables |= {"PYTHONPATH": "", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def small(project: Path, name: str, images: str, backbone: Path) -> None:
    """The profile that `har new-profile` writes, made small by parameters."""
    path, yaml = project / "params.yaml", YAML()
    shell(project, *HAR, "new-profile", name, images)
    data = yaml.load(path.read_text())
    mine = {"source": "folder", "architecture": "folder", "folder": str(backbone)}
    changes = {
        "backbones": {"mine": data["backbones"]["clip"] | mine},
        "models": {"mine": {"like": "clip", "backbone": "mine", "epochs": 1}, "cnn_base": {"epochs": 6},
                   "fnn_base": {"epochs": 2}, "multimodal": {"epochs": 10}},
        "training": {"seeds": [0, 1], "jobs": 1, "backend": "sequential"},
        "store": {"short_side": 48, "jobs": 1},
        "report": {"resamples": 200},
        "probe": {"folds": 3},
        "split": {"train": 0.6, "validation": 0.2, "test": 0.2},
        "cross_validation": {"models": ["probe_mine", "metadata", "multimodal"], "folds": 3, "repeats": 1, "runs": 1},
        "learning_curve": {"models": ["probe_mine", "cnn_base"], "sizes": [20, 40], "folds": 2},
        "ablation": {"folds": 2},
        "explain": {"models": []},  # a ConvNeXt has no attention
        "masking": {"images": 20},
        "noise": {"epochs": 1, "checks": 1},
        "policies": dict.fromkeys(set(data["policies"]) - {"none", "horizontal_flip"}),
    }  # fmt: skip
    base = {key: value for key, value in data.items() if key != "profiles"}
    data["profiles"][name] = differing(base, merged(data["profiles"][name], changes))
    inputs = {"cnn_base": "store", "fnn_base": "store", "mine": "backbones/mine", "multimodal": "embeddings/clip"}
    data["run"] |= {
        "encoders": ["clip", "mine"],
        "noise": "cnn_base",
        "train": {f"activity-{model}": {"task": "activity", "model": model, "input": source}
                  for model, source in inputs.items()},
    }  # fmt: skip
    with open(path, "w") as out:
        yaml.dump(data, out)


# Every stage of the graph in DVC's own order, in one process that loads torch once. What no profile changes (an hour of
# pre-training, the simulation) stands as it is in git.
RUN = """
import runpy, shlex, sys
import networkx
from dvc.repo import Repo
with Repo() as repo:
    order = list(networkx.dfs_postorder_nodes(repo.index.graph))
for stage in order:
    if not stage.addressing.startswith(("pretrain@", "simulate")):
        print("stage", stage.addressing, flush=True)
        _, _, module, *sys.argv[1:] = shlex.split(stage.cmd)
        runpy.run_module(module, run_name="__main__", alter_sys=False)
        for out in stage.outs:
            assert out.exists, f"{stage.addressing} left no {out}"
"""


@pytest.mark.slow
def test_unbalanced_classes_of_any_name_run_through_the_whole_pipeline(tmp_path):
    project = trees.copied(tmp_path / "project", but=("tests/", "reports/sample/"))
    photos = str(photographs(tmp_path / "photos"))
    small(project, "names", photos, convnext(tmp_path / "convnext"))
    shell(project, sys.executable, "-m", "stages.lib.run", "check")
    done = shell(project, sys.executable, "-c", RUN)
    stages = {line.split(" ", 1)[1] for line in done.stdout.splitlines() if line.startswith("stage ")}
    assert {"annotations", "embed@mine", "train@activity-mine", "augment", "significance", "page"} <= stages
    assert "Traceback" not in done.stderr
    assert "missing from" not in done.stderr
    assert done.stderr.count("no font here has all characters") <= 1  # a process; once is enough
    data, reports = project / "data/names", project / "reports/names"

    def column(file: Path, name: str) -> set[str]:
        return set(pd.read_csv(file, dtype=str, na_filter=False)[name])

    manifest = pd.read_csv(data / "manifest.csv", keep_default_na=False, dtype={"label": str})
    assert manifest.label.value_counts().to_dict() == NAMES
    assert manifest.url.str.startswith("own:").all()
    assert {Path(name).suffix for name in manifest.file_name} == {".jpg", ".png", ".webp", ".bmp"}
    split = pd.read_csv(data / "split.csv", dtype=str, na_filter=False)
    assert (pd.crosstab(split.label, split.split) > 0).all(axis=None)
    for file in (data / "predictions").glob("*.parquet"):
        told = pd.read_parquet(file)
        assert set(told.label) == set(NAMES)
        assert {column[2:] for column in told if column.startswith("p_")} == set(NAMES)
    assert column(reports / "significance/per_class.csv", "class") == set(NAMES)
    assert column(reports / "eda/table1.csv", "label") == set(NAMES)
    table = pd.read_csv(reports / "tables/table7.csv").set_index("model")
    models = {"cnn_base", "fnn_base", "mine", "multimodal", "probe_mine", "zero_shot", "metadata", "majority"}
    assert models <= set(table.index)
    assert "zero_shot_mine" not in table.index  # ConvNeXt has no text
    assert not [column for column in table.columns if "paper" in column]
    compared = {"probe_mine", "metadata", "multimodal", "majority"}
    assert column(reports / "cross_validation/cross_validation.csv", "model") == compared
    page = (reports / "README.md").read_text()
    for said in ("10 classes", "Probe on mine", "names"):
        assert said in page
    for wrong in ("29 test images decide little", "aper: ", "V-COCO", "walking"):
        assert wrong not in page
    for link in [part.split(")")[0] for part in page.split("](")[1:]]:
        assert link.startswith("#") or (reports / link).exists()
    assert set(read_script(reports / "page/data/images.js")["classNames"]) == set(NAMES)

    out = shell(project, *HAR, "predict", photos, "--model", "activity-cnn_base", "--csv").stdout
    told = pd.read_csv(io.StringIO(out), dtype=str, na_filter=False)
    assert set(told.columns) == {"path", "model", "predicted", "error", *(f"p_{name}" for name in NAMES)}
    assert set(told.predicted) <= set(NAMES)
    shell(project, *HAR, "predict", photos, "--model", "activity-mine")
    shell(project, *HAR, "export", "activity-mine", str(tmp_path / "kept"))
    kept = json.loads((tmp_path / "kept/config.json").read_text())
    assert (kept["model_type"], set(kept["id2label"].values())) == ("convnext", set(NAMES))
