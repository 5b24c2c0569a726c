"""Learning the noise with the weights frozen, and the same effort spent on the weights instead."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from har.config.studies import Noise
from har.core.errors import HarError
from har.data.store import Store
from har.evaluation.metrics import negative_log_likelihood
from har.models.build import logits
from har.models.checkpoint import load_kept
from har.models.classifier import patches_as_products
from har.models.registry import settings
from har.studies.masking.conditions import Drawing, at_random, masked_once
from har.studies.masking.predict import DIGITS, TOLD
from har.studies.masking.predictors import BATCH, Trained
from har.studies.noise.objective import RULES, objective, passes, probabilities
from har.studies.noise.runs import NOTHING, FittedNoise, Run, under_masks
from har.training.loop import make_reproducible, pick_device

Tell = Callable[[torch.Tensor], dict[str, torch.Tensor]]  # pixels to each rule's probabilities


def learn(
    run: Run, model: Trained, images: pd.DataFrame, classes: Sequence[str], store: Path, drawing: Drawing,
    config: Noise, device: str,
) -> FittedNoise:  # fmt: skip
    """One run: learnt on train, judged on validation (masked and whole), told of the test and extended images.

    images: image_id, label, split. Noise and weights are trained with equally many forward and backward passes: where
    an image takes fewer, there are more epochs. Raises HarError where the loss is not finite.
    """
    start = time.perf_counter()
    make_reproducible()
    torch.manual_seed(config.seed)
    device = pick_device(device)
    network, preprocess = load_kept(model.folder, classes)
    network = patches_as_products(network.to(device))

    def forward(pixels: torch.Tensor) -> torch.Tensor:
        return logits(network, preprocess.normalise(pixels))

    parts = {name: images[images.split.isin(of)].reset_index(drop=True) for name, of in
             {"train": ["train"], "validation": ["validation"], "test": ["test", "extended"]}.items()}  # fmt: skip
    x = {name: preprocess.load(Store(store), part.image_id) for name, part in parts.items()}
    y = {name: pd.Index(classes).get_indexer(part.label) for name, part in parts.items()}
    ids = {name: part.image_id.to_numpy() for name, part in parts.items()}
    judged = every_mask(x["validation"], ids["validation"], drawing)

    def batches(epochs: int, masked: bool) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        for epoch in range(epochs):
            hidden = at_random(x["train"], ids["train"], drawing, config.seed, epoch) if masked else x["train"]
            for rows in torch.randperm(len(hidden)).split(config.batch_size):
                yield epoch, torch.as_tensor(hidden[rows]).to(device), torch.as_tensor(y["train"][rows]).to(device)

    if run.method == NOTHING:
        network.eval()
        steps = iter([(0, {}, lambda pixels: {RULES[0]: torch.softmax(forward(pixels).double(), 1)})])
    elif run.terms is None:
        steps = _weights(network, forward, batches, run, model, config, len(classes), len(x["train"]))
    else:
        steps = _patterns(network, forward, batches, run, config, len(classes), x["train"].shape)
    best, candidates, kept = math.inf, [], None
    for epoch, state, tell in steps:
        for rule, chances in _tell(tell, judged, device).items():
            loss, accuracy = _judge(chances, y["validation"], len(drawing.shares), len(drawing.kinds))
            candidates.append({"method": run.method, "bound": run.bound, "rate": run.rate, "epoch": epoch, "rule": rule,
                               "nll": loss, "accuracy": accuracy})  # fmt: skip
            if loss < best:
                best, kept = loss, (rule, state, tell)
    if kept is None:
        raise HarError(f"noise: {run.method}: the loss on validation is not finite; lower noise.step or noise.erasing")
    rule, state, tell = kept
    if "weights" in state:
        network.load_state_dict(state["weights"])
    test = under_masks(x["test"], ids["test"], drawing)
    told = {name: _tell(tell, many, device)[rule] for name, many in test.items()}
    ranked = pd.DataFrame(candidates).sort_values("nll", kind="stable", ignore_index=True)
    patterns = state["patterns"].cpu().numpy() if "patterns" in state else None
    return FittedNoise(run, ranked, _frame(parts["test"], told, classes), patterns, time.perf_counter() - start)


def every_mask(x: np.ndarray, image_ids: np.ndarray, drawing: Drawing) -> np.ndarray:
    """Validation has few images, so each is judged whole and under each kind of mask at each share:
    [(1 + shares * kinds) * n, 3, size, size]."""
    found = [x]
    for share in drawing.shares:
        for kind in drawing.kinds:
            found.append(masked_once(x, image_ids, drawing, [kind] * len(x), [share] * len(x), drawing.seed))
    return np.concatenate(found)


def _judge(chances: np.ndarray, y: np.ndarray, shares: int, kinds: int) -> tuple[float, float]:
    """Mean log loss and accuracy over the rows of `every_mask`, nothing hidden weighing as much as each share."""
    truth = np.tile(y, 1 + shares * kinds)
    weights = np.repeat(np.r_[1.0, np.full(shares * kinds, 1 / kinds)], len(y))
    hits = chances.argmax(1) == truth
    return float(np.average(negative_log_likelihood(chances, truth), weights=weights)), float(
        np.average(hits, weights=weights)
    )


@torch.no_grad()
def _tell(tell: Tell, images: np.ndarray, device: str) -> dict[str, np.ndarray]:
    found = [tell(part.to(device)) for part in torch.as_tensor(images).split(BATCH)]
    return {rule: torch.cat([part[rule].cpu() for part in found]).numpy() for rule in found[0]}


def _frame(images: pd.DataFrame, told: dict[str, np.ndarray], classes: Sequence[str]) -> pd.DataFrame:
    parts = []
    for condition, chances in told.items():
        head = images[[column for column in TOLD if column in images]].copy()
        head.insert(0, "condition", condition)
        head.insert(1, "covered", float(condition.split("-")[1]) / 100 if "-" in condition else 0.0)
        values = pd.DataFrame(chances.round(DIGITS), columns=[f"p_{c}" for c in classes])
        parts.append(pd.concat([head, values], axis=1))
    return pd.concat(parts, ignore_index=True)


def _check_epochs(epochs: int, checks: int) -> set[int]:
    """After which epochs validation is looked at: `checks` of them, evenly, the last one among them."""
    return {round(epochs * (check + 1) / checks) for check in range(checks)}


def _patterns(network, forward, batches, run: Run, config: Noise, classes: int, shape) -> Iterator:
    """Yields (epoch, what has been learnt, how it tells) at each check. The patterns are moved by
    Adam in units of the bound, and cut back to it after each step."""
    network.eval().requires_grad_(False)
    device = next(network.parameters()).device
    count = classes if run.terms.patterns == "class" else 1
    unit = torch.zeros(count, *shape[1:], device=device, requires_grad=True)
    epochs = config.epochs * classes // passes(run.terms, classes)
    optimizer = torch.optim.Adam([unit], lr=config.step)
    steps = epochs * -(-shape[0] // config.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))
    checks, last = _check_epochs(epochs, config.checks), 0

    def yielded(epoch):
        patterns = (unit * run.bound).detach()
        return epoch, {"patterns": patterns}, lambda pixels: probabilities(forward, pixels.float(), patterns)

    for epoch, pixels, y in batches(epochs, run.terms.masked):
        if epoch > last and epoch in checks:
            yield yielded(epoch)
        last = epoch
        loss = objective(forward, pixels.float(), y, unit * run.bound, run.bound, run.terms)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            unit.clamp_(-1, 1)
    yield yielded(epochs)


def _weights(network, forward, batches, run: Run, model: Trained, config: Noise, classes: int, n: int) -> Iterator:
    """The comparison: all weights trained on, on images masked in the same way (random erasing, Zhong et al. 2020)."""
    epochs, trained_by = config.epochs * classes, settings(model.folder)
    optimizer = torch.optim.AdamW(network.parameters(), lr=run.rate, weight_decay=trained_by.weight_decay)
    steps = epochs * -(-n // config.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))
    checks, last = _check_epochs(epochs, config.checks), 0

    def tell(pixels):
        network.eval()
        return {RULES[0]: torch.softmax(forward(pixels).double(), 1)}

    def snapshot():
        return {"weights": {name: value.detach().clone() for name, value in network.state_dict().items()}}

    for epoch, pixels, y in batches(epochs, True):
        if epoch > last and epoch in checks:
            yield epoch, snapshot(), tell
        last = epoch
        network.train()
        loss = cross_entropy(forward(pixels), y, label_smoothing=trained_by.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    yield epochs, snapshot(), tell
