"""Between an image and what a network sees of it: the crop, boxes on its grid of patches, a map laid over it."""

import numpy as np
from PIL import Image


def window(width: float, height: float, fit: str, crop_pct: float = 1.0) -> tuple[float, float, float, float]:
    """What of an image `har.data.store.Store.square` takes: left, top, right, bottom as shares of width and height."""
    across, down = (min(width, height),) * 2 if fit == "crop" else (width, height)
    across, down = across * crop_pct / width, down * crop_pct / height
    return (1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2


def boxes_in_view(boxes: np.ndarray, width: int, height: int, fit: str, crop_pct: float = 1.0) -> np.ndarray:
    """COCO boxes [k, 4] (x, y, width, height in pixels of a `width` x `height` image) as left, top, right, bottom
    [m, 4] in shares of what the network sees, clipped to it; boxes wholly outside or without area are left out."""
    boxes = np.asarray(boxes, dtype=float).reshape(-1, 4)
    left, top, right, bottom = window(width, height, fit, crop_pct)
    corners = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]) / (width, height, width, height)
    seen = (corners - (left, top, left, top)) / (right - left, bottom - top, right - left, bottom - top)
    seen = np.clip(seen, 0, 1)
    return seen[((seen[:, 2:] - seen[:, :2]) > 1e-6).all(1)]  # less is rounding


def person_cover(boxes: np.ndarray, side: int) -> np.ndarray:
    """Boxes in view [m, 4] to the share of each patch that lies in at least one of them, float [side, side].

    Exact: the union is cut along all edges of boxes and patches, so that each piece lies wholly inside or outside.
    """
    lines = np.arange(side + 1) / side
    xs, ys = (np.unique(np.concatenate([lines, boxes[:, i], boxes[:, i + 2]])) for i in (0, 1))
    x, y = (xs[1:] + xs[:-1]) / 2, (ys[1:] + ys[:-1]) / 2  # centres of the pieces
    inside = np.zeros((len(y), len(x)), bool)
    for left, top, right, bottom in boxes:
        inside |= ((top < y) & (y < bottom))[:, None] & ((left < x) & (x < right))
    area = inside * np.diff(ys)[:, None] * np.diff(xs)
    rows, columns = (np.minimum((centre * side).astype(int), side - 1) for centre in (y, x))
    cover = np.zeros((side, side))
    np.add.at(cover, (rows[:, None], columns[None, :]), area)
    return np.clip(cover * side**2, 0, 1)


def overlay(
    image: np.ndarray, values: np.ndarray, fit: str = "squash", crop_pct: float = 1.0, strength: float = 0.75
) -> np.ndarray:
    """A map laid over the image it belongs to, uint8 [height, width, 3].

    image: the whole image, uint8 [height, width, 3]; values: its map [side, side], 0 to 1; fit, crop_pct: as in the
    model's Preprocess, so that the map lands where the network looked. The map is interpolated between patch
    centres, warm where it is high and clear where it is 0, and covers at most `strength` of the image; what the
    network never saw is grey.
    """
    from matplotlib import colormaps

    height, width = image.shape[:2]
    left, top, right, bottom = window(width, height, fit, crop_pct)
    x0, x1, y0, y1 = (round(v) for v in (left * width, right * width, top * height, bottom * height))
    values = np.clip(np.nan_to_num(np.asarray(values, dtype=np.float32)), 0, 1)
    fine = Image.fromarray(values).resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR)
    fine = np.asarray(fine)[..., None]  # [seen height, seen width, 1]
    warm = colormaps["inferno"](fine[..., 0])[..., :3] * 255
    grey = image.mean(-1, keepdims=True) * 0.4 + 110
    out = np.repeat(grey, 3, axis=-1)
    seen = image[y0:y1, x0:x1].astype(float)
    share = strength * fine
    out[y0:y1, x0:x1] = seen * (1 - share) + warm * share
    return np.clip(out.round(), 0, 255).astype(np.uint8)
