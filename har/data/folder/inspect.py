"""Each image or clip looked at once: can it be read, how large is it, and what does it hold.

`images.csv` in the folder of annotations holds what is known of each image, or frame of a clip; beside it lie COCO's
three files with the images and no annotation, so that whatever asks for people finds none.
"""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from har.core.errors import HarError
from har.core.files import file_sha256, write_csv, write_json
from har.core.readers import read_bytes, read_table
from har.data.folder.find import Found, image_id
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
    looks = Parallel(n_jobs=jobs, return_as="generator")(delayed(_examine)(one, frames) for one in found)
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
