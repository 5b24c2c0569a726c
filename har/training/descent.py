"""AdamW on clipped gradients, by torch's kernels and without what torch does around them.

Hooks, checks and the sorting of tensors by device take a small network longer than the arithmetic of a step. The
numbers are those of torch.nn.utils.clip_grad_norm_ and torch.optim.AdamW, to the last bit
(tests/training/test_descent.py).
"""

from collections.abc import Iterable, Sequence

import torch

FUSED = ("cpu", "cuda")  # devices that have torch's fused kernel


class Descent(torch.optim.AdamW):
    """groups: as AdamW takes them, each with its own lr. parameters: all of the model, in the order in which the norm
    of their gradients is summed; those without a gradient stay as they are. runs: whether the first dimension of each
    is one of runs that go side by side (har.training.stacked), with a norm of its own each."""

    def __init__(self, groups: Sequence[dict], parameters: Iterable[torch.nn.Parameter], runs: bool = False):
        self.parameters, self.runs = list(parameters), runs
        super().__init__(groups, fused=all(parameter.device.type in FUSED for parameter in self.parameters))
        self.rates = [group["lr"] for group in self.param_groups]
        self._moved: list[bool] = []  # which of the parameters `_state` is about
        self._state: list[tuple] = []

    @torch.no_grad()
    def descend(self, factor: float, norm: float = 1.0) -> None:
        """A step at `factor` of each group's rate, gradients scaled down where their joint norm exceeds `norm`."""
        for group, rate in zip(self.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if self.runs:
            norms = torch.stack([torch.linalg.vector_norm(one.flatten(1), dim=1) for one in gradients])
            shrink = torch.clamp(norm / (torch.linalg.vector_norm(norms, dim=0) + 1e-6), max=1.0)
            torch._foreach_mul_(gradients, [shrink.view(-1, *[1] * (one.ndim - 1)) for one in gradients])
        elif self.defaults["fused"]:
            total = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
            torch._foreach_mul_(gradients, torch.clamp(norm / (total + 1e-6), max=1.0))
        else:
            torch.nn.utils.clip_grad_norm_(self.parameters, norm)
        if not self.defaults["fused"]:
            self.step()
            return
        moved = [parameter.grad is not None for parameter in self.parameters]
        if moved != self._moved:
            self._moved, self._state = moved, [self._of(group) for group in self.param_groups]
        for group, (parameters, first, second, steps) in zip(self.param_groups, self._state, strict=True):
            if not parameters:
                continue
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(
                parameters,
                [parameter.grad for parameter in parameters],
                first,
                second,
                [],
                steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )

    def load_state_dict(self, state: dict) -> None:
        super().load_state_dict(state)
        self._moved = []

    def _of(self, group: dict) -> tuple[list, list, list, list]:
        """The parameters of `group` that have a gradient, their two moments and counts of steps."""
        parameters, first, second, steps = [], [], [], []
        self._init_group(group, parameters, [], first, second, [], steps)
        return parameters, first, second, steps
