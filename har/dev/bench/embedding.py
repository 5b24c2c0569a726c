"""Files to embeddings in one way: `python -m har.dev.bench.embedding WAY ENCODER BATCH JOBS SHORT_SIDE`.

ENCODER is a folder in the hub's format, the files are those of ./images.csv. Ways:

ours          decoded into a store, then embedded, as the graph does it
transformers  a plain loop over files with the checkpoint's own processor
open_clip     the same with open_clip's, for CLIP ViT-B/32 (its weights are drawn at random)
forward       the forward pass alone, over one batch in memory again and again, torch's threads sharing it
side_by_side  the same with batches side by side, each on one core

Writes WAY.json, the images a second of ROUNDS batches for each core, after a first one for each. Ours loads the encoder
with each call: there the time of one batch for each core is taken off, so that starting and loading count nowhere. And
WAY.npy, embeddings of the first images.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pandas as pd

from har.core.files import write_json

ROUNDS = 3
Images = Callable[[Sequence[str]], np.ndarray]


def ours(encoder: Path, batch: int, jobs: int, short_side: int) -> Images:
    from har.config.models import Crops, Embed
    from har.data import store
    from har.training.embed import embed

    settings = Embed(batch_size=batch, crops=[Crops(share=0.5, number=1)], person_margin=0.2, prompts={})

    def embedded(files: Sequence[str]) -> np.ndarray:
        ids, folder = range(len(files)), Path(f"store-{len(files)}")
        store.build(dict(zip(ids, map(Path, files), strict=True)), folder, short_side, jobs)
        prompts = {"one": ["a photo"], "other": ["a person"]}
        embed(encoder, store.Store(folder), ids, prompts, "ours", settings, jobs=jobs, device="auto")
        return np.load("ours/image.npy")

    return embedded


def transformers(encoder: Path, batch: int, jobs: int, short_side: int) -> Images:
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModel

    from har.models.encoder import pooled
    from har.training.loop import pick_device

    processor, device = AutoImageProcessor.from_pretrained(encoder), pick_device("auto")
    model = AutoModel.from_pretrained(encoder, dtype=torch.float32).eval().to(device)

    @torch.inference_mode()
    def of(files: Sequence[str]) -> torch.Tensor:
        images = [Image.open(file).convert("RGB") for file in files]
        inputs = processor(images=images, return_tensors="pt").to(device)
        if hasattr(model, "get_image_features"):
            return model.get_image_features(**inputs).pooler_output.cpu()
        return pooled(model, model(**inputs)).cpu()

    return partial(_in_batches, of, batch)


def open_clip(encoder: Path, batch: int, jobs: int, short_side: int) -> Images:
    import open_clip as library
    import torch
    from PIL import Image

    from har.training.loop import pick_device

    device = pick_device("auto")
    model, _, preprocess = library.create_model_and_transforms("ViT-B-32-quickgelu", pretrained=None, device=device)
    model.eval()

    @torch.inference_mode()
    def of(files: Sequence[str]) -> torch.Tensor:
        return model.encode_image(torch.stack([preprocess(Image.open(file)) for file in files]).to(device)).cpu()

    return partial(_in_batches, of, batch)


def forward(encoder: Path, batch: int, jobs: int, short_side: int, side_by_side: bool = False) -> Images:
    import torch
    from joblib import Parallel, delayed
    from PIL import Image

    from har.models.encoder import Encoder
    from har.training.loop import pick_device

    model = Encoder(encoder, pick_device("auto"))
    if side_by_side:
        torch.set_num_threads(1)
    memory: list[torch.Tensor] = []

    def embedded(files: Sequence[str]) -> np.ndarray:
        if not memory:
            images = [model.preprocess.square(Image.open(file).convert("RGB")) for file in files[:batch]]
            memory.append(torch.from_numpy(np.stack(images)))
        work = (delayed(model.images)(memory[0]) for _ in range(0, len(files), batch))
        found = Parallel(jobs if side_by_side else 1, prefer="threads")(work)
        return torch.cat([one.cpu() for one in found]).numpy()

    return embedded


WAYS = {
    "ours": ours,
    "transformers": transformers,
    "open_clip": open_clip,
    "forward": forward,
    "side_by_side": partial(forward, side_by_side=True),
}


def _in_batches(of: Callable, batch: int, files: Sequence[str]) -> np.ndarray:
    return np.concatenate([of(files[start : start + batch]).numpy() for start in range(0, len(files), batch)])


def seconds(images: Images, files: Sequence[str]) -> float:
    start = time.perf_counter()
    images(files)
    return time.perf_counter() - start


def main(way: str, encoder: str, batch: str, jobs: str, short_side: str) -> None:
    images, few = WAYS[way](Path(encoder), int(batch), int(jobs), int(short_side)), int(batch) * int(jobs)
    files = list(islice(cycle(pd.read_csv("images.csv").file), ROUNDS * few))
    np.save(f"{way}.npy", images(files[:few]))
    short = seconds(images, files[:few]) if way == "ours" else 0.0
    count = len(files) - few if way == "ours" else len(files)
    write_json(Path(f"{way}.json"), {"images_per_second": count / (seconds(images, files) - short)})


if __name__ == "__main__":
    main(*sys.argv[1:])
