"""What every stage starts from: its settings and where its files lie."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from har.config.profile import Params, Profile
from har.config.settings import read
from har.core.errors import exit_with_message

# What stage check notes of each stage: what it reads of params.yaml, and the hashes of its code.
NOTED = Path("data/stages")
# Downloads and rendered scenes that outlive a stage: DVC empties a stage's outs before it runs.
CACHE = Path("data/.cache")
CNN_BASE = "activity-cnn_base"  # the run of the model that the augmentation study trains


@dataclass(frozen=True)
class Context:
    """params and profile hold what stages.settings names for the stage, no more."""

    params: Params
    profile: Profile
    data: Path
    reports: Path


def stage(run: Callable[..., None], *arguments: str) -> None:
    """Call `run(context, *arguments)`; a user's mistake ends the stage with one line, not a traceback."""
    script = Path(sys.argv[0]).stem
    with exit_with_message(script):
        # one of several processes of a stage has further arguments
        names = ["-".join([script, *arguments[:count]]) for count in range(len(arguments), -1, -1)]
        files = [NOTED / f"{name}.json" for name in names]
        params, profile = read(next(filter(Path.exists, files), files[0]))
        name = params.profile
        run(Context(params, profile, Path("data") / name, Path("reports") / name), *arguments)
