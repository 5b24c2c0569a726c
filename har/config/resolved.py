"""params.yaml as stages read it: the active profile filled in, and what `run` makes of it."""

from collections.abc import Sequence

from har.config import protocol
from har.config.data import OWN
from har.config.profile import Params
from har.config.rows import views_of

WEIGHTS = {"pretrain": "a miniature", "random": "not pre-trained", "folder": "from a folder"}  # not a public checkpoint
CNN_BASE = "activity-cnn_base"  # the run of the model that the augmentation study trains


def resolved(params: Params) -> dict:
    """The content of data/params.json: the keys of the active profile beside `run`, `pretrain` and `simulation`.

    run.train lists names alone, since a name says task and model. A task that an entry of `run` asks for and the
    profile does not have holds no classes. Some keys are taken together for stages that would otherwise depend on all
    models, backbones or runs: `fitted`, the models and rows that a study fits itself; `sources`, where each encoder
    comes from; `seen`, the scenes that each miniature saw in pre-training; `already`, the policies under which `run`
    trains CNN_base anyhow; `views`, what of an image each encoder sees.
    `rows` holds those of this run, also the ones that every encoder has. `papers`: whether the images are the paper's,
    so that its figures compare; `header`: what was used, for tables; `digest`: the hash of the settings;
    `protocol`: in words, whether the settings are those of docs/protocol.md.
    """
    profile, run, rows = params.active, params.run, params.rows[0]
    own = profile.models["cnn_base"].augmentation

    def of_study(names: Sequence[str]) -> dict:
        """Models and rows by name, the members of ensembles among them."""
        members = [
            one for name in names if name in rows and rows[name].kind == "ensemble" for one in rows[name].members
        ]
        every = list(dict.fromkeys([*names, *members]))
        known = {"models": profile.models, "rows": rows}
        return {kind: {name: of[name].model_dump() for name in every if name in of} for kind, of in known.items()}

    fitted = {
        "cross_validation": profile.cross_validation.models,
        "learning_curve": profile.learning_curve.models,
        "ablate": [profile.ablation.variants[name].model for name in profile.variants()[0]],
    }
    whole = {
        "profile": params.profile,
        "run": run.model_dump() | {"train": list(run.train)},
        "fitted": {study: of_study(names) for study, names in fitted.items()},
        "already": [name for name, ops in profile.policies.items() if CNN_BASE in run.train and ops == own],
        "sources": {name: profile.backbones[name].source for name in run.encoders},
        "seen": {
            name: sum(params.pretrain.models[name].samples)
            for name in run.encoders
            if profile.backbones[name].source == "pretrain"
        },
        "views": {name: views_of(rows.values(), name) for name in run.encoders},
        **profile.model_dump(),
        "rows": {name: row.model_dump() for name, row in rows.items()},
        "tasks": profile.tasks | {name.split("-")[0]: [] for name in params.skipped},
        "pretrain": params.pretrain.model_dump(),
        "simulation": params.simulation.model_dump(),
    }
    papers = protocol.papers_images(whole)
    whole["digest"] = protocol.digest(protocol.settings(whole, protocol.MACHINE))
    return whole | {"papers": papers, "header": header(params, papers), "protocol": protocol.state(whole)}


def header(params: Params, papers: bool) -> str:
    """Which images and models a run has, and that they are not COCO's where they are not."""
    data, backbones = params.active.data, {name: params.active.backbones[name].source for name in params.run.encoders}
    averaged = f"clips, each the mean of {data.video.frames} frames and counted as one image"
    images = {
        "world": "drawn scenes",
        "clips": f"drawn {averaged}",
        "server": f"photographs of {data.server.images}",
        "video": f"own {averaged}",
        "csv": "own images or clips",
    }.get(data.source, "own images")
    if set(backbones.values()) == {"pretrain"}:
        models = ["miniature models"]
    else:
        models = [f"{name} {WEIGHTS[source]}" for name, source in backbones.items() if source in WEIGHTS]
    text = f"Profile {params.profile}: {', '.join(['photographs of COCO val2017' if papers else images, *models])}"
    return text if papers or data.source in OWN else f"{text}; no number here is COCO's"
