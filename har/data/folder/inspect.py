"""Each image looked at once: can it be read, how large is it, and what does it hold.

`images.csv` in the folder of annotations holds what is known of each image; beside it lie COCO's three files with the
images and no annotation, so that whatever asks for people finds none.
"""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from har.core.errors import HarError
from har.core.files import write_csv, write_json
from har.core.readers import read_bytes, read_table
from har.data.folder.find import Found
from har.data.photographs import LOOK, MAX_BYTES, opened, orientation, rgb

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


def examine(found: Sequence[Found], jobs: int, unreadable: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(images, COLUMNS; unreadable files, name and reason), in order of image_id and of name.

    unreadable: "stop" raises HarError with the first file that is no readable image, "skip" leaves it out.
    """
    looks = Parallel(n_jobs=jobs, return_as="generator")(delayed(_examine)(one) for one in found)
    rows, bad = [], []
    for one, row in zip(found, tqdm(looks, total=len(found), desc="look", unit="image"), strict=True):
        if isinstance(row, str):
            if unreadable == "stop":
                raise HarError(f"{row} (unreadable: skip leaves such files out)")
            bad.append((one.name, row))
        else:
            rows.append(row)
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).sort_values("image_id", ignore_index=True)
    return frame, pd.DataFrame(bad, columns=["name", "reason"])


def _examine(one: Found) -> tuple | str:
    try:
        data = read_bytes(one.path, "an image", MAX_BYTES)
        with opened(io.BytesIO(data), one.path) as image:
            size, kind = image.size, image.format
            rgb(image, one.path, LOOK)  # all of it, as the store reads it: what that would refuse is refused here
            width, height = size[::-1] if orientation(image) >= 5 else size
    except HarError as error:
        return str(error)
    file_name = f"{one.image_id:015d}.{EXTENSIONS.get(kind, kind.lower())}"
    digest = hashlib.sha256(data).hexdigest()
    return one.image_id, file_name, one.name, one.label, one.group, one.split, width, height, digest


def write_annotations(images: pd.DataFrame, unreadable: pd.DataFrame, folder: Path) -> None:
    """images.csv, unreadable.csv and COCO's three files without annotations."""
    write_csv(folder / "images.csv", images)
    write_csv(folder / "unreadable.csv", unreadable)
    rows = [
        {"id": int(row.image_id), "file_name": row.file_name, "width": int(row.width), "height": int(row.height)}
        for row in images.itertuples()
    ]
    person = {"supercategory": "person", "id": 1, "name": "person"}
    extra = {"captions": {}, "instances": {"categories": [person]}}
    extra["person_keypoints"] = {"categories": [{**person, "keypoints": [], "skeleton": []}]}
    for kind, more in extra.items():
        write_json(folder / f"{kind}.json", {"info": {}, "licenses": [], "images": rows, "annotations": [], **more})


def read_images(folder: Path) -> pd.DataFrame:
    """images.csv of a folder of annotations."""
    return read_table(folder / "images.csv", COLUMNS)
