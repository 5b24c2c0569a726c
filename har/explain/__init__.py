"""Where a fine-tuned transformer looks, and whether that is where the people are.

    model, preprocess = finetuned(folder), from_folder(folder)       # har.models.pretrained, har.models.preprocess
    maps = legrad(model, preprocess.normalise(pixels))               # [n, classes, side, side], 0 to 1
    picture = overlay(image, maps[0, 1].numpy(), preprocess.fit, preprocess.crop_pct)

Importing this package loads no torch.
"""

from har.explain.maps import legrad, min_max, rollout
from har.explain.view import overlay, person_cover

__all__ = ["legrad", "min_max", "overlay", "person_cover", "rollout"]
