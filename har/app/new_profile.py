"""A profile for own images, written into params.yaml: `har new-profile NAME IMAGES [--like PROFILE]`.

IMAGES is a folder with a folder of images, or of clips, for each class, or a table (har.data.folder.recognise). The
profile says what differs from `sample`, or from another one that is named: the classes found, all their images,
prompts for each, and the task `activity` over all of them.
"""

import copy
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML

from har.config.load import read_yaml
from har.config.overrides import differing, merged
from har.config.profile import Params, Profile, load_params, parse
from har.config.types import check_labels
from har.core.errors import HarError
from har.core.files import replacing
from har.data.folder.recognise import recognise
from har.data.groups import group_codes
from har.data.split import require_classes, split
from har.data.video.decode import is_clip

# By words of the class. Several are averaged; those of clips are a few of what CLIP's authors say of UCF-101.
PROMPTS = ["a photo of {}"]
CLIP_PROMPTS = ["a photo of a person {}", "a photo of a person doing {}", "a video of a person during {}"]


def words_of(name: str) -> str:
    """ApplyEyeMakeup and apply_eye-makeup as words."""
    return re.sub(r"[\s_-]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).strip().lower() or name


def block_of(source: dict, found: pd.DataFrame, like: Profile, vlms: Iterable[str]) -> dict:
    """What a profile of own images sets.

    Args:
        source: its block data.
        found: the images: image_id, label, group, path.
        like: the profile that it starts from.
        vlms: the generative models that do not start from another one.

    Raises:
        HarError: for classes that are too few or have no usable name.
    """
    labels = sorted(set(found["label"]))
    try:
        check_labels(labels)
    except ValueError as error:
        raise HarError(f"classes: {error}") from None
    if len(labels) < 2:
        raise HarError(f"one class only, {labels[0]}; expected two or more")
    words = {label: words_of(label) for label in labels}
    if len(set(words.values())) < len(words):
        words = {label: label for label in labels}
    prompts = CLIP_PROMPTS if any(map(is_clip, found["path"])) else PROMPTS
    generative = {
        "answers": words,
        "question": "What does the picture show? Answer with one of {labels}.",
        "orders": "rotations" if len(labels) > 4 else "all",  # 5 labels have 120 orders
    }
    groups = group_codes(found)
    units = found.assign(unit=range(len(found)) if groups is None else groups).groupby("label")["unit"].nunique()
    return {
        "data": source,
        "curate": {"classes": {label: {"count": None, "keywords": []} for label in labels}, "precedence": []},
        "tasks": {"activity": labels},
        "embed": {"prompts": {label: [one.format(said) for one in prompts] for label, said in words.items()}},
        "cross_validation": {"folds": max(2, min(like.cross_validation.folds, int(units.min())))},
        "generative": {name: copy.deepcopy(generative) for name in vlms},
        "masking": {"cues": {}},  # what goes with these classes is the user's to say
    }


def write_profile(
    path: Path,
    name: str,
    images: str,
    like: str = "sample",
    columns: Mapping[str, str] | None = None,
) -> list[str]:
    """Add a profile to params.yaml and make it the active one.

    Args:
        path: the file.
        name: the profile's.
        images: a folder or a CSV file (har.data.folder.recognise).
        like: the profile that it starts from.
        columns: the table's by image, label, group and split, where they are not to be recognised.

    Returns:
        The classes. What was left out, and how splits were understood, is printed.

    Raises:
        HarError: for a name that is taken, and what `recognise` refuses.
    """
    params = load_params(path)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in Params.model_fields:
        raise HarError(f"{name}: expected another name, of lower-case letters, digits and underscores")
    if name in params.profiles:
        raise HarError(f"{path}: there is a profile {name} already; delete its block first")
    if like not in params.profiles:
        raise HarError(f"{path}: no profile {like}; expected one of {', '.join(params.profiles)}")
    source, listing = recognise(images, params.profiles[like].data.folder.groups, columns or {})
    for note in listing.notes:
        print(f"{images}: {note}")
    found = pd.DataFrame([vars(one) for one in listing.images])
    part = found["split"].where(found["split"] == "extended", "drawn")
    try:
        parts = split(found.assign(part=part), **params.profiles[like].split.model_dump())
        require_classes(parts, sorted(set(found["label"])), "curate.classes")
    except HarError as error:  # no end here: classes may be put together by keywords
        print(f"not yet to be trained: {error}")
    yaml = YAML()
    yaml.default_flow_style, yaml.width = False, 80  # as DVC writes the file
    data = yaml.load(path.read_text(encoding="utf-8"))
    base = {key: value for key, value in read_yaml(path).items() if key in Profile.model_fields}
    vlms = [key for key, one in base["generative"].items() if "like" not in one]
    block = block_of(source, found, params.profiles[like], vlms)
    data["profiles"][name] = differing(base, merged(params.overrides[like], block))
    data["profile"] = name
    with replacing(path) as temporary:
        with open(temporary, "w", encoding="utf-8") as out:
            yaml.dump(data, out)
        parse(read_yaml(temporary), str(path))  # before it takes the old one's place
    return list(block["curate"]["classes"])
