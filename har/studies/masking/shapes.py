"""Random masks that cover an exact share of the image, by patches and by shape.

A mask is the first k pixels of the image in the order of a field, k = floor(share * height * width + 1/2): the field
gives the shape, the count is exact. Fields live on the unit square, so that an image has the same mask at every
resolution (up to a pixel's width); what is drawn depends on (seed, image_id, the shape's name) alone, so all models see
the same, and another shape beside it changes nothing.
"""

import hashlib
import math
import zlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

ASPECT = 2.0  # sides of a shape differ by at most this factor


def covered_pixels(share: float, height: int, width: int) -> int:
    """The number of pixels that make a share of an image, rounded half up."""
    return math.floor(share * height * width + 0.5)


def drawn_mask(
    kind: str, share: float, height: int, width: int, *, seed: int, image_id: int, grid: int = 8, stripes: int = 4
) -> np.ndarray:
    """One mask, bool [height, width], True where the image is hidden: exactly `covered_pixels` of them.

    kind: one of SHAPES. share: up to 0.5, what a triangle inside a square can cover. grid: patches a side; the last
    patch is covered in part where the count asks for it.
    """
    rng = np.random.default_rng([seed, image_id, zlib.crc32(kind.encode())])
    x = ((np.arange(width, dtype=np.float32) + 0.5) / width)[None, :]
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
    field = SHAPES[kind](x, y, rng, max(share, 1e-6), {"patches": grid, "stripes": stripes}.get(kind, 0))
    return first_pixels(field, covered_pixels(share, height, width))


def first_pixels(field: np.ndarray, count: int) -> np.ndarray:
    """The `count` pixels where `field` is smallest, ties in reading order: bool, of the field's shape."""
    mask = np.zeros(field.shape, dtype=bool)
    mask.flat[np.argsort(field, axis=None, kind="stable")[:count]] = True
    return mask


def _patches(x, y, rng, share: float, grid: int) -> np.ndarray:
    """Squares of a grid in random order: larger shares hold the smaller ones."""
    order = rng.permutation(grid * grid).astype(np.int16).reshape(grid, grid)
    return order[(y * grid).astype(int), (x * grid).astype(int)]


def _stripes(x, y, rng, share: float, stripes: int) -> np.ndarray:
    """Parallel stripes of equal width at a random angle: distance from the nearest stripe's middle."""
    angle, phase = math.pi * rng.random(), rng.random()
    along = x * (math.cos(angle) * stripes) + y * (math.sin(angle) * stripes) + phase
    return np.abs(along - np.floor(along) - 0.5)


def _in_box(x, y, rng, area: float) -> tuple[np.ndarray, np.ndarray]:
    """x and y from the middle of a random box of `area` inside the unit square, in units of its sides."""
    aspect = min(ASPECT, 1 / area) ** rng.uniform(-1, 1)
    width, height = math.sqrt(area * aspect), math.sqrt(area / aspect)
    cx, cy = width / 2 + rng.random() * (1 - width), height / 2 + rng.random() * (1 - height)
    return (x - cx) / width, (y - cy) / height


def _rectangle(x, y, rng, share: float, count: int) -> np.ndarray:
    across, up = _in_box(x, y, rng, share)
    return np.maximum(np.abs(across), np.abs(up))


def _ellipse(x, y, rng, share: float, count: int) -> np.ndarray:
    across, up = _in_box(x, y, rng, share * 4 / math.pi)
    return across**2 + up**2


def _triangle(x, y, rng, share: float, count: int) -> np.ndarray:
    """A side on one side of its box and the opposite corner anywhere on the other; triangles of one centre inside
    each other: 1 - 3 times the smallest barycentric coordinate."""
    across, up = _in_box(x, y, rng, 2 * share)
    turned, flipped = rng.random(2) < 0.5
    tip = rng.random()
    if turned:
        across, up = up, across
    up = (-up if flipped else up) + 0.5  # 0 to 1 in the box
    second = across + 0.5 - tip * up  # corners (0, 0), (1, 0), (tip, 1)
    return -np.minimum(np.minimum(up, second), 1 - up - second)


# Name to the field that gives the shape. A field takes x [1, width] and y [height, 1] in the unit square, a generator,
# the share, and how many there are (patches a side, stripes).
SHAPES: dict[str, Callable[..., np.ndarray]] = {
    "patches": _patches,
    "rectangle": _rectangle,
    "ellipse": _ellipse,
    "triangle": _triangle,
    "stripes": _stripes,
}

T = TypeVar("T", str, float)


def draw_one(options: Sequence[T], *key: int) -> T:
    """One of `options` at random. Each has a number of its own that follows from (key, option), and the largest wins:
    their order does not matter, and a further option takes its share without changing what the others get."""
    return max(options, key=lambda one: hashlib.blake2b(f"{key} {one}".encode(), digest_size=8).digest())
