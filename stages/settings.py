"""What each stage reads of params.yaml: keys from its top or from the active profile. A stage sees nothing else."""

from collections.abc import Iterable

from har.config.profile import Params, Profile
from stages.lib.context import CNN_BASE


def keys(params: Params) -> dict[str, list[str]]:
    """Stage, its arguments after dashes, to the keys that it reads (as har.config.settings.subset takes them)."""
    profile, run = params.active, params.run
    training = ["training", "augmentation"]
    intervals, header = ["report"], [f"backbones.{name}.source" for name in run.encoders]
    found = {
        "annotations": ["data", "store.jobs"],
        "curate": ["curate", "data.source"],
        "images": ["data", "store"],
        "split": ["split", "curate.classes"],
        "eda": ["tasks.activity", "report.seed"],
        "baselines": ["run", "tasks", "probe", *intervals],
        "augment": ["run.policies", "tasks.activity", *training, *intervals],
        "tables": ["run", "tasks", *intervals, *header],
        "cards": ["run", "tasks", "backbones", "curate", "data", "models", "split", "training", *intervals],
        "resampling": ["run.encoders", "tasks.activity", "resampling", *training, *intervals, *header],
        "learning_curve": ["tasks.activity", "learning_curve", *training],
        "ablate": ["run.encoders", "tasks.activity", "ablation", *training, *intervals, *header],
        "statistics": ["run", "tasks", "training", *intervals, *header],
        "explain": ["run", "tasks", "training", "explain", *intervals, *header],
        "audit": ["tasks.activity", "audit", "data", f"backbones.{profile.audit.encoder}.source", *intervals],
        "masking": ["run", "tasks.activity", "training", "models", "probe", "masking", *intervals, *header],
        "noise": ["run.encoders", "tasks.activity", "training", "masking", "noise", *intervals, *header],
        "consistency": ["run", "tasks"],
        "errors": ["run", "tasks", "data.source", "training", "errors", *intervals, *header],
        "figures": ["run", "tasks", "training", *intervals],
        "page": ["run", "tasks", "data.source", "page", *header],
    }
    policies = ["models.cnn_base", *(f"policies.{name}" for name in run.policies)]
    for name in ("augment", "tables", "consistency", "figures"):
        found[name] += policies
    found["augment"] += [f"run.train.{name}" for name in run.train if name == CNN_BASE]
    found["resampling"] += fitted(profile, profile.resampling.models)
    found["learning_curve"] += fitted(profile, profile.learning_curve.models)
    found["ablate"] += fitted(profile, [variant.model for variant in profile.ablation.variants.values()])
    found["noise"] += fitted(profile, [profile.noise.model])
    for name in run.encoders:
        found[f"backbone-{name}"] = [f"backbones.{name}"]
        found[f"embed-{name}"] = ["curate.classes", "embed", "training.device", "training.jobs"]
    for one in run.train.values():
        name = f"train-{one.task}-{one.model}"
        found[name] = [f"tasks.{one.task}", f"models.{one.model}", *training, *intervals]
    for name in run.generative:
        found[f"generative-{name}"] = ["tasks.activity", "training.device", f"generative.{name}", *intervals]
    found = {name: ["profile", *read] for name, read in found.items()}
    # the same for every profile
    found["simulate"] = ["simulation"]
    for name in params.pretrain.models:
        found[f"pretrain-{name}"] = ["pretrain.scenes", "pretrain.threads", f"pretrain.models.{name}"]
    return found


def fitted(profile: Profile, models: Iterable[str]) -> list[str]:
    """The keys of `models`, which may name probes and the metadata model too."""
    return ["probe", *(f"models.{name}" for name in dict.fromkeys(models) if name in profile.models)]
