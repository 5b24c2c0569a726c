"""The blocks of params.yaml that describe tables and the page."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from har.config.load import Block
from har.config.types import Fraction, Seed


class Report(Block):
    confidence: Fraction
    resamples: Annotated[int, Field(ge=100)]
    equivalence_margin: Fraction
    clips: Literal["probability", "log_probability", "vote"]
    seed: Seed


class Page(Block):
    """The photographs beside the page: long sides in pixels, JPEG quality."""

    thumbnail: PositiveInt
    image: PositiveInt
    quality: Annotated[int, Field(ge=1, le=95)]
    jobs: PositiveInt

    @model_validator(mode="after")
    def _image_is_the_larger(self):
        if self.image < self.thumbnail:
            raise ValueError(f"image is {self.image} pixels, less than the {self.thumbnail} of thumbnail")
        return self
