"""Augmentation: uint8 in, uint8 of the same shape out, drawn for each image from torch's generator."""

import typing

import pytest
import torch
from conftest import picture
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as V

from har.config.types import Op
from har.training import augment
from har.training.augment import compose

OPS = typing.get_args(Op)
OFTEN = {"flip_probability": 0.5, "grayscale_probability": 0.5}
ALWAYS = {"flip_probability": 1.0, "grayscale_probability": 1.0, "perspective": 0.5}


def batch(n: int = 4, size: int = 32) -> torch.Tensor:
    one = torch.from_numpy(picture(1, size, size).copy()).permute(2, 0, 1)
    return one.expand(n, -1, -1, -1).contiguous()


@pytest.mark.parametrize("op", OPS)
def test_each_image_is_changed_on_its_own_and_repeatably(strength, op):
    images, transform = batch(16), compose([op], strength.model_copy(update=OFTEN), 32)
    torch.manual_seed(3)
    out = transform(images)
    assert (out.shape, out.dtype) == (images.shape, torch.uint8)
    assert torch.equal(images, batch(16))
    assert len({image.numpy().tobytes() for image in out}) > 1
    torch.manual_seed(3)
    assert torch.equal(out, transform(images))


def test_flips_and_grey_do_what_they_say(strength):
    always = strength.model_copy(update=ALWAYS)
    assert torch.equal(compose(["horizontal_flip"], always, 32)(batch()), batch().flip(3))
    assert torch.equal(compose(["horizontal_flip", "vertical_flip"], always, 32)(batch()), batch().flip(2, 3))
    assert compose([], always, 32) is None
    grey = compose(["grayscale"], always, 32)(batch())
    assert (grey == grey[:, :1]).all()


@pytest.mark.parametrize("op", ["rotation", "perspective"])
def test_corners_that_open_are_grey(strength, op):
    torch.manual_seed(0)
    white = torch.full((32, 3, 32, 32), 255, dtype=torch.uint8)
    out = compose([op], strength.model_copy(update=ALWAYS), 32)(white)
    assert out.min() == 128  # and never darker: a seam lies between the fill and the image
    assert (out == 128).any(1).flatten(1).any(1).float().mean() > 0.3


PICTURES = torch.stack([torch.from_numpy(picture(i, 40, 40).copy()).permute(2, 0, 1) for i in range(6)]).float()
BILINEAR = {"interpolation": InterpolationMode.BILINEAR, "fill": 128.0}


def gap(ours, theirs) -> torch.Tensor:
    """How far `ours`, of all PICTURES, is from `theirs(i, image)` of each: torchvision's with the same parameters."""
    return (ours - torch.stack([theirs(i, image) for i, image in enumerate(PICTURES)])).abs()


def test_rotation_is_torchvisions():
    degrees = torch.tensor([0.0, 5.0, -15.0, 90.0, 33.3, -1.0])
    inside = torch.zeros(40, 40, dtype=torch.bool)
    inside[10:30, 10:30] = True  # both blend the seam with the fill, each in its own way
    far = gap(augment.rotate(PICTURES, degrees), lambda i, image: V.rotate(image, float(degrees[i]), **BILINEAR))
    assert far[..., inside].max() < 0.01
    assert far.mean() < 1


def test_perspective_is_torchvisions():
    torch.manual_seed(1)
    corners = augment._corners(PICTURES, 0.4)
    start = [[0, 0], [39, 0], [39, 39], [0, 39]]
    far = gap(
        augment.perspective(PICTURES, corners),
        lambda i, image: V.perspective(image, start, corners[i].tolist(), **BILINEAR),
    )
    assert far[..., 14:26, 14:26].max() < 0.05
    assert far.mean() < 2


def test_crop_is_torchvisions():
    boxes = [[0, 3, 10, 0, 5, 8], [0, 9, 2, 8, 5, 1], [40, 30, 28, 36, 35, 32], [40, 31, 30, 32, 35, 38]]
    ours = augment.crop(PICTURES, *map(torch.FloatTensor, boxes))
    far = gap(ours, lambda i, image: V.resized_crop(image, *(edge[i] for edge in boxes), [40, 40]))
    assert far[..., 2:-2, 2:-2].max() < 0.05  # torchvision stops at the box, we see beyond it


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_jitter_is_torchvisions(order):
    factors = [[0.7, 1.3, 1.0, 0.9, 1.2, 0.8], [1.3, 0.7, 1.0, 1.1, 0.8, 1.2], [0.5, 1.5, 1.0, 0.7, 1.3, 0.9]]
    functions = V.adjust_brightness, V.adjust_contrast, V.adjust_saturation

    def one(i, image):
        image = image / 255
        for step in order:
            image = functions[step](image, factors[step][i])
        return image * 255

    far = gap(augment.jitter(PICTURES, *map(torch.tensor, factors), order), one)
    assert far.max() < 0.5  # its luma sums to .9999


def test_blur_and_grey_are_torchvisions():
    sigma = torch.tensor([0.1, 0.3, 0.5, 0.7, 1.0, 2.0])
    blurred = augment.blur(PICTURES, sigma, 5)
    assert gap(blurred, lambda i, image: V.gaussian_blur(image, [5, 5], [float(sigma[i])] * 2)).max() < 0.01
    assert gap(augment.grey(PICTURES), lambda i, image: V.rgb_to_grayscale(image)).max() < 0.1


def test_boxes_keep_their_area_and_stay_inside():
    torch.manual_seed(0)
    x = torch.zeros(2000, 3, 32, 48)
    top, left, high, wide = augment._boxes(x, 0.5)
    assert ((top >= 0) & (top + high <= 32 + 1e-4) & (left >= 0) & (left + wide <= 48 + 1e-4)).all()
    share = high * wide / (32 * 48)
    assert share.max() <= 1 + 1e-4
    assert share.mean() == pytest.approx(0.7, abs=0.05)  # uniform from .5 to 1, less what a narrow image cuts off
