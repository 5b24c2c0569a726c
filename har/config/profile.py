"""A profile, and params.yaml as a whole."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from har.config.data import Curate, Data, Split, Store
from har.config.load import Block, explain, nearest, read_yaml, validate
from har.config.models import Backbone, Embed, Generative, Model, Pretrain, Probe
from har.config.overrides import alike, described, merged, place
from har.config.report import Page, Report
from har.config.rows import KINDS, Row, check_rows, kept, of_encoders
from har.config.studies import (
    Ablation,
    Audit,
    Controls,
    CrossValidation,
    Errors,
    Explain,
    LearningCurve,
    Masking,
    Noise,
    Simulation,
    Tune,
)
from har.config.training import Augmentation, Run, Training
from har.config.types import Op, _known, check_labels
from har.core.errors import HarError


class Profile(Block):
    data: Data
    curate: Curate
    split: Split
    store: Store
    tasks: dict[str, list[str]]
    backbones: dict[str, Backbone]
    embed: Embed
    training: Training
    models: Annotated[dict[str, Model], Field(min_length=1)]
    augmentation: Augmentation
    policies: dict[str, list[Op]]
    probe: Probe
    rows: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], Row]
    tune: Tune
    cross_validation: CrossValidation
    learning_curve: LearningCurve
    controls: Controls
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
        try:
            check_labels(self.curate.classes)
        except ValueError as error:
            raise ValueError(f"curate.classes: {error}") from None
        for label, entry in self.curate.classes.items():
            if entry.count is None and not self.data.own:
                raise ValueError(f"curate.classes.{label}: count is empty, expected a number of images")
            if not entry.keywords and not self.data.own:
                raise ValueError(
                    f"curate.classes.{label}: keywords is empty, expected at least one word that names the activity"
                )
        if "activity" not in self.tasks:
            raise ValueError("tasks lacks activity, the task that tables, cross-validation and the audit speak of")
        for task, classes in self.tasks.items():
            if len(classes) < 2:
                raise ValueError(f"tasks.{task}: expected two classes or more, got {len(classes)}")
            _known(f"tasks.{task}", classes, self.curate.classes)
        for label in self.curate.classes:
            if label not in self.embed.prompts:
                raise ValueError(f"embed.prompts.{label} is missing, expected a list of prompts for that class")
        for name in self.models:
            if name.startswith(KINDS):
                raise ValueError(f"models.{name}: names that start with {', '.join(KINDS)} are those of rows")
        standard, probes = of_encoders(self.backbones), {f"probe_{name}" for name in self.backbones}
        check_rows(self.rows, self.backbones, {**standard, **self.models, "metadata": None})
        resampled = {*self.models, *standard, *self.rows, "metadata"}
        _known("cross_validation.models", self.cross_validation.models, resampled)
        _known("learning_curve.models", self.learning_curve.models, {*self.models, *probes, "metadata"})
        _known("audit.encoder", [self.audit.encoder], self.backbones)
        _known("controls.encoder", [self.controls.encoder], self.backbones)
        _known("masking.cues", list(self.masking.cues), self.curate.classes)
        _known("masking.relevance.models", self.masking.relevance.models, self.models)
        for name, model in self.models.items():
            _known(f"models.{name}.backbone", [model.encoder], ["", *self.backbones])
            if self._without_texts(model):
                raise ValueError(
                    f"models.{name}.head is {model.head}, but backbones.{model.encoder}.source is random: its texts "
                    "say nothing"
                )
            size = getattr(model, "input_size", 0)
            if size > self.store.short_side:
                raise ValueError(
                    f"models.{name}.input_size is {size}, more than the {self.store.short_side} pixels of "
                    "store.short_side"
                )
        for name, talker in self.generative.items():
            _known(f"generative.{name}.answers lacks a class: tasks.activity", self.tasks["activity"], talker.answers)
        for name, model in self.variants()[0].items():
            _known(f"ablation.variants.{name}.set.backbone", [model.encoder], ["", *self.backbones])
        for name in self.tune.models:
            self.candidates(name)
        return self

    def _without_texts(self, model: Model) -> bool:
        """Whether the model's head is to start from the texts of a backbone that never learnt any."""
        backbone = self.backbones.get(model.encoder)
        return model.of_texts and backbone is not None and backbone.source == "random"

    def variants(self) -> tuple[dict[str, Model], dict[str, str]]:
        """The models of `ablation.variants`, and of those that are left out the reason: beside what `models` says now
        they repeat the reference, or fit no model. ValueError, naming the key, for what is wrong by itself."""
        kept, left_out, settings = {}, {}, self.ablation
        # the reference first: others are compared with it
        for name in sorted(settings.variants, key=lambda name: name != settings.reference):
            one, where = settings.variants[name], f"ablation.variants.{name}"
            _known(f"{where}.model", [one.model], self.models)
            same = settings.variants[settings.reference].model == one.model
            model, reason = self._changed(one.model, one.set, f"{where}.set")
            if reason and name == settings.reference:
                raise ValueError(f"{where}.set: {reason}")
            if not reason and name != settings.reference and same and model == kept[settings.reference]:
                reason = f"the same as {settings.reference}"
            if reason:
                left_out[name] = reason
            else:
                kept[name] = model
        return {name: kept[name] for name in settings.variants if name in kept}, left_out

    def candidates(self, name: str) -> dict[str, Model]:
        """The candidates of `tune.models` for model `name` by what they set, those left out that fit no model beside
        what else is said. ValueError, naming the key, for what is wrong by itself."""
        _known("tune.models", [name], self.models)
        found = {}
        for values in self.tune.candidates(name):
            model, reason = self._changed(name, values, f"tune.models.{name}")
            if not reason:
                found[described(values)] = model
        return found

    def _changed(self, name: str, values: dict, where: str) -> tuple[Model, str]:
        """Model `name` with `values` in the place of its own, or itself and the reason why together they fit no model.
        ValueError, naming the key, for what is wrong by itself."""
        base = self.models[name]
        if "kind" in values:
            raise ValueError(f"{where}.kind: a model keeps its kind, {base.kind}")
        changed = base.model_dump() | values
        try:
            model = type(base).model_validate(changed)
        except ValidationError as error:
            reason = explain(type(base), error, changed)
            if all(part["type"] == "value_error" and not part["loc"] for part in error.errors()):
                return base, reason
            raise ValueError(f"{where}: {reason}") from None
        without = self._without_texts(model)
        return model, f"backbones.{model.backbone}.source is random: its texts say nothing" if without else ""


class Params(Block):
    """params.yaml with its profiles filled in: `sample`, `coco`, and any number under names of the user's own.

    skipped: entries of run.train whose task the active profile does not have; they are none of `run`.
    """

    profile: str
    run: Run
    pretrain: Pretrain
    simulation: Simulation
    profiles: dict[str, Profile]
    overrides: dict[str, dict]
    skipped: list[str]

    @property
    def active(self) -> Profile:
        return self.profiles[self.profile]

    @property
    def rows(self) -> tuple[dict[str, Row], dict[str, str]]:
        """The rows of this run, those that every encoder has first; of those that are left out the reason."""
        found, left_out = kept(self.active.rows, self.run.encoders, self.active.data.own)
        return {**of_encoders(self.run.encoders), **found}, left_out

    @model_validator(mode="after")
    def _profiles_say_what_they_are(self):
        for name in {"sample", "coco"} & self.profiles.keys():
            if self.profiles[name].data.own:
                raise ValueError(
                    f"data.source is {self.profiles[name].data.source}, but tables of {name} speak of its own images; "
                    "give yours a profile of another name (har new-profile)"
                )
        return self

    @model_validator(mode="after")
    def _run_names_what_exists(self):
        active = self.active
        _known("run.encoders", self.run.encoders, active.backbones)
        _known("run.generative", self.run.generative, active.generative)
        _known("run.tune", self.run.tune, active.tune.models)
        for key, run in self.run.train.items():
            where = f"run.train.{key}"
            _known(f"{where}.task", [run.task], active.tasks)
            _known(f"{where}.model", [run.model], active.models)
            if key != f"{run.task}-{run.model}":
                raise ValueError(f"{where} must be called {run.task}-{run.model}, after its task and model")
            model = active.models[run.model]
            # embeddings come from the backbone, so that both are there; a text head reads both
            fine_tuned = model.fine_tuned and not model.of_texts
            fitting = [f"backbones/{model.encoder}"] * fine_tuned + [f"embeddings/{model.encoder}"]
            if run.input not in (fitting if model.encoder else ["store"]):
                expected = " or ".join(fitting if model.encoder else ["store"])
                raise ValueError(f"{where}.input is {run.input}, expected {expected} for models.{run.model}")
        left_out = self.rows[1]
        for study in ("cross_validation", "learning_curve"):
            for name in getattr(active, study).models:
                if name in left_out:
                    raise ValueError(f"{study}.models names {name}, but it is left out: {left_out[name]}; take it out")
        for user, encoder in self._encoders_of():
            if encoder and encoder not in self.run.encoders:
                raise ValueError(f"{user} needs backbone {encoder}, which run.encoders does not list")
        fine_tuned = [key for key, run in self.run.train.items() if active.models[run.model].fine_tuned]
        for name in active.explain.models:
            if name not in fine_tuned:
                raise ValueError(
                    f"explain.models names {name!r}, expected fine-tuned models of run.train: "
                    f"{', '.join(fine_tuned) or 'none there'}"
                )
        trained = [run.model for run in self.run.train.values() if run.task == "activity"]
        _known("run.noise", [self.run.noise], [name for name in trained if active.models[name].sees_images])
        for pair in active.controls.pairs:
            _known(f"controls.pairs: {pair.shown}: encoders", pair.encoders, self.pretrain.models)
        for name, backbone in active.backbones.items():
            if backbone.shape == "pretrain":
                _known(f"backbones.{name}.source pretrain", [name], self.pretrain.models)
        return self

    def _encoders_of(self) -> Iterator[tuple[str, str]]:
        """What in the active profile uses an encoder, by its key, and the encoder; empty for none."""
        active = self.active
        for key, run in self.run.train.items():
            yield f"run.train.{key}", active.models[run.model].encoder
        for name, model in active.variants()[0].items():
            yield f"ablation.variants.{name}", model.encoder
        probes = {name: row.backbone for name, row in of_encoders(active.backbones).items()}
        for study in ("cross_validation", "learning_curve"):
            for name in getattr(active, study).models:
                encoder = active.models[name].encoder if name in active.models else probes.get(name, "")
                yield f"{study}.models: {name}", encoder


WRITTEN = ("profile", "profiles", "run", "pretrain", "simulation")  # the keys of the file beside a profile's


def parse(data: dict, where: str) -> Params:
    """The content of a params.yaml as a frozen object: `profiles.<name>` laid over the values at the top.

    Raises HarError that starts with `where` and names the key as it is written.
    """
    for key in data:
        if key not in (known := [*WRITTEN, *Profile.model_fields]):
            raise HarError(f"{where}: unknown key {key}; the nearest valid key is {nearest(key, known)}")
    for key in ("profile", "profiles"):
        if key not in data:
            raise HarError(f"{where}: key {key} is missing")
    active, overrides = data["profile"], data["profiles"]
    if not isinstance(overrides, dict) or not isinstance(active, str) or active not in overrides:
        raise HarError(f"{where}: profile names {active!r}, expected one of {', '.join(overrides or ())}")
    base = {key: value for key, value in data.items() if key not in WRITTEN}
    filled = {name: _profile(name, base, overrides[name], where) for name in sorted(overrides, key=active.__ne__)}
    whole = alike({key: data[key] for key in WRITTEN if key in data and key != "profiles"}, where)
    train, skipped = (whole.get("run") or {}).get("train"), []
    if isinstance(train, dict):
        elsewhere = {task for profile in filled.values() for task in profile.tasks} - filled[active].tasks.keys()
        skipped = [key for key, one in train.items() if isinstance(one, dict) and one.get("task") in elsewhere]
        whole["run"] |= {"train": {key: one for key, one in train.items() if key not in skipped}}
    whole |= {"profiles": {name: filled[name] for name in overrides}, "overrides": overrides, "skipped": skipped}
    return validate(Params, whole, where, _writer(active, base, overrides[active]))


def _profile(name: str, base: dict, over: object, where: str) -> Profile:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise HarError(f"{where}: profiles.{name}: expected a name of lower-case letters, digits and underscores")
    if not isinstance(over, dict):
        raise HarError(f"{where}: profiles.{name}: expected a mapping of what differs, {{}} if nothing does")
    return validate(Profile, alike(merged(base, over), where), where, _writer(name, base, over))


def _writer(profile: str, base: dict, over: dict) -> Callable[[Sequence[str]], str]:
    return lambda path: place(path, base, over, profile) if path[0] in Profile.model_fields else ".".join(path)


def load_params(path: str | Path = "params.yaml") -> Params:
    """params.yaml as a frozen object.

    Raises HarError with one line that names the file, the key as it is written and, for an unknown key, the nearest
    valid one.
    """
    return parse(read_yaml(path), str(path))
