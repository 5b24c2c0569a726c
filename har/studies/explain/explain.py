"""One fine-tuned classifier explained: maps of every class, and how well they and their rivals score."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import sem

from har.config.studies import Explain
from har.core.errors import HarError
from har.core.files import replacing, write_csv, write_json
from har.data.coco.annotations import ImageRecord
from har.data.groups import by_image
from har.data.store import Store
from har.evaluation.clips import unit_of
from har.models.classifier import finetuned
from har.models.preprocess import Preprocess, from_folder
from har.studies.explain.faithfulness import curve, patch_auc
from har.studies.explain.legrad import METHODS, centre_map, min_max, random_maps, relevance, rollout
from har.studies.explain.overlay import boxes_in_view, person_cover
from har.training.loop import pick_device, predict

TOLD = ("test", "extended")  # splits whose maps are scored; extended carries the claims
CHOSEN_ON = ("train", "validation")  # splits on which the maps to show are chosen
PERSON = 0.5  # share of a patch that person boxes cover, from which on it is a person's
KINDS = ("deletion", "insertion")
SCORES = ("auc", *KINDS)


@dataclass(frozen=True)
class Explanation:
    """What one model's maps are and do.

    images: image_id, split, label, group (where there are any), measured and curves (whether it counts in scores, and
    has curves), prediction, probability (of the prediction), in the order of maps. probabilities: float64 [n, classes].
    maps: LeGrad, float16 [n, classes, side, side], each from 0 to 1. scores: a row for each measured image of TOLD and
    method: image_id, split, group, method, then SCORES, empty where there are none. curves: mean probability of the
    prediction, and its standard error over images, by split, method, kind and share of patches. candidates: the patch
    AUC on each measured image of CHOSEN_ON by each head and number of last blocks that the maps could come from: head,
    blocks, auc, in rows as of har.data.groups.by_image. about: classes, side, fit, crop_pct, method, and the chosen
    head and blocks.
    """

    images: pd.DataFrame
    probabilities: np.ndarray
    maps: np.ndarray
    scores: pd.DataFrame
    curves: pd.DataFrame
    candidates: pd.DataFrame
    about: dict


def choose(split: pd.DataFrame, settings: Explain) -> pd.DataFrame:
    """The images to explain (image_id, label, split, measured, curves, and group where there are any): all that were
    drawn and at most `settings.extended` extended ones, drawn at random. measured: all, but of a clip one frame;
    curves: the at most `settings.curves` of these in its split that get deletion and insertion curves. The draw depends
    on ids and seed alone, and a larger number keeps the images of a smaller one."""
    split = split.sort_values("image_id", ignore_index=True)
    split = split.iloc[np.argsort(np.random.default_rng(settings.seed).permutation(len(split)))]
    split = split.assign(measured=~unit_of(split).duplicated())
    split = split[(split["split"] != "extended") | (split.groupby("split").cumcount() < settings.extended)]
    place = split.groupby("split")["measured"].cumsum()
    split = split.assign(curves=split["split"].isin(TOLD) & split["measured"] & (place <= settings.curves))
    kept = [name for name in ("image_id", "label", "split", "group", "measured", "curves") if name in split]
    return split.sort_values("image_id", ignore_index=True)[kept]


def explain(
    checkpoint: Path,
    store: Path,
    images: pd.DataFrame,
    records: Mapping[int, ImageRecord],
    settings: Explain,
    device: str = "cpu",
    texts: np.ndarray | None = None,
) -> Explanation:
    """Explain the classifier in the folder `checkpoint`.

    Maps other than LeGrad's speak of no class; LeGrad is scored with the map of the class that the classifier
    predicts. Of `settings.heads`, and of all numbers of last blocks, those whose maps rank persons best on CHOSEN_ON
    give the maps.

    Args:
        checkpoint: the folder of the fine-tuned classifier.
        store: the folder with the images' pixels.
        images: of `choose`.
        records: what is annotated, by image_id; crowds are persons too.
        settings: the block explain of params.yaml.
        device: as training.device.
        texts: unit vectors [classes, width] of the classes' prompts, where the classifier's embedding is compared
            with such; without them there is no head `text`, and the own one stands in.
    Raises:
        HarError: for an image without annotations, or a classifier that cannot be explained.
    """
    torch.set_num_threads(1)  # sums come out the same however many models share the machine
    device = pick_device(device)
    if device != "cpu":  # there all kernels used here repeat; the call itself loads torch's compiler
        torch.set_deterministic_debug_mode("warn")
    # weights need no gradient: the graph holds what maps need and no more
    model, preprocess = finetuned(checkpoint).to(device).requires_grad_(False), from_folder(checkpoint)
    classes, size = list(model.config.id2label.values()), settings.batch_size
    pixels = torch.from_numpy(preprocess.load(Store(store), images.image_id)).to(device)

    def every(function) -> np.ndarray:
        return torch.cat([function(preprocess.normalise(batch)).cpu() for batch in pixels.split(size)]).numpy()

    def softmax(x: torch.Tensor) -> torch.Tensor:
        return predict(model, x, lambda batch: batch, batch_size=size).double().softmax(1)

    probabilities = every(softmax)
    guess = probabilities.argmax(1)
    first = np.arange(len(guess))
    told = images.assign(prediction=np.array(classes)[guess], probability=probabilities[first, guess])
    told = told.reset_index(drop=True)
    prompts = torch.from_numpy(texts).to(device) if texts is not None and "text" in settings.heads else None
    found = every(lambda x: relevance(model, x, prompts))  # [n, blocks, classes of each head, side, side]
    heads = {"own": found[:, :, : len(classes)]}
    if prompts is not None:
        heads["text"] = found[:, :, len(classes) :]
        heads = {head: heads[head] for head in settings.heads}
    side = found.shape[-1]
    person = _person_patches(told["image_id"], records, preprocess, side)
    dev = np.flatnonzero(told["split"].isin(CHOSEN_ON) & told["measured"])
    candidates = _candidates(heads, guess, person, dev, by_image(told.iloc[dev]))
    head, blocks = candidates.groupby(["head", "blocks"], sort=False)["auc"].mean().fillna(0).idxmax()
    maps = min_max(torch.from_numpy(heads[head][:, -blocks:].sum(1))).numpy()  # [n, classes, side, side]
    rivals = {
        "legrad": maps[first, guess],
        "rollout": every(lambda x: rollout(model, x)),
        "random": min_max(torch.from_numpy(random_maps(told.image_id, side, settings.seed))).numpy(),
        "centre": np.broadcast_to(min_max(torch.from_numpy(centre_map(side))).numpy(), (len(told), side, side)),
    }

    def follow(rows: np.ndarray, maps: np.ndarray, insert: bool) -> np.ndarray:
        """Curves of the predicted class's probability, [rows, steps + 1]."""
        found = []
        for part in np.split(rows, range(size, len(rows), size)):
            predicted = torch.from_numpy(guess[part])[:, None]
            of = lambda x, predicted=predicted: softmax(x).gather(1, predicted)[:, 0]  # noqa: E731
            found.append(curve(of, preprocess.normalise(pixels[part]), maps[part], settings.steps, insert))
        return np.concatenate(found)

    scored = told["split"].isin(TOLD) & told["measured"]
    aucs = {method: patch_auc(maps, person)[scored] for method, maps in rivals.items()}
    keys = told.loc[scored, [name for name in ("image_id", "split", "group") if name in told]]
    frames = [keys.assign(method=method, auc=auc) for method, auc in aucs.items()]
    scores = pd.concat(frames, ignore_index=True).assign(**dict.fromkeys(KINDS, np.nan))
    curves = []
    for split, method, kind in product(TOLD, METHODS, KINDS):
        rows = np.flatnonzero((told["split"] == split) & told["curves"])
        if not len(rows):
            continue
        found = follow(rows, rivals[method], kind == "insertion")
        mine = (scores["method"] == method) & scores["image_id"].isin(told["image_id"][rows])
        # the area under each curve; images are in one order everywhere
        scores.loc[mine, kind] = np.trapezoid(found) / settings.steps
        errors = sem(found) if len(found) > 1 else np.full(found.shape[1], np.nan)
        points = zip(np.linspace(0, 1, found.shape[1]), found.mean(0), errors, strict=True)
        curves += [(split, method, kind, *point) for point in points]
    curves = pd.DataFrame(curves, columns=["split", "method", "kind", "share", "probability", "error"])
    about = {"classes": classes, "side": side, "fit": preprocess.fit, "crop_pct": preprocess.crop_pct}
    about |= {"method": "legrad", "head": head, "blocks": int(blocks)}
    return Explanation(told, probabilities, maps.astype(np.float16), scores, curves, candidates, about)


def _person_patches(
    image_ids: Iterable[int], records: Mapping[int, ImageRecord], preprocess: Preprocess, side: int
) -> np.ndarray:
    """Which patches are of persons, bool [n, side, side]."""
    found = []
    for image_id in image_ids:
        if image_id not in records:
            raise HarError(f"explain: image {image_id} has no record in the annotations")
        one = records[image_id]
        boxes = np.vstack([one.boxes, one.crowds])
        seen = boxes_in_view(boxes, one.width, one.height, preprocess.fit, preprocess.crop_pct)
        found.append(person_cover(seen, side) >= PERSON)
    return np.array(found)


def _candidates(
    heads: Mapping[str, np.ndarray], guess: np.ndarray, person: np.ndarray, dev: np.ndarray, index: pd.Index
) -> pd.DataFrame:
    """head, blocks and auc on each of the images `dev`, in rows by `index`; heads: of each, what blocks add to the maps
    (`relevance`). All blocks, as LeGrad's paper takes, come first and win a tie."""
    parts = []
    for head, found in heads.items():
        predicted = found[dev, :, guess[dev]]  # [n, blocks, side, side]
        for blocks in range(predicted.shape[1], 0, -1):
            auc = patch_auc(predicted[:, -blocks:].sum(1), person[dev])
            parts.append(pd.DataFrame({"head": head, "blocks": blocks, "auc": auc}, index))
    return pd.concat(parts)


def write(explanation: Explanation, folder: Path) -> None:
    """maps.npy, index.csv (image_id, in the order of the maps), about.json; scores.csv and curves.csv beside them."""
    with replacing(folder / "maps.npy") as temporary:
        np.save(temporary, explanation.maps)
    write_csv(folder / "index.csv", explanation.images[["image_id"]])
    write_json(folder / "about.json", explanation.about)
    write_csv(folder / "scores.csv", explanation.scores.round(6))
    write_csv(folder / "curves.csv", explanation.curves.round(6))
