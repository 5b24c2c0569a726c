"""Frozen image and text embeddings of one encoder, computed once (see har.embeddings for the files)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from torch.nn.functional import normalize
from tqdm import tqdm

from har.errors import HarError
from har.files import replacing, write_json, write_text
from har.models.pretrained import Encoder
from har.store import Store
from har.training import pick_device


def prompt_ensemble(encoder: Encoder, prompts: Mapping[str, Sequence[str]]) -> torch.Tensor:
    """One unit vector a class [classes, width]: the mean of its prompts' unit embeddings (Radford et al.
    2021, §3.1.4)."""
    means = [normalize(encoder.texts(texts), dim=-1).mean(0) for texts in prompts.values()]
    return normalize(torch.stack(means), dim=-1)


def embed(
    folder: str | Path,
    store: Store,
    image_ids: Sequence[int],
    prompts: Mapping[str, Sequence[str]],
    out: str | Path,
    *,
    batch_size: int,
    jobs: int,
    device: str,
) -> None:
    """Embed the store's images with the checkpoint in `folder` and, if it has a text tower, the prompts of
    each class; writes har.embeddings' files to `out`.

    jobs: batches side by side, each on one core, so that the numbers do not depend on how many cores there are
    (and threads within a batch wait for each other: on a small encoder they cost more than they give).
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)  # an architecture without weights (source: random) gets the same ones each time
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    encoder = Encoder(folder, pick_device(device))
    ids = list(image_ids)
    batches = [ids[start : start + batch_size] for start in range(0, len(ids), batch_size)]

    def images_of(some: list[int]) -> torch.Tensor:
        return encoder.images(torch.from_numpy(encoder.preprocess.load(store, some))).cpu()

    # threads: Pillow and torch let go of the interpreter while they work, and the encoder is in memory once
    found = Parallel(jobs, prefer="threads", return_as="generator")(delayed(images_of)(some) for some in batches)
    chunks = []
    with tqdm(total=len(ids), desc=f"embed {out.name}", unit="image") as progress:
        for some, chunk in zip(batches, found, strict=True):
            chunks.append(chunk)
            progress.update(len(some))
    images = torch.cat(chunks)
    if not torch.isfinite(images).all():
        raise HarError(
            f"{folder}: gives embeddings that are no finite numbers; its weights are spoilt: fetch them anew"
        )
    _save(out / "images.npy", images.numpy())
    write_text(out / "index.csv", "image_id\n" + "".join(f"{i}\n" for i in ids))
    if encoder.has_text:
        texts = prompt_ensemble(encoder, prompts)
        _save(out / "texts.npy", texts.cpu().numpy())
        _save(out / "similarities.npy", (normalize(images, dim=-1) @ texts.cpu().T).numpy())
    about = {
        "classes": list(prompts),
        "logit_scale": encoder.logit_scale if encoder.has_text else None,
        "width": images.shape[1],
    }
    write_json(out / "about.json", about)


def _save(path: Path, array: np.ndarray) -> None:
    with replacing(path) as temporary:
        np.save(temporary, array)
