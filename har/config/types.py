"""Types that several blocks of params.yaml share."""

import unicodedata
from collections.abc import Collection, Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator of random numbers takes
# Exported models bring such numbers from elsewhere: a network must not take more than a machine has.
Side = Annotated[int, Field(ge=1, le=1024)]  # pixels
Widths = Annotated[list[Annotated[int, Field(ge=1, le=65_536)]], Field(min_length=1, max_length=64)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]  # of what the user adds
Folds = Annotated[int, Field(ge=2)]
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
View = Literal["image", "flip", "crops", "person"]  # of an image (har.data.crops)
MaskKind = Literal["patches", "rectangle", "ellipse", "triangle", "stripes"]


def check_labels(labels: Iterable[str]) -> None:
    """ValueError for a name that no class can have, and for two that readers, or file systems, take for one."""
    hidden = {"Cc", "Cs", "Zl", "Zp"}  # control characters, halves of a pair, ends of a line or paragraph
    seen: dict[str, str] = {}
    for label in labels:
        kinds = {unicodedata.category(c) for c in label}
        if label != label.strip() or len(label) > 200 or kinds & hidden or all(kind[0] in "CZ" for kind in kinds):
            raise ValueError(f"{label!r:.60} is no name of a class: expected one line of 1 to 200 characters")
        if "${" in label:
            raise ValueError(f"{label!r:.60} is no name of a class: params.yaml takes ${{ for a reference")
        other = seen.setdefault(unicodedata.normalize("NFKC", label).casefold(), label)
        if other != label:
            raise ValueError(f"{other} and {label} differ only in case or the form of characters; rename one of them")


def _distinct(values: list) -> list:
    if len(set(values)) < len(values):
        raise ValueError("an entry is repeated, expected different ones")
    return values


Distinct = AfterValidator(_distinct)


def check_known(key: str, names: Iterable[str], valid: Collection[str]) -> None:
    """ValueError where `key` holds a name that is none of `valid`."""
    if unknown := [name for name in names if name not in valid]:
        raise ValueError(f"{key} names {unknown[0]!r}, expected one of {', '.join(valid)}")
