"""Hashes of the weights that each study reads: a study that depends on them does not wait for other models."""

import hashlib

from har.core.files import write_json
from stages.lib.context import Context, stage


def weights(context: Context) -> None:
    activity = [name for name, run in context.params.run.train.items() if run.task == "activity"]
    for study, names in {"explain": context.profile.explain.models, "masking": activity}.items():
        write_json(context.data / "weights" / f"{study}.json", {name: hashes(context, name) for name in names})


def hashes(context: Context, name: str) -> dict[str, str]:
    """The files of a trained model that decide its predictions."""
    found = {}
    for file in sorted((context.data / "models" / name).glob("*")):
        if file.suffix in (".json", ".safetensors"):
            with open(file, "rb") as stream:
                found[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


if __name__ == "__main__":
    stage(weights)
