"""What the noise is learnt by, and how a class is told with it.

arXiv 2507.18675 adds "class-specific noise, learned via a custom loss function, to reinforce attention to
class-defining features" and prints no formula; this one is ours. The classifier's weights stay as they are. Each class
c has a pattern d_c in pixel values, |d_c| <= bound everywhere, and x + d_c (cut to 0..255) is an image x with it. For
an image of class y, masked at random, log-probabilities l and logits z, the objective is the mean over images of

    margin * softplus(max_{c != y} z_c(x + d_y) - z_y(x + d_y))
        the true class wins under its own pattern, by a margin: with part of the image black it is this that is lost
  + gain * softplus(max_{c != y} l_c(x + d_c) - l_y(x + d_y))
        no other class gains more by its pattern than the true one by its own. Without this term d_c may be what makes
        *any* image look like c (a universal adversarial perturbation), which is of no use where the label is not known
  + size * mean_c (d_c / bound)^2
        no more than is needed: what is not asked for by the images stays 0

One shared pattern is the case d_c = d for all c. It is used without the label (RULES): "own" scores class c by
l_c(x + d_c), each class judged under its own pattern; "average" takes the mean of the probabilities over patterns. For
a shared pattern both are p(x + d).
"""

from collections.abc import Callable

import torch
from torch.nn.functional import log_softmax, one_hot, softplus

from har.config.studies import NoiseTerms

RULES = ("own", "average")
Forward = Callable[[torch.Tensor], torch.Tensor]  # pixels [n, 3, size, size], 0 to 255, to logits [n, C]


def noisy(x: torch.Tensor, pattern: torch.Tensor) -> torch.Tensor:
    """Pixels with a pattern, within 0 to 255."""
    return (x + pattern).clamp(0, 255)


def passes(terms: NoiseTerms, classes: int) -> int:
    """Forward and backward passes that one image takes: one for each pattern if other classes' gains count."""
    return classes if terms.patterns == "class" and terms.gain else 1


def objective(
    forward: Forward, x: torch.Tensor, y: torch.Tensor, patterns: torch.Tensor, bound: float, terms: NoiseTerms
) -> torch.Tensor:
    """The mean objective of a batch. x: pixels [n, 3, size, size]; y: classes [n]; patterns: [C or 1, 3, size,
    size]."""
    rows = torch.arange(len(x), device=x.device)
    if len(patterns) == 1:
        own = forward(noisy(x, patterns[0]))  # [n, C]
        told = log_softmax(own, 1)  # class c under pattern c
    elif terms.gain:
        every = forward(noisy(x[:, None], patterns).flatten(0, 1)).view(len(x), len(patterns), -1)  # [n, pattern, C]
        own = every[rows, y]
        told = log_softmax(every, 2).diagonal(dim1=1, dim2=2)
    else:
        own = forward(noisy(x, patterns[y]))
        told = None
    true = one_hot(y, own.shape[1]).bool()

    def lost(scores: torch.Tensor) -> torch.Tensor:
        """Mean softplus of how far the best other class is ahead."""
        return softplus(scores.masked_fill(true, -torch.inf).amax(1) - scores[rows, y]).mean()

    loss = terms.margin * lost(own)
    if terms.gain:
        loss = loss + terms.gain * lost(told)
    return loss + terms.size * (patterns / bound).square().mean()


@torch.no_grad()
def probabilities(forward: Forward, x: torch.Tensor, patterns: torch.Tensor) -> dict[str, torch.Tensor]:
    """Each of RULES to probabilities [n, C], without any label."""
    told = [log_softmax(forward(noisy(x, pattern)).cpu().double(), 1) for pattern in patterns]
    logs = torch.stack(told, 1)  # [n, K, C]
    if len(patterns) == 1:
        return dict.fromkeys(RULES, logs[:, 0].exp())
    return {"own": logs.diagonal(dim1=1, dim2=2).softmax(1), "average": logs.exp().mean(1)}
