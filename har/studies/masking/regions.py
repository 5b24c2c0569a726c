"""Masks that follow what an image shows: annotated regions, or the pixels that a model holds relevant."""

import numpy as np

from har.studies.masking.shapes import covered_pixels, first_pixels


def seen(region: np.ndarray, size: int, fit: str, crop_pct: float = 1.0) -> np.ndarray:
    """A region of the photograph [height, width] as the network sees it, bool [size, size].

    fit and crop_pct as in har.models.preprocess.Preprocess: each pixel takes what lies under its middle.
    """
    height, width = region.shape
    box = np.array([min(height, width)] * 2 if fit == "crop" else [height, width]) * crop_pct
    middles = (np.arange(size) + 0.5) / size
    rows, columns = (
        np.clip(((whole - side) / 2 + middles * side).astype(int), 0, whole - 1)
        for whole, side in zip(region.shape, box, strict=True)
    )
    return region[rows].take(columns, axis=1)


def relevant(relevance: np.ndarray, share: float, size: int) -> np.ndarray:
    """The pixels of highest relevance, bool [size, size]: exactly `covered_pixels(share, size, size)` of them.

    relevance: a map [side, side] over the network's input, scaled by repeating its values.
    """
    at = np.arange(size) * len(relevance) // size
    return first_pixels(-np.asarray(relevance, np.float32)[at][:, at], covered_pixels(share, size, size))


def hide(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """A copy of `images`, uint8 [n, 3, size, size], black (0) where `masks`, bool [n, size, size], are True. Isolation
    is `hide` with the complement."""
    return images * ~masks[:, None]
