"""The blocks of params.yaml that describe the data: source, curation, split, store."""

import math
import re
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt, model_validator

from har.config.load import Block
from har.config.types import Fraction, Hex64, Probability, Seed, Side, Words, check_known

OWN = ("folder", "csv", "video")  # sources of the user's own images


class World(Block):
    seed: Seed
    first_id: PositiveInt
    images: PositiveInt
    hard: Probability


class Server(Block):
    url: str
    annotations: str
    annotations_sha256: Hex64 | None
    annotations_bytes: PositiveInt | None
    images: str
    connections: PositiveInt


class Folder(Block):
    """Own images, or clips of source video, root/<class>/ and below."""

    root: str
    groups: str
    unreadable: Literal["stop", "skip"]

    @model_validator(mode="after")
    def _groups_is_a_pattern(self):
        try:
            re.compile(self.groups)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"groups is no regular expression: {error}") from None
        return self


class Csv(Block):
    """Own images, a table of paths and labels."""

    file: str
    root: str
    image: str
    label: str
    group: str
    split: str
    unreadable: Literal["stop", "skip"]


class Video(Block):
    """Clips: frames of each; UCF-101's lists."""

    frames: PositiveInt
    lists: str
    split: PositiveInt


class Clips(Block):
    """Generated clips of each class: groups, and clips of each group."""

    groups: PositiveInt
    each: PositiveInt


class Data(Block):
    source: Literal["world", "clips", "server", "folder", "csv", "video"]
    world: World
    server: Server
    folder: Folder
    csv: Csv
    video: Video
    clips: Clips

    @property
    def own(self) -> bool:
        """Whether labels come with the images, not from captions."""
        return self.source in (*OWN, "clips")

    @property
    def unit(self) -> str:
        """What predictions are of, for sentences: clips where images are their frames."""
        return "clips" if self.source in ("video", "clips") else "images"

    @model_validator(mode="after")
    def _own_images_have_a_place(self):
        if self.source in ("folder", "video") and not self.folder.root:
            raise ValueError(f"source {self.source} needs the key folder.root, a folder with a folder for each class")
        if self.source == "csv" and not (self.csv.file and self.csv.image and self.csv.label):
            raise ValueError("source csv needs the keys csv.file, csv.image and csv.label")
        return self


class ActivityClass(Block):
    count: PositiveInt | None
    keywords: list[str]


class Curate(Block):
    classes: dict[str, ActivityClass]
    person_words: Words
    min_captions: PositiveInt
    precedence: list[str]
    require_person: bool
    extended: NonNegativeInt
    seed: Seed

    @model_validator(mode="after")
    def _precedence_names_classes(self):
        check_known("precedence", self.precedence, self.classes)
        return self


class Split(Block):
    mode: Literal["stratified", "unstratified"]
    train: Fraction
    validation: Fraction
    test: Fraction
    seed: Seed

    @model_validator(mode="after")
    def _fractions_sum_to_one(self):
        total = self.train + self.validation + self.test
        if not math.isclose(total, 1, abs_tol=1e-6):
            raise ValueError(f"train, validation and test sum to {total:g}, expected 1")
        return self


class Store(Block):
    short_side: Side
    jobs: PositiveInt
