"""Photographs as people have them: found in folders and patterns, turned upright, in whatever mode they are stored.

An ordinary photograph comes out as the pipeline's own store has it (har.data.store). What the store need not know is
done here: the EXIF orientation is applied, transparency lies on white, 16-bit grey is scaled to 8, of an animation
the first frame counts. COCO's annotations are in stored orientation, so the store leaves the orientation alone.
"""

import glob
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from har.core.errors import HarError
from har.data.store import MAX_BYTES, opened, shrink

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".ppm", ".pgm")
# EXIF's orientation tag and what turns such an image upright (CIPA DC-008, 4.6.5)
ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Photograph:
    """name: as people are told; source: a file, or the bytes of one; error: why there is nothing to read."""

    name: str
    source: Path | bytes | None
    error: str | None = None


def find(arguments: Iterable[str | Path], stdin: BinaryIO | None = None) -> Iterator[Photograph]:
    """The photographs that `arguments` name: files, folders (searched through, by suffix, in order of name),
    patterns (`**` for any depth), and `-` for `stdin`: paths, one a line, or the bytes of one image.

    What leads nowhere comes as a photograph with an error, in its place.
    """
    for argument in map(str, arguments):
        if argument == "-":
            yield from _from_stdin(stdin)
        elif "\0" in argument:
            yield Photograph(argument, None, f"{argument!r:.200}: no name of a file")
        elif os.path.isdir(argument):
            yield from _within(argument)
        elif os.path.lexists(argument):
            yield Photograph(argument, Path(argument))
        elif glob.has_magic(argument):
            found = sorted(glob.glob(argument, recursive=True))
            if not found:
                yield Photograph(argument, None, f"{argument}: matches no file")
            for path in found:
                if not os.path.isdir(path):
                    yield Photograph(path, Path(path))
                elif "**" not in argument:  # there the files within are matches themselves
                    yield from _within(path)
        else:
            yield Photograph(argument, None, f"{argument}: no such file or folder")


def _within(folder: str) -> Iterator[Photograph]:
    empty = True
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                empty = False
                path = os.path.join(root, name)
                yield Photograph(path, Path(path))
    if empty:
        yield Photograph(folder, None, f"{folder}: no images in this folder ({', '.join(SUFFIXES[:6])}, ...)")


def _from_stdin(stdin: BinaryIO | None) -> Iterator[Photograph]:
    if stdin is None:
        yield Photograph("-", None, "-: there is no standard input")
        return
    first = stdin.readline(1 << 16)
    # all formats here open with a byte or a word that no list of paths opens with
    if first.startswith((b"\xff\xd8", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")) or b"\0" in first:
        data = first + stdin.read(MAX_BYTES)
        large = len(data) > MAX_BYTES
        yield Photograph("-", None if large else data, f"-: more than {MAX_BYTES:,} bytes" if large else None)
        return
    while first:
        path = os.fsdecode(first.rstrip(b"\r\n"))
        if path:
            yield from find([path]) if path != "-" else ()
        first = stdin.readline(1 << 16)


def read(photograph: Photograph, short_side: int | None) -> Image.Image:
    """The photograph as upright RGB, its short side `short_side` pixels; None leaves the size as it is.

    Raises HarError, in one line, for whatever is no readable image.
    """
    if photograph.source is None:
        raise HarError(photograph.error)
    name, source = photograph.name, photograph.source
    with opened(io.BytesIO(source) if isinstance(source, bytes) else source, name) as image:
        seen = _eight_bit(image, name)
        seen = seen.convert("RGB") if short_side is None else shrink(seen, short_side, name)
        turn = UPRIGHT.get(orientation(image))  # a PNG may tell it behind its pixels
        return seen if turn is None else seen.transpose(turn)


def orientation(image: Image.Image) -> int:
    """EXIF's way of lying of a decoded image, 1 (upright) to 8; 5 to 8 swap the sides."""
    try:
        way = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged metadata leave the picture as it is
        return 1
    return way if isinstance(way, int) and 1 <= way <= 8 else 1


def _eight_bit(image: Image.Image, name: str) -> Image.Image:
    """`image` in a mode whose conversion to RGB keeps what is to be seen."""
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow keeps in 16 or 32 bits
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > 0xFFFF:
            raise HarError(f"{name}: 32-bit grey levels, expected at most 16 bits")
        return Image.fromarray(((levels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode == "F":
        raise HarError(f"{name}: grey levels as floating-point numbers have no agreed range, save it as 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image
