"""A profile for own images, written into params.yaml: `python -m har.app.new_profile NAME IMAGES [sample|coco]`.

IMAGES is a folder with a folder of images for each class, or a CSV file with the columns image and label (and, where
it has them, group and split). The profile is a copy of another one, `sample` unless it is named, with the classes that
are found, all their images, a prompt for each, and the task `activity` over all of them.
"""

import copy
import re
import sys
import unicodedata
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML

from har.config.load import read_yaml, validate
from har.config.profile import Params, load_params
from har.core.errors import HarError, told_in_one_line
from har.core.files import replacing
from har.core.readers import read_csv
from har.data.folder.find import Found, find_in_folder, find_in_table
from har.data.groups import group_codes


def key_of(name: str) -> str:
    """A class's key from the name that its folder has: letters, digits and underscores, a letter first."""
    plain = unicodedata.normalize("NFKD", words_of(name)).encode("ascii", "ignore").decode()
    key = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_").lower()
    return key if re.match(r"[a-z]", key) else f"class_{key}".rstrip("_")


def words_of(name: str) -> str:
    """ApplyEyeMakeup and apply_eye-makeup as words."""
    return re.sub(r"[\s_-]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).strip().lower()


def fill(data: dict, name: str, source: dict, found: list[Found], like: str) -> None:
    """Give `data`, the content of params.yaml, the profile `name`. source: the changed keys of its block data."""
    labels = sorted({one.label for one in found})
    classes = {}
    for label in labels:
        if classes.setdefault(key_of(label), label) != label:
            raise HarError(f"{label} and {classes[key_of(label)]} both become {key_of(label)}; rename one of them")
    if len(classes) < 2:
        raise HarError(f"one class only, {labels[0]}; expected two or more")
    block = copy.deepcopy(data[like])
    for key, value in source.items():
        block["data"][key] = block["data"][key] | value if isinstance(value, dict) else value
    block["curate"]["classes"] = {
        key: {"count": None, "keywords": [] if key == label else [label]} for key, label in classes.items()
    }
    block["curate"]["precedence"] = []
    block["tasks"] = {"activity": list(classes)}
    for model in block["generative"].values():
        model["answers"] = {key: words_of(label) for key, label in classes.items()}
        model["question"] = "What does the picture show? Answer with one of {labels}."
        if len(classes) > 4:  # 5 labels have 120 orders
            model["orders"] = "rotations"
    block["masking"]["cues"] = {}  # what goes with these classes is the user's to say
    block["embed"]["prompts"] = {key: [f"a photo of {words_of(label)}"] for key, label in classes.items()}
    frame = pd.DataFrame(
        [(one.image_id, one.label, one.group) for one in found], columns=["image_id", "label", "group"]
    )
    groups = group_codes(frame)
    units = frame["label"].value_counts() if groups is None else frame.groupby("label").apply(_units(groups))
    block["resampling"]["folds"] = max(2, min(int(block["resampling"]["folds"]), int(units.min())))
    train = int(len(found) * float(block["split"]["train"]) * 0.9)  # groups do not fit the share exactly
    sizes = [size for size in block["learning_curve"]["sizes"] if len(classes) <= size <= train]
    block["learning_curve"]["sizes"] = sizes or [max(len(classes), train // 2)]
    data[name] = block
    data["profile"] = name
    data["run"]["train"] = {key: run for key, run in data["run"]["train"].items() if run["task"] == "activity"}


def _units(groups):
    return lambda part: len(set(groups[part.index]))


def write_profile(path: Path, name: str, images: str, like: str = "sample") -> list[str]:
    """Add the profile to the file `path` and make it the active one; returns its classes."""
    params = load_params(path)
    if name in type(params).model_fields or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise HarError(f"{name}: expected another name, of lower-case letters, digits and underscores")
    if name in params.profiles:
        raise HarError(f"{path}: there is a profile {name} already; delete its block first")
    if like not in params.profiles:
        raise HarError(f"{path}: no profile {like}; expected one of {', '.join(params.profiles)}")
    if images.lower().endswith(".csv"):
        header = read_csv(images, "a CSV file with a row for each image").columns
        table = {"file": images, "image": "image", "label": "label"}
        table |= {column: column if column in header else "" for column in ("group", "split")}
        source = {"source": "csv", "csv": table}
        columns = {key: value for key, value in table.items() if key != "file"}
        found = find_in_table(images, "", **columns, groups=params.profiles[like].data.folder.groups)
    else:
        source = {"source": "folder", "folder": {"root": images}}
        found = find_in_folder(images, params.profiles[like].data.folder.groups)
    yaml = YAML()
    yaml.default_flow_style, yaml.width = False, 80  # as DVC writes the file
    data = yaml.load(path.read_text(encoding="utf-8"))
    fill(data, name, source, found, like)
    with replacing(path) as temporary:
        with open(temporary, "w", encoding="utf-8") as out:
            yaml.dump(data, out)
        validate(Params, read_yaml(temporary), str(path))  # before it takes the old one's place
    return list(data[name]["curate"]["classes"])


if __name__ == "__main__":
    with told_in_one_line("own"):
        if not 3 <= len(sys.argv) <= 4:
            raise HarError("expected NAME IMAGES [PROFILE], as in: python -m har.app.new_profile mine photos coco")
        made = write_profile(Path("params.yaml"), *sys.argv[1:])
        print(f"params.yaml: profile {sys.argv[1]} with {len(made)} classes: {', '.join(made)}. Now: dvc repro")
