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

LARGEST = 0.5  # share; a triangle inside a square covers no more
ASPECT = 2.0  # sides of a shape differ by at most this factor


def covered_pixels(share: float, height: int, width: int) -> int:
    """The number of pixels that make a share of an image, rounded half up."""
    return math.floor(share * height * width + 0.5)


def drawn_mask(
    kind: str,
    share: float,
    height: int,
    width: int,
    *,
    seed: int,
    image_id: int,
    grid: int = 8,
    stripes: int = 4,
) -> np.ndarray:
    """One mask, bool [height, width], True where the image is hidden: exactly `covered_pixels` of them.

    kind: one of SHAPES. share: up to what SHAPES says. grid: patches a side; the last patch is
    covered in part where the count asks for it. Raises ValueError for another kind or share.
    """
    if kind not in SHAPES:
        raise ValueError(f"mask {kind!r} is unknown, expected one of {', '.join(SHAPES)}")
    field, largest = SHAPES[kind]
    if not 0 <= share <= largest:
        raise ValueError(f"share {share:g} of {kind}: expected 0 to {largest:g}")
    rng = np.random.default_rng([seed, image_id, zlib.crc32(kind.encode())])
    x = ((np.arange(width, dtype=np.float32) + 0.5) / width)[None, :]
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
    drawn = field(x, y, rng, max(share, 1e-6), {"patches": grid, "stripes": stripes}.get(kind, 0))
    return first_pixels(drawn, covered_pixels(share, height, width))


def first_pixels(field: np.ndarray, count: int) -> np.ndarray:
    """The `count` pixels where `field` is smallest, ties in reading order: bool, of the field's shape."""
    flat = field.ravel()
    mask = np.zeros(flat.size, dtype=bool)
    if count >= flat.size:
        mask[:] = True
    elif count > 0:
        last = np.partition(flat, count - 1)[count - 1]
        np.less(flat, last, out=mask)
        tied = np.flatnonzero(flat == last)
        mask[tied[: count - np.count_nonzero(mask)]] = True
    return mask.reshape(field.shape)


def _patches(x, y, rng, share: float, grid: int) -> np.ndarray:
    """Squares of a grid in random order: larger shares hold the smaller ones."""
    order = rng.permutation(grid * grid).astype(np.int16).reshape(grid, grid)
    return order[(y * grid).astype(int), (x * grid).astype(int)]


def _stripes(x, y, rng, share: float, stripes: int) -> np.ndarray:
    """Parallel stripes of equal width at a random angle: distance from the nearest stripe's middle."""
    angle, phase = rng.random(2) * (math.pi, 1.0)
    along = x * np.float32(math.cos(angle) * stripes) + y * np.float32(math.sin(angle) * stripes)
    along += np.float32(phase)
    along -= np.floor(along)
    along -= np.float32(0.5)
    return np.abs(along, out=along)


def _sides(area: float, largest: float, rng) -> tuple[float, float]:
    """Width and height of a box of `area` inside the unit square; `largest`: the largest area there is."""
    room = min(ASPECT, largest / area)
    aspect = room ** rng.uniform(-1, 1)
    return math.sqrt(area * aspect), math.sqrt(area / aspect)


def _centre(width: float, height: float, rng) -> tuple[float, float]:
    """A place where the box lies inside the unit square."""
    return width / 2 + rng.random() * (1 - width), height / 2 + rng.random() * (1 - height)


def _rectangle(x, y, rng, share: float, count: int) -> np.ndarray:
    width, height = _sides(share, 1.0, rng)
    cx, cy = _centre(width, height, rng)
    return np.maximum(np.abs(x - np.float32(cx)) / np.float32(width), np.abs(y - np.float32(cy)) / np.float32(height))


def _ellipse(x, y, rng, share: float, count: int) -> np.ndarray:
    width, height = _sides(share * 4 / math.pi, 1.0, rng)  # of the box around it
    cx, cy = _centre(width, height, rng)
    return ((x - np.float32(cx)) / np.float32(width)) ** 2 + ((y - np.float32(cy)) / np.float32(height)) ** 2


def _triangle(x, y, rng, share: float, count: int) -> np.ndarray:
    """A side on one side of its box and the opposite corner anywhere on the other; triangles of one centre inside
    each other: 1 - 3 times the smallest barycentric coordinate."""
    width, height = _sides(2 * share, 1.0, rng)
    cx, cy = _centre(width, height, rng)
    turned, flipped = rng.random(2) < 0.5
    tip = rng.random()
    if turned:
        x, y, cx, cy, width, height = y, x, cy, cx, height, width
    across = (x - np.float32(cx)) / np.float32(width) + np.float32(0.5)  # 0 to 1 in the box
    up = (y - np.float32(cy)) / np.float32(height) * np.float32(-1 if flipped else 1) + np.float32(0.5)
    # corners (0, 0), (1, 0), (tip, 1)
    second = across - np.float32(tip) * up
    return -np.minimum(np.minimum(up, second), 1 - up - second)


# Name to the field that gives the shape, and the largest share that it covers. A field takes x [1, width] and y
# [height, 1] in the unit square, a generator, the share, and how many there are (patches a side, stripes).
SHAPES: dict[str, tuple[Callable[..., np.ndarray], float]] = {
    "patches": (_patches, 1.0),
    "rectangle": (_rectangle, LARGEST),
    "ellipse": (_ellipse, LARGEST),
    "triangle": (_triangle, LARGEST),
    "stripes": (_stripes, 1.0),
}

T = TypeVar("T", str, float)


def draw_one(options: Sequence[T], *key: int) -> T:
    """One of `options` at random. Each has a number of its own that follows from (key, option), and the largest wins:
    their order does not matter, and a further option takes its share without changing what the others get."""
    return max(options, key=lambda one: hashlib.blake2b(f"{key} {one}".encode(), digest_size=8).digest())
