"""The `pretrain` block: how the project trains its own miniature backbones on the generated world.

Kept apart from schema.py so that a new knob elsewhere does not make the miniatures look out of date.
"""

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from har.params.loader import Block

Share = Annotated[float, Field(ge=0, lt=1)]


class Scenes(Block):
    seed: NonNegativeInt
    first_id: PositiveInt
    count: PositiveInt
    held_out: PositiveInt


class Miniature(Block):
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
    weight_decay: Annotated[float, Field(ge=0)]
    warmup: Share


class Pretrain(Block):
    scenes: Scenes
    threads: PositiveInt
    models: dict[str, Miniature]
