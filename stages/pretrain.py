"""Pre-train one miniature backbone on the generated world: `python -m stages.pretrain clip`."""

import sys
from pathlib import Path

from har.config.load import read_yaml, validate
from har.config.models import Pretrain
from har.core.errors import exit_with_message

CACHE = Path("data/.cache")


def pretrain(name: str) -> None:
    params = validate(Pretrain, read_yaml("params.yaml").get("pretrain", {}), "params.yaml: pretrain")
    from har.training import pretrain  # after the check: torch takes seconds to load

    log = pretrain.pretrain(
        name, params.models[name], params.scenes, Path("data/pretrained") / name, CACHE, params.threads
    )
    pretrain.write_log(log, Path("data/pretrained") / name / "log.csv")


if __name__ == "__main__":
    with exit_with_message("pretrain"):
        pretrain(*sys.argv[1:])
