"""Masks that follow what an image shows, annotated regions or the pixels that a model holds relevant, and what stands
in their place."""

from collections.abc import Callable

import cv2
import numpy as np

from har.studies.masking.shapes import covered_pixels, first_pixels

cv2.setNumThreads(0)  # models go side by side, a process each


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


def mean_colour(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """As `hide`, in the mean colour of what remains of each image (of the whole image where nothing does)."""
    shown = np.where(masks.all((1, 2), keepdims=True), True, ~masks)[:, None]
    mean = (images * shown).sum((2, 3), keepdims=True) / shown.sum((2, 3), keepdims=True)
    return np.where(masks[:, None], mean.round().astype(np.uint8), images)


def blurred(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """As `hide`, blurred beyond recognition: by a Gaussian whose standard deviation is an eighth of the side (of a
    quarter of the pixels each way, where it costs a tenth)."""
    size, soft = images.shape[-1], []
    for image in images:
        small = cv2.resize(image.transpose(1, 2, 0), (-(-size // 4),) * 2, interpolation=cv2.INTER_AREA)
        soft.append(cv2.resize(cv2.GaussianBlur(small, (0, 0), size / 32), (size, size)).transpose(2, 0, 1))
    return np.where(masks[:, None], np.array(soft, np.uint8).reshape(images.shape), images)


def inpainted(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """As `hide`, filled in from what surrounds it (Telea 2004); an image hidden as a whole becomes black."""
    filled = hide(images, masks)
    for place, mask in enumerate(masks):
        if mask.any() and not mask.all():
            image = np.ascontiguousarray(images[place].transpose(1, 2, 0))
            filled[place] = cv2.inpaint(image, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA).transpose(2, 0, 1)
    return filled


def hide(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """A copy of `images`, uint8 [n, 3, size, size], black (0) where `masks`, bool [n, size, size], are True. Isolation
    is `hide` with the complement."""
    return images * ~masks[:, None]


# What stands in the place of what is hidden: (images, masks) as of `hide`, and the same back.
FILLS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "black": hide,
    "mean": mean_colour,
    "blur": blurred,
    "inpaint": inpainted,
}
