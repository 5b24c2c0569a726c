"""A profile, and params.yaml as a whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from har.config.data import Curate, Data, Split, Store
from har.config.load import Block, explain, nearest, read_yaml, validate
from har.config.models import Backbone, Embed, Generative, Model, Pretrain, Probe
from har.config.overrides import alike, described, merged
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
from har.config.types import Distinct, Name, Op, check_known, check_labels
from har.core.errors import HarError


class Profile(Block):
    data: Data
    curate: Curate
    split: Split
    store: Store
    tasks: dict[str, Annotated[list[str], Distinct]]
    backbones: dict[str, Backbone]
    embed: Embed
    training: Training
    models: Annotated[dict[str, Model], Field(min_length=1)]
    augmentation: Augmentation
    policies: dict[str, list[Op]]
    probe: Probe
    rows: dict[Name, Row]
    tune: Tune
    cross_validation: CrossValidation
    learning_curve: LearningCurve
    controls: Controls
    ablation: Ablation
    generative: dict[Name, Generative]
    audit: Audit
    errors: Errors
    explain: Explain
    masking: Masking
    noise: Noise
    report: Report
    page: Page

    @model_validator(mode="after")
    def _labels_are_classes(self):
        classes = self.curate.classes
        try:
            check_labels(classes)
        except ValueError as error:
            raise ValueError(f"curate.classes: {error}") from None
        for label, entry in classes.items():
            if not self.data.own and (entry.count is None or not entry.keywords):
                raise ValueError(f"curate.classes.{label}: expected a count, and keywords to look for in captions")
        if "activity" not in self.tasks:
            raise ValueError("tasks lacks activity, the task that tables, cross-validation and the audit speak of")
        for task, labels in self.tasks.items():
            if len(labels) < 2:
                raise ValueError(f"tasks.{task}: expected two classes or more, got {len(labels)}")
            check_known(f"tasks.{task}", labels, classes)
        check_known("embed.prompts lacks a class: curate.classes", classes, self.embed.prompts)
        check_known("masking.cues", self.masking.cues, classes)
        for name, vlm in self.generative.items():
            key = f"generative.{name}.answers lacks a class: tasks.activity"
            check_known(key, self.tasks["activity"], vlm.answers)
        return self

    @model_validator(mode="after")
    def _models_have_what_they_need(self):
        models, backbones = self.models, self.backbones
        standard, probes = of_encoders(backbones), [f"probe_{name}" for name in backbones]
        check_rows(self.rows, backbones, {**standard, **models, "metadata": None})
        rows = [*standard, *self.rows, "metadata"]
        check_known("cross_validation.models", self.cross_validation.models, [*models, *rows])
        check_known("learning_curve.models", self.learning_curve.models, [*models, *probes, "metadata"])
        check_known("audit.encoder", [self.audit.encoder], backbones)
        check_known("controls.encoder", [self.controls.encoder], backbones)
        check_known("masking.relevance.models", self.masking.relevance.models, models)
        for name, model in models.items():
            if name.startswith(KINDS):
                raise ValueError(f"models.{name}: names that start with {', '.join(KINDS)} are those of rows")
            self._check_backbone(f"models.{name}", model)
            if reason := self._without_texts(model):
                raise ValueError(f"models.{name}.head is {model.head}, but {reason}")
            size, side = getattr(model, "input_size", 0), self.store.short_side
            if size > side:
                raise ValueError(f"models.{name}.input_size is {size}, more than the {side} pixels of store.short_side")
        for name, model in self.variants()[0].items():
            self._check_backbone(f"ablation.variants.{name}.set", model)
        for name in self.tune.models:
            self.candidates(name)
        return self

    def _check_backbone(self, key: str, model: Model) -> None:
        if hasattr(model, "backbone"):
            check_known(f"{key}.backbone", [model.backbone], self.backbones)

    def _without_texts(self, model: Model) -> str:
        """Why the model's head cannot start from the texts of its backbone; empty where it can, or does not."""
        backbone = self.backbones.get(model.encoder)
        random = model.of_texts and backbone is not None and backbone.source == "random"
        return f"backbones.{model.encoder}.source is random: its texts say nothing" if random else ""

    def variants(self) -> tuple[dict[str, Model], dict[str, str]]:
        """The models of `ablation.variants`, and of those that are left out the reason: beside what `models` says now
        they repeat the reference, or fit no model. ValueError, naming the key, for what is wrong by itself."""
        kept, left_out, settings = {}, {}, self.ablation
        # the reference first: others are compared with it
        for name in sorted(settings.variants, key=lambda name: name != settings.reference):
            one, where = settings.variants[name], f"ablation.variants.{name}"
            check_known(f"{where}.model", [one.model], self.models)
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
        check_known("tune.models", [name], self.models)
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
            reason = explain(error, changed)
            if all(part["type"] == "value_error" and not part["loc"] for part in error.errors()):
                return base, reason
            raise ValueError(f"{where}: {reason}") from None
        return model, self._without_texts(model)


class Params(Block):
    """params.yaml with its profiles filled in: `sample`, `coco`, and any number under names of the user's own.

    skipped: entries of run.train whose task another profile has and the active one does not; they are none of `run`.
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
        check_known("run.encoders", self.run.encoders, active.backbones)
        check_known("run.generative", self.run.generative, active.generative)
        check_known("run.tune", self.run.tune, active.tune.models)
        for key, run in self.run.train.items():
            where = f"run.train.{key}"
            check_known(f"{where}.task", [run.task], active.tasks)
            check_known(f"{where}.model", [run.model], active.models)
            if key != f"{run.task}-{run.model}":
                raise ValueError(f"{where} must be called {run.task}-{run.model}, after its task and model")
            model = active.models[run.model]
            # embeddings come from the backbone, so that both are there; a text head reads both
            fitting = [f"embeddings/{model.encoder}"] if model.encoder else ["store"]
            if model.fine_tuned and not model.of_texts:
                fitting.append(f"backbones/{model.encoder}")
            check_known(f"{where}.input", [run.input], fitting)
        left_out = self.rows[1]
        for study in ("cross_validation", "learning_curve"):
            for name in getattr(active, study).models:
                if name in left_out:
                    raise ValueError(f"{study}.models names {name}, but it is left out: {left_out[name]}; take it out")
        for user, encoder in self._encoders_of():
            if encoder and encoder not in self.run.encoders:
                raise ValueError(f"{user} needs backbone {encoder}, which run.encoders does not list")
        fine_tuned = [key for key, run in self.run.train.items() if active.models[run.model].fine_tuned]
        check_known("explain.models", active.explain.models, fine_tuned)
        relevant = [f"activity-{name}" for name in active.masking.relevance.models]
        check_known("masking.relevance.models", relevant, active.explain.models)
        trained = [run.model for run in self.run.train.values() if run.task == "activity"]
        check_known("run.noise", [self.run.noise], [name for name in trained if active.models[name].sees_images])
        for pair in active.controls.pairs:
            check_known(f"controls.pairs: {pair.shown}: encoders", pair.encoders, self.pretrain.models)
        for name, backbone in active.backbones.items():
            if backbone.shape == "pretrain":
                check_known(f"backbones.{name}.source pretrain", [name], self.pretrain.models)
        return self

    def _encoders_of(self) -> Iterator[tuple[str, str]]:
        """What in the active profile uses an encoder, by its key, and the encoder; empty for none."""
        active = self.active
        yield "audit.encoder", active.audit.encoder
        for key, run in self.run.train.items():
            yield f"run.train.{key}", active.models[run.model].encoder
        for name, model in active.variants()[0].items():
            yield f"ablation.variants.{name}", model.encoder
        probes = {name: row.backbone for name, row in of_encoders(active.backbones).items()}
        for study in ("cross_validation", "learning_curve"):
            names = getattr(active, study).models
            for name in [*names, *(one for row in map(active.rows.get, names) for one in getattr(row, "members", ()))]:
                encoder = active.models[name].encoder if name in active.models else probes.get(name, "")
                yield f"{study}.models: {name}", encoder


class Profiles(Block):
    """The keys of params.yaml that name profiles: the active one, and what each sets in the place of base values."""

    profile: str
    profiles: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], dict]

    @model_validator(mode="after")
    def _active_is_there(self):
        check_known("profile", [self.profile], self.profiles)
        return self


WRITTEN = ("profile", "profiles", "run", "pretrain", "simulation")  # the keys of the file beside a profile's


def parse(data: dict, where: str) -> Params:
    """The content of a params.yaml as a frozen object: `profiles.<name>` laid over the values at the top.

    Raises HarError that starts with `where` and names the profile and the key.
    """
    for key in data:
        if key not in (known := [*WRITTEN, *Profile.model_fields]):
            raise HarError(f"{where}: unknown key {key}; the nearest valid key is {nearest(key, known)}")
    names = validate(Profiles, {key: data[key] for key in Profiles.model_fields if key in data}, where)
    base = {key: value for key, value in data.items() if key not in WRITTEN}
    filled = {
        name: validate(Profile, alike(merged(base, over), where), f"{where}, profile {name}")
        for name, over in names.profiles.items()
    }
    whole = alike({key: data[key] for key in WRITTEN if key in data and key != "profiles"}, where)
    run, skipped = whole.get("run"), []
    if isinstance(run, dict) and isinstance(run.get("train"), dict):
        mine = filled[names.profile].tasks
        elsewhere = [task for one in filled.values() for task in one.tasks if task not in mine]
        skipped = [key for key, one in run["train"].items() if isinstance(one, dict) and one.get("task") in elsewhere]
        run["train"] = {key: one for key, one in run["train"].items() if key not in skipped}
    return validate(Params, whole | {"profiles": filled, "overrides": names.profiles, "skipped": skipped}, where)


def load_params(path: str | Path = "params.yaml") -> Params:
    """params.yaml as a frozen object.

    Raises HarError with one line that names the file, the profile, the key and, for an unknown key, the nearest valid
    one.
    """
    return parse(read_yaml(path), str(path))
