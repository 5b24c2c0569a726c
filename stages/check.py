"""Check params.yaml before any work; write the active profile filled in. Every other stage waits for this one."""

import shutil

from har.config.overrides import leaves
from har.config.profile import Params, load_params
from har.config.resolved import resolved
from har.core import ray as cluster
from har.core.errors import exit_with_message
from har.core.files import write_json
from stages.lib.context import PARAMS
from stages.lib.guard import guard


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
    write_json(PARAMS, resolved(params))
    tidy(params)


def tidy(params: Params) -> None:
    """Remove what the stages of models and encoders made that `run` no longer lists: folders are read whole."""
    run, data = params.run, PARAMS.parent / params.profile
    models, told = (
        [*run.train, *params.skipped],
        [f"{name}_{way}" for name in run.generative for way in ("zero_shot", "lora")],
    )
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


if __name__ == "__main__":
    guard()
    with exit_with_message("check"):
        check()
