"""Each image or clip looked at once: can it be read, how large is it, and what does it hold; and the selected ones as
files of ours: photographs bytes unchanged, frames of clips as lossless WebP.

`images.csv` in the folder of annotations holds what is known of each image, or frame of a clip; beside it lie COCO's
three files with the images and no annotation, so that whatever asks for people finds none.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from joblib import delayed
from PIL import Image
from tqdm import tqdm

from har.core.errors import HarError
from har.core.files import file_sha256, write_bytes, write_csv, write_json
from har.core.parallel import forked
from har.core.readers import read_bytes, read_table
from har.data.folder.find import Found, image_id, plain
from har.data.manifest import OWN
from har.data.photographs import LOOK, MAX_BYTES, opened, orientation, rgb
from har.data.video.decode import is_clip, read_clip

EXTENSIONS = {"JPEG": "jpg", "MPO": "jpg", "TIFF": "tif"}  # of our copy; others are called as their format
COLUMNS = {
    "image_id": "int64",
    "file_name": "str",
    "name": "str",  # path below the root, as a URL quotes it
    "label": "str",  # as the folder or the table says
    "group": "str",
    "split": "str",
    "width": "int64",  # pixels, upright
    "height": "int64",
    "sha256": "str",  # of the file: another content is another image, whatever its name and size
}
CLIP_COLUMNS = {"clip": "str", "second": "float64"}  # where there are clips (har.data.manifest.OWN_COLUMNS)
AGAIN = "since annotations looked at it; run `dvc repro -f annotations`, then `dvc repro`"


def examine(found: Sequence[Found], jobs: int, unreadable: str, frames: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Look at each file.

    Args:
        found: the files.
        jobs: processes side by side.
        unreadable: "stop" raises HarError with the first file that is no readable image or clip, "skip" leaves it out.
        frames: of a clip.

    Returns:
        Images, COLUMNS and CLIP_COLUMNS where there are any, by image_id; unreadable files, name and reason, by name.
    """
    looks = forked(jobs, (delayed(_examine)(one, frames) for one in found))
    rows, bad = [], []
    for one, row in zip(found, tqdm(looks, total=len(found), desc="look", unit="image"), strict=True):
        if isinstance(row, str):
            if unreadable == "stop":
                raise HarError(f"{row} (unreadable: skip leaves such files out)")
            bad.append((one.name, row))
        else:
            rows += row
    columns = COLUMNS | (CLIP_COLUMNS if any(is_clip(one.path) for one in found) else {})
    frame = pd.DataFrame(rows, columns=list(columns)).sort_values("image_id", ignore_index=True)
    return frame, pd.DataFrame(bad, columns=["name", "reason"])


def _examine(one: Found, frames: int) -> list[dict] | str:
    try:
        return _frames(one, frames) if is_clip(one.path) else [_image(one)]
    except HarError as error:
        return str(error)


def _image(one: Found) -> dict:
    data = read_bytes(one.path, "an image", MAX_BYTES)
    with opened(io.BytesIO(data), one.path) as image:
        size, kind = image.size, image.format
        rgb(image, one.path, LOOK)  # all of it, as the store reads it: what that would refuse is refused here
        width, height = size[::-1] if orientation(image) >= 5 else size
    file_name = f"{one.image_id:015d}.{EXTENSIONS.get(kind, kind.lower())}"
    about = {"width": width, "height": height, "sha256": hashlib.sha256(data).hexdigest()}
    return {**vars(one), "file_name": file_name, **about, "clip": "", "second": 0.0}


def _frames(one: Found, frames: int) -> list[dict]:
    """A row for each frame, which is called as the clip with its time behind it, and without another group has the
    clip as such."""
    rows = []
    for second, image in read_clip(one.path, frames):
        name = f"{one.name}#t={second}"
        about = {"image_id": image_id(name), "file_name": f"{image_id(name):015d}.webp", "name": name, "second": second}
        about |= {"width": image.width, "height": image.height, "clip": one.name, "group": one.group or one.name}
        rows.append(vars(one) | about)
    digest = file_sha256(one.path)
    return [row | {"sha256": digest} for row in rows]


def write_annotations(images: pd.DataFrame, unreadable: pd.DataFrame, folder: Path) -> None:
    """images.csv, unreadable.csv and COCO's three files without annotations."""
    write_csv(folder / "images.csv", images)
    write_csv(folder / "unreadable.csv", unreadable)
    columns = {"image_id": "id", "file_name": "file_name", "width": "width", "height": "height"}
    rows = images[list(columns)].rename(columns=columns).to_dict("records")
    person = {"supercategory": "person", "id": 1, "name": "person"}
    extra = {"captions": {}, "instances": {"categories": [person]}}
    extra["person_keypoints"] = {"categories": [{**person, "keypoints": [], "skeleton": []}]}
    for kind, more in extra.items():
        write_json(folder / f"{kind}.json", {"info": {}, "licenses": [], "images": rows, "annotations": [], **more})


def read_images(folder: Path) -> pd.DataFrame:
    """images.csv of a folder of annotations."""
    return read_table(folder / "images.csv", COLUMNS, CLIP_COLUMNS)


def copy_files(
    images: pd.DataFrame, sources: Mapping[str, Path], folder: Path, jobs: int, frames: int = 1
) -> list[dict]:
    """Copy images to a folder.

    Args:
        images: as `examine` makes them.
        sources: the quoted path of an image or clip below the root to the user's file.
        folder: where to.
        jobs: processes side by side.
        frames: of a clip, as many as `examine` was given.

    Returns:
        Provenance, one dict for each image in order: image_id, file_name, bytes, sha256 and url
        (own:path/below/the/root) of what is written.

    Raises:
        HarError: where a file is gone or another since it was looked at.
    """
    names = images["name"] if "clip" not in images else images["clip"].where(images["clip"] != "", images["name"])
    files = images.groupby(names.rename("of"), sort=False)
    if gone := [name for name in files.groups if name not in sources]:
        raise HarError(f"{plain(gone[0])}: gone {AGAIN}")
    work = (delayed(_copy)(rows.to_dict("records"), sources[name], folder, frames) for name, rows in files)
    copied = forked(jobs, work)
    found = {row["image_id"]: row for rows in tqdm(copied, total=len(files), desc="copy", unit="file") for row in rows}
    return [found[image_id] for image_id in images["image_id"]]


def _copy(rows: list[dict], source: Path, folder: Path, frames: int) -> list[dict]:
    """One file: a photograph, or what is wanted of a clip."""
    if is_clip(source):
        digest, found = file_sha256(source), ((second, _webp(image)) for second, image in read_clip(source, frames))
    else:
        data = read_bytes(source, "an image", MAX_BYTES)
        digest, found = hashlib.sha256(data).hexdigest(), [(0.0, data)]
    if digest != rows[0]["sha256"]:
        raise HarError(f"{source}: changed {AGAIN}")
    wanted, done = {row.get("second", 0.0): row for row in rows}, []
    for row, data in ((wanted[second], data) for second, data in found if second in wanted):
        write_bytes(folder / row["file_name"], data)
        about = {"image_id": row["image_id"], "file_name": row["file_name"], "bytes": len(data)}
        done.append(about | {"sha256": hashlib.sha256(data).hexdigest(), "url": OWN + row["name"]})
    return done


def _webp(image: Image.Image) -> bytes:
    """No pixel lost, in two thirds of PNG's time and bytes."""
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=True, quality=0, method=0)
    return out.getvalue()
