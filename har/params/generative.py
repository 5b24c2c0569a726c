"""The block of params.yaml that describes generative models."""

import shlex
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from har.params.loader import Block


class Lora(Block):
    seeds: Annotated[list[NonNegativeInt], Field(min_length=1)]
    rank: PositiveInt
    alpha: PositiveFloat
    epochs: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    launch: str

    @model_validator(mode="after")
    def _seeds_differ(self):
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds repeats a number, expected different ones")
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
