"""Seeded draws for the generated world: one stream of uniforms, everything else made from it."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def _stream(rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.random(256).tolist()


class Dice:
    """Scalar draws keyed by integers, equal on every platform and cheap enough to call hundreds of times.

    Only `Generator.random` is used: its stream is the one least likely to change between numpy releases,
    and drawing in blocks costs a tenth of a scalar call each.
    """

    def __init__(self, *key: int) -> None:
        self.u = _stream(np.random.default_rng(list(key))).__next__

    def between(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self.u()

    def normal(self, mean: float = 0.0, sd: float = 1.0) -> float:
        """Bell-shaped and bounded (three standard deviations): no outlier can break a body."""
        return mean + sd * 2.0 * (self.u() + self.u() + self.u() - 1.5)

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return self.u() < p

    def below(self, n: int) -> int:
        """Integer in [0, n)."""
        return int(self.u() * n)

    def pick(self, items: Sequence[T]) -> T:
        """One item, all equally likely."""
        return items[int(self.u() * len(items))]

    def weighted(self, items: Sequence[tuple[T, float]]) -> T:
        """One item of (item, weight) pairs; weights need not sum to one."""
        left = self.u() * sum(weight for _, weight in items)
        for item, weight in items:
            left -= weight
            if left < 0:
                return item
        return items[-1][0]
