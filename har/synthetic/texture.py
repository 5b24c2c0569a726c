"""Surfaces and light: gradients, ground in perspective, clouds, lamps, grain. All noise comes from cached tiles."""

from functools import lru_cache

import numpy as np
from PIL import Image

from har.synthetic.backdrop import Backdrop
from har.synthetic.scene import Scene

_TILE = 256
_BAND = 16  # rows painted at once: what comes of each step then stays in the cache of the core


@lru_cache(maxsize=8)
def _tile(kind: str) -> np.ndarray:
    """Seamless noise in about [-1, 1], float32 [256, 256]."""
    rng = np.random.default_rng([20, {"cloud": 0, "ground": 1, "grain": 2}[kind]])
    total = np.zeros((_TILE, _TILE), dtype=np.float32)
    for octave in {"cloud": (2, 4, 8, 16), "ground": (8, 32, 64, 128), "grain": (256,)}[kind]:
        cells = np.pad((rng.random((octave, octave)) * 2 - 1).astype(np.float32), ((0, 1), (0, 1)), mode="wrap")
        at = np.arange(_TILE) * octave / _TILE
        low = at.astype(int)
        t = (at - low).astype(np.float32)
        t = t * t * (3 - 2 * t)
        rows = cells[low] * (1 - t)[:, None] + cells[low + 1] * t[:, None]
        total += (rows[:, low] * (1 - t) + rows[:, low + 1] * t) * (octave**-0.5 if kind == "cloud" else 0.55)
    return total / np.abs(total).max()


def _gradient(top: tuple[int, ...], low: tuple[int, ...], rows: int) -> np.ndarray:
    t = np.linspace(0, 1, rows, dtype=np.float32)
    return np.asarray(top, np.float32)[:, None] * (1 - t) + np.asarray(low, np.float32)[:, None] * t  # [3, rows]


def _noise(kind: str, v: np.ndarray, u: np.ndarray) -> np.ndarray:
    """A tile at rows v [n] and columns u [m] or [n, m], as often side by side as need be: [n, m]."""
    v, u = v & (_TILE - 1), u & (_TILE - 1)
    if u.ndim == 1:
        return _tile(kind)[v].take(u, axis=1)
    return _tile(kind).ravel().take(v[:, None] * _TILE + u)


def _within(x: np.ndarray) -> np.ndarray:
    """x modulo 1, which NumPy takes ten times as long to find."""
    return x - np.floor(x)


def _above(back: Backdrop, scene: Scene, width: int, height: int, start: int, band: slice) -> np.ndarray:
    """The rows `band` of sky or wall, which end at row `start`: float32 [3, rows, width]."""
    out = _gradient(back.top, back.low, start)[:, band, None]
    y, x = np.arange(band.start, band.stop) / height, np.arange(width) / width * scene.aspect
    shift = scene.detail % _TILE
    if back.clouds:
        tile = _noise("cloud", (y * 300 + shift).astype(int), (x * 130 + shift * 7).astype(int))
        cover = np.clip(tile * 1.6 + back.clouds - 0.55, 0, 0.8)
        return out + ((np.asarray(back.low, np.float32) * 0.5 + 120)[:, None, None] - out) * cover
    if back.pattern == "stripes":
        out = out * np.where(_within(x * 14 + shift) < 0.5, np.float32(0.93), np.float32(1))
    elif back.pattern == "bricks":
        row = (y * 22).astype(int)
        joint = (_within(y * 22) < 0.13)[:, None] | (_within(x * 9 + row[:, None] * 0.5) < 0.05)
        out = out * np.where(joint, np.float32(0.84), np.float32(1))
    return out * (1 + 0.05 * _noise("ground", (y * 400 + shift).astype(int), (x * 400).astype(int)))


def _below(back: Backdrop, scene: Scene, width: int, height: int, start: int, band: slice) -> np.ndarray:
    """The rows `band` of the ground, which begins at row `start`, in perspective: float32 [3, rows, width]."""
    out = _gradient(back.far, back.near, height - start)[:, band.start - start : band.stop - start, None]
    y = np.arange(band.start, band.stop, dtype=np.float32) / height
    x = (np.arange(width, dtype=np.float32) / width - 0.5) * scene.aspect
    scale = np.maximum((y - scene.horizon) / scene.camera, 1e-3)  # units per metre in each row
    across = x / scale[:, None]  # metres, [rows, width]
    away = 1.2 / scale  # metres, [rows]
    # A texture finer than a pixel would flicker: fade it where one metre spans too few of them.
    pixels = scale * min(height, width / scene.aspect)
    if back.ground == "stripes":
        out = out * np.where(_within(away * 0.4) < 0.5, np.float32(0.92), np.float32(1))[:, None]
    elif back.ground in ("tiles", "cobbles", "planks"):
        deep, wide = {"tiles": (1.4, 1.4), "cobbles": (3.2, 2.6), "planks": (6.0, 0.5)}[back.ground]
        row = (away * deep).astype(int)
        shift = (row * (0.37 if back.ground != "tiles" else 0.0))[:, None]
        gap = 0.07 if back.ground != "planks" else 0.02
        joint = (_within(away * deep) < 0.1)[:, None] | (_within(across * wide + shift) < gap)
        fade = np.clip(pixels / 40 - 0.4, 0, 1)[:, None] * 0.22
        out = out * (1 - joint * fade).astype(np.float32)
        if back.ground != "cobbles":
            out *= 1 + _tile("grain")[row % _TILE, :1] * 0.05
    tile = _noise("ground", (away * 60 + scene.detail % _TILE).astype(int), (across * 60).astype(np.int32))
    depth = {"noise": 0.17, "stripes": 0.12}.get(back.ground, 0.07) * np.clip(pixels / 60, 0.15, 1)
    return out * (1 + tile * depth[:, None].astype(np.float32))


def paint_backdrop(back: Backdrop, scene: Scene, width: int, height: int) -> Image.Image:
    """Sky or wall over ground, RGB, at the given size."""
    start = min(height - 1, max(1, round(back.base * height)))
    planes = np.empty((3, height, width), np.uint8)
    for painted, first, end in ((_above, 0, start), (_below, start, height)):
        for row in range(first, end, _BAND):
            band = slice(row, min(row + _BAND, end))
            planes[:, band] = np.clip(painted(back, scene, width, height, start, band), 0, 255)
    return Image.merge("RGB", [Image.fromarray(plane) for plane in planes])


_LIGHT = {
    "noon": ((1.0, 0.98, 0.93), 0.1), "overcast": ((0.86, 0.88, 0.9), 0.06), "dusk": ((1.0, 0.78, 0.62), 0.22),
    "night": ((0.5, 0.53, 0.7), 0.25), "indoor": ((1.0, 0.95, 0.86), 0.2),
}  # fmt: skip


def light_map(scene: Scene, width: int, height: int) -> Image.Image:
    """What the colours are multiplied with: tint, vignette, a slanted light, and lamps at night."""
    tint, dark = _LIGHT[scene.lighting]
    n = 24
    y, x = np.mgrid[0:n, 0:n].astype(np.float32) / (n - 1)
    d = scene.detail
    side = -1 if d & 1 else 1
    level = 1 - dark * ((x - 0.5) ** 2 + (y - 0.5) ** 2) * 1.6 + side * (0.08 + 0.001 * (d >> 3 & 63)) * (x - 0.5)
    if scene.lighting in ("night", "indoor"):
        cx, cy = 0.2 + 0.6 * (d >> 9 & 63) / 63, 0.1 + 0.4 * (d >> 15 & 63) / 63
        pool = np.exp(-((x - cx) ** 2 * 5 + (y - cy) ** 2 * 4))
        level = level + (0.75 if scene.lighting == "night" else 0.12) * pool
    rgb = level[..., None] * np.asarray(tint, np.float32)
    if scene.lighting == "night":
        rgb = rgb + 0.12 * pool[..., None] * np.asarray((1, 0.8, 0.3), np.float32)
    small = Image.fromarray(np.clip(rgb * 250, 0, 255).astype(np.uint8))
    return small.resize((width, height), Image.Resampling.BILINEAR)


def grain(image: Image.Image, scene: Scene) -> np.ndarray:
    """The finished picture with film grain, uint8 [height, width, 3]; small pictures average it away."""
    pixels = np.array(image)
    height, width = pixels.shape[:2]
    amplitude = 9 * min(1.0, height / 480) * (1.6 if scene.lighting == "night" else 1.0)
    shifted = np.roll(_grain_plane(width, height, int(amplitude)), scene.detail % height, axis=0)
    flat = pixels.reshape(height, width * 3)
    for row in range(0, height, _BAND):
        band = slice(row, row + _BAND)
        flat[band] = np.clip(flat[band] + np.repeat(shifted[band], 3, axis=1), 0, 255)
    return pixels


@lru_cache(maxsize=48)
def _grain_plane(width: int, height: int, amplitude: int) -> np.ndarray:
    rng = np.random.default_rng([21, width, height])
    return np.round((rng.random((height, width)) - 0.5) * 2 * amplitude).astype(np.int16)
