"""The image store: photographs decoded once to uint8 at a fixed short side, memory-mapped.

A store is a folder with `pixels.bin`, the RGB bytes of all images one after the other, and `index.csv`
with one row an image: image_id, offset (bytes), height, width (pixels).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from joblib import delayed
from PIL import Image
from tqdm import tqdm

from har.core.errors import HarError
from har.core.files import replacing, write_csv
from har.core.readers import one_line, ordinary_size, read_table
from har.core.cache import kept_calls, lasting
from har.core.parallel import forked

# COCO's images have at most 640 x 640 pixels; this leaves room for other data and none for bombs.
MAX_PIXELS = 50_000_000
MAX_BYTES = 200_000_000  # of one file
# What Pillow may take a file for, whatever its name: others of its readers start programs (EPS) or are seldom tried.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")

CHUNK = 32  # images, of which none is kept before all are decoded
AHEAD = 64  # chunks that may be decoded before the first of them is written


@contextmanager
def opened(source: str | Path | BinaryIO, name: str | Path) -> Iterator[Image.Image]:
    """The image file `source`, not yet decoded, called `name` in messages.

    Raises HarError, also from within the block, for a file that is no image, is truncated or has over 50 million
    pixels or 200 million bytes.
    """
    if isinstance(source, str | Path):
        ordinary_size(Path(source), "an image", MAX_BYTES, str(name))
    try:
        with Image.open(source, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise HarError(f"{name}: {image.width} x {image.height} pixels, at most {MAX_PIXELS:,} allowed")
            yield image
    except HarError:
        raise
    except Exception as error:  # decoders of a dozen formats meet a damaged file with all sorts of exceptions
        raise HarError(f"{name}: not a readable image: {one_line(error)}") from None


def shrink(image: Image.Image, short_side: int, name: str | Path) -> Image.Image:
    """`image` as RGB, its short side `short_side` pixels; HarError where that makes it too long."""
    # JPEG decodes at a fraction of its size where that still covers the short side
    scale = short_side / min(image.size)
    size = (max(round(image.width * scale), short_side), max(round(image.height * scale), short_side))
    if size[0] * size[1] > MAX_PIXELS:  # a thin strip grows with the square of its short side
        raise HarError(f"{name}: {image.width} x {image.height} pixels, too long for a short side of {short_side}")
    image.draft("RGB", size)
    return image.convert("RGB").resize(size, Image.Resampling.BICUBIC)


def decode(path: str | Path, short_side: int) -> np.ndarray:
    """An image file as uint8 RGB [height, width, 3], its short side `short_side` pixels.

    Raises HarError for a file that is no image, is truncated or has over 50 million pixels or 200 million bytes.
    """
    with opened(path, path) as image:
        return np.asarray(shrink(image, short_side, path))


def read_index(path: str | Path) -> pd.DataFrame:
    """A store's index.csv by image_id: offset, height, width. HarError names what is wrong with it."""
    index = read_table(path, dict.fromkeys(("image_id", "offset", "height", "width"), "int64")).set_index("image_id")
    sides = index[["height", "width"]]
    if ((sides < 1) | (sides > MAX_PIXELS)).any(axis=None) or (index.height * index.width > MAX_PIXELS).any():
        raise HarError(f"{path}: height and width are no sizes of images in pixels")
    return index


def whole(path: str | Path) -> np.ndarray:
    """An image file as uint8 RGB [height, width, 3] at its full size; HarError as `decode` raises it."""
    with opened(path, path) as image:
        return np.asarray(image.convert("RGB"))


def build(
    images: Mapping[int, Path], folder: str | Path, short_side: int, jobs: int = 1, keep: Path | None = None
) -> pd.DataFrame:
    """Decode `images` (image_id to file) into a store at `folder`; returns its index.

    keep: a folder in which what is decoded outlives an interruption (har.core.cache). Raises HarError naming the first
    file that cannot be decoded.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ids = sorted(images)
    files = [Path(images[image_id]) for image_id in ids]
    work = (delayed(_decoded)(files[start : start + CHUNK], short_side) for start in range(0, len(ids), CHUNK))
    rows, offset = [], 0
    # without its index a folder is no store: a pulled plug leaves the old one, none, or the new one
    with (
        lasting(keep) as room,
        replacing(folder / "pixels.bin") as partial,
        open(partial, "wb") as out,
        tqdm(total=len(ids), desc="decode", unit="image") as progress,
    ):
        calls, _ = kept_calls(work, room, [])
        # not all at once: what workers have done would pile up wherever the disk is slower than they are
        groups = (calls[start : start + AHEAD] for start in range(0, len(calls), AHEAD))
        for chunk in (chunk for group in groups for chunk in forked(jobs, group)):
            for array in chunk:
                out.write(array.tobytes())
                rows.append((ids[len(rows)], offset, array.shape[0], array.shape[1]))
                offset += array.nbytes
                progress.update()
        (folder / "index.csv").unlink(missing_ok=True)
    index = pd.DataFrame(rows, columns=["image_id", "offset", "height", "width"])
    write_csv(folder / "index.csv", index)
    return index


def _decoded(files: Sequence[Path], short_side: int) -> list[np.ndarray]:
    return [decode(file, short_side) for file in files]


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
