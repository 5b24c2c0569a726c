"""Every image with its captions, licence and predictions, packed for the browser.

What filters and the grid need of all images is one record; what is looked at image by image comes in parts of PART
images, of which the browser loads those that it shows: the page opens as fast with 100,000 images as with 285.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
PART = 500  # images
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


def images(manifest: pd.DataFrame, split: pd.DataFrame, tasks: Mapping[str, Sequence[str]]) -> dict:
    """What the grid and its filters need of all images: classes, splits, tasks and licences, and columns over images in
    ascending image_id, each class and split as its number. HarError where an image has no split."""
    frame = manifest.sort_values("image_id", ignore_index=True)
    labels = list(dict.fromkeys([*(name for classes in tasks.values() for name in classes), *sorted(set(frame.label))]))
    part = split.set_index("image_id").split.reindex(frame.image_id)
    if part.isna().any():
        raise HarError(f"split.csv: image {frame.image_id[part.isna().to_numpy().argmax()]} of the manifest is missing")
    numbers = {label: number for number, label in enumerate(labels)}
    return {
        "classes": labels,
        "classNames": [paper.class_name(label) for label in labels],
        "splits": list(SPLITS),
        "tasks": {task: [numbers[name] for name in classes] for task, classes in tasks.items()},
        "licences": {str(number): list(licence(number)) for number in sorted(set(frame.license))},
        "part": PART,
        "id": frame.image_id.tolist(),
        "label": [numbers[label] for label in frame.label],
        "split": [SPLITS.index(name) for name in part],
    }


def parts(
    manifest: pd.DataFrame, evidence: pd.DataFrame, classes: Sequence[str], traits: pd.DataFrame | None = None
) -> Iterator[dict]:
    """What is told of each image, PART images at a time in ascending image_id; `fires[i][k]` lists the classes (numbers
    in `classes`) that caption k of image i fires for."""
    frame = manifest.sort_values("image_id", ignore_index=True)
    evidence = evidence.sort_values(["image_id", "caption_index"], ignore_index=True)
    numbers = {label: number for number, label in enumerate(classes)}
    known = {"Largest person, of the image": frame.person_area}
    if traits is not None:
        found = traits.set_index("image_id").reindex(frame.image_id)
        known |= {title: found[name] for name, title in TRAITS.items()}
    first, last = (np.searchsorted(evidence.image_id, frame.image_id, side) for side in ("left", "right"))
    for start in range(0, len(frame), PART):
        rows = frame[start : start + PART]
        of_image = [evidence[first[i] : last[i]] for i in rows.index]
        yield {
            "width": rows.width.tolist(),
            "height": rows.height.tolist(),
            "persons": rows.persons.tolist(),
            "traits": {title: _shares(values[start : start + PART]) for title, values in known.items()},
            "licence": rows.license.tolist(),
            "author": [photo_page(url) for url in rows.flickr_url],
            "source": [next(filter(safe_address, (row.flickr_url, row.url)), "") for row in rows.itertuples()],
            "captions": [told.caption.tolist() for told in of_image],
            "fires": [[[numbers[c] for c in text.split("+") if c in numbers] for text in t.fires] for t in of_image],
        }


def _shares(values: pd.Series) -> list[float | None]:
    return [None if value != value else round(float(value), 4) for value in values]


@dataclass(frozen=True)
class Answers:
    """What one model's runs say of the images that it was asked about, n of them in ascending order.

    Attributes:
        task, model: of the predictions.
        classes: numbers of the images' classes; C of them.
        seeds: of the runs; S of them.
        rows: [n] places among all images.
        steps: uint16 [S, n, C], probabilities in steps of 1 / STEPS.
        says: [n] the class (of `classes`) that most runs say; a tie goes to the larger mean probability.
        agree: [n] how many runs say so.
        sure, truth: uint16 [n], the mean probability of that class and of the label, in steps.
        right: bool [n], whether it is the label.
    """

    task: str
    model: str
    classes: list[int]
    seeds: list[int]
    rows: np.ndarray
    steps: np.ndarray
    says: np.ndarray
    agree: np.ndarray
    sure: np.ndarray
    truth: np.ndarray
    right: np.ndarray

    @property
    def key(self) -> str:
        return f"{self.task}-{self.model}"

    def about(self) -> dict:
        """What the page knows of every model from the start."""
        told = {"key": self.key, "task": self.task, "model": self.model, "name": paper.model_name(self.model)}
        return told | {"classes": self.classes, "seeds": self.seeds}

    def summary(self) -> dict:
        """What filters, the grid and the confusion matrix need of one model."""
        return {"rows": packed(self.rows, "u4"), "agree": packed(self.agree, "u1"), **self._told(slice(None))}

    def part(self, start: int) -> dict:
        """Each run's probabilities for the PART images from `start` on; rows are places among these."""
        mine = slice(*np.searchsorted(self.rows, [start, start + PART]))
        probabilities = packed(self.steps[:, mine], "u2")
        return {"rows": packed(self.rows[mine] - start, "u4"), "probabilities": probabilities, **self._told(mine)}

    def _told(self, mine: slice) -> dict:
        says = np.asarray(self.classes)[self.says[mine]]
        return {
            "says": packed(says, "u2"),
            "sure": packed(self.sure[mine], "u2"),
            "truth": packed(self.truth[mine], "u2"),
        }


def answers(
    frames: Mapping[tuple[str, str], pd.DataFrame], image_ids: Sequence[int], labels: Sequence[int], classes: list[str]
) -> list[Answers]:
    """The `Answers` of each (task, model), from its predictions. labels: of the images, numbers in `classes`."""
    ids, labels = np.asarray(image_ids), np.asarray(labels)
    found = []
    for (task, model), frame in frames.items():
        frame = frame[frame.image_id.isin(ids)].sort_values(["seed", "image_id"])
        seeds, names = sorted(frame.seed.unique().tolist()), classes_of(frame)
        rows = np.searchsorted(ids, frame.image_id[frame.seed == seeds[0]]) if seeds else np.empty(0, dtype=int)
        values = frame[[f"p_{name}" for name in names]].to_numpy(float)
        if len(values) != len(seeds) * len(rows):
            raise HarError(f"predictions of {task}-{model}: {len(values)} rows are not {len(rows)} images x seeds")
        numbers, steps = [classes.index(name) for name in names], in_steps(values)
        steps = steps.reshape(len(seeds), len(rows), len(names))
        votes = (steps.argmax(2)[..., None] == np.arange(len(names))).sum(0)  # [n, C]
        total = steps.sum(0, dtype=np.int64)
        says = (votes * (STEPS * len(seeds) + 1) + total).argmax(1)
        mean = np.rint(total / max(len(seeds), 1)).astype(np.uint16)
        truth = np.where(labels[rows][:, None] == numbers, mean, 0).max(1)
        at = np.arange(len(rows)), says
        right = np.asarray(numbers)[says] == labels[rows]
        found.append(Answers(task, model, numbers, seeds, rows, steps, says, votes[at], mean[at], truth, right))
    return found


def tallies(told: Sequence[Answers], tasks: Sequence[str], images: int) -> dict:
    """For each task, and '' for all: how many models were asked about each image, and how many are right, u1 [n]."""
    counts = {}
    for task in ("", *tasks):
        asked, right = np.zeros(images, dtype=int), np.zeros(images, dtype=int)
        for one in told:
            if task in ("", one.task):
                asked[one.rows] += 1
                right[one.rows] += one.right
        counts[task] = {"asked": packed(asked, "u1"), "right": packed(right, "u1")}
    return counts


def in_steps(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities [n, C] as whole steps, uint16 [n, C]. Rounding may not change a prediction: where it ties the
    largest with an earlier class, the largest is put one step ahead."""
    steps = np.rint(probabilities * STEPS).astype(np.uint32)
    row, chosen = np.arange(len(steps)), probabilities.argmax(1)
    lost = steps.argmax(1) != chosen
    steps[row[lost], chosen[lost]] = steps[lost].max(1) + 1
    return np.minimum(steps, STEPS).astype(np.uint16)
