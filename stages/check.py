"""Check params.yaml before any work and note the code of each stage; every other stage waits for this one."""

from pathlib import Path

from har import cluster
from har.files import write_json, write_text
from har.sources import fingerprint
from stages.context import Context, stage

# Types and checks of params.yaml decide whether a run starts, not what comes out: what a stage reads of params.yaml
# stands under its `params:` in dvc.yaml, and nothing there has a default. So a new key reruns what uses it alone.
NO_RESULT = [Path("har/params")]


def check(context: Context) -> None:
    if context.profile.training.backend == "ray":
        cluster.require()
    # The content changes with what it names alone, so that a changed parameter reruns only the stages that use it.
    write_text(Path("data/params.ok"), "params.yaml is understood\n")
    # Stages that fit a list of models depend on the settings of these, not on those of all models.
    for name in ("resampling", "learning_curve"):
        models = getattr(context.profile, name).models
        settings = {
            model: context.profile.models[model].model_dump() for model in models if model in context.profile.models
        }
        write_json(Path("data/settings") / f"{name}.json", {"profile": context.params.profile, "models": settings})
    settings = {name: context.profile.variant(name).model_dump() for name in context.profile.ablation.variants}
    write_json(Path("data/settings/ablation.json"), {"profile": context.params.profile, "models": settings})
    for script in sorted(Path("stages").glob("*.py")):
        if '__name__ == "__main__"' in script.read_text(encoding="utf-8") and script != Path("stages/check.py"):
            write_text(Path("data/code") / f"{script.stem}.txt", fingerprint(script, leave_out=NO_RESULT))


if __name__ == "__main__":
    stage(check)
