"""Every image with its captions, licence and predictions, packed for the browser."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from har import paper
from har.errors import HarError
from har.evaluate import classes_of
from har.outside import read_table
from har.page.licences import licence, photo_page
from har.page.markup import safe_address
from har.page.scripts import packed
from har.splits import SPLITS

STEPS = 65535  # of a probability
# what the errors stage measures of the largest person in an image
TRAITS = {
    "labelled_joints": "Its joints labelled",
    "hidden_joints": "Of these, hidden",
    "overlap": "Overlapped by others",
}


def read_traits(path: Path) -> pd.DataFrame | None:
    """image_id and TRAITS (shares of 0 to 1, empty where not annotated) of the images in `errors.csv`, which holds a
    row for each model and image; None where no stage wrote it. HarError names what is wrong."""
    if not path.exists():
        return None
    frame = read_table(path, {"image_id": "int64", **dict.fromkeys(TRAITS, "str")}, unique=False)
    frame = frame.drop_duplicates("image_id", ignore_index=True)
    return frame.assign(**{name: pd.to_numeric(frame[name], errors="coerce") for name in TRAITS})


def images(
    manifest: pd.DataFrame,
    split: pd.DataFrame,
    evidence: pd.DataFrame,
    tasks: Mapping[str, Sequence[str]],
    traits: pd.DataFrame | None = None,
) -> dict:
    """Columns over images in ascending image_id, each class and split as its number; `fires[i][k]` lists the classes
    that caption k of image i fires for. HarError where an image has no split or an unknown class."""
    frame = manifest.sort_values("image_id", ignore_index=True)
    labels = list(dict.fromkeys([*(name for classes in tasks.values() for name in classes), *sorted(set(frame.label))]))
    part = split.set_index("image_id").split.reindex(frame.image_id)
    if part.isna().any():
        raise HarError(f"split.csv: image {frame.image_id[part.isna().to_numpy().argmax()]} of the manifest is missing")
    numbers = {label: number for number, label in enumerate(labels)}
    captions = {image_id: group for image_id, group in evidence.sort_values("caption_index").groupby("image_id")}
    empty = evidence.iloc[:0]
    of_image = [captions.get(image_id, empty) for image_id in frame.image_id]
    fires = [[[numbers[c] for c in text.split("+") if c in numbers] for text in group.fires] for group in of_image]
    known = sorted(set(frame.license))
    return {
        "classes": labels,
        "classNames": [paper.class_name(label) for label in labels],
        "splits": list(SPLITS),
        "tasks": {task: [numbers[name] for name in classes] for task, classes in tasks.items()},
        "licences": {str(number): list(licence(number)) for number in known},
        "id": frame.image_id.tolist(),
        "label": [numbers[label] for label in frame.label],
        "split": [SPLITS.index(name) for name in part],
        "width": frame.width.tolist(),
        "height": frame.height.tolist(),
        "persons": frame.persons.tolist(),
        "traits": {
            "Largest person, of the image": _shares(frame.person_area),
            **({} if traits is None else _traits(traits, frame.image_id)),
        },
        "licence": frame.license.tolist(),
        "author": [photo_page(url) for url in frame.flickr_url],
        "source": [next(filter(safe_address, (row.flickr_url, row.url)), "") for row in frame.itertuples()],
        "captions": [group.caption.tolist() for group in of_image],
        "fires": fires,
    }


def _traits(traits: pd.DataFrame, image_ids: pd.Series) -> dict[str, list]:
    known = traits.set_index("image_id").reindex(image_ids)
    return {title: _shares(known[name]) for name, title in TRAITS.items()}


def _shares(values: pd.Series) -> list[float | None]:
    return [None if value != value else round(float(value), 4) for value in values]


def predictions(frames: Mapping[tuple[str, str], pd.DataFrame], image_ids: Sequence[int], classes: list[str]) -> list:
    """A record for each (task, model): key, task, model, name, classes (numbers in `classes`), seeds, `rows` (u4 [n],
    places in `image_ids`) and `probabilities` (u2 [seeds, n, classes], in steps of 1/65535)."""
    place = pd.Series(range(len(image_ids)), index=image_ids)
    records = []
    for (task, model), frame in frames.items():
        frame = frame[frame.image_id.isin(place.index)].sort_values(["seed", "image_id"])
        seeds, names = sorted(frame.seed.unique().tolist()), classes_of(frame)
        rows = place[frame.image_id[frame.seed == seeds[0]]].to_numpy() if seeds else np.empty(0)
        values = frame[[f"p_{name}" for name in names]].to_numpy(float)
        if len(values) != len(seeds) * len(rows):
            raise HarError(f"predictions of {task}-{model}: {len(values)} rows are not {len(rows)} images x seeds")
        records.append(
            {
                "key": f"{task}-{model}",
                "task": task,
                "model": model,
                "name": paper.model_name(model),
                "classes": [classes.index(name) for name in names],
                "seeds": seeds,
                "rows": packed(rows, "u4"),
                "probabilities": packed(in_steps(values), "u2"),
            }
        )
    return records


def in_steps(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities [n, C] as whole steps, uint16 [n, C]. Rounding may not change a prediction: where it ties the
    largest with an earlier class, the largest is put one step ahead."""
    steps = np.rint(probabilities * STEPS).astype(np.uint32)
    row, chosen = np.arange(len(steps)), probabilities.argmax(1)
    lost = steps.argmax(1) != chosen
    steps[row[lost], chosen[lost]] = steps[lost].max(1) + 1
    return np.minimum(steps, STEPS).astype(np.uint16)
