"""Frozen image and text embeddings of one encoder, computed once (see har.embeddings for the files)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize
from tqdm import tqdm

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
    device: str,
) -> None:
    """Embed the store's images with the checkpoint in `folder` and, if it has a text tower, the prompts of
    each class; writes har.embeddings' files to `out`."""
    torch.manual_seed(0)  # an architecture without weights (source: random) gets the same ones each time
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    encoder = Encoder(folder, pick_device(device))
    ids = list(image_ids)
    chunks = []
    with tqdm(total=len(ids), desc=f"embed {out.name}", unit="image") as progress:
        for start in range(0, len(ids), batch_size):
            some = ids[start : start + batch_size]
            chunks.append(encoder.images(torch.from_numpy(encoder.preprocess.load(store, some))).cpu())
            progress.update(len(some))
    images = torch.cat(chunks)
    np.save(out / "images.npy", images.numpy())
    (out / "index.csv").write_text("image_id\n" + "".join(f"{i}\n" for i in ids))
    if encoder.has_text:
        texts = prompt_ensemble(encoder, prompts)
        np.save(out / "texts.npy", texts.cpu().numpy())
        np.save(out / "similarities.npy", (normalize(images, dim=-1) @ texts.cpu().T).numpy())
    about = {
        "classes": list(prompts),
        "logit_scale": encoder.logit_scale if encoder.has_text else None,
        "width": images.shape[1],
    }
    (out / "about.json").write_text(json.dumps(about, indent=2) + "\n")
