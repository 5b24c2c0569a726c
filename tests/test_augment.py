"""Augmentation: uint8 in, uint8 of the same shape out, drawn for each image from torch's generator."""

import typing

import pytest
import torch
from conftest import picture

from har.augment import compose
from har.params.schema import Op

OPS = typing.get_args(Op)
ALWAYS = {"flip_probability": 1.0, "grayscale_probability": 1.0, "perspective": 0.5}


def batch(n: int = 4, size: int = 32) -> torch.Tensor:
    one = torch.from_numpy(picture(1, size, size).copy()).permute(2, 0, 1)
    return one.expand(n, -1, -1, -1).contiguous()


def test_no_operation_is_none(strength):
    assert compose([], strength, 32) is None


@pytest.mark.parametrize("ops", [*([op] for op in OPS), list(OPS)], ids=[*OPS, "all_combined"])
class TestEachPolicy:
    def test_keeps_shape_and_dtype_and_its_input(self, strength, ops):
        images, before = batch(), batch()
        out = compose(ops, strength, 32)(images)
        assert out.shape == images.shape
        assert out.dtype == torch.uint8
        assert torch.equal(images, before)

    def test_repeats_under_one_seed(self, strength, ops):
        transform = compose(ops, strength, 32)
        torch.manual_seed(3)
        first = transform(batch())
        torch.manual_seed(3)
        assert torch.equal(first, transform(batch()))

    def test_changes_the_image(self, strength, ops):
        torch.manual_seed(0)
        transform = compose(ops, strength.model_copy(update=ALWAYS), 32)
        assert any(not torch.equal(transform(batch()), batch()) for _ in range(5))


@pytest.mark.parametrize("op", OPS)
def test_each_image_is_drawn_on_its_own(strength, op):
    torch.manual_seed(0)
    out = compose([op], strength, 32)(batch(16))
    assert len({image.numpy().tobytes() for image in out}) > 1


def test_flips_and_grey_do_what_they_say(strength):
    always = strength.model_copy(update=ALWAYS)
    assert torch.equal(compose(["horizontal_flip"], always, 32)(batch()), batch().flip(3))
    assert torch.equal(compose(["vertical_flip"], always, 32)(batch()), batch().flip(2))
    grey = compose(["grayscale"], always, 32)(batch())
    assert torch.equal(grey[:, 0], grey[:, 1])
    assert torch.equal(grey[:, 0], grey[:, 2])


def test_operations_apply_in_the_order_given(strength):
    torch.manual_seed(0)
    sharp = strength.model_copy(update=ALWAYS)
    both = compose(["horizontal_flip", "vertical_flip"], sharp, 32)(batch())
    assert torch.equal(both, batch().flip(2, 3))


@pytest.mark.parametrize("op", ["rotation", "perspective"])
def test_corners_that_open_are_grey(strength, op):
    torch.manual_seed(0)
    white = torch.full((32, 3, 32, 32), 255, dtype=torch.uint8)
    out = compose([op], strength.model_copy(update=ALWAYS), 32)(white)
    opened = out[out < 250]
    assert opened.float().median() == 128
    assert out.min() > 100  # torchvision blends the seam a little darker, never black


def test_nothing_is_drawn_from_numpy_or_random(strength):
    import random

    import numpy as np

    torch.manual_seed(5)
    first = compose(list(OPS), strength, 32)(batch())
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(5)
    assert torch.equal(first, compose(list(OPS), strength, 32)(batch()))
