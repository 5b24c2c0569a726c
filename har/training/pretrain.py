"""Pre-train the miniature backbones on captioned scenes of the generated world.

CLIP learns with the contrastive loss (Radford et al. 2021), SigLIP with the sigmoid loss (Zhai et al.
2023), both on image-caption pairs; ViT learns which place, light, objects and animals a scene holds, so
that, as with ImageNet, no activity label is ever seen. `activity` turns each into its control: captions
that are silent about what people do, a ViT that is told.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import delayed
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid
from tqdm import tqdm

from har import synthetic
from har.config.models import Miniature, Scenes
from har.core.errors import HarError
from har.core.parallel import forked
from har.models import miniature

# Scenes are rendered a little larger and cropped at random while training.
MARGIN = 8


def targets(activity: bool) -> list[str]:
    """Names of the ViT's outputs: one per value of each factor of a scene, then, if asked for, the activities."""
    names = [f"{name} {value}" for name, values in synthetic.FACTORS.items() for value in range(values)]
    return names + list(synthetic.ACTIVITIES) * activity


def _scene(seed: int, image_id: int, size: int) -> tuple[np.ndarray, list[list[str]], np.ndarray]:
    scene = synthetic.sample_scene(seed, image_id)
    told = synthetic.factors(scene)
    doing = {person.activity for person in scene.people if person.main}
    marks = [np.eye(n, dtype=np.uint8)[told[name]] for name, n in synthetic.FACTORS.items()]
    marks.append(np.array([name in doing for name in synthetic.ACTIVITIES], np.uint8))
    told = [synthetic.captions(scene, activity) for activity in (False, True)]
    return synthetic.render(scene, size, size), told, np.concatenate(marks)


def scenes(config: Scenes, size: int, cache: Path, jobs: int) -> tuple[np.ndarray, list[list[list[str]]], np.ndarray]:
    """Images uint8 [n, size, size, 3]; for each five captions that are silent about the activity and five that tell;
    factors uint8 [n, len(targets(True))].

    Rendered once and kept in `cache` under a name made of everything they depend on, because all
    miniatures learn from the same scenes; the images stay on disk, memory-mapped.
    """
    code = b"".join(p.read_bytes() for p in sorted(Path(synthetic.__file__).parent.glob("*.py")))
    stamp = f"{config.model_dump_json()} {size}".encode()
    folder = cache / f"scenes-{hashlib.sha256(code + stamp).hexdigest()[:16]}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        shape = (config.count, size, size, 3)
        images = np.lib.format.open_memmap(partial / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
        captions, marks = [], []
        done = forked(jobs, (delayed(_scene)(config.seed, config.first_id + i, size) for i in range(config.count)))
        for i, (image, told, mark) in enumerate(tqdm(done, total=config.count, desc="scenes", unit="scene")):
            images[i] = image
            captions.append(told)
            marks.append(mark)
        images.flush()
        np.save(partial / "factors.npy", np.stack(marks))
        (partial / "captions.json").write_text(json.dumps(captions))
        partial.rename(folder)
    captions = json.loads((folder / "captions.json").read_text())
    return np.load(folder / "images.npy", mmap_mode="r"), captions, np.load(folder / "factors.npy")


def pretrain(name: str, config: Miniature, scene: Scenes, out: Path, cache: Path, threads: int) -> list[dict]:
    """Train the miniature `name` and save it in the hub's format at `out`.

    Returns the log: samples seen, loss, held-out loss (losses of one batch, in nats).
    """
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(config.seed)
    images, captions, factors = scenes(scene, config.image_size + MARGIN, cache, jobs=-1)
    tokenizer = miniature.tokenizer(synthetic.vocabulary(), config.text_length)
    model = miniature.model(config.family, config, len(tokenizer), targets(config.activity))
    captions = [told[config.activity] for told in captions]
    marks = factors[:, : len(targets(config.activity))]
    loss_of = losses(config.family, model, tokenizer, captions, marks, config.text_length)
    log: list[dict] = []
    for cycle in range(len(config.samples)):
        if cycle:
            # as if the run had ended and begun again: the weights as they are saved, nothing else
            model = model.half().float()
        run_cycle(name, model, config, cycle, (images, factors, scene.held_out), loss_of, log)
    save(model, tokenizer, config, out)
    return log


def run_cycle(
    name: str,
    model: torch.nn.Module,
    config: Miniature,
    cycle: int,
    data: tuple[np.ndarray, np.ndarray, int],
    loss_of: Callable,
    log: list[dict],
) -> None:
    """One warm-up and cosine of the learning rate (Loshchilov and Hutter 2017, restarts); extends `log`."""
    images, factors, held_out = data
    n_train = len(images) - held_out
    rng = np.random.default_rng([config.seed, cycle] if cycle else config.seed)
    full, flat = ([p for p in model.parameters() if (p.ndim > 1) == wide] for wide in (True, False))
    groups = [{"params": full, "weight_decay": config.weight_decay}, {"params": flat, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
    steps = config.samples[cycle] // config.batch_size

    def rate(step: int) -> float:
        return min((step + 1) / max(1.0, config.warmup * steps), 0.5 * (1 + math.cos(math.pi * step / steps)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    held = torch.arange(n_train, n_train + min(config.batch_size, held_out))
    batches = _batches(factors[:n_train], config.batch_size, rng, mixed_steps=0 if cycle else steps // 3)
    seen = log[-1]["samples"] if log else 0
    running: list[float] = []
    model.train()
    progress = tqdm(range(steps), desc=f"pretrain {name}", unit="step")
    for step in progress:
        rows = next(batches)
        loss = loss_of(torch.from_numpy(rows), _pixels(images, rows, rng, config.image_size), rng)
        if not torch.isfinite(loss):
            raise HarError(f"pretrain {name}: the loss is not finite at step {step}; lower learning_rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        seen += config.batch_size
        running.append(float(loss.detach()))
        if (step + 1) % max(1, steps // 20) == 0 or step + 1 == steps:
            model.eval()
            with torch.inference_mode():
                pixels = _pixels(images, held.numpy(), None, config.image_size)
                held_loss = float(loss_of(held, pixels, np.random.default_rng(0)))
            model.train()
            log.append({"samples": seen, "loss": float(np.mean(running)), "held_out_loss": held_loss})
            progress.write(f"pretrain {name}: {seen:,} samples, loss {np.mean(running):.4f}, held out {held_loss:.4f}")
            running = []


def _batches(factors: np.ndarray, size: int, rng: np.random.Generator, mixed_steps: int) -> Iterator[np.ndarray]:
    """Row numbers [size], for ever; each scene once a pass.

    After `mixed_steps` batches every other one holds scenes of one place only. Against scenes of other places
    a caption is told apart by its place alone; among equals, what people do and wear is what is left to tell.
    """
    place = factors[:, : synthetic.FACTORS["place"]].argmax(1)
    done = 0
    while True:
        order = rng.permutation(len(place))
        mixed = order[: len(order) // 2] if done >= mixed_steps else order
        alike = order[len(mixed) :]
        chunks = _chunks(mixed, size)
        for value in range(synthetic.FACTORS["place"]):
            chunks += _chunks(alike[place[alike] == value], size)
        for i in rng.permutation(len(chunks)):
            yield np.sort(chunks[i])
        done += len(chunks)


def _chunks(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows) - size + 1, size)]


def _pixels(images: np.ndarray, rows: np.ndarray, rng, size: int) -> torch.Tensor:
    """Normalised images [n, 3, size, size]: a random crop and mirror image each, or the centre (no rng).
    A mirrored scene is a scene: no caption speaks of left or right."""
    batch = images[rows]
    if rng is None:
        cut = MARGIN // 2
        batch = batch[:, cut : cut + size, cut : cut + size]
    else:
        tops, lefts = rng.integers(0, MARGIN + 1, (2, len(rows)))
        mirror = rng.random(len(rows)) < 0.5
        cuts = [image[y : y + size, x : x + size] for image, y, x in zip(batch, tops, lefts, strict=True)]
        batch = np.stack([cut[:, ::-1] if flip else cut for cut, flip in zip(cuts, mirror, strict=True)])
    return torch.from_numpy(np.ascontiguousarray(batch)).permute(0, 3, 1, 2).float() / 127.5 - 1


def losses(name: str, model, tokenizer, captions: list[list[str]], factors: np.ndarray, length: int) -> Callable:
    """loss(rows, pixels, rng) of one batch for the pre-training task of `name`."""
    # Each caption once as token numbers; SigLIP pools the last position and so needs full padding.
    flat = [text for five in captions for text in five]
    tokens = torch.tensor(tokenizer(flat, padding="max_length", truncation=True, max_length=length)["input_ids"])
    tokens = tokens.view(len(captions), -1, length)
    marks = torch.from_numpy(factors).float()

    def caption(rows, rng):
        return tokens[rows, torch.from_numpy(rng.integers(0, tokens.shape[1], len(rows)))]

    def clip(rows, pixels, rng):
        ids = caption(rows, rng)
        ids = ids[:, : int((ids != 0).sum(1).max())]
        return model(input_ids=ids, pixel_values=pixels, return_loss=True).loss

    def siglip2(rows, pixels, rng):
        out = model(input_ids=caption(rows, rng), pixel_values=pixels)
        signs = 2 * torch.eye(len(rows)) - 1
        return -logsigmoid(signs * out.logits_per_text).sum(-1).mean()

    def vit(rows, pixels, rng):
        return binary_cross_entropy_with_logits(model(pixel_values=pixels).logits, marks[rows])

    return {"clip": clip, "siglip2": siglip2, "vit": vit}[name]


def save(model, tokenizer, config: Miniature, out: Path) -> None:
    """Weights in half precision (git carries them), configuration, preprocessing and tokenizer."""
    out.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(out)
    about = miniature.preprocessor_config(config.family, config)
    (out / "preprocessor_config.json").write_text(json.dumps(about, indent=2) + "\n")
    if config.family != "vit":
        tokenizer.save_pretrained(out)


def write_log(log: list[dict], path: Path) -> None:
    """The training log as CSV: samples, loss, held_out_loss."""
    pd.DataFrame(log).to_csv(path, index=False, float_format="%.4f", lineterminator="\n")
