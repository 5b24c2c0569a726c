"""Can this machine run the active profile, and what will that cost? Looks at everything, changes nothing."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from har.config.profile import Params, load_params
from har.core.errors import HarError

PACKAGES = ("torch", "torchvision", "transformers", "dvc", "scikit-learn", "pandas", "matplotlib")
PYTHON = ((3, 11), (3, 13))
MEMORY = 3e9  # bytes that a run takes at most (README)
TIMEOUT = 5.0  # seconds to wait for a server
# Where a run's cost comes from. The sample is measured (README: two cores, no GPU); the other figures are rough.
SAMPLE_MINUTES, SAMPLE_CORES, SAMPLE_DISK = 9, 2, 0.5e9
PHOTOGRAPH = 160_000  # bytes of a COCO photograph, on average
CHECKPOINT = 0.6e9  # bytes of a base-sized encoder; a few are larger
FORWARD = 18e9  # operations of a base-sized encoder with 16-pixel patches at 224 pixels, one image


class Finding(NamedTuple):
    """blocks: no run while this stands; note: worth a look, no more."""

    name: str
    text: str
    blocks: bool = False
    note: bool = False


def examine(root: str | Path = ".", online: bool = True) -> list[Finding]:
    """What is found in the project at `root`; with `online` the servers of its profile are asked (HEAD)."""
    root = Path(root)
    findings = [_python(), *_packages(), *_machine()]
    try:
        params = load_params(root / "params.yaml")
    except HarError as error:
        return [*findings, Finding("params", str(error), blocks=True)]
    findings.append(Finding("params", f"params.yaml is understood, profile {params.profile}"))
    findings.append(_device(params))
    findings.extend(_caches(root))
    findings.extend(_sources(params, root, online))
    findings.extend(_cost(params, root))
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


def _machine() -> Iterator[Finding]:
    yield Finding("cores", str(_cores()))
    memory = _available_memory()
    if memory is not None:
        short = memory < MEMORY
        text = f"{_gb(memory)} available" + (f", a run takes up to {_gb(MEMORY)}" if short else "")
        yield Finding("memory", text, note=short)


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


def _caches(root: Path) -> Iterator[Finding]:
    for name, folder in (("DVC cache", root / ".dvc/cache"), ("downloads", root / "data/.cache")):
        if folder.exists():
            yield Finding(name, f"{folder}: {_gb(_bytes(folder))}")
        else:
            yield Finding(name, f"{folder}: not there yet")


def _bytes(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())


def _sources(params: Params, root: Path, online: bool) -> Iterator[Finding]:
    """The two doors, data and backbones: what is already here needs no server."""
    profile, data = params.active, root / "data" / params.profile
    needed = []
    if profile.data.source == "server":
        server = profile.data.server
        url = f"{server.url.rstrip('/')}/{server.annotations}"
        needed.append(("data server", url, (data / "images").exists() and (data / "annotations").exists()))
    else:
        yield Finding("data", "the generated world, no network needed")
    for name in params.run.encoders:
        backbone = profile.backbones[name]
        here = (data / "backbones" / name / "config.json").exists()
        if backbone.source == "hub":
            hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
            needed.append((f"hub, {name}", f"{hub}/{backbone.id}/resolve/{backbone.revision}/config.json", here))
        elif backbone.source == "folder":
            missing = not (root / backbone.folder / "config.json").exists()
            text = f"{backbone.folder}" + (": no checkpoint there (config.json)" if missing else "")
            yield Finding(f"folder, {name}", text, blocks=missing and not here)
    for name, url, here in needed:
        if here:
            yield Finding(name, "already here")
        elif not online:
            yield Finding(name, f"{url}: not asked (--offline)", note=True)
        else:
            problem = _reach(url)
            text = f"{url}: not reachable ({problem})" if problem else f"{url}: answers"
            yield Finding(name, text, blocks=bool(problem))


def _reach(url: str) -> str:
    """Why `url` cannot be had, or nothing."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    import requests

    if urlsplit(url).scheme == "file":
        return "" if Path(url2pathname(urlsplit(url).path)).exists() else "no such file"
    try:
        status = requests.head(url, timeout=TIMEOUT, allow_redirects=True).status_code
    except requests.RequestException as error:
        return type(error).__name__
    return "" if status < 400 else f"status {status}"


def _cost(params: Params, root: Path) -> Iterator[Finding]:
    """Disk, downloads and time of a run from nothing. What is here already is not subtracted."""
    profile = params.active
    images = sum(one.count for one in profile.curate.classes.values()) + profile.curate.extended
    hub = [name for name in params.run.encoders if profile.backbones[name].source == "hub"]
    downloads = len(hub) * CHECKPOINT
    if profile.data.source == "server":
        downloads += images * PHOTOGRAPH + (profile.data.server.annotations_bytes or 0)
    text = f"about {_gb(downloads)}, at most {images:,} photographs" if downloads else "nothing"
    yield Finding("downloads of a run", text + (f", {len(hub)} checkpoints of base size" if hub else ""))
    # weights once in the download cache, once in DVC's, and once more for each model that is fine-tuned from them
    tuned = sum(profile.models[run.model].kind == "finetune" for run in params.run.train.values()) if hub else 0
    disk = SAMPLE_DISK + 2 * downloads + tuned * CHECKPOINT
    free = shutil.disk_usage(root).free
    yield Finding("disk", f"a run takes about {_gb(disk)}, {_gb(free)} are free", blocks=free < disk)
    yield Finding("time of a run", _time(params, images, len(hub)))


def _time(params: Params, images: int, hub: int) -> str:
    profile = params.active
    cores = _cores()
    if not hub:
        used = min(cores, profile.training.jobs)
        minutes = SAMPLE_MINUTES * SAMPLE_CORES / used
        return (
            f"about {minutes:.0f} minutes (measured: {SAMPLE_MINUTES} on {SAMPLE_CORES} cores with the committed "
            f"sample; scaled to {used} runs side by side)"
        )
    operations, train = 0.0, profile.split.train * sum(one.count for one in profile.curate.classes.values())
    for run in params.run.train.values():
        model = profile.models[run.model]
        if model.kind == "finetune":  # a training step costs three forward passes
            operations += len(profile.training.seeds) * FORWARD * (3 * model.epochs * train + images)
    operations += hub * images * FORWARD
    speed = _speed()
    return (
        f"about {operations / speed / 3600:.1f} hours of computing on the CPU for the encoders ({operations:.1e} "
        f"operations at the {speed / 1e9:.0f} GFLOP/s that a short matrix product reaches here; a network reaches "
        "less, other splits and fewer images come on top, a GPU takes a fraction)"
    )


def _speed() -> float:
    """Operations a second of this machine's cores in single precision, from half a second of work."""
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
