"""The blocks of params.yaml that describe backbones, models, probes and pre-training."""

import shlex
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from har.config.load import Block
from har.config.types import Distinct, Folds, Fraction, Hex64, Op, Share, Side, Widths, Words


class Backbone(Block):
    source: Literal["hub", "folder", "pretrain", "random", "open_clip"]
    # each source needs some of these, and says so where one is empty
    architecture: Literal["", "hub", "folder", "pretrain"] = ""
    id: str = ""
    revision: Annotated[str, Field(pattern=r"^([0-9a-f]{40})?$")] = ""
    sha256: Hex64 | None = None
    folder: str = ""
    model: str = ""
    pretrained: str = ""

    @property
    def shape(self) -> str:
        """Where the architecture comes from: the source, where that is not random."""
        return self.architecture if self.source == "random" else self.source

    @property
    def local(self) -> bool:
        """Whether it comes from a file of this machine, whose path tells nobody else anything."""
        here = self.model.startswith("local-dir:") or self.pretrained.endswith(".safetensors")
        return self.source == "folder" or (self.source == "open_clip" and here)

    @model_validator(mode="after")
    def _source_is_named(self):
        needed = {"": ["architecture"], "folder": ["folder"], "hub": ["id", "revision"], "open_clip": ["model"]}
        for key in needed.get(self.shape, []):
            if not getattr(self, key):
                raise ValueError(f"source {self.source} needs the key {key}")
        elsewhere = self.model.startswith(("hf-hub:", "local-dir:"))
        if self.source == "open_clip" and bool(self.pretrained) == elsewhere:
            told = "is of no use with" if elsewhere else "is empty, expected a tag or a .safetensors file for"
            raise ValueError(f"pretrained {told} model {self.model}")
        return self


class Crops(Block):
    """number x number windows of a share of width and height."""

    share: Fraction
    number: Annotated[int, Field(ge=1, le=16)]  # saved rows bring it from elsewhere


class Embed(Block):
    batch_size: PositiveInt
    crops: Annotated[list[Crops], Field(min_length=1, max_length=16)]
    person_margin: NonNegativeFloat
    prompts: dict[str, Words]


class Fit(Block):
    """What every model trained by gradient descent has. A further architecture is a class here, in `Model` below, and a
    function in har.models.build.ARCHITECTURES; what others need to know of it are the class variables.

    Attributes:
        sees_images: whether it reads images; otherwise embeddings of `backbone`.
        fine_tuned: whether it starts from the checkpoint of `backbone` and is kept in the hub's format.
        of_texts: whether its head starts as the encoder's text embeddings of the classes.
        about: what it is, for model cards.
    """

    sees_images: ClassVar[bool] = True
    fine_tuned: ClassVar[bool] = False
    of_texts: ClassVar[bool] = False
    about: ClassVar[str]

    epochs: PositiveInt
    patience: NonNegativeInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    warmup: Share
    label_smoothing: Share
    augmentation: list[Op]

    @property
    def encoder(self) -> str:
        """The name of its backbone; empty for a model from scratch."""
        return getattr(self, "backbone", "")


class Cnn(Fit):
    about = "a small convolutional network, trained from scratch"
    kind: Literal["cnn"]
    input_size: Side
    fit: Literal["crop", "squash"]
    channels: Widths
    hidden: Annotated[int, Field(ge=1, le=65_536)]
    batch_norm: bool
    conv_dropout: Share
    dropout: Share
    min_epochs: NonNegativeInt

    @model_validator(mode="after")
    def _fits(self):
        if self.min_epochs > self.epochs:
            raise ValueError(f"min_epochs is {self.min_epochs}, more than the {self.epochs} of epochs")
        if self.input_size < 2 ** len(self.channels):
            raise ValueError(f"input_size {self.input_size} is too small for {len(self.channels)} max-pools")
        return self


class Dense(Fit):
    about = "a small dense network on pixels, trained from scratch"
    kind: Literal["dense"]
    input_size: Side
    fit: Literal["crop", "squash"]
    hidden: Widths
    dropout: Share


class Finetune(Fit):
    fine_tuned = True
    about = "a pretrained image encoder with a new linear head, all of it fine-tuned"
    kind: Literal["finetune"]
    backbone: str
    pretrained: bool
    pool: Literal["embedding", "patches"]
    head: Literal["random", "probe", "text", "frozen_text"]
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
        if self.of_texts and not self.pretrained:
            raise ValueError(f"head {self.head} needs pretrained true: texts say nothing to weights drawn at random")
        if self.of_texts and self.pool != "embedding":
            raise ValueError(f"head {self.head} needs pool embedding: texts say nothing to patches")
        if self.head == "frozen_text" and self.adapt == "head":
            raise ValueError("head frozen_text with adapt head trains nothing; expected adapt full or lora")
        return self

    @property
    def of_texts(self) -> bool:
        return self.head in ("text", "frozen_text")


class Mlp(Fit):
    batch_size: Annotated[int, Field(ge=2)]  # its batch normalisation needs two rows
    augmentation: Annotated[list[Op], Field(max_length=0)]  # it sees no pixels
    sees_images = False
    about = "a small MLP on the frozen embeddings of a pretrained image encoder"
    kind: Literal["mlp"]
    backbone: str
    features: Literal["image", "similarity"]
    hidden: Widths
    dropout: Share


Model = Annotated[Cnn | Dense | Finetune | Mlp, Field(discriminator="kind")]


class Probe(Block):
    """The logistic regression on frozen embeddings, and the one on what needs no pixels."""

    c: Annotated[list[PositiveFloat], Field(min_length=1)]
    folds: Folds


class Lora(Block):
    seeds: Annotated[list[NonNegativeInt], Field(min_length=1), Distinct]
    rank: PositiveInt
    alpha: PositiveFloat
    epochs: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    launch: str

    @model_validator(mode="after")
    def _launch_is_a_list(self):
        try:
            shlex.split(self.launch)
        except ValueError as error:
            raise ValueError(f"launch is not a list of options: {error}") from None
        return self


class Generative(Block):
    source: Literal["hub", "folder"]
    id: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    folder: str
    max_bytes: PositiveInt
    dtype: Literal["float32", "bfloat16", "float16"]
    spread: bool
    batch_size: PositiveInt
    prompt: str
    question: str
    answers: dict[str, Annotated[str, Field(min_length=1)]]
    orders: Literal["all", "rotations"]
    lora: Lora

    @model_validator(mode="after")
    def _fits(self):
        if self.source == "folder" and not self.folder:
            raise ValueError("source folder needs the key folder, a path to a model in the hub's format")
        for key, part in (("prompt", "<image>"), ("prompt", "{question}"), ("question", "{labels}")):
            if getattr(self, key).count(part) != 1:
                raise ValueError(f"{key} must hold {part} once")
        if len(set(self.answers.values())) < len(self.answers):
            raise ValueError("answers gives two classes the same answer")
        return self


class Scenes(Block):
    seed: NonNegativeInt
    first_id: PositiveInt
    count: PositiveInt
    held_out: PositiveInt


class Miniature(Block):
    family: Literal["clip", "siglip2", "vit"]
    activity: bool
    seed: NonNegativeInt
    image_size: PositiveInt
    patch_size: PositiveInt
    width: PositiveInt
    layers: PositiveInt
    heads: PositiveInt
    mlp_ratio: PositiveInt
    text_width: PositiveInt
    text_layers: NonNegativeInt
    text_length: PositiveInt
    projection: PositiveInt
    samples: Annotated[list[PositiveInt], Field(min_length=1)]
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    warmup: Share


class Pretrain(Block):
    scenes: Scenes
    threads: PositiveInt
    models: dict[str, Miniature]

    @model_validator(mode="after")
    def _fits(self):
        scenes = self.scenes.count - self.scenes.held_out
        for name, one in self.models.items():
            if 2 * one.batch_size > scenes:
                raise ValueError(
                    f"models.{name}.batch_size {one.batch_size} needs {2 * one.batch_size} scenes to train "
                    f"on; scenes.count less scenes.held_out is {scenes}"
                )
            if min(one.samples) < one.batch_size:
                raise ValueError(f"models.{name}.samples {min(one.samples)} is less than its batch_size")
            if one.width % one.heads or one.text_width % one.heads:
                raise ValueError(f"models.{name}: width and text_width must be multiples of heads, {one.heads}")
            if one.patch_size > one.image_size:
                raise ValueError(f"models.{name}: patch_size {one.patch_size} exceeds image_size {one.image_size}")
        return self
