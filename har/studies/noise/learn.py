"""Learning the noise with the weights frozen, and the same effort spent on the weights instead."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from har.config.studies import Masking, Noise, NoiseTerms
from har.core.errors import HarError
from har.data.store import Store
from har.evaluation.metrics import negative_log_likelihood
from har.models.build import logits
from har.models.checkpoint import load_kept
from har.models.registry import settings
from har.studies.masking.conditions import at_random, drawn_name, masked_once
from har.studies.masking.predict import told
from har.studies.masking.predictors import BATCH, Trained
from har.studies.masking.shapes import draw_one
from har.studies.noise.objective import RULES, objective, passes, probabilities
from har.training.loop import make_reproducible, pick_device

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


class Patterns(nn.Module):
    """The noise of `run`, moved by Adam in units of the bound, and cut back to it after each step."""

    def __init__(self, forward: Callable, run: Run, config: Noise, shape: Sequence[int], device: str):
        super().__init__()
        self.logits, self.run = forward, run
        self.unit = nn.Parameter(torch.zeros(*shape, device=device))
        self.optimizer = torch.optim.Adam([self.unit], lr=config.step)
        self.optimizer.register_step_post_hook(lambda *_: self.unit.data.clamp_(-1, 1))

    @property
    def patterns(self) -> torch.Tensor:
        return self.unit * self.run.bound

    def loss(self, pixels: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return objective(self.logits, pixels.float(), y, self.patterns, self.run.bound, self.run.terms)

    def probabilities(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        return probabilities(self.logits, pixels.float(), self.patterns)


class Weights(nn.Module):
    """The comparison: all weights trained on, on images masked in the same way (random erasing, Zhong et al. 2020)."""

    patterns = None

    def __init__(self, forward: Callable, run: Run, network: nn.Module, folder: Path):
        super().__init__()
        self.logits, self.network, self.settings = forward, network, settings(folder)
        every = list(network.parameters())
        self.optimizer = torch.optim.AdamW(every, lr=run.rate, weight_decay=self.settings.weight_decay)

        def clip(*_) -> None:
            nn.utils.clip_grad_norm_(every, 1.0)

        self.optimizer.register_step_pre_hook(clip)

    def loss(self, pixels: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self.network.train()
        return cross_entropy(self.logits(pixels), y, label_smoothing=self.settings.label_smoothing)

    def probabilities(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        self.network.eval()
        return {RULES[0]: torch.softmax(self.logits(pixels).cpu().double(), 1)}


def learn(
    run: Run, model: Trained, images: pd.DataFrame, classes: Sequence[str], store: Path, masks: Masking,
    config: Noise, device: str,
) -> FittedNoise:  # fmt: skip
    """One run: learnt on train, judged on validation (masked and whole), told of the test and extended images.

    images: image_id, label, split. Noise and weights are trained with equally many forward and backward passes: where
    an image takes fewer, there are more epochs. Raises HarError where the loss is not finite.
    """
    make_reproducible()
    torch.manual_seed(config.seed)
    device = pick_device(device)
    network, preprocess = load_kept(model.folder, classes)
    network = network.to(device)

    def forward(pixels: torch.Tensor) -> torch.Tensor:
        return logits(network, preprocess.normalise(pixels))

    splits = {"train": ["train"], "validation": ["validation"], "test": ["test", "extended"]}
    parts = {name: images[images.split.isin(of)].reset_index(drop=True) for name, of in splits.items()}
    x = {name: preprocess.load(Store(store), part.image_id) for name, part in parts.items()}
    y = {name: pd.Index(classes).get_indexer(part.label) for name, part in parts.items()}
    ids = {name: part.image_id.to_numpy() for name, part in parts.items()}
    judged = every_mask(x["validation"], ids["validation"], masks)

    if run.terms is None:
        way = Weights(forward, run, network, model.folder)
    else:
        network.eval().requires_grad_(False)
        count = len(classes) if run.terms.patterns == "class" else 1
        way = Patterns(forward, run, config, (count, *x["train"].shape[1:]), device)
    epochs = config.epochs * len(classes) // (passes(run.terms, len(classes)) if run.terms else 1)
    epochs = 0 if run.method == NOTHING else epochs
    steps = max(1, epochs * -(-len(x["train"]) // config.batch_size))
    cosine = lambda step: 0.5 * (1 + math.cos(math.pi * step / steps))  # noqa: E731
    schedule = torch.optim.lr_scheduler.LambdaLR(way.optimizer, cosine)
    # validation is looked at evenly, after the last epoch too; with nothing to learn, once
    checks = {round(epochs * (check + 1) / config.checks) for check in range(config.checks)}

    best, candidates, kept = math.inf, [], None
    for epoch in range(epochs + 1):
        if epoch:
            hidden = x["train"]
            if run.terms is None or run.terms.masked:
                hidden = at_random(hidden, ids["train"], masks, config.seed, epoch - 1)
            for rows in torch.randperm(len(hidden)).split(config.batch_size):
                pixels, true = (torch.as_tensor(some[rows]).to(device) for some in (hidden, y["train"]))
                loss = way.loss(pixels, true)
                way.optimizer.zero_grad()
                loss.backward()
                way.optimizer.step()
                schedule.step()
        if epoch not in checks:
            continue
        for rule, chances in _tell(way, judged, device).items():
            loss, accuracy = _judge(chances, y["validation"], masks)
            candidates.append({"method": run.method, "bound": run.bound, "rate": run.rate, "epoch": epoch, "rule": rule,
                               "nll": loss, "accuracy": accuracy})  # fmt: skip
            if loss < best:
                best, kept = loss, (rule, copy.deepcopy(way.state_dict()))
    if kept is None:
        raise HarError(f"noise: {run.method}: the loss on validation is not finite; lower noise.step or noise.erasing")
    rule, state = kept
    way.load_state_dict(state)
    predictions = [
        told(parts["test"], condition, covered, _tell(way, many, device)[rule], classes)
        for condition, covered, many in under_masks(x["test"], ids["test"], masks)
    ]
    ranked = pd.DataFrame(candidates).sort_values("nll", kind="stable", ignore_index=True)
    patterns = None if way.patterns is None else way.patterns.detach().cpu().numpy()
    return FittedNoise(run, ranked, pd.concat(predictions, ignore_index=True), patterns)


def under_masks(x: np.ndarray, image_ids: np.ndarray, masks: Masking) -> Iterator[tuple[str, float, np.ndarray]]:
    """Condition, share and images: nothing hidden, and for each share one mask an image, of a kind that is drawn for
    it (the masks are those of the masking study)."""
    kinds = [draw_one(masks.kinds, masks.seed, image_id) for image_id in image_ids.tolist()]
    yield "none", 0.0, x
    for share in masks.shares:
        yield drawn_name(ANY, share), share, masked_once(x, image_ids, masks, kinds, share, masks.seed)


def every_mask(x: np.ndarray, image_ids: np.ndarray, masks: Masking) -> np.ndarray:
    """Validation has few images, so each is judged whole and under each kind of mask at each share:
    [(1 + shares * kinds) * n, 3, size, size]."""
    every = product(masks.shares, masks.kinds)
    return np.concatenate([x, *(masked_once(x, image_ids, masks, kind, share, masks.seed) for share, kind in every)])


def _judge(chances: np.ndarray, y: np.ndarray, masks: Masking) -> tuple[float, float]:
    """Mean log loss and accuracy over the rows of `every_mask`, nothing hidden weighing as much as each share."""
    kinds = len(masks.kinds)
    conditions = np.r_[1.0, np.full(len(masks.shares) * kinds, 1 / kinds)]
    truth, weights = np.tile(y, len(conditions)), np.repeat(conditions, len(y))
    losses, hits = negative_log_likelihood(chances, truth), chances.argmax(1) == truth
    return float(np.average(losses, weights=weights)), float(np.average(hits, weights=weights))


@torch.no_grad()
def _tell(way: Patterns | Weights, images: np.ndarray, device: str) -> dict[str, np.ndarray]:
    """The probabilities of each rule for images, on the CPU."""
    found = [way.probabilities(part.to(device)) for part in torch.as_tensor(images).split(BATCH)]
    return {rule: torch.cat([part[rule].cpu() for part in found]).numpy() for rule in found[0]}
