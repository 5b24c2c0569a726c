"""Check params.yaml before any work; every other stage waits for this one."""

from pathlib import Path

from har.files import write_json, write_text
from stages.context import Context, stage


def check(context: Context) -> None:
    # The content changes with what it names alone, so that a changed parameter reruns only the stages that use it.
    write_text(Path("data/params.ok"), "params.yaml is understood\n")
    # Stages that fit a list of models depend on the settings of these, not on those of all models.
    for name in ("resampling", "learning_curve"):
        models = getattr(context.profile, name).models
        settings = {
            model: context.profile.models[model].model_dump() for model in models if model in context.profile.models
        }
        write_json(Path("data/settings") / f"{name}.json", {"profile": context.params.profile, "models": settings})


if __name__ == "__main__":
    stage(check)
