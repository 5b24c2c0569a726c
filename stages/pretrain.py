"""Pre-train one miniature backbone on the generated world: `python -m stages.pretrain clip`."""

import sys
from pathlib import Path

from har.training import pretrain as training
from stages.lib.context import CACHE, Context, stage


def pretrain(context: Context, name: str) -> None:
    params, out = context.params.pretrain, Path("data/pretrained") / name
    log = training.pretrain(name, params.models[name], params.scenes, out, CACHE, params.threads)
    training.write_log(log, out / "log.csv")


if __name__ == "__main__":
    stage(pretrain, *sys.argv[1:])
