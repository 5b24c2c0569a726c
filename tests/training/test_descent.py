"""A step is torch's own: clip_grad_norm_, then AdamW, to the last bit."""

import pytest
import torch
from torch import nn

from har.training.descent import Descent


def network() -> nn.ModuleDict:
    """With a parameter that is frozen, one that no loss reaches, and two of other memory layouts."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"conv": nn.Conv2d(3, 8, 3), "norm": nn.BatchNorm2d(8), "head": nn.Linear(8, 3)})
    model["unused"], model["frozen"] = nn.Linear(2, 2), nn.Linear(3, 3)
    model["frozen"].requires_grad_(False)
    return model.to(memory_format=torch.channels_last)


def groups(model: nn.Module) -> list[dict]:
    free = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in free if p.ndim > 1], "lr": 0.01, "weight_decay": 0.1},
        {"params": [p for p in free if p.ndim <= 1], "lr": 0.003, "weight_decay": 0.0},
    ]


def backward(model: nn.Module, step: int, scale: float) -> None:
    """Gradients of one batch; at step 3 the head alone has any."""
    x = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(step))
    hidden = model["norm"](model["conv"](x)).mean((2, 3))
    for parameter in model.parameters():
        parameter.grad = None
    out = model["frozen"](model["head"](hidden.detach() if step == 3 else hidden))
    (scale * out.square().sum()).backward()


@pytest.mark.parametrize("scale", [1e-3, 1e3], ids=["short", "clipped"])
@pytest.mark.parametrize("fused", [True, False])
def test_steps_are_those_of_torch(scale, fused, monkeypatch):
    monkeypatch.setattr("har.training.descent.FUSED", ("cpu",) if fused else ())
    ours, theirs = network(), network()
    optimizer = Descent(groups(ours), ours.parameters())
    expected = torch.optim.AdamW(groups(theirs), fused=fused)
    schedule = torch.optim.lr_scheduler.LambdaLR(expected, lambda step: 1 / (step + 3))
    for step in range(6):
        backward(ours, step, scale)
        backward(theirs, step, scale)
        optimizer.descend(1 / (step + 3))
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        expected.step()
        schedule.step()
        for (name, found), wanted in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert torch.equal(found, wanted), (step, name)
        if step == 4:  # as after an interruption
            again = Descent(groups(ours), ours.parameters())
            again.load_state_dict(optimizer.state_dict())
            optimizer = again
    assert not torch.equal(network()["head"].weight, ours["head"].weight)
    assert torch.equal(network()["unused"].weight, ours["unused"].weight)


@pytest.mark.parametrize("fused", [True, False])
def test_runs_side_by_side_are_clipped_each_by_its_own_norm(fused, monkeypatch):
    monkeypatch.setattr("har.training.descent.FUSED", ("cpu",) if fused else ())
    torch.manual_seed(0)
    start, gradients = torch.randn(2, 3, 4), torch.randn(2, 3, 4) * torch.tensor([1e-3, 1e3]).view(2, 1, 1)
    together = nn.Parameter(start.clone())
    optimizer = Descent([{"params": [together], "lr": 0.01}], [together], runs=True)
    alone = [nn.Parameter(one.clone()) for one in start]
    each = [Descent([{"params": [one], "lr": 0.01}], [one]) for one in alone]
    for factor in (1.0, 0.5):
        together.grad = gradients.clone()
        optimizer.descend(factor)
        for one, gradient, single in zip(alone, gradients, each, strict=True):
            one.grad = gradient.clone()
            single.descend(factor)
        for run, one in enumerate(alone):
            torch.testing.assert_close(together.grad[run], one.grad)
            torch.testing.assert_close(together[run], one)
