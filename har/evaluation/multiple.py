"""Corrections for many tests at a time."""

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted for the family that they form (Holm 1979), in their order; None stays None and does not
    count."""
    from statsmodels.stats.multitest import multipletests

    defined = [p for p in p_values if p is not None]
    adjusted = iter(multipletests(defined, method="holm")[1] if defined else ())
    return [None if p is None else float(next(adjusted)) for p in p_values]
