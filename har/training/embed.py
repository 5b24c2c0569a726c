"""Frozen image and text embeddings of one encoder, computed once (see har.training.embeddings for the files)."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from joblib import Parallel, delayed
from torch.nn.functional import normalize
from tqdm import tqdm

from har.config.models import Embed
from har.core.cache import kept_calls, lasting
from har.core.errors import HarError
from har.core.files import replacing, write_json, write_text
from har.data.crops import view
from har.data.store import Store
from har.models.encoder import Encoder
from har.training.loop import pick_device

SHARD = 4096  # images, of which nothing is kept before all are embedded


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
    config: Embed,
    *,
    views: Sequence[str] = ("image",),
    jobs: int,
    device: str,
    keep: Path | None = None,
) -> None:
    """Embed views of the store's images with a frozen checkpoint and, if it has a text tower, the prompts of each
    class.

    Args:
        folder: the checkpoint's.
        store, image_ids: which images.
        prompts: class to its prompts.
        out: a folder for har.training.embeddings' files.
        config: batch size, and what views are of an image.
        views: of har.data.crops; a view of several windows is the mean of their unit embeddings.
        jobs: batches side by side, each on one core, so that the numbers do not depend on how many cores there are
            (and threads within a batch wait for each other: on a small encoder they cost more than they give).
        device: where the encoder computes.
        keep: a folder in which finished shards of images outlive an interruption (har.core.cache).

    Raises:
        HarError: the weights give embeddings that are no finite numbers.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)  # an architecture without weights (source: random) gets the same ones each time
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    encoder = Encoder(folder, pick_device(device))
    ids, crops = list(map(int, image_ids)), [(one.share, one.number) for one in config.crops]
    stores = {name: view(store, name, crops, config.person_margin) for name in views}
    progress = tqdm(total=len(ids) * sum(map(len, stores.values())), desc=f"embed {out.name}", unit="image")

    alone = Lock() if encoder.device != "cpu" else nullcontext()  # mps bears no two threads in one network

    def units_of(store: Store, some: list[int]) -> torch.Tensor:
        pixels = torch.from_numpy(encoder.preprocess.load(store, some))
        with alone:
            return normalize(encoder.images(pixels), dim=-1).cpu()

    def shard(view: str, some: list[int], *follows_from) -> np.ndarray:
        """Embeddings of one view of `some` images; what else is given says what they follow from."""
        batches = [some[start : start + config.batch_size] for start in range(0, len(some), config.batch_size)]
        total = 0
        for one in stores[view]:
            # threads: Pillow and torch let go of the interpreter while they work, and the encoder is in memory once
            side_by_side, chunks = Parallel(jobs, prefer="threads", return_as="generator"), []
            for chunk in side_by_side(delayed(units_of)(one, batch) for batch in batches):
                chunks.append(chunk)
                progress.update(len(chunk))
                one.forget()
            total = total + torch.cat(chunks)
        return (total / len(stores[view])).numpy()

    parts = [(name, ids[start : start + SHARD]) for name in views for start in range(0, len(ids), SHARD)]
    follows_from = (Path(folder), store.folder, crops, config.person_margin, config.batch_size, encoder.device)
    found: dict[str, list[np.ndarray]] = {name: [] for name in views}
    done = 0
    with lasting(keep) as room, progress:
        calls, _ = kept_calls([delayed(shard)(*part, *follows_from) for part in parts], room)
        for (name, some), (call, arguments, _) in zip(parts, calls, strict=True):
            rows = call(*arguments)
            if not np.isfinite(rows).all():
                wrong = "gives embeddings that are no finite numbers; its weights are spoilt: fetch them anew"
                raise HarError(f"{folder}: {wrong}")
            done += len(some) * len(stores[name])
            progress.update(done - progress.n)  # a kept shard's
            found[name].append(rows)
    for name, rows in found.items():
        with replacing(out / f"{name}.npy") as temporary:
            np.save(temporary, np.concatenate(rows))
    write_text(out / "index.csv", "image_id\n" + "".join(f"{i}\n" for i in ids))
    if encoder.has_text:
        with replacing(out / "texts.npy") as temporary:
            np.save(temporary, prompt_ensemble(encoder, prompts).cpu().numpy())
    scale = encoder.logit_scale if encoder.has_text else None
    write_json(out / "about.json", {"classes": list(prompts), "logit_scale": scale, "width": rows[0].shape[1]})
