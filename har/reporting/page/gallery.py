"""Every image with its captions, licence and predictions, packed for the browser.

What filters and the grid need of all images is one record; what is looked at image by image comes in parts of PART
images, of which the browser loads those that it shows: the page opens as fast with 100,000 images as with 285.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from har.core.errors import HarError
from har.core.readers import read_array, read_parquet, read_table
from har.data.split import SPLITS
from har.evaluation.clips import unit_of
from har.evaluation.ensemble import ensemble, is_blind
from har.evaluation.predictions import classes_of
from har.reporting.names import class_name, model_name
from har.reporting.page.html import safe_address
from har.reporting.page.scripts import packed

# COCO's licence ids, the `licenses` of its annotation files
LICENCES = {
    1: ("CC BY-NC-SA 2.0", "https://creativecommons.org/licenses/by-nc-sa/2.0/"),
    2: ("CC BY-NC 2.0", "https://creativecommons.org/licenses/by-nc/2.0/"),
    3: ("CC BY-NC-ND 2.0", "https://creativecommons.org/licenses/by-nc-nd/2.0/"),
    4: ("CC BY 2.0", "https://creativecommons.org/licenses/by/2.0/"),
    5: ("CC BY-SA 2.0", "https://creativecommons.org/licenses/by-sa/2.0/"),
    6: ("CC BY-ND 2.0", "https://creativecommons.org/licenses/by-nd/2.0/"),
    7: ("No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    8: ("United States Government work", "https://www.usa.gov/government-works"),
}

# http://farm7.staticflickr.com/6116/6255196340_da26cf2c9e_z.jpg is server/number_secret_size
_FLICKR = re.compile(r"https?://\w+\.static\.?flickr\.com/\d+/(\d{1,18})_[0-9a-f]+(?:_\w)?\.jpg", re.ASCII)

STEPS = 65535  # of a probability
KINDS = {
    "rows": "u4",
    "agree": "u1",
    "says": "u2",
    "sure": "u2",
    "truth": "u2",
}  # of numbers, as the browser reads them
PART = 500  # images
# what the errors stage measures of the largest person in an image
TRAITS = {
    "labelled_joints": "Its joints labelled",
    "hidden_joints": "Of these, hidden",
    "overlap": "Overlapped by others",
}


def read_traits(path: Path) -> pd.DataFrame | None:
    """image_id and TRAITS (shares of 0 to 1, empty where not annotated) of the images in `errors.parquet`, which
    holds a row for each model and image; None where no stage wrote it. HarError names what is wrong."""
    if not path.exists():
        return None
    found = read_parquet(path, "a table of images, as stage errors makes it", ["image_id", *TRAITS])
    for name, column in found.items():
        if not pd.api.types.is_numeric_dtype(column):
            raise HarError(f"{path}: column {name!r} holds something else than numbers")
    return found.drop_duplicates("image_id", ignore_index=True)


def images(manifest: pd.DataFrame, split: pd.DataFrame, tasks: Mapping[str, Sequence[str]]) -> dict:
    """What the grid and its filters need of all images: classes, splits, tasks and licences, and columns over images in
    the manifest's order, each class and split as its number. HarError where an image has no split."""
    named = sorted(set(manifest.label))
    labels = list(dict.fromkeys([*(name for classes in tasks.values() for name in classes), *named]))
    part = split.set_index("image_id").split.reindex(manifest.image_id)
    if part.isna().any():
        raise HarError(f"split.csv: image {part.index[part.isna()][0]} of the manifest is missing")
    numbers = {label: number for number, label in enumerate(labels)}
    return {
        "classes": labels,
        "classNames": [class_name(label) for label in labels],
        "splits": list(SPLITS),
        "tasks": {task: [numbers[name] for name in classes] for task, classes in tasks.items()},
        "licences": {str(number): list(licence(number)) for number in sorted(set(manifest.license.tolist()))},
        "part": PART,
        "id": manifest.image_id.tolist(),
        "label": [numbers[label] for label in manifest.label],
        "split": [SPLITS.index(name) for name in part],
    }


def licence(number: int) -> tuple[str, str]:
    """Name and address; an id that COCO does not have is told as such, without an address."""
    return LICENCES.get(number, (f"Licence {number}, not one of COCO's" if number else "Licence not told", ""))


def photo_page(flickr_url: str) -> str:
    """Where Flickr names the author of a COCO photograph, which COCO does not; '' for other addresses."""
    match = _FLICKR.fullmatch(flickr_url)
    return f"https://www.flickr.com/photo.gne?id={match.group(1)}" if match else ""


def of_clips(manifest: pd.DataFrame) -> pd.DataFrame:
    """A row for each clip, that of its frame of the least image_id as in har.evaluation.clips, and in a column `frames`
    the ids of its frames in time; the manifest itself where images are no frames."""
    if "clip" not in manifest:
        return manifest
    unit = unit_of(manifest)
    frames = manifest.sort_values("second").groupby(unit)["image_id"].agg(list)
    first = manifest.loc[manifest.groupby(unit)["image_id"].idxmin()]
    return first.assign(frames=frames.to_numpy()).sort_values("image_id", ignore_index=True)


def parts(
    manifest: pd.DataFrame, evidence: pd.DataFrame, classes: Sequence[str], traits: pd.DataFrame | None = None
) -> Iterator[dict]:
    """What is told of each image, PART images at a time in the manifest's order; `mentions[i][k]` lists the classes
    (numbers in `classes`) whose activity caption k of image i mentions."""
    numbers = {label: number for number, label in enumerate(classes)}
    evidence = evidence.sort_values(["image_id", "caption_index"])
    first, last = (np.searchsorted(evidence.image_id, manifest.image_id, side) for side in ("left", "right"))
    captions = evidence.caption.tolist()
    mentions = [[numbers[name] for name in text.split("+") if name in numbers] for text in evidence.mentions]
    known = {"Largest person, of the image": manifest.person_area.where(manifest.persons > 0)}
    if traits is not None:
        found = traits.set_index("image_id").reindex(manifest.image_id)
        known |= {title: found[name] for name, title in TRAITS.items()}
    for start in range(0, len(manifest), PART):
        mine = slice(start, start + PART)
        rows = manifest.iloc[mine]
        where = [slice(*ends) for ends in zip(first[mine], last[mine], strict=True)]
        yield {
            "width": rows.width.tolist(),
            "height": rows.height.tolist(),
            "persons": rows.persons.tolist(),
            "traits": {title: _shares(values.iloc[mine]) for title, values in known.items()},
            "licence": rows.license.tolist(),
            "author": [photo_page(address) for address in rows.flickr_url],
            "source": [
                next(filter(safe_address, addresses), "") for addresses in zip(rows.flickr_url, rows.url, strict=True)
            ],
            "captions": [captions[at] for at in where],
            "mentions": [mentions[at] for at in where],
            **({"frames": rows.frames.tolist()} if "frames" in rows else {}),
        }


def _shares(values: Iterable[float]) -> list[float | None]:
    return [None if value != value else round(float(value), 4) for value in values]


def address(figure: str) -> str:
    """Where the page shows the images of a figure, its path in the reports: failures or a confusion; "" for others."""
    if match := re.fullmatch(r"errors/figure5_(\w+)\.\w+", figure):
        return f"#images?split=held_out&task={match[1]}&verdict=wrong"
    if match := re.fullmatch(r"figures/confusion_([a-z]+)_(\w+)\.\w+", figure):
        return f"#images?split={match[2]}&task={match[1]}"
    return ""


def plane(folder: Path, image_ids: Sequence[int]) -> dict:
    """The images' embeddings (`image.npy` and `index.csv` of `folder`, one encoder's) on their first two principal
    components: encoder, explained (share of the variance), points (u2 [n, 2], 0 to STEPS, both on one scale).
    HarError where an image has no embedding."""
    from sklearn.decomposition import PCA

    index = pd.Index(read_table(folder / "index.csv", {"image_id": "int64"}).image_id)
    rows = read_array(folder / "image.npy", "an embedding of each image of index.csv", (len(index), None))
    at = index.get_indexer(image_ids)
    if (at < 0).any():
        raise HarError(f"{folder}/index.csv: image {image_ids[int(at.argmin())]} of the manifest is missing")
    pca = PCA(2, svd_solver="full")
    points = pca.fit_transform(rows[at].astype(float))
    points -= points.min(0)
    points = packed(np.rint(points / max(points.max(), 1e-12) * STEPS), "u2")
    explained = round(float(pca.explained_variance_ratio_.sum()), 3)
    return {"encoder": model_name(folder.name), "explained": explained, "points": points}


class Answers(NamedTuple):
    """What one model's runs say of the images that it was asked about.

    Attributes:
        about: what the page knows of every model from the start: key, task, model, name, numbers of its classes, seeds.
        table: of each image `rows`, its place among all images, in ascending order; `says`, the class that the model
            predicts (har.evaluation.ensemble); `agree`, how many runs predict it; `sure` and `truth`, the mean
            probability of that class and of the label, in steps of 1 / STEPS.
        steps: probabilities in steps, uint16 [n, runs, classes].
    """

    about: dict
    table: pd.DataFrame
    steps: np.ndarray

    @property
    def key(self) -> str:
        return self.about["key"]

    def summary(self) -> dict:
        """What filters, the grid and the confusion matrix need of one model."""
        return {name: packed(self.table[name], kind) for name, kind in KINDS.items()}

    def part(self, start: int) -> dict:
        """Each run's probabilities for the PART images from `start` on; rows are places among these."""
        mine = slice(*self.table.rows.searchsorted([start, start + PART]).tolist())
        rows, probabilities = self.table[mine], packed(self.steps[mine].swapaxes(0, 1), "u2")
        told = {name: packed(rows[name], KINDS[name]) for name in ("says", "sure", "truth")}
        return {"rows": packed(rows.rows - start, KINDS["rows"]), "probabilities": probabilities, **told}


def answers(
    task: str, model: str, frame: pd.DataFrame, ids: np.ndarray, labels: np.ndarray, classes: list[str]
) -> Answers:
    """The `Answers` in the predictions `frame`. ids, labels: of all images, numbers in `classes`."""
    frame = frame[frame.image_id.isin(ids)].sort_values(["image_id", "seed"])
    seeds, names = np.unique(frame.seed).tolist(), classes_of(frame)
    rows = np.searchsorted(ids, frame.image_id.unique())
    if len(frame) != len(seeds) * len(rows):
        raise HarError(f"predictions of {task}-{model}: {len(frame)} rows are not {len(rows)} images x seeds")
    numbers = np.array([classes.index(name) for name in names])
    chances = frame[[f"p_{name}" for name in names]].to_numpy(float)
    steps = in_steps(chances).reshape(len(rows), len(seeds), len(names))
    chances = chances.reshape(steps.shape)
    says, mean = ensemble(chances) if seeds else (np.empty(0, int), np.empty((0, len(names))))
    mean = np.rint(mean * STEPS)
    about = {"key": f"{task}-{model}", "task": task, "model": model, "name": model_name(model)}
    columns = {
        "rows": rows,
        "agree": (chances.argmax(-1) == says[:, None]).sum(1),
        "says": numbers[says],
        "sure": mean[np.arange(len(rows)), says],
        "truth": np.where(labels[rows][:, None] == numbers, mean, 0).max(1),
    }
    return Answers(about | {"classes": numbers.tolist(), "seeds": seeds}, pd.DataFrame(columns), steps)


def tallies(told: Sequence[Answers], tasks: Sequence[str], labels: np.ndarray, tested: np.ndarray) -> dict:
    """For each task how many models that see the picture were asked about each image, how many are right, and how many
    predict its most frequent prediction (`alike`), u1 [n].
    Only images that `tested` (bool [n]) marks count, those of test and extended: the tables count the same."""
    counts = {}
    for task in tasks:
        votes = np.zeros((len(tested), int(labels.max(initial=0)) + 1), dtype=int)
        for one in told:
            if one.about["task"] == task and not is_blind(one.about["model"]):
                votes[one.table.rows, one.table.says] += 1
        right = votes[np.arange(len(tested)), labels]
        found = {"asked": votes.sum(1), "right": right, "alike": votes.max(1)}
        counts[task] = {name: packed(count * tested, "u1") for name, count in found.items()}
    return counts


def in_steps(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities [n, C] as whole steps, uint16 [n, C]. Rounding may not change a prediction: where it ties the
    largest with an earlier class, the largest is put one step ahead."""
    steps = np.rint(probabilities * STEPS).astype(np.uint32)
    row, chosen = np.arange(len(steps)), probabilities.argmax(1)
    lost = steps.argmax(1) != chosen
    steps[row[lost], chosen[lost]] = steps[lost].max(1) + 1
    return np.minimum(steps, STEPS).astype(np.uint16)
