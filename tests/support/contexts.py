"""What the stages of a small run are given."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import parameters
from conftest import one_by_one

from har.config.load import Block
from har.config.training import TrainRun


def changed(block: Block, changes: Mapping) -> Block:
    """A copy with `changes` (dotted key to value), which need not be what params.yaml may name."""
    for key, value in changes.items():
        name, _, rest = key.partition(".")
        block = block.model_copy(update={name: changed(getattr(block, name), {rest: value}) if rest else value})
    return block


def small(root: Path, models: Mapping, changes: Mapping) -> SimpleNamespace:
    """A run of `models` for activity on profile sample with `changes`, in `root`."""
    fewer = {
        "store.short_side": 32, "store.jobs": 1, "models": models, "training": one_by_one(seeds=[0, 1]),
        "report.resamples": 100, "policies": {}, "page.jobs": 1,
    }  # fmt: skip
    runs = {f"activity-{name}": TrainRun(task="activity", model=name, input="store") for name in models}
    run = SimpleNamespace(train=runs, encoders=[], generative=[], tasks=["activity"])
    return SimpleNamespace(
        profile=changed(parameters.profile(), fewer | changes), params=SimpleNamespace(profile="sample", run=run),
        data=root / "data", reports=root / "data/reports", published=root / "reports", sources={}, already=[],
        protocol="", papers=False, header="Drawn images", digest="", titled=str,
    )  # fmt: skip
