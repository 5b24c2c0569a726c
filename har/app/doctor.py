"""Can this machine run the active profile, and what will that cost? Looks at everything, changes nothing."""

import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

import joblib
from huggingface_hub import constants

from har.config.data import OWN
from har.config.models import Backbone
from har.config.profile import Params, load_params
from har.core.errors import HarError
from har.models.hub import endpoint
from har.training.loop import pick_device

TIMEOUT = 5.0  # seconds to wait for a server
# Bytes, as measured of profile coco on a CPU, with base-sized encoders.
PHOTOGRAPH = 160_000  # of COCO, on average
CHECKPOINT = 0.85e9  # where neither the file nor the hub says: 0.35 (ViT) to 1.5 (SigLIP 2)
TUNED = 0.35e9  # a fine-tuned image tower
REST = 0.7e9  # everything but photographs and base-sized networks: the sample
PROCESS, LARGE_PROCESS = 0.8e9, 5.3e9  # memory of a process with miniatures, and with base-sized encoders
SAMPLE_MINUTES, SAMPLE_CORES = 15, 2  # measured, without a GPU (README)


class Finding(NamedTuple):
    """blocks: no run while this stands; note: worth a look, no more."""

    name: str
    text: str
    blocks: bool = False
    note: bool = False


def examine(root: str | Path = ".", online: bool = True) -> list[Finding]:
    """What is found in the project at `root`; with `online` the servers of its profile are asked (HEAD)."""
    root = Path(root)
    try:
        params = load_params(root / "params.yaml")
    except HarError as error:
        return [Finding("params", str(error), blocks=True)]
    findings = [Finding("params", f"params.yaml is understood, profile {params.profile}"), _device(params)]
    findings += _data(params, root, online)
    checkpoints = {}
    for name in params.run.encoders:
        try:
            finding, checkpoints[name] = _backbone(params, root, name, online)
        except HarError as error:
            finding = Finding(f"backbone {name}", str(error), blocks=True)
        findings.append(finding)
    if len(checkpoints) == len(params.run.encoders) and not any(one.name == "data" and one.blocks for one in findings):
        findings += _cost(params, root, checkpoints)
    return findings


def _device(params: Params) -> Finding:
    wanted, best = params.active.training.device, pick_device("auto")
    if wanted == "auto":
        return Finding("device", f"{best} (training.device: auto)")
    missing = "" if wanted in (best, "cpu") else f" is not there, this machine has {best}"
    return Finding("device", f"{wanted} (training.device){missing}", blocks=bool(missing))


def _data(params: Params, root: Path, online: bool) -> Iterator[Finding]:
    data, here = params.active.data, root / "data" / params.profile
    if data.source == "server":
        url = f"{data.server.url.rstrip('/')}/{data.server.annotations}"
        fetched = (here / "images").exists() and (here / "annotations").exists()
        yield _asked("data server", url, online, fetched)[0]
    elif data.source not in OWN:
        yield Finding("data", "generated, no network needed")
    else:
        try:
            yield Finding("data", f"{_images(params, root):,} images of your own, no network needed")
        except HarError as error:
            yield Finding("data", str(error), blocks=True)


def _images(params: Params, root: Path) -> int:
    """Images of the profile, the user's own, frames among them, counted where they lie; HarError where the run would
    refuse them."""
    from har.data.sources import listing
    from har.data.video.decode import is_clip

    data, curate = params.active.data, params.active.curate
    if data.source == "clips":
        return len(curate.classes) * data.clips.groups * data.clips.each * data.video.frames
    if data.own:
        with chdir(root):  # from where paths in params.yaml start
            return sum(data.video.frames if is_clip(one.path) else 1 for one in listing(data).images)
    return sum(one.count for one in curate.classes.values()) + curate.extended


def _backbone(params: Params, root: Path, name: str, online: bool) -> tuple[Finding, float]:
    """Whether the checkpoint of encoder `name` can be had, and how many bytes of it a run fetches; HarError where it is
    not understood. What a run has made, or the hub's cache holds, needs no server."""
    one, title = params.active.backbones[name], f"backbone {name}"
    if one.shape == "pretrain":
        return Finding(title, "the project's own miniature"), 0
    cached = Path(constants.HF_HUB_CACHE) / f"models--{one.id.replace('/', '--')}" / "snapshots" / one.revision
    places = [root / "data" / params.profile / "backbones" / name, *([cached] if one.source == "hub" else [])]
    here = next((place for place in places if (place / "config.json").exists()), None)
    if one.local:
        missing = one.source == "folder" and not here and not (root / one.folder / "config.json").exists()
        text = f"{one.folder or one.model}" + (": no checkpoint there (config.json)" if missing else "")
        return Finding(title, text, blocks=missing), 0
    finding, size = _asked(title, _address(one), online, here is not None)
    if one.source == "random":
        return finding, 0
    return finding, sum(file.stat().st_size for file in here.glob("*.safetensors")) if here else size or CHECKPOINT


def _address(backbone: Backbone) -> str:
    """Of the configuration of a checkpoint on the hub."""
    if backbone.source != "open_clip":
        return f"{endpoint()}/{backbone.id}/resolve/{backbone.revision}/config.json"
    from har.models import open_clip  # costs seconds: only where it is used

    repo, commit = open_clip.repository(backbone)
    return f"{endpoint()}/{repo}/resolve/{commit or 'main'}/open_clip_config.json"


def _asked(name: str, url: str, online: bool, here: bool) -> tuple[Finding, int]:
    """Whether the file at `url` can be had, and the bytes of the weights beside it, 0 where the server does not say."""
    if here:
        return Finding(name, "already here"), 0
    if not online:
        return Finding(name, f"{url}: not asked (--offline)", note=True), 0
    problem, _ = _reach(url)
    if problem:
        return Finding(name, f"{url}: not reachable ({problem})", blocks=True), 0
    weights = url.replace("config.json", "model.safetensors")
    return Finding(name, f"{url}: answers"), _reach(weights)[1] if weights != url else 0


def _reach(url: str) -> tuple[str, int]:
    """Why `url` cannot be reached, or nothing; the bytes that a hub says of it, or 0."""
    import requests

    if urlsplit(url).scheme == "file":
        return "" if Path(url2pathname(urlsplit(url).path)).exists() else "no such file", 0
    try:  # a hub redirects to its storage, and says the size beforehand
        answer = requests.head(url, timeout=TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        return type(error).__name__, 0
    size = answer.headers.get("X-Linked-Size", "")
    problem = "" if answer.status_code < 400 else f"status {answer.status_code}"
    return problem, int(size) if size.isascii() and size.isdigit() else 0


def _cost(params: Params, root: Path, checkpoints: dict[str, float]) -> Iterator[Finding]:
    """Downloads, disk, memory and time of a run from nothing. What is here already is not subtracted. checkpoints: the
    bytes that it fetches of each encoder."""
    profile, images, foreign = params.active, _images(params, root), 0
    if profile.data.source == "server":
        foreign = images * PHOTOGRAPH + (profile.data.server.annotations_bytes or 0)
    fetched = sum(checkpoints.values())
    text = f"about {_gb(fetched + foreign)}, at most {images:,} photographs" if fetched + foreign else "nothing"
    yield Finding("downloads of a run", text)
    large = {name for name in params.run.encoders if profile.backbones[name].shape != "pretrain"}
    models = [profile.models[run.model] for run in params.run.train.values()]
    tuned = TUNED * sum(model.fine_tuned and model.backbone in large for model in models)
    jobs = 1 if profile.training.backend == "sequential" else profile.training.jobs
    cache = Path(constants.HF_HUB_CACHE)
    cache = next(place for place in (cache, *cache.parents) if place.exists())
    linked = cache.stat().st_dev == root.stat().st_dev  # then a checkpoint lies on the disk once
    disk = REST + 2 * foreign + (1 if linked else 2) * fetched + tuned
    # unfinished runs keep weights and the optimiser's two moments, finished ones their weights
    peak = disk + (3 * jobs + len(profile.training.seeds)) * min(TUNED, tuned)
    free = shutil.disk_usage(root).free
    text = f"a run takes about {_gb(disk)}, at times {_gb(peak)}; {_gb(free)} are free"
    yield Finding("disk", text, blocks=free < peak)
    if (memory := _available_memory()) is not None:
        wanted = jobs * (LARGE_PROCESS if large else PROCESS)
        text = f"{jobs} processes (training.jobs) side by side take up to {_gb(wanted)}"
        yield Finding("memory", f"{_gb(memory)} available, {text}", note=memory < wanted)
    if not large:
        used = min(joblib.cpu_count(), profile.training.jobs)
        text = (
            f"about {SAMPLE_MINUTES * SAMPLE_CORES / used:.0f} minutes (measured: {SAMPLE_MINUTES} on {SAMPLE_CORES} "
            f"cores with the committed sample; scaled to {used} runs side by side)"
        )
        yield Finding("time of a run", text)


def _available_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024
    except (OSError, StopIteration, ValueError, IndexError):  # not Linux
        return None


def _gb(count: float) -> str:
    return f"{count / 1e9:.1f} GB"
