"""Hashes of the weights that each study reads: a study that depends on them does not wait for other models."""

from har.core.files import file_sha256, write_json
from stages.lib.context import Context


def weights(context: Context) -> None:
    activity = [name for name, run in context.params.run.train.items() if run.task == "activity"]
    for study, names in {"explain": context.profile.explain.models, "masking": activity}.items():
        write_json(context.data / "weights" / f"{study}.json", {name: hashes(context, name) for name in names})


def hashes(context: Context, name: str) -> dict[str, str]:
    """The files of a trained model that decide its predictions."""
    files = sorted((context.data / "models" / name).glob("*"))
    return {file.name: file_sha256(file) for file in files if file.suffix in (".json", ".safetensors")}
