"""The image store: photographs decoded once to uint8 at a fixed short side, memory-mapped.

A store is a folder with `pixels.bin`, the RGB bytes of all images one after the other, and `index.csv`
with one row an image: image_id, offset (bytes), height, width (pixels).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import delayed
from PIL import Image
from tqdm import tqdm

from har.core.errors import HarError
from har.core.files import replacing, write_csv
from har.core.parallel import forked
from har.core.readers import one_line, read_table
from har.data.photographs import MAX_PIXELS, read

AHEAD = 2048  # images that may be decoded before the first of them is written


def read_index(path: str | Path) -> pd.DataFrame:
    """A store's index.csv by image_id: offset, height, width. HarError names what is wrong with it."""
    index = read_table(path, dict.fromkeys(("image_id", "offset", "height", "width"), "int64")).set_index("image_id")
    sides = index[["height", "width"]]
    if ((sides < 1) | (sides > MAX_PIXELS)).any(axis=None) or (index.height * index.width > MAX_PIXELS).any():
        raise HarError(f"{path}: height and width are no sizes of images in pixels")
    return index


def build(images: Mapping[int, Path], folder: str | Path, short_side: int, jobs: int = 1, turn: bool = True) -> None:
    """Decode photographs into a store.

    Args:
        images: image_id to file.
        folder: the store's.
        short_side: pixels to which the short side of each is scaled.
        jobs: processes that decode.
        turn: upright as EXIF says (har.data.photographs.read); False for COCO's.

    Raises:
        HarError: naming the first file that cannot be decoded.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ids = sorted(images)
    work = [delayed(_decoded)(images[image_id], short_side, turn) for image_id in ids]
    # not all at once: what workers have done would pile up wherever the disk is slower than they are
    groups = (work[start : start + AHEAD] for start in range(0, len(work), AHEAD))
    arrays = (array for group in groups for array in forked(jobs, group))
    rows, offset = [], 0
    # without its index a folder is no store: a pulled plug leaves the old one, none, or the new one
    with replacing(folder / "pixels.bin") as partial, open(partial, "wb") as out:
        for image_id, array in zip(ids, tqdm(arrays, total=len(ids), desc="decode", unit="image"), strict=True):
            out.write(array.tobytes())
            rows.append((image_id, offset, *array.shape[:2]))
            offset += array.nbytes
        (folder / "index.csv").unlink(missing_ok=True)
    write_csv(folder / "index.csv", pd.DataFrame(rows, columns=["image_id", "offset", "height", "width"]))


def _decoded(file: Path, short_side: int, turn: bool) -> np.ndarray:
    return np.asarray(read(file, short_side, turn=turn))


class Store:
    """Read access to a store folder; the pixels stay on disk until asked for."""

    def __init__(self, folder: str | Path):
        self.folder = folder = Path(folder)
        self.index = read_index(folder / "index.csv")
        self.forget()
        ends = (self.index.height * self.index.width * 3).cumsum()
        if ends.iloc[-1:].sum() != self._pixels.size or (self.index.offset != ends.shift(fill_value=0)).any():
            raise HarError(f"{folder}: pixels.bin has {self._pixels.size:,} bytes, index.csv tells another size")

    def forget(self) -> None:
        """Map the pixels anew: what was read of them counts as this process's memory until then."""
        try:
            self._pixels = np.memmap(self.folder / "pixels.bin", dtype=np.uint8, mode="r")
        except (OSError, ValueError) as error:
            raise HarError(f"{self.folder}: not an image store: {one_line(error)}") from None

    def image(self, image_id: int) -> np.ndarray:
        """One image, uint8 [height, width, 3]."""
        try:
            row = self.index.loc[image_id]
        except KeyError:
            raise HarError(f"image {image_id} is not in the store") from None
        end = row.offset + row.height * row.width * 3
        return self._pixels[row.offset : end].reshape(row.height, row.width, 3)

    def square(
        self, image_ids: Iterable[int], size: int, fit: str, resample: int = 3, crop_pct: float = 1.0
    ) -> np.ndarray:
        """Images as uint8 [n, size, size, 3].

        fit: "squash" takes the whole image, "crop" its centre square. crop_pct: of that, the share of each
        side around the centre that is scaled to `size`. resample: a Pillow filter, as in the hub's
        preprocessor_config.json (3 is bicubic).
        """
        image_ids = list(image_ids)
        out = np.empty((len(image_ids), size, size, 3), np.uint8)
        for i, image_id in enumerate(image_ids):
            out[i] = square(Image.fromarray(self.image(image_id)), size, fit, resample, crop_pct)
        return out


def square(image: Image.Image, size: int, fit: str, resample: int = 3, crop_pct: float = 1.0) -> np.ndarray:
    """One RGB image as uint8 [size, size, 3]; the options as in `Store.square`."""
    width, height = (min(image.size),) * 2 if fit == "crop" else image.size
    width, height = width * crop_pct, height * crop_pct
    left, top = (image.width - width) / 2, (image.height - height) / 2
    box = (left, top, left + width, top + height)
    return np.asarray(image.resize((size, size), Image.Resampling(resample), box=box))
