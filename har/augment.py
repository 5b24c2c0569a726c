"""Augmentation policies: lists of torchvision transforms drawn anew for each image in each epoch."""

from collections.abc import Callable, Sequence

import torch

from har.params.schema import Augmentation


def compose(ops: Sequence[str], strength: Augmentation, size: int) -> Callable | None:
    """The transforms named by `ops`, in that order, as one function on uint8 batches
    [n, 3, size, size], each image drawn on its own;
    None for an empty list. Draws come from torch's global generator.

    Random rotation and perspective fill with grey (128), so that the corners carry no class.
    """
    if not ops:
        return None
    from torchvision.transforms import v2

    build = {
        "horizontal_flip": lambda: v2.RandomHorizontalFlip(strength.flip_probability),
        "vertical_flip": lambda: v2.RandomVerticalFlip(strength.flip_probability),
        "rotation": lambda: v2.RandomRotation(
            strength.rotation_degrees, interpolation=v2.InterpolationMode.BILINEAR, fill=128
        ),
        "color_jitter": lambda: v2.ColorJitter(strength.jitter, strength.jitter, strength.jitter),
        "grayscale": lambda: v2.RandomGrayscale(strength.grayscale_probability),
        "gaussian_blur": lambda: v2.GaussianBlur(_odd(size // 16), (0.1, strength.blur_sigma)),
        "perspective": lambda: v2.RandomPerspective(strength.perspective, p=0.5, fill=128),
        "random_resized_crop": lambda: v2.RandomResizedCrop(size, scale=(strength.crop_area, 1.0), antialias=True),
    }
    transform = v2.Compose([build[op]() for op in ops])

    def batch(images: torch.Tensor) -> torch.Tensor:
        return torch.stack([transform(image) for image in images])

    return batch


def _odd(n: int) -> int:
    return max(3, n | 1)
