"""Learning the noise with the weights frozen, and the same effort spent on the weights instead."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from har.config.studies import Masking, Noise
from har.core.errors import HarError
from har.data.store import Store
from har.evaluation.metrics import negative_log_likelihood
from har.models.build import logits
from har.models.checkpoint import load_kept
from har.models.classifier import patches_as_products
from har.models.registry import settings
from har.studies.masking.conditions import at_random, drawn_name, masked_once
from har.studies.masking.predict import told
from har.studies.masking.predictors import BATCH, Trained
from har.studies.masking.shapes import draw_one
from har.studies.noise.objective import RULES, objective, passes, probabilities
from har.studies.noise.select import ANY, NOTHING, FittedNoise, Run
from har.training.loop import make_reproducible, pick_device

Tell = Callable[[torch.Tensor], dict[str, torch.Tensor]]  # pixels to each rule's probabilities


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
    network = patches_as_products(network.to(device))

    def forward(pixels: torch.Tensor) -> torch.Tensor:
        return logits(network, preprocess.normalise(pixels))

    parts = {name: images[images.split.isin(of)].reset_index(drop=True) for name, of in
             {"train": ["train"], "validation": ["validation"], "test": ["test", "extended"]}.items()}  # fmt: skip
    x = {name: preprocess.load(Store(store), part.image_id) for name, part in parts.items()}
    y = {name: pd.Index(classes).get_indexer(part.label) for name, part in parts.items()}
    ids = {name: part.image_id.to_numpy() for name, part in parts.items()}
    judged = every_mask(x["validation"], ids["validation"], masks)

    if run.terms is None:
        way = _weights(network, forward, run, model)
    else:
        way = _patterns(network, forward, run, config, len(classes), x["train"].shape[1:])

    def states() -> Iterator[tuple[int, dict, Tell]]:
        """How many epochs there were, what has been learnt and how it tells, each time that validation is looked at:
        `config.checks` times, evenly, the last epoch among them."""
        optimizer, loss_of, state = way
        if run.method == NOTHING:
            yield 0, *state()
            return
        count = passes(run.terms, len(classes)) if run.terms else 1
        epochs = config.epochs * len(classes) // count
        steps = epochs * -(-len(x["train"]) // config.batch_size)
        cosine = lambda step: 0.5 * (1 + math.cos(math.pi * step / steps))  # noqa: E731
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine)
        for epoch in range(epochs):
            hidden = x["train"]
            if run.terms is None or run.terms.masked:
                hidden = at_random(hidden, ids["train"], masks, config.seed, epoch)
            for rows in torch.randperm(len(hidden)).split(config.batch_size):
                pixels, true = (torch.as_tensor(some[rows]).to(device) for some in (hidden, y["train"]))
                loss = loss_of(pixels, true)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            if epoch + 1 in {round(epochs * (check + 1) / config.checks) for check in range(config.checks)}:
                yield epoch + 1, *state()

    best, candidates, kept = math.inf, [], None
    for epoch, state, tell in states():
        for rule, chances in _tell(tell, judged, device).items():
            loss, accuracy = _judge(chances, y["validation"], masks)
            candidates.append({"method": run.method, "bound": run.bound, "rate": run.rate, "epoch": epoch, "rule": rule,
                               "nll": loss, "accuracy": accuracy})  # fmt: skip
            if loss < best:
                best, kept = loss, (rule, state, tell)
    if kept is None:
        raise HarError(f"noise: {run.method}: the loss on validation is not finite; lower noise.step or noise.erasing")
    rule, state, tell = kept
    if "weights" in state:
        network.load_state_dict(state["weights"])
    predictions = [
        told(parts["test"], condition, covered, _tell(tell, many, device)[rule], classes)
        for condition, covered, many in under_masks(x["test"], ids["test"], masks)
    ]
    ranked = pd.DataFrame(candidates).sort_values("nll", kind="stable", ignore_index=True)
    patterns = state["patterns"].cpu().numpy() if "patterns" in state else None
    return FittedNoise(run, ranked, pd.concat(predictions, ignore_index=True), patterns)


def under_masks(x: np.ndarray, image_ids: np.ndarray, masks: Masking) -> Iterator[tuple[str, float, np.ndarray]]:
    """Condition, share and images: nothing hidden, and for each share one mask an image, of a kind that is drawn for
    it (the masks are those of the masking study)."""
    kinds = [draw_one(masks.kinds, masks.seed, image_id) for image_id in image_ids.tolist()]
    yield "none", 0.0, x
    for share in masks.shares:
        yield drawn_name(ANY, share), share, masked_once(x, image_ids, masks, kinds, [share] * len(x), masks.seed)


def every_mask(x: np.ndarray, image_ids: np.ndarray, masks: Masking) -> np.ndarray:
    """Validation has few images, so each is judged whole and under each kind of mask at each share:
    [(1 + shares * kinds) * n, 3, size, size]."""
    found = [x]
    for share in masks.shares:
        for kind in masks.kinds:
            found.append(masked_once(x, image_ids, masks, [kind] * len(x), [share] * len(x), masks.seed))
    return np.concatenate(found)


def _judge(chances: np.ndarray, y: np.ndarray, masks: Masking) -> tuple[float, float]:
    """Mean log loss and accuracy over the rows of `every_mask`, nothing hidden weighing as much as each share."""
    kinds = len(masks.kinds)
    conditions = np.r_[1.0, np.full(len(masks.shares) * kinds, 1 / kinds)]
    truth, weights = np.tile(y, len(conditions)), np.repeat(conditions, len(y))
    losses, hits = negative_log_likelihood(chances, truth), chances.argmax(1) == truth
    return float(np.average(losses, weights=weights)), float(np.average(hits, weights=weights))


@torch.no_grad()
def _tell(tell: Tell, images: np.ndarray, device: str) -> dict[str, np.ndarray]:
    found = [tell(part.to(device)) for part in torch.as_tensor(images).split(BATCH)]
    return {rule: torch.cat([part[rule].cpu() for part in found]).numpy() for rule in found[0]}


def _patterns(network, forward, run: Run, config: Noise, classes: int, shape: Sequence[int]):
    """Optimizer, loss of a batch, and what there is now: the patterns, moved by Adam in units of the bound, and cut
    back to it after each step."""
    network.eval().requires_grad_(False)
    count = classes if run.terms.patterns == "class" else 1
    unit = torch.zeros(count, *shape, device=next(network.parameters()).device, requires_grad=True)
    optimizer = torch.optim.Adam([unit], lr=config.step)
    optimizer.register_step_post_hook(lambda *_: unit.data.clamp_(-1, 1))

    def loss_of(pixels: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return objective(forward, pixels.float(), y, unit * run.bound, run.bound, run.terms)

    def state() -> tuple[dict, Tell]:
        patterns = (unit * run.bound).detach()
        return {"patterns": patterns}, lambda pixels: probabilities(forward, pixels.float(), patterns)

    return optimizer, loss_of, state


def _weights(network, forward, run: Run, model: Trained):
    """As `_patterns`, the comparison: all weights trained on, on images masked in the same way (random erasing, Zhong
    et al. 2020)."""
    trained_by = settings(model.folder)
    optimizer = torch.optim.AdamW(network.parameters(), lr=run.rate, weight_decay=trained_by.weight_decay)

    def clip(*_) -> None:
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)

    optimizer.register_step_pre_hook(clip)

    def loss_of(pixels: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        network.train()
        return cross_entropy(forward(pixels), y, label_smoothing=trained_by.label_smoothing)

    def tell(pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        network.eval()
        return {RULES[0]: torch.softmax(forward(pixels).double(), 1)}

    def state() -> tuple[dict, Tell]:
        return {"weights": {name: value.detach().clone() for name, value in network.state_dict().items()}}, tell

    return optimizer, loss_of, state
