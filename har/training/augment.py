"""Augmentation policies: transforms drawn anew for each image in each epoch, and applied to whole batches.

torchvision draws one set of parameters for a batch; called image by image its transforms cost up to 5 ms an image,
more than CNN_base's training step. Those here take a parameter for each image and agree with torchvision's
(tests/training/test_augment.py).
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from har.config.training import Augmentation

FILL = 128.0  # grey, so that the corners that a warp leaves empty carry no class
RATIO = (3 / 4, 4 / 3)  # aspect of a random crop, as torchvision's default
LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601


def compose(ops: Sequence[str], strength: Augmentation, size: int) -> Callable[[Tensor], Tensor] | None:
    """The transforms named by `ops`, in that order, as one function on uint8 batches [n, 3, size, size], each image
    drawn on its own; None for an empty list. Draws come from torch's global generator."""
    if not ops:
        return None
    s, reach = strength, strength.rotation_degrees
    draw = {
        "horizontal_flip": lambda x: torch.where(_happens(x, s.flip_probability), x.flip(-1), x),
        "vertical_flip": lambda x: torch.where(_happens(x, s.flip_probability), x.flip(-2), x),
        "rotation": lambda x: rotate(x, _uniform(x, -reach, reach)),
        "color_jitter": lambda x: jitter(
            x, *(_uniform(x, 1 - s.jitter, 1 + s.jitter) for _ in range(3)), torch.randperm(3).tolist()
        ),
        "grayscale": lambda x: torch.where(_happens(x, s.grayscale_probability), grey(x).expand_as(x), x),
        "gaussian_blur": lambda x: blur(x, _uniform(x, 0.1, s.blur_sigma), max(3, size // 16 | 1)),
        "perspective": lambda x: torch.where(_happens(x, 0.5), perspective(x, _corners(x, s.perspective)), x),
        "random_resized_crop": lambda x: crop(x, *_boxes(x, s.crop_area)),
    }

    def batch(images: Tensor) -> Tensor:
        x = images.float()
        for op in ops:
            x = draw[op](x)
        return x.round().clamp(0, 255).to(images.dtype)

    return batch


# --- transforms of float images [n, 3, h, w] with values 0 to 255 ------------------------------------------


def rotate(x: Tensor, degrees: Tensor) -> Tensor:
    """Turned counter-clockwise by `degrees` [n] about the centre."""
    turn = torch.deg2rad(degrees)
    cos, sin, zero = turn.cos(), turn.sin(), torch.zeros_like(turn)
    aspect = x.shape[-2] / x.shape[-1]
    return _affine(x, [[cos, -sin * aspect, zero], [sin / aspect, cos, zero]])


def crop(x: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """The box of each image (pixels, [n] each) at the size of the whole."""
    high, wide = x.shape[-2:]
    zero = torch.zeros_like(top)
    across, down = (2 * left + width) / wide - 1, (2 * top + height) / high - 1
    return _affine(x, [[width / wide, zero, across], [zero, height / high, down]], "border")


def perspective(x: Tensor, corners: Tensor) -> Tensor:
    """The corners of each image (from top left, clockwise) moved to `corners` [n, 4, (x, y)] in pixels."""
    scale = x.new_tensor([x.shape[-1], x.shape[-2]])
    start, end = _frame(x) * 2 / scale - 1, corners * 2 / scale - 1
    # eight equations for the eight coefficients of the homography from a place in the result to one in the image
    u, v = end[..., 0], end[..., 1]
    zero, one = torch.zeros_like(u), torch.ones_like(u)
    a, b = start[:, 0], start[:, 1]
    across = torch.stack([u, v, one, zero, zero, zero, -a * u, -a * v], -1)
    down = torch.stack([zero, zero, zero, u, v, one, -b * u, -b * v], -1)
    found = torch.linalg.solve(torch.cat([across, down], 1), torch.cat([a, b]).expand(len(x), 8))
    matrix = torch.cat([found, one[:, :1]], 1).view(-1, 3, 3)
    identity = torch.eye(2, 3, device=x.device, dtype=x.dtype).expand(len(x), 2, 3)
    grid = F.affine_grid(identity, list(x.shape), align_corners=False)
    places = torch.cat([grid, torch.ones_like(grid[..., :1])], -1).flatten(1, 2) @ matrix.transpose(1, 2)
    return _sample(x, (places[..., :2] / places[..., 2:]).view_as(grid))


def jitter(x: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, order: Sequence[int]) -> Tensor:
    """Factors [n] of brightness, contrast and saturation, applied in `order` (a permutation of 0, 1, 2)."""
    for step in order:
        factor = (brightness, contrast, saturation)[step].view(-1, 1, 1, 1)
        other = (torch.zeros_like(x[:, :1]), grey(x).mean((1, 2, 3), keepdim=True), grey(x))[step]
        x = (factor * x + (1 - factor) * other).clamp(0, 255)
    return x


def grey(x: Tensor) -> Tensor:
    """Luma [n, 1, h, w]."""
    return (x * x.new_tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True)


def blur(x: Tensor, sigma: Tensor, kernel: int) -> Tensor:
    """Gaussian blur with a deviation of `sigma` [n] pixels in a window of `kernel` pixels."""
    n, channels, high, wide = x.shape
    reach = torch.arange(kernel, device=x.device, dtype=x.dtype) - kernel // 2
    weights = torch.softmax(-((reach / sigma.unsqueeze(1)) ** 2) / 2, 1).repeat_interleave(channels, 0)
    flat = F.pad(x, (kernel // 2,) * 4, mode="reflect").reshape(1, n * channels, high + kernel - 1, wide + kernel - 1)
    flat = F.conv2d(flat, weights.view(-1, 1, 1, kernel), groups=n * channels)
    return F.conv2d(flat, weights.view(-1, 1, kernel, 1), groups=n * channels).view_as(x)


def _affine(x: Tensor, rows: Sequence[Sequence[Tensor]], padding: str = "zeros") -> Tensor:
    matrices = torch.stack([torch.stack(list(row), -1) for row in rows], -2)
    return _sample(x, F.affine_grid(matrices, list(x.shape), align_corners=False), padding)


def _frame(x: Tensor) -> Tensor:
    """The corners of an image from top left, clockwise [4, (x, y)]."""
    high, wide = x.shape[-2:]
    return x.new_tensor([[0, 0], [wide - 1, 0], [wide - 1, high - 1], [0, high - 1]])


def _sample(x: Tensor, grid: Tensor, padding: str = "zeros") -> Tensor:
    return F.grid_sample(x - FILL, grid, mode="bilinear", padding_mode=padding, align_corners=False) + FILL


# --- draws --------------------------------------------------------------------------------------------------


def _uniform(x: Tensor, low: float, high: float) -> Tensor:
    return torch.empty(len(x), device=x.device).uniform_(low, high)


def _happens(x: Tensor, probability: float) -> Tensor:
    return (torch.rand(len(x), device=x.device) < probability).view(-1, 1, 1, 1)


def _corners(x: Tensor, distortion: float) -> Tensor:
    """Each corner moved inwards by up to `distortion` of half the sides: [n, 4, (x, y)]."""
    high, wide = x.shape[-2:]
    inwards = torch.rand(len(x), 4, 2, device=x.device) * distortion / 2 * x.new_tensor([wide, high])
    return _frame(x) + inwards * x.new_tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]])


def _boxes(x: Tensor, least_area: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """top, left, height, width [n] of boxes with a share of `least_area` to 1 of the image and an aspect within
    RATIO; one that does not fit is cut to the image."""
    high, wide = x.shape[-2:]
    area = _uniform(x, least_area, 1) * high * wide
    aspect = _uniform(x, math.log(RATIO[0]), math.log(RATIO[1])).exp()
    height, width = (area / aspect).sqrt().clamp(max=high), (area * aspect).sqrt().clamp(max=wide)
    return _uniform(x, 0, 1) * (high - height), _uniform(x, 0, 1) * (wide - width), height, width
