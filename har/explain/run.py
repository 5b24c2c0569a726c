"""One fine-tuned classifier explained: maps of every class, and how well they and their rivals score.

This module starts no torch of its own; the process that explains does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from har.errors import HarError
from har.explain import scores
from har.explain.maps import METHODS, centre_map, legrad, min_max, random_maps, rollout
from har.explain.view import boxes_in_view, person_cover
from har.files import replacing, write_csv, write_json
from har.models.preprocess import from_folder
from har.params.schema import Explain
from har.store import Store

TOLD = ("test", "extended")  # splits whose maps are scored; extended carries the claims
SCORES = ("inside", "pointing", "deletion", "insertion")
KINDS = ("deletion", "insertion")


@dataclass(frozen=True)
class Explanation:
    """What one model's maps are and do.

    images: image_id, split, label, prediction, probability (of the prediction), curves (whether it has them), in
    the order of maps. probabilities: float64 [n, classes]. maps: LeGrad, float16 [n, classes, side, side], each from
    0 to 1. scores: a row for each image of TOLD and method: image_id, split, method, area (share of the view that the
    boxes cover), then SCORES, empty where not measured. curves: mean probability of the prediction by split, method,
    kind and share of patches. about: classes, side, fit, crop_pct, method, blocks.
    """

    images: pd.DataFrame
    probabilities: np.ndarray
    maps: np.ndarray
    scores: pd.DataFrame
    curves: pd.DataFrame
    about: dict


def choose(split: pd.DataFrame, settings: Explain) -> pd.DataFrame:
    """The images to explain (image_id, label, split, curves): validation, test and at most `settings.extended`
    extended ones drawn at random; `curves`: whether an image is among the at most `settings.curves` of its split
    that get deletion and insertion curves. The draw depends on ids and seed alone, and a larger number keeps the
    images of a smaller one."""
    split = split.sort_values("image_id", ignore_index=True)
    split = split.assign(draw=np.random.default_rng(settings.seed).permutation(len(split)), curves=False)
    parts = []
    for name, most in (("validation", None), ("test", None), ("extended", settings.extended)):
        part = split[split["split"] == name].sort_values("draw")[:most]
        part["curves"] = (np.arange(len(part)) < settings.curves) & (name in TOLD)
        parts.append(part)
    chosen = pd.concat(parts).sort_values("image_id", ignore_index=True)
    return chosen[["image_id", "label", "split", "curves"]]


def visible(boxes: Mapping[int, np.ndarray], sizes: Mapping[int, tuple[int, int]], image_ids, fit, crop_pct) -> list:
    """Each image's person boxes as its model sees them, [m, 4] (`boxes_in_view`). HarError for an image that the
    annotations lack."""
    found = []
    for image_id in image_ids:
        if image_id not in boxes:
            raise HarError(f"explain: image {image_id} has no record in the annotations")
        found.append(boxes_in_view(boxes[image_id], *sizes[image_id], fit, crop_pct))
    return found


def explain(
    checkpoint: Path,
    store: Path,
    images: pd.DataFrame,
    boxes: Mapping[int, np.ndarray],
    sizes: Mapping[int, tuple[int, int]],
    settings: Explain,
    device: str = "cpu",
) -> Explanation:
    """Explain the classifier in the folder `checkpoint` on `images` (of `choose`), whose pixels are in the folder
    `store`. boxes: image_id to its persons, [k, 4] (x, y, width, height in pixels of the annotated image); sizes:
    image_id to its annotated width and height.

    Maps other than LeGrad's speak of no class; LeGrad is scored with the map of the predicted class.
    """
    import torch

    from har.models.pretrained import finetuned
    from har.training import pick_device, predict

    torch.set_num_threads(1)  # sums come out the same however many models share the machine
    device = pick_device(device)
    if device != "cpu":  # there all kernels used here repeat; the call itself loads torch's compiler
        torch.use_deterministic_algorithms(True, warn_only=True)
    model, preprocess = finetuned(checkpoint).to(device), from_folder(checkpoint)
    # weights need no gradient: the graph holds what maps need and no more
    model.requires_grad_(False)
    classes = list(model.config.id2label.values())
    pixels = torch.from_numpy(preprocess.load(Store(store), images.image_id)).to(device)

    def every(function) -> np.ndarray:
        batches = pixels.split(settings.batch_size)
        return torch.cat([function(preprocess.normalise(batch)).cpu() for batch in batches]).numpy()

    def softmax(x: torch.Tensor) -> torch.Tensor:
        return predict(model, x, lambda batch: batch, batch_size=settings.batch_size).double().softmax(1)

    probabilities = every(softmax)
    guess = probabilities.argmax(1)
    maps = every(lambda x: legrad(model, x, settings.blocks))
    side = maps.shape[-1]
    told = images.assign(
        prediction=np.array(classes)[guess], probability=probabilities[np.arange(len(guess)), guess]
    ).reset_index(drop=True)
    rivals = {
        "legrad": maps[np.arange(len(guess)), guess],
        "rollout": every(lambda x: rollout(model, x)),
        "random": min_max(torch.from_numpy(random_maps(images.image_id, side, settings.seed))).numpy(),
        "centre": np.broadcast_to(min_max(torch.from_numpy(centre_map(side))).numpy(), (len(images), side, side)),
    }

    def curves_of(rows: np.ndarray, method: str, insert: bool) -> np.ndarray:
        """[rows, steps + 1], image batch by image batch"""
        found = []
        for part in np.split(rows, range(settings.batch_size, len(rows), settings.batch_size)):
            x, predicted = preprocess.normalise(pixels[part]), torch.from_numpy(guess[part])[:, None]
            follow = lambda images, predicted=predicted: softmax(images).gather(1, predicted)[:, 0]  # noqa: E731
            found.append(scores.curve(follow, x, rivals[method][part], settings.steps, insert))
        return np.concatenate(found)

    seen = visible(boxes, sizes, images.image_id, preprocess.fit, preprocess.crop_pct)
    covers = [person_cover(found, side) for found in seen]
    rows, means = [], []
    for part in TOLD:
        mine = np.flatnonzero(told["split"] == part)
        with_curves = np.flatnonzero((told["split"] == part) & told["curves"])
        for method in METHODS:
            areas = pd.DataFrame(index=mine, columns=list(KINDS), dtype=float)
            for kind in KINDS if len(with_curves) else ():
                curves = curves_of(with_curves, method, kind == "insertion")
                areas.loc[with_curves, kind] = scores.area(curves)
                means += [
                    {"split": part, "method": method, "kind": kind, "share": step / settings.steps, "probability": mean}
                    for step, mean in enumerate(curves.mean(0))
                ]
            rows += [
                {
                    "image_id": told.image_id[i],
                    "split": part,
                    "method": method,
                    "area": covers[i].mean(),
                    "inside": scores.inside(rivals[method][i], covers[i]),
                    "pointing": scores.pointing(rivals[method][i], seen[i]),
                    **areas.loc[i],
                }
                for i in mine
            ]
    about = {
        "classes": classes,
        "side": side,
        "fit": preprocess.fit,
        "crop_pct": preprocess.crop_pct,
        "method": "legrad",
        "blocks": settings.blocks,
    }
    return Explanation(
        images=told,
        probabilities=probabilities,
        maps=maps.astype(np.float16),
        scores=pd.DataFrame(rows, columns=["image_id", "split", "method", "area", *SCORES]),
        curves=pd.DataFrame(means, columns=["split", "method", "kind", "share", "probability"]),
        about=about,
    )


def write(explanation: Explanation, folder: Path) -> None:
    """maps.npy, index.csv (image_id, in the order of the maps), about.json; scores.csv and curves.csv beside them."""
    with replacing(folder / "maps.npy") as temporary:
        np.save(temporary, explanation.maps)
    write_csv(folder / "index.csv", explanation.images[["image_id"]])
    write_json(folder / "about.json", explanation.about)
    write_csv(folder / "scores.csv", explanation.scores.round(6))
    write_csv(folder / "curves.csv", explanation.curves.round(6))
