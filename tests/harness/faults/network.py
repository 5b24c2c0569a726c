"""Downloads from servers that break: 30 % of the answers are wrong in one of many ways; the client is killed too."""

import io
import json
import random
import signal
import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from servers import Site, model_hub, other, reset, serving, stall, status, truncate

from faults.project import PROFILE, environment

RATE = 0.3
REPOSITORY, REVISION = "someone/clip", "0" * 40
KINDS = ("captions", "instances", "person_keypoints")
# seconds: patient enough for a loaded machine, and no more
OPTIONS = {"TIMEOUT": [5.0, 1.0], "BACKOFF": 0.01, "MAX_WAIT": 0.05}


@dataclass
class Weather:
    """Draws what a server answers. seen: how often each kind of fault was met."""

    draw: random.Random
    seen: Counter = field(default_factory=Counter)

    def faults(self, length: int) -> dict:
        """Name to fault, of all points at which an answer of `length` bytes can break."""
        part = self.draw.randrange(max(1, length))
        spoilt = self.draw.randbytes(min(length, 4096))
        return {
            "500": status(500),
            "503, slow down": status(503, **{"Retry-After": "0"}),
            "429": status(429),
            "reset before a byte": reset(0),
            "reset midway": reset(part),
            "ended midway": truncate(part),
            "ended before the last byte": truncate(max(0, length - 1)),
            "stalled midway": stall(part, 1.5),
            "a web page": other(b"<html><body>please log in</body></html>"),
            "other bytes": other(spoilt),
            "nothing": other(b""),
        }

    def over(self, site: Site) -> None:
        """Every path of `site` breaks in RATE of its answers, however often it is asked."""

        class Queue(list):
            """Of faults: drawn anew for each answer."""

            def __init__(self, body: bytes, weather: Weather):
                super().__init__()
                self.body, self.weather, self.next = body, weather, None

            def __bool__(self) -> bool:
                return self.weather.draw.random() < RATE

            def pop(self, place: int = 0):
                faults = self.weather.faults(len(self.body))
                name = self.weather.draw.choice(sorted(faults))
                self.weather.seen[name] += 1
                return faults[name]

        for path in {*site.files, *site.routes}:
            site.faults[path] = Queue(site.files.get(path, b""), self)


@dataclass(frozen=True)
class Fetched:
    """files, bytes: that were to come; whole: files that came with the right hash; lost: bytes of the others; asked:
    requests; seen: see Weather; runs: how often the client was started, kills: how often it was killed."""

    files: int
    bytes: int
    whole: int
    lost: int
    asked: int
    seen: Counter
    runs: int
    kills: int


def suffer(truth: Path, folder: Path, kills: int, seed: int) -> Fetched:
    """Fetch annotations, images and a checkpoint, as the stages do, from servers made of the results in `truth`; the
    client is killed `kills` times and started again until it ends well."""
    draw = random.Random(seed)
    weather = Weather(draw)
    site, wanted, sizes = coco(truth)
    hub, checkpoint = checkpoint_hub(truth)
    weather.over(site)
    weather.over(hub)
    runs, left = 0, kills
    with serving(site), serving(hub):
        rows = [(number, name, *size) for number, (name, size) in enumerate(sorted(sizes.items()))]
        task = {"coco": site.url, "hub": hub.url, "rows": rows, "members": [f"{kind}_val.json" for kind in KINDS],
                "repository": REPOSITORY, "revision": REVISION, "folder": str(folder), "options": OPTIONS}  # fmt: skip
        while runs < kills + 60:
            runs += 1
            client = subprocess.Popen(
                [sys.executable, "-c", CLIENT, json.dumps(task)], cwd=Path.cwd(), env=environment(), text=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            if left:
                try:
                    client.wait(1.5 + 3 * draw.random())
                except subprocess.TimeoutExpired:
                    client.send_signal(signal.SIGKILL)
                left -= 1
            said = client.communicate()[1]
            if client.returncode == 0:
                break
            if client.returncode > 0:
                print(f"network: {said.strip().splitlines()[-1][:150]}", flush=True)
    asked = len(site.requests) + len(hub.requests)
    every = {f"coco/{name}": body for name, body in wanted.items()}
    every |= {f"hub/{name}": body for name, body in checkpoint.items()}
    right = [name for name, body in every.items() if (folder / name).is_file() and (folder / name).read_bytes() == body]
    size = sum(map(len, every.values()))
    lost = size - sum(len(every[name]) for name in right)
    return Fetched(len(every), size, len(right), lost, asked, weather.seen, runs, kills)


# the stages' own calls, in a process of their own; a HarError ends it, as it ends a stage
CLIENT = """
import json, os, sys
from pathlib import Path
from har.core.errors import exit_with_message
from har.data.coco.fetch import fetch_annotations, fetch_images
from har.data import download
from har.models.hub import fetch_hub

task = json.loads(sys.argv[1])
os.environ |= {"HF_ENDPOINT": task["hub"], "HF_HOME": str(Path(task["folder"], "cache").absolute())}
folder = Path(task["folder"])
for name, value in task["options"].items():
    setattr(download, name, tuple(value) if isinstance(value, list) else value)
with exit_with_message("fetch"):
    fetch_annotations(task["coco"], folder / "coco/annotations", folder / "cache", sha256=None, size=None,
                      members=task["members"], archive="annotations/all.zip")
    fetch_images([tuple(row) for row in task["rows"]], task["coco"], folder / "coco/val", folder / "cache",
                 folder="val", workers=4)
    fetch_hub(task["repository"], task["revision"], folder / "hub", max_bytes=10**9)
"""


def coco(truth: Path) -> tuple[Site, dict[str, bytes], dict[str, tuple[int, int]]]:
    """A server of COCO's layout with the annotations and images of `truth`, the files to be had from it,
    and the width and height of each image."""
    from PIL import Image

    data, site, wanted, sizes = truth / "data" / PROFILE, Site(), {}, {}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for kind in KINDS:
            body = (data / "annotations" / f"{kind}.json").read_bytes()
            archive.writestr(f"annotations/{kind}_val.json", body)
            wanted[f"annotations/{kind}_val.json"] = body
    site.files["/annotations/all.zip"] = packed.getvalue()
    for path in sorted((data / "images").glob("*.jpg")):
        site.files[f"/val/{path.name}"] = wanted[f"val/{path.name}"] = path.read_bytes()
        with Image.open(path) as image:
            sizes[path.name] = image.size
    return site, wanted, sizes


def checkpoint_hub(truth: Path) -> tuple[Site, dict[str, bytes]]:
    """A hub with the miniature CLIP, and the files that a backbone takes of it."""
    folder = truth / "data/pretrained/clip"
    made = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "log.csv"}
    return model_hub(REPOSITORY, REVISION, made), made
