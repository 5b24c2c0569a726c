"""The blocks of params.yaml that describe the studies."""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from har.config.load import Block
from har.config.types import Distinct, Folds, Fraction, Hex64, MaskKind, Name, Seed, Words, check_known


class CrossValidation(Block):
    """Repeated stratified k-fold over the drawn images."""

    models: list[str]
    folds: Folds
    repeats: PositiveInt
    runs: PositiveInt
    seed: Seed


class LearningCurve(Block):
    models: list[str]
    sizes: Annotated[list[PositiveInt], Field(min_length=1)]
    folds: Folds
    seed: Seed


Setting = bool | int | float | str | list[str] | list[int]


class Tune(Block):
    """Candidates of models' settings, compared out of fold on train and validation; rows that fit a probe on frozen
    features are compared on the same folds. models: by model, of each setting its value in every candidate."""

    folds: Folds
    seed: Seed
    runs: PositiveInt
    models: dict[str, dict[str, Annotated[list[Setting], Field(min_length=2)]]]

    @model_validator(mode="after")
    def _is_fair(self):
        if len({len(values) for settings in self.models.values() for values in settings.values()}) > 1:
            raise ValueError("models: expected as many values of each setting: candidates are as many for each model")
        return self

    def candidates(self, name: str) -> list[dict[str, Setting]]:
        """The candidates of model `name`, each by what it sets."""
        settings = self.models[name]
        return [dict(zip(settings, values, strict=True)) for values in zip(*settings.values(), strict=True)]


class Pair(Block):
    """Two of `pretrain.models`, and what the first has that the second has not."""

    shown: str
    encoders: Annotated[list[str], Field(min_length=2, max_length=2)]


class Controls(Block):
    """What pre-training taught: pairs of encoders that differ in one thing, and other prompts for zero-shot."""

    pairs: list[Pair]
    encoder: str
    prompts: dict[str, dict[str, Words]]


class Variant(Block):
    """A model of `models` with some of its settings replaced."""

    model: str
    set: dict[str, Setting]


class Ablation(Block):
    folds: Folds
    seed: Seed
    reference: str
    variants: dict[Name, Variant]

    @model_validator(mode="after")
    def _fits(self):
        check_known("reference", [self.reference], self.variants)
        return self


class Vcoco(Block):
    url: str
    sha256: Hex64
    bytes: PositiveInt


class Audit(Block):
    """What counts as the same picture, and the human labels to compare with."""

    hash_bits: NonNegativeInt
    similarity: Fraction
    encoder: str
    seconds: PositiveInt
    vcoco: Vcoco


def _ascending(bins: dict[str, float | None]) -> dict[str, float | None]:
    *bounds, last = bins.values() or [None]
    if not bounds or None in bounds or last is not None:
        raise ValueError("expected two bins or more, each with its upper bound, and none for the last")
    if sorted(set(bounds)) != bounds or bounds[0] < 0:
        raise ValueError(f"bounds are {', '.join(f'{b:g}' for b in bounds)}, expected numbers from 0 on that rise")
    return bins


Bins = Annotated[dict[str, float | None], AfterValidator(_ascending)]


class ErrorBins(Block):
    """For each factor, names of bins and their upper bounds; the last is open."""

    person_size: Bins
    persons: Bins
    labelled_joints: Bins
    hidden_joints: Bins
    overlap: Bins
    pixels: Bins
    caption_agreement: Bins


class Errors(Block):
    """What the error analysis shows."""

    examples: PositiveInt
    listed: PositiveInt
    bins: ErrorBins


class Explain(Block):
    """Which models are explained on which images, and how."""

    models: list[str]
    heads: Annotated[list[Literal["own", "text"]], Field(min_length=1)]
    extended: NonNegativeInt
    curves: NonNegativeInt
    steps: PositiveInt
    batch_size: PositiveInt
    examples: PositiveInt
    seed: Seed


class Relevance(Block):
    """Masks by a model's own explanation: whose, and the share of the image."""

    models: list[str]
    share: Fraction


class Masking(Block):
    """What is hidden in the masking study."""

    images: PositiveInt
    kinds: Annotated[list[MaskKind], Field(min_length=1), Distinct]
    shares: Annotated[list[Annotated[float, Field(gt=0, le=0.5)]], Field(min_length=1)]
    grid: PositiveInt
    stripes: PositiveInt
    fills: Annotated[list[Literal["black", "mean", "blur", "inpaint"]], Field(min_length=1), Distinct]
    cues: dict[str, list[str]]
    relevance: Relevance
    train_masks: NonNegativeInt
    seed: Seed

    @model_validator(mode="after")
    def _no_mask_twice(self):
        if sorted(set(self.shares)) != self.shares:
            raise ValueError("shares must rise, expected each larger than the one before")
        if self.fills[0] != "black":
            raise ValueError("fills must begin with black, which drawn masks and those of things are filled with")
        return self


class NoiseTerms(Block):
    """One way to learn the noise: the weights of its objective, and what it is learnt on."""

    patterns: Literal["class", "shared"]
    margin: PositiveFloat  # without it nothing pulls the noise away from 0
    gain: NonNegativeFloat
    size: NonNegativeFloat
    masked: bool


class LabelNoise(Block):
    """Wrong labels among training images: their shares, and how often each is drawn."""

    shares: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1)]
    draws: PositiveInt
    seed: Seed


class Noise(Block):
    """Class-specific noise and what it is compared with."""

    bounds: Annotated[list[Annotated[float, Field(gt=0, le=255)]], Field(min_length=1)]
    epochs: PositiveInt
    batch_size: Annotated[int, Field(ge=2)]
    step: Fraction
    checks: PositiveInt
    variants: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")], NoiseTerms], Field(min_length=1)]
    erasing: Annotated[list[PositiveFloat], Field(min_length=1)]
    labels: LabelNoise
    seed: Seed

    @model_validator(mode="after")
    def _fits(self):
        if taken := {"nothing", "erasing"} & set(self.variants):
            raise ValueError(f"variants.{min(taken)}: this name is taken by what the noise is compared with")
        if self.checks > self.epochs:
            raise ValueError(f"checks is {self.checks}, more than the {self.epochs} epochs")
        return self


class Simulation(Block):
    """Predictions with known truth, to test the statistics themselves."""

    seed: Seed
    experiments: Annotated[int, Field(ge=100)]
    resamples: Annotated[int, Field(ge=100)]
