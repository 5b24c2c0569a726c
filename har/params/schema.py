"""The types of params.yaml, block by block, and the rules that tie blocks together."""

import difflib
import math
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from har.errors import HarError
from har.params.generative import Generative
from har.params.loader import Block, explain, read_yaml, validate
from har.params.pretrain import Pretrain

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


class TrainRun(Block):
    task: str
    model: str
    input: str


class Run(Block):
    encoders: list[str]
    train: dict[str, TrainRun]
    generative: list[str]
    policies: list[str]

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(run.task for run in self.train.values()))


class World(Block):
    seed: Seed
    first_id: PositiveInt
    images: PositiveInt


class Server(Block):
    url: str
    annotations: str
    annotations_sha256: Hex64 | None
    annotations_bytes: PositiveInt | None
    images: str
    connections: PositiveInt


class Folder(Block):
    """Own images, root/<class>/ and below."""

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


class Data(Block):
    source: Literal["world", "server", "folder", "csv"]
    world: World
    server: Server
    folder: Folder
    csv: Csv

    @property
    def own(self) -> bool:
        """Whether labels come with the images, not from captions."""
        return self.source in ("folder", "csv")

    @model_validator(mode="after")
    def _own_images_have_a_place(self):
        if self.source == "folder" and not self.folder.root:
            raise ValueError("source folder needs the key folder.root, a folder with a folder of images for each class")
        if self.source == "csv":
            for key in ("file", "image", "label"):
                if not getattr(self.csv, key):
                    raise ValueError(f"source csv needs the key csv.{key}")
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
        _known("precedence", self.precedence, self.classes)
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
    short_side: PositiveInt
    jobs: PositiveInt


class Backbone(Block):
    source: Literal["hub", "folder", "pretrain", "random"]
    architecture: Literal["hub", "folder", "pretrain"]
    id: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    sha256: Hex64 | None
    folder: str

    @model_validator(mode="after")
    def _folder_where_used(self):
        if "folder" in (self.source, self.source == "random" and self.architecture) and not self.folder:
            raise ValueError("source folder needs the key folder, a path to a model in the hub's format")
        return self


class Embed(Block):
    batch_size: PositiveInt
    prompts: dict[str, Words]


class Ray(Block):
    address: str
    cpus: PositiveInt
    gpus: NonNegativeFloat


class Training(Block):
    seeds: Annotated[list[Seed], Field(min_length=1)]
    jobs: PositiveInt
    backend: Literal["processes", "loky", "sequential", "ray"]  # threads would share one random state
    ray: Ray
    device: Literal["auto", "cpu", "cuda", "mps"]

    @model_validator(mode="after")
    def _seeds_differ(self):
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds repeats a number, expected different ones")
        return self


class Fit(Block):
    """What every model trained by gradient descent has."""

    epochs: PositiveInt
    patience: NonNegativeInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    warmup: Share
    label_smoothing: Share
    augmentation: list[Op]


class Cnn(Fit):
    kind: Literal["cnn"]
    input_size: Side
    fit: Literal["crop", "squash"]
    channels: Widths
    hidden: Annotated[int, Field(ge=1, le=65_536)]
    batch_norm: bool
    conv_dropout: Share
    dropout: Share

    @model_validator(mode="after")
    def _size_survives_pooling(self):
        if self.input_size < 2 ** len(self.channels):
            raise ValueError(f"input_size {self.input_size} is too small for {len(self.channels)} max-pools")
        return self


class Dense(Fit):
    kind: Literal["dense"]
    input_size: Side
    fit: Literal["crop", "squash"]
    hidden: Widths
    dropout: Share


class Finetune(Fit):
    kind: Literal["finetune"]
    backbone: str
    pretrained: bool
    head: Literal["random", "probe", "text"]
    head_learning_rate: PositiveFloat
    probe_c: PositiveFloat
    adapt: Literal["full", "lora", "head"]
    lora_rank: PositiveInt
    lora_alpha: PositiveFloat
    layer_decay: Annotated[float, Field(gt=0, le=1)]
    view: Literal["image", "person"]
    person_margin: NonNegativeFloat

    @model_validator(mode="after")
    def _texts_need_their_images(self):
        if self.head == "text" and not self.pretrained:
            raise ValueError("head text needs pretrained true: texts say nothing to weights drawn at random")
        return self


class Mlp(Fit):
    kind: Literal["mlp"]
    backbone: str
    features: Literal["image", "similarity"]
    hidden: Widths
    dropout: Share


Model = Annotated[Cnn | Dense | Finetune | Mlp, Field(discriminator="kind")]


class Augmentation(Block):
    flip_probability: Probability
    rotation_degrees: PositiveFloat
    jitter: Share
    grayscale_probability: Probability
    blur_sigma: PositiveFloat
    perspective: Probability
    crop_area: Fraction


class Report(Block):
    confidence: Fraction
    resamples: Annotated[int, Field(ge=100)]
    seed: Seed


class Probe(Block):
    """The logistic regression on frozen embeddings, and the one on what needs no pixels."""

    c: Annotated[list[PositiveFloat], Field(min_length=1)]
    folds: Annotated[int, Field(ge=2)]


class Resampling(Block):
    """Repeated stratified k-fold over the drawn images."""

    models: list[str]
    folds: Annotated[int, Field(ge=2)]
    repeats: PositiveInt
    runs: PositiveInt
    seed: Seed


class LearningCurve(Block):
    models: list[str]
    sizes: Annotated[list[PositiveInt], Field(min_length=1)]
    runs: PositiveInt
    seed: Seed


Setting = bool | int | float | str | list[str]


class Variant(Block):
    """A model of `models` with some of its settings replaced."""

    model: str
    set: dict[str, Setting]


class Ablation(Block):
    seeds: Annotated[list[Seed], Field(min_length=1)]
    reference: str
    variants: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], Variant]

    @model_validator(mode="after")
    def _fits(self):
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds repeats a number, expected different ones")
        _known("reference", [self.reference], self.variants)
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
    bounds = list(bins.values())
    if len(bounds) < 2 or bounds[-1] is not None or None in bounds[:-1]:
        raise ValueError("expected two bins or more, each with its upper bound, and none for the last")
    if any(not math.isfinite(bound) or bound < 0 for bound in bounds[:-1]) or sorted(set(bounds[:-1])) != bounds[:-1]:
        raise ValueError(f"bounds are {', '.join(f'{b:g}' for b in bounds[:-1])}, expected numbers from 0 on that rise")
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
    blocks: NonNegativeInt
    extended: NonNegativeInt
    curves: NonNegativeInt
    steps: PositiveInt
    batch_size: PositiveInt
    examples: PositiveInt
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


class Relevance(Block):
    """Masks by a model's own explanation: whose, and the share of the image."""

    models: list[str]
    share: Fraction


class Masking(Block):
    """What is hidden in the masking study."""

    images: PositiveInt
    kinds: Annotated[list[MaskKind], Field(min_length=1)]
    shares: Annotated[list[Annotated[float, Field(gt=0, le=0.5)]], Field(min_length=1)]
    grid: PositiveInt
    stripes: PositiveInt
    cues: dict[str, list[str]]
    relevance: Relevance
    seed: Seed

    @model_validator(mode="after")
    def _no_mask_twice(self):
        if sorted(set(self.shares)) != self.shares:
            raise ValueError("shares must rise, expected each larger than the one before")
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("kinds repeats a mask, expected different ones")
        return self


class NoiseTerms(Block):
    """One way to learn the noise: the weights of its objective, and what it is learnt on."""

    patterns: Literal["class", "shared"]
    margin: NonNegativeFloat
    gain: NonNegativeFloat
    size: NonNegativeFloat
    masked: bool

    @model_validator(mode="after")
    def _learns_something(self):
        if not self.margin:
            raise ValueError("margin is 0, expected more: without it nothing pulls the noise away from 0")
        return self


class Noise(Block):
    """Class-specific noise and what it is compared with."""

    model: str
    bounds: Annotated[list[Annotated[float, Field(gt=0, le=255)]], Field(min_length=1)]
    epochs: PositiveInt
    batch_size: Annotated[int, Field(ge=2)]
    step: Fraction
    checks: PositiveInt
    variants: dict[Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")], NoiseTerms]
    erasing: Annotated[list[PositiveFloat], Field(min_length=1)]
    seed: Seed

    @model_validator(mode="after")
    def _has_variants(self):
        if not self.variants:
            raise ValueError("variants is empty, expected at least one")
        if taken := {"nothing", "erasing"} & set(self.variants):
            raise ValueError(f"variants.{min(taken)}: this name is taken by what the noise is compared with")
        if self.checks > self.epochs:
            raise ValueError(f"checks is {self.checks}, more than the {self.epochs} epochs")
        return self


class Profile(Block):
    data: Data
    curate: Curate
    split: Split
    store: Store
    tasks: dict[str, Annotated[list[str], Field(min_length=2)]]
    backbones: dict[str, Backbone]
    embed: Embed
    training: Training
    models: dict[str, Model]
    augmentation: Augmentation
    policies: dict[str, list[Op]]
    probe: Probe
    resampling: Resampling
    learning_curve: LearningCurve
    ablation: Ablation
    generative: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], Generative]
    audit: Audit
    errors: Errors
    explain: Explain
    masking: Masking
    noise: Noise
    report: Report
    page: Page

    @model_validator(mode="after")
    def _blocks_fit_together(self):
        for label, entry in self.curate.classes.items():
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", label):
                raise ValueError(
                    f"curate.classes.{label}: a label may hold only letters, digits and underscores; the folder's "
                    "own name goes into keywords"
                )
            if not entry.keywords and not self.data.own:
                raise ValueError(
                    f"curate.classes.{label}: keywords is empty, expected at least one word that names the activity"
                )
        if "activity" not in self.tasks:
            raise ValueError("tasks lacks activity, the task that tables, resampling and the audit speak of")
        for task, classes in self.tasks.items():
            _known(f"tasks.{task}", classes, self.curate.classes)
        for label in self.curate.classes:
            if label not in self.embed.prompts:
                raise ValueError(f"embed.prompts.{label} is missing, expected a list of prompts for that class")
        probes = {f"probe_{name}" for name in self.backbones}
        _known("resampling.models", self.resampling.models, {*self.models, *probes, "metadata"})
        _known("learning_curve.models", self.learning_curve.models, {*self.models, *probes, "metadata"})
        _known("audit.encoder", [self.audit.encoder], self.backbones)
        _known("masking.cues", list(self.masking.cues), self.curate.classes)
        _known("masking.relevance.models", self.masking.relevance.models, self.models)
        sees = [name for name, model in self.models.items() if model.kind != "mlp"]
        _known("noise.model", [self.noise.model], sees)
        for name, model in self.models.items():
            backbone = getattr(model, "backbone", None)
            if backbone is not None:
                _known(f"models.{name}.backbone", [backbone], self.backbones)
            size = getattr(model, "input_size", 0)
            if size > self.store.short_side:
                raise ValueError(
                    f"models.{name}.input_size is {size}, more than the {self.store.short_side} pixels of "
                    "store.short_side"
                )
        for name, talker in self.generative.items():
            _known(f"generative.{name}.answers lacks a class: tasks.activity", self.tasks["activity"], talker.answers)
        for name in self.ablation.variants:
            model = self.variant(name)
            _known(f"ablation.variants.{name}.set.backbone", [getattr(model, "backbone", "")], ["", *self.backbones])
        return self

    def variant(self, name: str) -> Model:
        """The model of a variant of `ablation`. ValueError, naming the key, where its settings are none of a model."""
        one = self.ablation.variants[name]
        _known(f"ablation.variants.{name}.model", [one.model], self.models)
        base = self.models[one.model]
        if "kind" in one.set:
            raise ValueError(f"ablation.variants.{name}.set.kind: a variant keeps its model's kind, {base.kind}")
        try:
            return type(base).model_validate(base.model_dump() | one.set)
        except ValidationError as error:
            raise ValueError(f"ablation.variants.{name}.set: {explain(type(base), error)}") from None


class Simulation(Block):
    """Predictions with known truth, to test the statistics themselves."""

    seed: Seed
    experiments: Annotated[int, Field(ge=100)]
    resamples: Annotated[int, Field(ge=100)]


class Params(Block):
    """sample and coco, and any number of profiles under a name of the user's own."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    __pydantic_extra__: dict[str, Profile] = Field(init=False)

    profile: str
    run: Run
    pretrain: Pretrain
    simulation: Simulation
    sample: Profile
    coco: Profile

    @property
    def profiles(self) -> dict[str, Profile]:
        return {"sample": self.sample, "coco": self.coco, **(self.__pydantic_extra__ or {})}

    @property
    def active(self) -> Profile:
        return self.profiles[self.profile]

    @model_validator(mode="before")
    @classmethod
    def _further_blocks_are_profiles(cls, data):
        for name, block in data.items() if isinstance(data, dict) else ():
            if name in cls.model_fields:
                continue
            if not isinstance(block, dict) or not set(block) & set(Profile.model_fields):
                near = difflib.get_close_matches(str(name), cls.model_fields, n=1, cutoff=0)[0]
                raise ValueError(f"unknown key {name}; the nearest valid key is {near}")
            if not re.fullmatch(r"[a-z][a-z0-9_]*", str(name)):
                raise ValueError(f"profile {name}: a name may hold only lower-case letters, digits and underscores")
        return data

    @model_validator(mode="after")
    def _profile_exists_and_says_what_it_is(self):
        _known("profile", [self.profile], self.profiles)
        for name in ("sample", "coco"):
            if self.profiles[name].data.own:
                raise ValueError(
                    f"{name}.data.source is {self.profiles[name].data.source}, but tables of {name} speak of its own "
                    "images; give yours a profile of another name (python -m har.params.own)"
                )
        return self

    @model_validator(mode="after")
    def _run_names_what_exists(self):
        active = self.active
        _known("run.encoders", self.run.encoders, active.backbones)
        _known("run.policies", self.run.policies, active.policies)
        _known("run.generative", self.run.generative, active.generative)
        for key, run in self.run.train.items():
            where = f"run.train.{key}"
            _known(f"{where}.task", [run.task], active.tasks)
            _known(f"{where}.model", [run.model], active.models)
            if key != f"{run.task}-{run.model}":
                raise ValueError(f"{where} must be called {run.task}-{run.model}, after its task and model")
            model = active.models[run.model]
            folder = {"finetune": "backbones/", "mlp": "embeddings/"}.get(model.kind)
            if getattr(model, "head", "") == "text":
                folder = "embeddings/"  # which come from the backbone, so that both are there
            expected = folder + model.backbone if folder else "store"
            if run.input != expected:
                raise ValueError(
                    f"{where}.input is {run.input}, expected {expected} for {self.profile}.models.{run.model}"
                )
            if folder and model.backbone not in self.run.encoders:
                raise ValueError(f"{where} needs backbone {model.backbone}, which run.encoders does not list")
        for key in ("resampling", "learning_curve"):
            for name in getattr(active, key).models:
                encoder = getattr(active.models.get(name), "backbone", None) or name.removeprefix("probe_")
                if encoder in active.backbones and encoder not in self.run.encoders:
                    raise ValueError(
                        f"{self.profile}.{key}.models names {name}, which needs {encoder}: add {encoder} to "
                        f"run.encoders or take {name} out"
                    )
        fine_tuned = [key for key, run in self.run.train.items() if active.models[run.model].kind == "finetune"]
        for name in active.explain.models:
            if name not in fine_tuned:
                raise ValueError(
                    f"{self.profile}.explain.models names {name!r}, expected fine-tuned models of run.train: "
                    f"{', '.join(fine_tuned) or 'none there'}"
                )
        _known(
            f"{self.profile}.noise.model",
            [active.noise.model],
            [run.model for run in self.run.train.values() if run.task == "activity"],
        )
        for name in active.ablation.variants:
            _known(
                f"run.encoders lacks what {self.profile}.ablation.variants.{name} needs; its backbone",
                [getattr(active.variant(name), "backbone", "")],
                ["", *self.run.encoders],
            )
        for name, backbone in active.backbones.items():
            if "pretrain" in (backbone.source, backbone.source == "random" and backbone.architecture):
                _known(f"{self.profile}.backbones.{name}.source pretrain", [name], self.pretrain.models)
        return self


def _known(key: str, names: list[str], valid) -> None:
    unknown = [n for n in names if n not in valid]
    if unknown:
        raise ValueError(f"{key} names {unknown[0]!r}, expected one of {', '.join(valid)}")


def load_params(path: str | Path = "params.yaml") -> Params:
    """params.yaml as a frozen object.

    Raises HarError with one line that names the file, the key and, for an unknown key, the nearest
    valid one.
    """
    params = validate(Params, read_yaml(path), str(path))
    if not params.active.models:
        raise HarError(f"{path}: {params.profile}.models is empty, expected at least one model")
    return params
