"""Frozen image and text embeddings of one encoder, computed once (see har.training.embeddings for the files)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from torch.nn.functional import normalize
from tqdm import tqdm

from har.core.cache import kept_calls, lasting
from har.core.errors import HarError
from har.core.files import replacing, write_json, write_text
from har.data.store import Store
from har.models.encoder import Encoder
from har.training.loop import pick_device

SHARD = 4096  # images, of which none is kept before all are embedded


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
    keep: Path | None = None,
) -> None:
    """Embed the store's images with the checkpoint in `folder` and, if it has a text tower, the prompts of
    each class; writes har.training.embeddings' files to `out`.

    jobs: batches side by side, each on one core, so that the numbers do not depend on how many cores there are
    (and threads within a batch wait for each other: on a small encoder they cost more than they give). keep: a folder
    in which finished shards of images outlive an interruption (har.core.cache). Memory does not grow with the images.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)  # an architecture without weights (source: random) gets the same ones each time
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    encoder = Encoder(folder, pick_device(device))
    ids = list(map(int, image_ids))
    progress = tqdm(total=len(ids), desc=f"embed {out.name}", unit="image")

    def images_of(some: list[int]) -> torch.Tensor:
        return encoder.images(torch.from_numpy(encoder.preprocess.load(store, some))).cpu()

    def shard(checkpoint: Path, pixels: Path, some: list[int], size: int, on: str) -> np.ndarray:
        """Embeddings of `some` images; what else is given says what they follow from."""
        batches = [some[start : start + size] for start in range(0, len(some), size)]
        chunks = []
        # threads: Pillow and torch let go of the interpreter while they work, and the encoder is in memory once
        found = Parallel(jobs, prefer="threads", return_as="generator")(delayed(images_of)(one) for one in batches)
        for one, chunk in zip(batches, found, strict=True):
            chunks.append(chunk)
            progress.update(len(one))
            store.forget()
        return torch.cat(chunks).numpy()

    given, texts, similarities = (Path(folder), store.folder), None, []
    if encoder.has_text:
        texts = prompt_ensemble(encoder, prompts).cpu()
    shards = [ids[start : start + SHARD] for start in range(0, len(ids), SHARD)]
    with lasting(keep) as room, progress:
        calls, _ = kept_calls([delayed(shard)(*given, some, batch_size, encoder.device) for some in shards], room)

        def finished() -> Iterator[np.ndarray]:
            done = 0
            for some, (call, arguments, _) in zip(shards, calls, strict=True):
                rows = call(*arguments)
                if not np.isfinite(rows).all():
                    wrong = "gives embeddings that are no finite numbers; its weights are spoilt: fetch them anew"
                    raise HarError(f"{folder}: {wrong}")
                if texts is not None:
                    similarities.append((normalize(torch.from_numpy(rows), dim=-1) @ texts.T).numpy())
                done += len(some)
                progress.update(done - progress.n)  # a kept shard's
                yield rows

        width = _save(out / "images.npy", len(ids), finished())
    write_text(out / "index.csv", "image_id\n" + "".join(f"{i}\n" for i in ids))
    if texts is not None:
        _save(out / "texts.npy", len(texts), [texts.numpy()])
        _save(out / "similarities.npy", len(ids), similarities)
    about = {
        "classes": list(prompts),
        "logit_scale": encoder.logit_scale if encoder.has_text else None,
        "width": width,
    }
    write_json(out / "about.json", about)


def _save(path: Path, length: int, parts: Iterable[np.ndarray]) -> int:
    """The rows of `parts`, `length` together, as numpy saves one array of them; the number of its columns."""
    width = 0
    with replacing(path) as temporary, open(temporary, "wb") as out:
        for part in parts:
            if not width:
                width = part.shape[1]
                about = {"descr": part.dtype.str, "fortran_order": False, "shape": (length, width)}
                np.lib.format.write_array_header_1_0(out, about)
            out.write(np.ascontiguousarray(part))
    return width
