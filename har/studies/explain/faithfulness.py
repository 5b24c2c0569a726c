"""How good a relevance map is: does it lie on the people, and does the prediction hang on what it names?"""

from collections.abc import Callable

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor


def patch_auc(maps: np.ndarray, person: np.ndarray) -> np.ndarray:
    """How well maps [n, side, side] rank the patches of persons (bool, of the same shape) before the others: area
    under the ROC curve, [n]; 0.5 is chance. No scale of a map counts, the order alone. NaN where all patches are of
    persons, or none."""
    maps, person = maps.reshape(len(maps), -1), person.reshape(len(maps), -1)
    ranks, inside = rankdata(maps, axis=1), person.sum(1)
    pairs = inside * (~person).sum(1)
    pairs = np.where(pairs, pairs, np.nan)
    return ((ranks * person).sum(1) - inside * (inside + 1) / 2) / pairs


def curve(
    probability: Callable[[Tensor], Tensor], images: Tensor, maps: np.ndarray, steps: int, insert: bool = False
) -> np.ndarray:
    """Deletion or insertion curves (Petsiuk et al. 2018), float64 [n, steps + 1].

    The patches of each image [n, 3, size, size] are replaced by its mean colour in order of falling relevance
    (maps [n, side, side]; equal ones in reading order), in `steps` equal steps from none to all; `insert`: they
    return onto the mean colour instead. `probability` takes images and tells what to follow for each, [n].
    """
    side, size = maps.shape[-1], images.shape[-1]
    patch = size // side
    order = np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable")
    rank = torch.as_tensor(np.argsort(order, axis=1)).reshape(-1, 1, side, side)  # 0: the most relevant
    rank = rank.repeat_interleave(patch, 2).repeat_interleave(patch, 3).to(images.device)
    rest = size - patch * side  # pixels at the border that no patch holds
    rank = torch.nn.functional.pad(rank, (0, rest, 0, rest), value=side**2)
    blank = images.mean((2, 3), keepdim=True)
    points = []
    for step in range(steps + 1):
        chosen = rank < round(step * side**2 / steps)
        points.append(probability(torch.where(chosen == insert, images, blank)))
    return torch.stack(points, 1).cpu().double().numpy()
