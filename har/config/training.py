"""The blocks of params.yaml that say what is trained, and how."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from har.config.load import Block
from har.config.types import Distinct, Fraction, Probability, Seed, Share


class TrainRun(Block):
    task: str
    model: str
    input: str


class Run(Block):
    encoders: list[str]
    train: dict[str, TrainRun]
    generative: list[str]
    noise: str
    tune: list[str]

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(run.task for run in self.train.values()))


class Ray(Block):
    address: str
    cpus: PositiveInt
    gpus: NonNegativeFloat


class Training(Block):
    seeds: Annotated[list[Seed], Field(min_length=1), Distinct]
    jobs: PositiveInt
    backend: Literal["processes", "loky", "sequential", "ray"]  # threads would share one random state
    ray: Ray
    device: Literal["auto", "cpu", "cuda", "mps"]


class Augmentation(Block):
    flip_probability: Probability
    rotation_degrees: PositiveFloat
    jitter: Share
    grayscale_probability: Probability
    blur_sigma: Annotated[float, Field(ge=0.1)]  # har.training.augment draws from 0.1 to this
    perspective: Probability
    crop_area: Fraction
