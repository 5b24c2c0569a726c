"""The one reader of photographs: of the image store, of own images, of the page and of prediction.

Whatever mode a file is stored in comes out as 8-bit RGB: transparency lies on white, 16-bit grey is scaled, of an
animation the first frame counts. Grey levels without an agreed range (32 bits, floating point) are refused. Photographs
are turned upright as EXIF says; COCO's are not, whose boxes and outlines were drawn on the image as stored.
"""

import glob
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from har.core.errors import HarError
from har.core.readers import one_line, ordinary_size

# COCO's images have at most 640 x 640 pixels; this leaves room for other data and none for bombs.
MAX_PIXELS = 50_000_000
MAX_BYTES = 200_000_000  # of one file
MAX_RATIO = 40  # of the sides: scaled to a short side of 1,024 pixels, such an image has 42 million
# What Pillow may take a file for, whatever its name: others of its readers start programs (EPS) or are seldom tried.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF", "TIFF", "PPM")
LOOK = 32  # pixels of the short side to which a file is decoded to see whether it is whole: an eighth of most JPEGs
BACKGROUND = "white"  # of transparent images
# Tags of TIFF (6.0, section 8); EXIF's orientation tag, and what turns such an image upright (CIPA DC-008, 4.6.5)
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339
WHITE_IS_ZERO, UNSIGNED = 0, 1
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


@contextmanager
def opened(source: str | Path | BinaryIO, name: str | Path) -> Iterator[Image.Image]:
    """The image file `source`, not yet decoded, called `name` in messages.

    Raises HarError, also from within the block, for a file that is no image, is truncated, has over 50 million pixels
    or 200 million bytes, or is over 40 times as long as wide.
    """
    if isinstance(source, str | Path):
        ordinary_size(source, "an image", MAX_BYTES, name)
    try:
        with Image.open(source, formats=FORMATS) as image:
            check_size(*image.size, name)
            yield image
    except HarError:
        raise
    except Exception as error:  # decoders of a dozen formats meet a damaged file with all sorts of exceptions
        reason = str(error).replace(f" {str(source)!r}", "").replace(f" {source!r}", "")  # Pillow repeats the file
        raise HarError(f"{name}: not a readable image: {one_line(reason or type(error).__name__)}") from None


def check_size(width: int, height: int, name: str | Path) -> None:
    """HarError, for `name`, where an image of width x height pixels is too large, or too long, to be read."""
    if width * height > MAX_PIXELS:
        raise HarError(f"{name}: {width} x {height} pixels, at most {MAX_PIXELS:,} allowed")
    if max(width, height) > MAX_RATIO * min(width, height):
        raise HarError(f"{name}: {width} x {height} pixels, expected sides of at most {MAX_RATIO} to 1")


def read(
    source: str | Path | bytes, short_side: int | None = None, *, name: str | Path = "", turn: bool = True
) -> Image.Image:
    """An image file as RGB.

    Args:
        source: the file, or the bytes of one.
        short_side: pixels of the short side; None leaves the size as it is.
        name: what to call it in messages; the path, if not given.
        turn: upright as EXIF says; False leaves it as stored.

    Raises:
        HarError: in one line, for whatever is no readable image.
    """
    name = name or (source if isinstance(source, str | Path) else "image")
    with opened(io.BytesIO(source) if isinstance(source, bytes) else source, name) as image:
        pixels = rgb(image, name, short_side)
        return turned(pixels, image) if turn else pixels


def rgb(image: Image.Image, name: str | Path, short_side: int | None = None) -> Image.Image:
    """What `opened` gives, decoded as `read` does it, but in stored orientation."""
    if short_side is None:
        return _eight_bit(image, name).convert("RGB")
    scale = short_side / min(image.size)
    size = (max(round(image.width * scale), short_side), max(round(image.height * scale), short_side))
    if size[0] * size[1] > MAX_PIXELS:  # only for short sides that params.yaml does not allow
        raise HarError(f"{name}: {image.width} x {image.height} pixels, too long for a short side of {short_side}")
    image.draft("RGB", size)  # JPEG decodes at a fraction of its size where that still covers the short side
    return _eight_bit(image, name).convert("RGB").resize(size, Image.Resampling.BICUBIC)


def _eight_bit(image: Image.Image, name: str | Path) -> Image.Image:
    """`image` in a mode whose conversion to RGB keeps what is to be seen."""
    if image.mode == "F":
        raise HarError(f"{name}: grey levels as floating-point numbers have no agreed range, save it as 8 or 16 bits")
    if image.mode.startswith("I"):
        return _from_16_bit(image, name)
    image.load()  # a PNG may tell what is transparent behind its pixels
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        seen = Image.new("RGB", image.size, BACKGROUND)
        seen.paste(clear, mask=clear)
        return seen
    return image


def _from_16_bit(image: Image.Image, name: str | Path) -> Image.Image:
    """12 or 16 bits of grey, which Pillow keeps in 16 or 32 bits, as 8."""
    tags = getattr(image, "tag_v2", {})
    bits, form = tags.get(BITS_PER_SAMPLE, (16,))[0], tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0]
    if bits > 16 or form != UNSIGNED:
        raise HarError(f"{name}: signed or 32-bit grey levels have no agreed range, save it as 8 or 16 bits")
    levels, most = np.asarray(image), 2**bits - 1
    grey = ((levels.astype(np.uint32) * 255 + most // 2) // most).astype(np.uint8)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        grey = 255 - grey
    clear = image.info.get("transparency")
    return Image.fromarray(grey if clear is None else np.where(levels == clear, np.uint8(255), grey))


def turned(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """`pixels`, the decoded `image`, upright as its EXIF says; a PNG may tell it behind its pixels."""
    turn = UPRIGHT.get(orientation(image))
    return pixels if turn is None else pixels.transpose(turn)


def orientation(image: Image.Image) -> int:
    """EXIF's way of lying of a decoded image, 1 (upright) to 8; 5 to 8 swap the sides."""
    try:
        way = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged metadata leave the picture as it is
        return 1
    return way if isinstance(way, int) and 1 <= way <= 8 else 1


@cache
def suffixes() -> tuple[str, ...]:
    """How names of files end that the installed Pillow reads in one of FORMATS."""
    known = Image.registered_extensions().items()
    return tuple(sorted(suffix for suffix, kind in known if kind in (*FORMATS, "MPO")))  # MPO: JPEG with a second one


def left_out(suffixes: Mapping[str, int]) -> str:
    """'7 .heic, 2 .mov' of the number of files by suffix, the most first."""
    most = sorted(suffixes.items(), key=lambda pair: (-pair[1], pair[0]))
    more = [f"{len(most) - 9} further suffixes"] if len(most) > 9 else []
    return ", ".join(
        [f"{count:,} {one_line(suffix, 20) if suffix else 'without suffix'}" for suffix, count in most[:9]] + more
    )


@dataclass(frozen=True)
class Photograph:
    """name: as people are told; source: a file, or the bytes of one; error: why there is nothing to read."""

    name: str
    source: Path | bytes | None
    error: str | None = None

    def read(self, short_side: int | None = None) -> Image.Image:
        """As `read` of this module; HarError also where there is nothing to read."""
        if self.source is None:
            raise HarError(self.error)
        return read(self.source, short_side, name=self.name)


def find(
    arguments: Iterable[str | Path],
    stdin: BinaryIO | None = None,
    others: Counter[str] | None = None,
    clips: Sequence[str] = (),
) -> Iterator[Photograph]:
    """The photographs that `arguments` name: files, folders (searched through, by suffix, in order of name),
    patterns (`**` for any depth), and `-` for `stdin`: paths, one a line, or the bytes of one image.

    Args:
        arguments: these.
        stdin: standard input, where there is one.
        others: counts, by suffix, the files of folders that are left out, hidden images and links to folders.
        clips: suffixes that are taken from folders as well.

    Yields:
        What leads nowhere as a photograph with an error, in its place.
    """
    others = Counter() if others is None else others
    for argument in map(str, arguments):
        if argument == "-":
            yield from _from_stdin(stdin, others, clips)
        elif "\0" in argument:
            yield Photograph(argument, None, f"{argument!r:.200}: no name of a file")
        elif os.path.lexists(argument):
            yield from _at(argument, others, clips)
        elif not glob.has_magic(argument):
            yield Photograph(argument, None, f"{argument}: no such file or folder")
        elif found := sorted(glob.glob(argument, recursive=True)):
            for path in found:
                if "**" not in argument or not os.path.isdir(path):  # files within are matches of ** themselves
                    yield from _at(path, others, clips)
        else:
            yield Photograph(argument, None, f"{argument}: matches no file")


def _at(path: str, others: Counter[str], clips: Sequence[str]) -> Iterator[Photograph]:
    """The file `path`, or the images in the folder `path` and below."""
    if not os.path.isdir(path):
        yield Photograph(path, Path(path))
        return
    empty, read = True, (*suffixes(), *clips)
    for root, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        others.update("links to folders" for name in folders if os.path.islink(os.path.join(root, name)))
        others.update("hidden images" for name in names if name[0] == "." and name.lower().endswith(read))
        for name in sorted(name for name in names if not name.startswith(".")):
            suffix = os.path.splitext(name)[1].lower()
            if suffix in read:
                empty = False
                yield Photograph(os.path.join(root, name), Path(root, name))
            else:
                others[suffix] += 1
    if empty:
        yield Photograph(path, None, f"{path}: no images in this folder ({', '.join(read)})")


def _from_stdin(stdin: BinaryIO | None, others: Counter[str], clips: Sequence[str]) -> Iterator[Photograph]:
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
        if path and path != "-":
            yield from find([path], None, others, clips)
        first = stdin.readline(1 << 16)
