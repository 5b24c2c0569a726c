"""All runs of the noise study: each method at its best on validation, told of the same test images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from joblib import delayed
from tqdm import tqdm

from har.config.studies import Masking, Noise
from har.config.training import Training
from har.core.cache import kept_calls, lasting
from har.core.parallel import side_by_side
from har.studies.masking.predictors import Trained
from har.studies.noise.learn import ERASING, NOTHING, FittedNoise, Run, learn
from har.training.run import LOADED


@dataclass(frozen=True)
class Study:
    """best: each method's run with the least validation loss; candidates: all that validation was asked about."""

    best: dict[str, FittedNoise]
    candidates: pd.DataFrame

    @property
    def chosen(self) -> str:
        """The method that validation prefers, doing nothing included (it wins a tie), erasing left out: it is no
        noise."""
        return min((name for name in self.best if name != ERASING), key=lambda name: self.best[name].loss)


def study(
    model: Trained, images: pd.DataFrame, classes: Sequence[str], store: Path, masks: Masking, config: Noise,
    training: Training, keep: Path | None = None,
) -> Study:  # fmt: skip
    """The first variant tries every bound; the others, its ablations, are learnt at the bound that serves it best, so
    that they differ from it in one thing. Runs go side by side; the number of jobs changes nothing. keep: a folder in
    which finished runs outlive an interruption (har.core.cache)."""
    main, *others = config.variants
    rest = model, images, list(classes), store, masks, config, training.device

    def learnt(step: str, runs: Sequence[Run]) -> list[FittedNoise]:
        calls, _ = kept_calls([delayed(learn)(run, *rest) for run in runs], room / step)
        done = side_by_side(training, len(runs), LOADED)(calls)
        return list(tqdm(done, total=len(runs), desc=f"noise, {step}", unit="run"))

    with lasting(keep) as room:
        found = learnt("bounds", [Run(main, config.variants[main], bound=bound) for bound in config.bounds])
        bound = min(found, key=lambda one: one.loss).run.bound
        # those that wait for nothing come last: they are short, and the processes end together
        beside = [*(Run(ERASING, rate=rate) for rate in config.erasing), Run(NOTHING)]
        found += learnt("others", [*(Run(name, config.variants[name], bound=bound) for name in others), *beside])
    best: dict[str, FittedNoise] = {}
    for name in (NOTHING, main, *others, ERASING):
        best[name] = min((one for one in found if one.run.method == name), key=lambda one: one.loss)
    candidates = pd.concat([one.candidates for one in found], ignore_index=True)
    return Study(best, candidates.sort_values("nll", kind="stable", ignore_index=True))
