"""Check params.yaml before any work; write the active profile filled in. Every other stage waits for this one."""

import shutil
from pathlib import Path

from har.config.overrides import described, leaves
from har.config.profile import Params, load_params
from har.config.resolved import resolved
from har.core import ray as cluster
from har.core.errors import HarError
from har.core.files import write_json
from har.core.readers import read_csv
from stages.lib.context import PARAMS


def check() -> None:
    params = load_params()
    if params.active.training.backend == "ray":
        cluster.require()
    for path, value in leaves(params.overrides[params.profile]).items():
        print(f"profiles.{params.profile}.{'.'.join(path)}: {value}")
    for name in params.skipped:
        print(f"run.train.{name}: profile {params.profile} has no task {name.split('-')[0]}, so it trains nothing")
    for name, reason in params.rows[1].items():
        print(f"rows.{name} is left out: {reason}")
    for name, reason in params.active.variants()[1].items():
        print(f"ablation.variants.{name} is left out: {reason}")
    check_fine_tuned(params)
    check_tuned(params)
    whole = resolved(params)
    if whole["protocol"]:
        print(whole["protocol"])
    write_json(PARAMS, whole)
    tidy(params)


def check_fine_tuned(params: Params) -> None:
    """HarError where a model of the run fine-tunes an encoder of open_clip's, which gives embeddings alone."""
    profile = params.active
    names = [*profile.cross_validation.models, *profile.learning_curve.models]
    names += [run.model for run in params.run.train.values()]
    used = {name: profile.models[name] for name in names if name in profile.models}
    for name, model in (used | profile.variants()[0]).items():
        if model.fine_tuned and profile.backbones[model.backbone].source == "open_clip":
            raise HarError(
                f"models.{name} would fine-tune backbones.{model.backbone}, an encoder of open_clip's, which gives "
                "embeddings alone (rows from captions, probes, MLPs); take source: hub with weights in transformers' "
                "format, as laion/CLIP-ViT-B-32-laion2B-s34B-b79K has them"
            )


def check_tuned(params: Params) -> None:
    """Say which models have other settings than stage tune chose."""
    for name, settings in params.active.tune.models.items():
        path = Path("reports") / params.profile / "tune" / f"{name}.csv"
        if path.exists():
            table = read_csv(path, "what stage tune found").set_index("settings")
            now = described({key: getattr(params.active.models[name], key) for key in settings})
            if now != (chosen := table.index[0]):
                gap = "".join(
                    f" by {one.difference} ± {one.difference_se}" for one in table[table.index == now].itertuples()
                )
                print(f"models.{name}: {now}; {chosen} has a log loss lower{gap} out of fold ({path})")


def tidy(params: Params) -> None:
    """Remove what the stages of models and encoders made that `run` no longer lists: folders are read whole."""
    run, data = params.run, PARAMS.parent / params.profile
    models = [*run.train, *params.skipped]
    told = [f"{name}_{way}" for name in run.generative for way in ("zero_shot", "lora")]
    made = {
        "backbones": run.encoders,
        "embeddings": run.encoders,
        "models": models,
        "predictions": [f"{name}.parquet" for name in (*models, *(f"activity-{one}" for one in told))],
        "generative": [*run.generative, *(f"{one}.json" for one in told)],
    }
    for folder, names in made.items():
        for path in (data / folder).glob("*"):
            if path.name not in (*names, ".gitignore"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                print(f"{path} is removed: run lists it no more")
