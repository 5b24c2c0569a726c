"""Pre-train one miniature backbone on the generated world: `python -m stages.pretrain clip`."""

import sys
from pathlib import Path

from har.config.load import read_yaml, validate
from har.config.models import Pretrain
from har.core.errors import told_in_one_line

CACHE = Path("data/.cache")


def pretrain(name: str) -> None:
    params = validate(Pretrain, read_yaml("params.yaml").get("pretrain", {}), "params.yaml: pretrain")
    from har.training import pretrain  # after the check: torch takes seconds to load

    log = pretrain.pretrain(
        name, params.models[name], params.scenes, Path("data/pretrained") / name, CACHE, params.threads
    )
    pretrain.write_log(log, Path("data/pretrained") / name / "log.csv")


if __name__ == "__main__":
    with told_in_one_line("pretrain"):
        pretrain(*sys.argv[1:])
