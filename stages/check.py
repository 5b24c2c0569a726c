"""Check params.yaml before any work; note each stage's settings and code. Every other stage waits for this one."""

from pathlib import Path

from har.config.profile import load_params
from har.config.settings import subset
from har.core import ray as cluster
from har.core.errors import exit_with_message
from har.core.files import write_json
from har.core.sources import fingerprint
from stages.lib.context import NOTED
from stages.settings import keys

# Types and checks of params.yaml decide whether a run starts, not what comes out: what a stage reads of params.yaml
# stands in its settings, and nothing there has a default. So a new key reruns what uses it alone.
NO_RESULT = [Path("har/config")]


def check() -> None:
    params = load_params()
    if params.active.training.backend == "ray":
        cluster.require()
    for name, reason in params.active.variants()[1].items():
        print(f"ablation.variants.{name} is left out: {reason}")
    for name, read in keys(params).items():
        code = fingerprint(Path("stages") / f"{name.split('-')[0]}.py", leave_out=NO_RESULT)
        write_json(NOTED / f"{name}.json", {"settings": subset(params, read), "code": code})


if __name__ == "__main__":
    with exit_with_message("check"):
        check()
