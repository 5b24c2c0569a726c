"""Can this machine run the active profile, and what will that cost? Looks at everything, changes nothing."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from har.app.cost import PHOTOGRAPH, Cost, Encoder, cost, encoder, miniature
from har.config.profile import Params, load_params
from har.core.errors import HarError

PACKAGES = ("torch", "torchvision", "transformers", "dvc", "scikit-learn", "pandas", "matplotlib")
PYTHON = ((3, 11), (3, 13))
TIMEOUT = 5.0  # seconds to wait for a server
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
    findings = [_python(), *_packages(), Finding("cores", str(_cores()))]
    try:
        params = load_params(root / "params.yaml")
    except HarError as error:
        return [*findings, Finding("params", str(error), blocks=True)]
    findings.append(Finding("params", f"params.yaml is understood, profile {params.profile}"))
    findings.append(_device(params))
    findings.extend(_caches(root))
    sizes: dict[str, int] = {}
    findings.extend(_sources(params, root, online, sizes))
    findings.extend(_cost(params, root, sizes))
    return findings


def _python() -> Finding:
    now = sys.version_info[:2]
    fine = PYTHON[0] <= now <= PYTHON[1]
    wanted = "" if fine else f", expected {PYTHON[0][0]}.{PYTHON[0][1]} to {PYTHON[1][0]}.{PYTHON[1][1]}"
    return Finding("python", f"{sys.version.split()[0]}{wanted}", blocks=not fine)


def _packages() -> Iterator[Finding]:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    yield Finding("packages", ", ".join(found))
    if missing:
        yield Finding("packages", f"not installed: {', '.join(missing)}; `make repro` installs them", blocks=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _available_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024
    except (OSError, StopIteration, ValueError, IndexError):  # not Linux
        return None


def _device(params: Params) -> Finding:
    import torch

    wanted = params.active.training.device
    have = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    best = next(name for name in ("cuda", "mps", "cpu") if have[name])
    name = torch.cuda.get_device_name() if best == "cuda" else best
    if wanted == "auto":
        return Finding("device", f"{name} (training.device: auto)")
    missing = not have[wanted]
    text = f"{wanted} (training.device)" + (f" is not there, this machine has {best}" if missing else "")
    return Finding("device", text, blocks=missing)


def _hub_cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _caches(root: Path) -> Iterator[Finding]:
    for name, folder in (
        ("DVC cache", root / ".dvc/cache"), ("downloads", root / "data/.cache"), ("hub cache", _hub_cache()),
    ):  # fmt: skip
        yield Finding(name, f"{folder}: {_gb(_bytes(folder)) if folder.exists() else 'not there yet'}")


def _bytes(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())


def _sources(params: Params, root: Path, online: bool, sizes: dict[str, int]) -> Iterator[Finding]:
    """The two doors, data and backbones: what is already here needs no server. Weights' bytes go to `sizes`."""
    profile, data = params.active, root / "data" / params.profile
    needed, hub = [], os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    if profile.data.source == "server":
        server = profile.data.server
        url = f"{server.url.rstrip('/')}/{server.annotations}"
        needed.append(("data server", "", url, (data / "images").exists() and (data / "annotations").exists()))
    elif not profile.data.own:
        yield Finding("data", "the generated world, no network needed")
    for name in params.run.encoders:
        backbone = profile.backbones[name]
        here = _place(params, root, name) is not None
        if backbone.source == "hub":
            url = f"{hub}/{backbone.id}/resolve/{backbone.revision}/config.json"
            needed.append((f"hub, {name}", name, url, here))
        elif backbone.source == "open_clip" and not backbone.local:
            from har.models import open_clip_door  # costs seconds: only where it is used

            try:
                repo, commit = open_clip_door.repository(backbone)
            except HarError as error:
                yield Finding(f"open_clip, {name}", str(error), blocks=True)
                continue
            url = f"{hub}/{repo}/resolve/{commit or 'main'}/open_clip_config.json"
            needed.append((f"hub, {name}", name, url, here))
        elif backbone.source == "folder":
            missing = not (root / backbone.folder / "config.json").exists()
            text = f"{backbone.folder}" + (": no checkpoint there (config.json)" if missing else "")
            yield Finding(f"folder, {name}", text, blocks=missing and not here)
    for name, of, url, here in needed:
        if here:
            yield Finding(name, "already here")
        elif not online:
            yield Finding(name, f"{url}: not asked (--offline)", note=True)
        else:
            problem, _ = _reach(url)
            if of and not problem:
                sizes[of] = _reach(url.replace("config.json", "model.safetensors"))[1]
            text = f"{url}: not reachable ({problem})" if problem else f"{url}: answers"
            yield Finding(name, text, blocks=bool(problem))


def _reach(url: str) -> tuple[str, int]:
    """Why `url` cannot be reached, or nothing; the bytes that a hub says of it, or 0."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

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


def _images(params: Params) -> int:
    """Images of the profile, the user's own, frames among them, counted where they lie; HarError where the run would
    refuse them."""
    from har.data.sources import listing
    from har.data.video.decode import is_clip

    data, curate = params.active.data, params.active.curate
    if data.source == "clips":
        return len(curate.classes) * data.clips.groups * data.clips.each * data.video.frames
    if data.own:
        return sum(data.video.frames if is_clip(one.path) else 1 for one in listing(data).images)
    return sum(one.count for one in curate.classes.values()) + curate.extended


def _cost(params: Params, root: Path, sizes: dict[str, int]) -> Iterator[Finding]:
    """Disk, memory, downloads and time of a run from nothing. What is here already is not subtracted."""
    profile = params.active
    try:
        encoders = {name: _encoder(params, root, name, sizes.get(name)) for name in params.run.encoders}
    except HarError as error:
        yield Finding("checkpoint", str(error), blocks=True)
        return
    try:
        images = _images(params)
    except HarError as error:
        yield Finding("data", str(error), blocks=True)
        return
    if profile.data.own:
        yield Finding("data", f"{images:,} images of your own, no network needed")
    foreign = 0
    if profile.data.source == "server":
        foreign = images * PHOTOGRAPH + (profile.data.server.annotations_bytes or 0)
    cache = next(place for place in (_hub_cache(), *_hub_cache().parents) if place.exists())
    run = cost(params, encoders, images, foreign, linked=cache.stat().st_dev == root.stat().st_dev)
    text = f"about {_gb(run.downloads)}, at most {images:,} photographs" if run.downloads else "nothing"
    yield Finding("downloads of a run", text)
    free = shutil.disk_usage(root).free
    text = f"a run takes about {_gb(run.disk)}, at times {_gb(run.peak)}; {_gb(free)} are free"
    yield Finding("disk", text, blocks=free < run.peak)
    if (memory := _available_memory()) is not None:
        jobs = f"{profile.training.jobs} processes (training.jobs) side by side take up to {_gb(run.memory)}"
        yield Finding("memory", f"{_gb(memory)} available, {jobs}", note=memory < run.memory)
    yield Finding("time of a run", _time(params, run))


def _encoder(params: Params, root: Path, name: str, listed: int | None) -> Encoder:
    one = params.active.backbones[name]
    source = one.architecture if one.source == "random" else one.source
    if source == "pretrain":
        return miniature(params.pretrain.models[name])
    return encoder(_place(params, root, name) or root / one.folder, one.model or one.id, listed)


def _place(params: Params, root: Path, name: str) -> Path | None:
    """The folder with the backbone's files: what a run has made, or the hub's cache."""
    one = params.active.backbones[name]
    cached = _hub_cache() / f"models--{one.id.replace('/', '--')}" / "snapshots" / one.revision
    places = [root / "data" / params.profile / "backbones" / name, *([cached] if one.source == "hub" else [])]
    return next((place for place in places if (place / "config.json").exists()), None)


def _time(params: Params, run: Cost) -> str:
    profile = params.active
    if all(profile.backbones[name].source in ("pretrain", "random") for name in params.run.encoders):
        used = min(_cores(), profile.training.jobs)
        return (
            f"about {SAMPLE_MINUTES * SAMPLE_CORES / used:.0f} minutes (measured: {SAMPLE_MINUTES} on {SAMPLE_CORES} "
            f"cores with the committed sample; scaled to {used} runs side by side)"
        )
    speed, total = _speed(), sum(run.flops.values())
    shares = ", ".join(f"{name} {value / total:.0%}" for name, value in sorted(run.flops.items(), key=lambda i: -i[1]))
    return (
        f"at least {total / speed / 3600:.1f} hours of computing on the CPU ({total:.1e} floating-point operations, a "
        f"multiplication and its addition being two, at the {speed / 1e9:.0f} GFLOP/s of a matrix product here; "
        f"networks reach less, a GPU takes a fraction): {shares}"
    )


def _speed() -> float:
    """Floating-point operations a second of this machine's cores in single precision, from half a second of work."""
    import torch

    a = torch.ones(1024, 1024)
    a @ a
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < 0.5:
        a @ a
        count += 1
    return 2 * 1024**3 * count / (time.perf_counter() - start)


def _gb(count: float) -> str:
    return f"{count / 1e9:.1f} GB"
