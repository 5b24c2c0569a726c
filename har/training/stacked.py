"""Runs of one small network trained side by side as one: each step of all of them is one call of each kernel.

An MLP on embeddings spends most of a step on what a call costs whatever its size: sixteen at once take three times as
long as one, five no less than on two cores. The numbers are those of har.training.loop.train for each run alone but
for the rounding of sums (tests/training/test_stacked.py).
"""

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import stack_module_state
from torch.nn import functional as F

from har.config.models import Mlp
from har.models.build import build, parameter_count
from har.models.networks import Standardise
from har.training.descent import Descent
from har.training.loop import batches, make_reproducible, pick_device, predict, rate_factor, record
from har.training.run import Inputs, Outcome


class Stacked:
    """`networks` of one architecture (har.models.networks.mlp), each with its own weights, inputs and dropout.

    generators: where each draws its dropout from, as it would from torch's own were it alone.
    """

    def __init__(self, networks: Sequence[nn.Sequential], generators: Sequence[torch.Generator]):
        self.networks, self.generators = list(networks), list(generators)
        # by the names that they have in one network, all runs' together
        self.weights, self.state = stack_module_state(self.networks)

    def scores(self, x: Tensor, training: bool) -> Tensor:
        """[runs, n, features] to [runs, n, classes]."""
        x = x.transpose(1, 2)  # images last: so batch norm and the products need no copies
        for place, layer in self.networks[0].named_children():
            match layer:
                case Standardise():
                    x = (x - self.state[f"{place}.mean"].unsqueeze(2)) / self.state[f"{place}.std"].unsqueeze(2)
                case nn.Linear():
                    x = torch.baddbmm(self.weights[f"{place}.bias"].unsqueeze(2), self.weights[f"{place}.weight"], x)
                case nn.ReLU():
                    x = x.relu()
                case nn.BatchNorm1d():
                    x = self._batch_norm(x, place, layer, training)
                case nn.Dropout():
                    x = x * self._mask(x, layer.p) if training and layer.p else x
                case _:
                    raise TypeError(f"a {type(layer).__name__} cannot be stacked")
        return x.transpose(1, 2)

    def _batch_norm(self, x: Tensor, place: str, layer: nn.BatchNorm1d, training: bool) -> Tensor:
        mean, var = (self.state[f"{place}.running_{name}"].view(-1) for name in ("mean", "var"))
        weight, bias = (self.weights[f"{place}.{name}"].view(-1) for name in ("weight", "bias"))
        flat = x.reshape(1, -1, x.shape[2])
        return F.batch_norm(flat, mean, var, weight, bias, training, layer.momentum, layer.eps).view_as(x)

    def _mask(self, x: Tensor, p: float) -> Tensor:
        drawn = [torch.empty(x.shape[2], x.shape[1]).bernoulli_(1 - p, generator=one) for one in self.generators]
        return torch.stack(drawn).transpose(1, 2).to(x.device) / (1 - p)

    @torch.no_grad()
    def unstack(self) -> list[nn.Sequential]:
        """The networks with what they have learnt."""
        stacked = {**self.weights, **self.state}
        for run, network in enumerate(self.networks):
            for name, value in network.state_dict().items():
                value.copy_(stacked[name][run])
        return self.networks


def train_together(
    config: Mlp,
    classes: list[str],
    inputs: Sequence[Inputs],
    seeds: Sequence[int],
    *,
    device: str = "cpu",
) -> list[Outcome]:
    """A run for each of `inputs` and `seeds`, as har.training.loop.train gives it.

    inputs: features, in all as many training and as many validation rows. Raises HarError when a loss is not finite
    or training diverges. An outcome's seconds are its share of those of all runs.
    """
    start = time.perf_counter()
    make_reproducible()
    device = pick_device(device)
    networks, generators = [], []
    for one, seed in zip(inputs, seeds, strict=True):
        torch.manual_seed(seed)
        network, _ = build(config, classes, features=one.x.shape[-1])
        network[0].fit(torch.tensor(one.x)[one.train])
        networks.append(network.to(device))
        generators.append(torch.Generator().set_state(torch.get_rng_state()))
    model = Stacked(networks, generators)
    x, y = ([torch.tensor(getattr(one, name)).to(device) for one in inputs] for name in ("x", "y"))
    rows = [torch.as_tensor(one.train) for one in inputs]
    seen = [_of(values, [one.validation for one in inputs]) for values in (x, y)]

    parameters = list(model.weights.values())
    flat, full = ([p for p in parameters if (p.ndim > 2) is wide] for wide in (False, True))
    groups = [{"params": full, "weight_decay": config.weight_decay}, {"params": flat, "weight_decay": 0.0}]
    optimizer = Descent([{**group, "lr": config.learning_rate} for group in groups], parameters, runs=True)
    steps_an_epoch = len(batches(rows[0], config.batch_size))
    steps = config.epochs * steps_an_epoch

    histories: list[list[dict]] = [[] for _ in seeds]
    for epoch in range(config.epochs):
        drawn = [one[torch.randperm(len(one), generator=g)] for one, g in zip(rows, generators, strict=True)]
        images, labels = _of(x, drawn), _of(y, drawn)
        total = torch.zeros(len(seeds), device=device)
        for step, part in enumerate(batches(torch.arange(len(rows[0])), config.batch_size), epoch * steps_an_epoch):
            losses = _losses(model.scores(images[:, part], training=True), labels[:, part], config.label_smoothing)
            for parameter in parameters:
                parameter.grad = None
            losses.sum().backward()  # each run's weights see its own loss alone
            optimizer.descend(rate_factor(step, steps, config.warmup))
            total += losses.detach() * len(part)
        with torch.inference_mode():
            scores = model.scores(seen[0], training=False).cpu()
        factor = rate_factor((epoch + 1) * steps_an_epoch, steps, config.warmup)
        for run, (seed, history) in enumerate(zip(seeds, histories, strict=True)):
            record(history, float(total[run]) / len(rows[run]), scores[run], seen[1][run], factor, seed, config)
    probabilities = [
        torch.softmax(predict(network, given[torch.as_tensor(one.told)], nn.Identity()).double(), dim=1).numpy()
        for network, given, one in zip(model.unstack(), x, inputs, strict=True)
    ]
    seconds = (time.perf_counter() - start) / len(seeds)
    return [
        Outcome(
            seed=seed,
            probabilities=told,
            history=history,
            epoch=config.epochs,
            validation_loss=history[-1]["validation_loss"],
            parameters=parameter_count(networks[0]),
            seconds=seconds,
        )
        for seed, told, history in zip(seeds, probabilities, histories, strict=True)
    ]


def _losses(scores: Tensor, y: Tensor, smoothing: float) -> Tensor:
    """The mean loss of each run [runs]; scores [runs, n, classes], y [runs, n]."""
    losses = F.cross_entropy(scores.flatten(0, 1), y.flatten(), label_smoothing=smoothing, reduction="none")
    return losses.view(y.shape).mean(1)


def _of(values: Sequence[Tensor], rows: Sequence) -> Tensor:
    """Rows of each run's values, as many of each: [runs, n, ...]."""
    return torch.stack([one[torch.as_tensor(part)] for one, part in zip(values, rows, strict=True)])
