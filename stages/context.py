"""What every stage starts from: the parameters of the active profile and where its files lie."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from har.errors import told_in_one_line
from har.params.schema import Params, Profile, load_params

# Downloads and rendered scenes that outlive a stage: DVC empties a stage's outs before it runs.
CACHE = Path("data/.cache")


@dataclass(frozen=True)
class Context:
    params: Params
    profile: Profile
    data: Path
    reports: Path


def stage(run: Callable[..., None], *arguments: str) -> None:
    """Call `run(context, *arguments)`; a user's mistake ends the stage with one line, not a traceback."""
    with told_in_one_line(run.__module__ if run.__module__ != "__main__" else run.__name__):
        params = load_params()
        name = params.profile
        run(Context(params, params.active, Path("data") / name, Path("reports") / name), *arguments)
