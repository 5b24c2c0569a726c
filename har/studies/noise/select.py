"""All runs of the noise study: each method at its best on validation, told of the same test images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import delayed
from tqdm import tqdm

from har.config.studies import Masking, Noise, NoiseTerms
from har.config.training import Training
from har.core.cache import kept_calls, lasting
from har.core.parallel import side_by_side
from har.studies.masking.predictors import Trained
from har.training.run import LOADED

NOTHING, ERASING = "nothing", "erasing"
ANY = "any"  # a condition any-30: 30 % hidden, by a mask of a kind that is drawn for the image


@dataclass(frozen=True)
class Run:
    """method: nothing, erasing or the name of a variant. terms and bound: of a variant; rate: erasing's learning
    rate."""

    method: str
    terms: NoiseTerms | None = None
    bound: float = 0.0
    rate: float = 0.0


@dataclass(frozen=True)
class FittedNoise:
    """candidates: a row for each check of validation and rule, `method, bound, rate, epoch, rule, nll, accuracy`, the
    least nll first; predictions: of the least one (har.studies.masking.predict); patterns: its, float32 [C or 1, 3,
    size, size] in pixel values, None where there are none."""

    run: Run
    candidates: pd.DataFrame
    predictions: pd.DataFrame
    patterns: np.ndarray | None

    @property
    def loss(self) -> float:
        return float(self.candidates["nll"].iloc[0])


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

    def learnt(step: str, runs: Sequence[Run]) -> list[FittedNoise]:
        rest = model, images, list(classes), store, masks, config, training.device
        calls, _ = kept_calls([delayed(_learn)(run, *rest) for run in runs], room / step)
        done = side_by_side(training, len(runs), LOADED, batch_size=1)(calls)
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


def _learn(run: Run, *arguments) -> FittedNoise:
    from har.studies.noise.learn import learn  # torch takes seconds to load: in the process that learns, not before

    return learn(run, *arguments)
