"""Pre-train one miniature backbone on the generated world: `python -m stages pretrain clip`."""

from pathlib import Path

from har.training import pretrain as training
from stages.lib.context import CACHE, Context


def pretrain(context: Context, name: str) -> None:
    params, out = context.params.pretrain, Path("data/pretrained") / name
    print(
        f"{name}: up to an hour; where no parameter of it was changed, a kill has cut dvc.lock short: stop this, then "
        "`git checkout dvc.lock data/pretrained`"
    )
    log = training.pretrain(name, params.models[name], params.scenes, out, CACHE, params.threads)
    training.write_log(log, out / "log.csv")
