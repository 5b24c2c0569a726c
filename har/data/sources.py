"""Where images and their labels come from: `data.source` of params.yaml names one of SOURCES."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pandas as pd

from har.config.data import Data
from har.core.files import write_json
from har.data.folder.find import Listing, find_in_folder, find_in_table
from har.data.video.lists import find_clips


@dataclass(frozen=True)
class Source:
    """One way for images to come.

    Attributes:
        annotations: (data, out, jobs, cache) writes the annotations to the folder `out` and yields lines for the log;
            `cache` outlives a stage.
        photographs: (data, manifest, folder, annotations, jobs, cache, keep) puts the manifest's photographs into
            `folder` and returns a row for each that says where it came from; `keep` outlives an interruption.
        listing: (data) what the user's own images are, before anything is read; None where labels come from captions.
        drawn: whether the images are generated, so that nobody is depicted.
        title: what the images are, for headings.
        rights: whose they are.
    """

    annotations: Callable[..., Iterable[str]]
    photographs: Callable[..., Iterable[Mapping]]
    title: str
    rights: str
    listing: Callable[[Data], Listing] | None = None
    drawn: bool = False


def _draw_annotations(data: Data, out: Path, jobs: int, cache: Path) -> Iterable[str]:
    from har.synthetic import coco_annotations

    world = data.world
    files = coco_annotations(world.seed, count(world.first_id), jobs, hard=world.hard, images=world.images)
    for kind, content in files.items():
        write_json(out / f"{kind}.json", content)
    return ()


def _draw_photographs(data: Data, manifest: pd.DataFrame, folder: Path, *, jobs: int, keep: Path, **_):
    from har.synthetic.files import draw_files

    return draw_files(data.world.seed, manifest.image_id, folder, jobs, keep / "drawn")


def _fetch_annotations(data: Data, out: Path, jobs: int, cache: Path) -> Iterable[str]:
    from har.data.coco.fetch import fetch_annotations

    server = data.server
    kinds = {kind: f"{kind}_{server.images}.json" for kind in ("captions", "instances", "person_keypoints")}
    pin = {"sha256": server.annotations_sha256, "size": server.annotations_bytes}
    cache /= "downloads"
    fetch_annotations(server.url, out, cache, members=list(kinds.values()), archive=server.annotations, **pin)
    for kind, member in kinds.items():
        (out / member).replace(out / f"{kind}.json")
    return ()


def _fetch_photographs(data: Data, manifest: pd.DataFrame, folder: Path, *, cache: Path, **_):
    from har.data.coco.fetch import fetch_images

    server, cache = data.server, cache / "downloads"
    rows = manifest[["image_id", "file_name", "width", "height"]].itertuples(index=False, name=None)
    return fetch_images(rows, server.url, folder, cache, folder=server.images, workers=server.connections)


def listing(data: Data) -> Listing:
    """The user's own images as params.yaml names them; HarError where there are none."""
    return SOURCES[data.source].listing(data)


def _in_table(data: Data) -> Listing:
    columns = data.csv.model_dump(exclude={"file", "root", "unreadable"})
    return find_in_table(data.csv.file, data.csv.root, **columns, groups=data.folder.groups)


def _own_annotations(data: Data, out: Path, jobs: int, cache: Path) -> Iterable[str]:
    from har.data.folder.inspect import examine, write_annotations

    found, block = listing(data), data.csv if data.source == "csv" else data.folder
    images, unreadable = examine(found.images, jobs, block.unreadable, data.video.frames)
    write_annotations(images, unreadable, out)
    return [*found.notes, *(f"skipped: {reason}" for reason in unreadable.reason)]


def _own_photographs(data: Data, manifest: pd.DataFrame, folder: Path, *, annotations: Path, jobs: int, **_):
    from har.data.folder.inspect import copy_files, read_images

    looked_at = read_images(annotations).query("image_id in @manifest.image_id")
    sources = {one.name: one.path for one in listing(data).images}
    return copy_files(looked_at, sources, folder, jobs, data.video.frames)


def _draw_clip_annotations(data: Data, out: Path, jobs: int, cache: Path) -> Iterable[str]:
    from har.synthetic.clips import draw_clips

    draw_clips(out / "clips", data.world.seed, data.clips.groups, data.clips.each, jobs)
    return _own_annotations(_drawn_clips(data, out), out, jobs, cache)


def _draw_clip_frames(data: Data, manifest: pd.DataFrame, folder: Path, *, annotations: Path, **options):
    return _own_photographs(_drawn_clips(data, annotations), manifest, folder, annotations=annotations, **options)


def _drawn_clips(data: Data, annotations: Path) -> Data:
    """`data` with the generated clips as if they were the user's own."""
    folder = data.folder.model_copy(update={"root": str(annotations / "clips")})
    return data.model_copy(update={"source": "video", "folder": folder})


OWN = {
    "annotations": _own_annotations,
    "photographs": _own_photographs,
    "title": "images of the user's own",
    "rights": "The images are the user's own; whose they are the project does not know.",
}
SOURCES = {
    "world": Source(
        _draw_annotations,
        _draw_photographs,
        "generated scenes, no photographs",
        "The images are illustrations that the project draws from a seed, with captions from a grammar (some silent "
        "about the activity, some wrong). Nobody is depicted. Images and annotations are under the project's licence, "
        "Apache-2.0; licence ids in the manifest are drawn at random, so that code which handles them is exercised.",
        drawn=True,
    ),
    "clips": Source(
        _draw_clip_annotations,
        _draw_clip_frames,
        "frames of generated clips, no photographs",
        "The clips are illustrations that the project draws from a seed and encodes. Nobody is depicted. They are "
        "under the project's licence, Apache-2.0.",
        drawn=True,
    ),
    "server": Source(
        _fetch_annotations,
        _fetch_photographs,
        "photographs of COCO 2017",
        "The photographs are COCO's (val2017, or a mirror's) and belong to their authors on Flickr, each under the "
        "licence that its author chose, some for non-commercial use only; people are recognisable in them. The "
        "annotations are CC BY 4.0, COCO Consortium.",
    ),
    "folder": Source(**OWN, listing=lambda data: find_in_folder(data.folder.root, data.folder.groups)),
    "csv": Source(**OWN, listing=_in_table),
    "video": Source(
        **OWN | {"title": "frames of the user's own clips"},
        listing=lambda data: find_clips(data.folder.root, data.folder.groups, data.video.lists, data.video.split),
    ),
}
