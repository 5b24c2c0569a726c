"""A profile, and params.yaml as a whole."""

import difflib
import re
from pathlib import Path
from typing import Annotated

from pydantic import (
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from har.config.data import Curate, Data, Split, Store
from har.config.load import Block, explain, read_yaml, validate
from har.config.models import Backbone, Embed, Generative, Model, Pretrain, Probe
from har.config.report import Page, Report
from har.config.studies import (
    Ablation,
    Audit,
    Errors,
    Explain,
    LearningCurve,
    Masking,
    Noise,
    Resampling,
    Simulation,
)
from har.config.training import Augmentation, Run, Training
from har.config.types import Op, _known
from har.core.errors import HarError


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
        for name, model in self.variants()[0].items():
            _known(f"ablation.variants.{name}.set.backbone", [getattr(model, "backbone", "")], ["", *self.backbones])
        return self

    def variants(self) -> tuple[dict[str, Model], dict[str, str]]:
        """The models of `ablation.variants`, and of those that are left out the reason: beside what `models` says now
        they repeat the reference, or fit no model. ValueError, naming the key, for what is wrong by itself."""
        kept, left_out, settings = {}, {}, self.ablation
        # the reference first: others are compared with it
        for name in sorted(settings.variants, key=lambda name: name != settings.reference):
            one, where = settings.variants[name], f"ablation.variants.{name}"
            _known(f"{where}.model", [one.model], self.models)
            base, same = self.models[one.model], settings.variants[settings.reference].model == one.model
            if "kind" in one.set:
                raise ValueError(f"{where}.set.kind: a variant keeps its model's kind, {base.kind}")
            try:
                model = type(base).model_validate(base.model_dump() | one.set)
            except ValidationError as error:
                together = all(part["type"] == "value_error" and not part["loc"] for part in error.errors())
                if not together or name == settings.reference:
                    raise ValueError(f"{where}.set: {explain(type(base), error)}") from None
                left_out[name] = explain(type(base), error)
                continue
            if name != settings.reference and same and model == kept[settings.reference]:
                left_out[name] = f"the same as {settings.reference}"
            else:
                kept[name] = model
        return {name: kept[name] for name in settings.variants if name in kept}, left_out


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
                    "images; give yours a profile of another name (python -m har.app.new_profile)"
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
            backbone = getattr(model, "backbone", "")
            # embeddings come from the backbone, so that both are there; a text head reads both
            fine_tuned = model.kind == "finetune" and model.head != "text"
            fitting = [f"backbones/{backbone}"] * fine_tuned + [f"embeddings/{backbone}"] if backbone else ["store"]
            if run.input not in fitting:
                expected = " or ".join(fitting)
                raise ValueError(
                    f"{where}.input is {run.input}, expected {expected} for {self.profile}.models.{run.model}"
                )
            if backbone and backbone not in self.run.encoders:
                raise ValueError(f"{where} needs backbone {backbone}, which run.encoders does not list")
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
        for name, model in active.variants()[0].items():
            _known(
                f"run.encoders lacks what {self.profile}.ablation.variants.{name} needs; its backbone",
                [getattr(model, "backbone", "")],
                ["", *self.run.encoders],
            )
        for name, backbone in active.backbones.items():
            if "pretrain" in (backbone.source, backbone.source == "random" and backbone.architecture):
                _known(f"{self.profile}.backbones.{name}.source pretrain", [name], self.pretrain.models)
        return self


def load_params(path: str | Path = "params.yaml") -> Params:
    """params.yaml as a frozen object.

    Raises HarError with one line that names the file, the key and, for an unknown key, the nearest
    valid one.
    """
    params = validate(Params, read_yaml(path), str(path))
    if not params.active.models:
        raise HarError(f"{path}: {params.profile}.models is empty, expected at least one model")
    return params
