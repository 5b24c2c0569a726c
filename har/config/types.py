"""Types that several blocks of params.yaml share."""

from typing import Annotated, Literal

from pydantic import (
    Field,
)

Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator of random numbers takes
# Exported models bring such numbers from elsewhere: a network must not take more than a machine has.
Side = Annotated[int, Field(ge=1, le=1024)]  # pixels
Widths = Annotated[list[Annotated[int, Field(ge=1, le=65_536)]], Field(min_length=1, max_length=64)]
Words = Annotated[list[str], Field(min_length=1)]
Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Op = Literal[
    "horizontal_flip",
    "vertical_flip",
    "rotation",
    "color_jitter",
    "grayscale",
    "gaussian_blur",
    "perspective",
    "random_resized_crop",
]
MaskKind = Literal["patches", "rectangle", "ellipse", "triangle", "stripes"]


def _known(key: str, names: list[str], valid) -> None:
    unknown = [n for n in names if n not in valid]
    if unknown:
        raise ValueError(f"{key} names {unknown[0]!r}, expected one of {', '.join(valid)}")
