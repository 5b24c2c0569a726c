"""Image files and clips as anybody may have made them: damaged, lying about their size, or something else as well."""

import io
import struct
import zlib

import numpy as np
import pytest
from clips import CODECS, write_clip
from conftest import picture
from fuzzing import MB, bytes_of, hold, one_of
from PIL import Image

from har.config.report import Page
from har.data.coco.fetch import check_image
from har.data.folder.find import Found
from har.data.folder.inspect import copy_files, examine
from har.data.photographs import read
from har.data.video.decode import read_clip
from har.reporting.page.thumbnails import write_photographs

SIZE = (40, 30)
BOUND = 512 * MB  # 50 million pixels as RGB and once more at the size asked for


def saved(kind, image=None, **options):
    out = io.BytesIO()
    (image or Image.fromarray(picture(1, *SIZE))).save(out, kind, **options)
    return out.getvalue()


def seeds():
    photo = Image.fromarray(picture(1, *SIZE))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a photograph"
    exif.get_ifd(0x8825)[1] = "N"
    frames = [Image.fromarray(picture(i, *SIZE)) for i in (2, 3)]
    return {
        "jpeg": saved("JPEG"),
        "progressive": saved("JPEG", progressive=True, exif=exif),
        "cmyk": saved("JPEG", photo.convert("CMYK")),
        "mpo": saved("MPO", photo, save_all=True, append_images=frames),
        "png": saved("PNG", exif=exif),
        "palette": saved("PNG", photo.quantize(16), transparency=3),
        "grey16": saved("PNG", Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50)),
        "apng": saved("PNG", photo, save_all=True, append_images=frames),
        "webp": saved("WEBP", exif=exif),
        "lossless": saved("WEBP", photo.convert("RGBA"), lossless=True),
        "bmp": saved("BMP"),
        "rle": saved("BMP", photo.quantize(16)),
        "gif": saved("GIF", photo, save_all=True, append_images=frames),
        "tiff": saved("TIFF", exif=exif),
        "lzw": saved("TIFF", compression="tiff_lzw"),
        "tiff jpeg": saved("TIFF", compression="jpeg"),
        "deflate": saved("TIFF", photo.convert("RGBA"), compression="tiff_deflate"),
        "ppm": saved("PPM"),
        "avif": saved("AVIF", exif=exif),
        "clear avif": saved("AVIF", photo.convert("RGBA")),
        "grey16 tiff": saved("TIFF", Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50)),
        "float": saved("TIFF", Image.fromarray(np.linspace(0, 1, 1200, dtype=np.float32).reshape(30, 40))),
        "plain": b"P3 40 30 255\n" + b"1 2 3 " * 1200,
        "pfm": saved("PPM", Image.fromarray(np.zeros((30, 40), np.float32))),
    }


SEEDS = seeds()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, body=b"", *more):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


LIES = {
    "png of 10^18 pixels": png(2**31 - 1, 2**31 - 1),
    "png of 50 million pixels without any": png(7000, 7000),
    "png without pixels": png(0, 0),
    "png that is longer than it says": png(1, 1, b"\0" * 50_000_000),
    "png with a text that unfolds": png(4, 4, b"\0" * 60, chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 60_000_000))),
    "png with a profile that unfolds": png(
        4, 4, b"\0" * 60, chunk(b"iCCP", b"a\0\0" + zlib.compress(b"x" * 60_000_000))
    ),
    "gif of 65535 squared": b"GIF89a" + b"\xff" * 4 + b"\0\0\0" + SEEDS["gif"][13:],
    "webp of 16384 squared": b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\x3f\0" * 2 + SEEDS["webp"][12:],
    "bmp of 2^31 rows": SEEDS["bmp"][:18] + struct.pack("<ii", 2**31 - 1, -(2**31)) + SEEDS["bmp"][26:],
    "ppm of 10^30 pixels": b"P6 " + b"9" * 15 + b" " + b"9" * 15 + b" 255\n",
    "ppm without an end": b"P3 " + b"1" * 200_000,
    "tiff that leads to itself": b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\x08\0\0\0",
    "an eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/tmp/escaped) (w) file\n",
    "a zip after a jpeg": SEEDS["jpeg"] + b"PK\x03\x04" + b"\0" * 50,
    "html": b"<html><script>alert(1)</script>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "nothing": b"",
}


ANY = one_of([one_of(map(bytes_of, SEEDS.values())), one_of([*map(bytes_of, LIES.values()), *LIES.values()])])


def read_photograph(path):
    image = read(path, 24)
    assert image.mode == "RGB"
    assert min(image.size) == 24


def look(path):
    """Looked at, then copied, then read again: what the look took, no later stage refuses."""
    one = Found(7, path, "photo.jpg", "a")
    images, bad = examine([one], 1, "skip")
    assert len(images) + len(bad) == 1
    copy_files(images, {one.name: one.path}, path.parent / "copies", 1)
    for row in images.itertuples():
        assert read(path.parent / "copies" / row.file_name).size == (row.width, row.height)


def show(path):
    settings = Page(thumbnail=16, image=32, quality=80, jobs=1)
    write_photographs([(1, path)], 1, path.parent / "page", settings)


READERS = {
    "Photographs of the store": read_photograph,
    "Photographs from a server": lambda path: check_image(path, *SIZE),
    "Own images": look,
    "Photographs of the page": show,
}


@pytest.mark.parametrize("reader", READERS)
def test_photographs(reader, tmp_path):
    def read_bytes(content):
        (tmp_path / "photo.jpg").write_bytes(content)
        READERS[reader](tmp_path / "photo.jpg")

    hold(reader, tmp_path, ANY, read_bytes, SEEDS["jpeg"], memory=BOUND)


def test_clips(tmp_path):
    """Containers and codecs, decoded in C."""
    wholes = {suffix: write_clip(tmp_path / f"a{suffix}", frames=12).read_bytes() for suffix in CODECS}
    damaged = {suffix: bytes_of(whole) for suffix, whole in wholes.items()}

    def read_bytes(case):
        suffix, content = case
        (tmp_path / f"a{suffix}").write_bytes(content)
        frames = list(read_clip(tmp_path / f"a{suffix}", 4))
        seconds = [second for second, _ in frames]
        assert len({image.size for _, image in frames}) == 1
        assert 1 <= len(seconds) <= 4
        assert seconds == sorted(seconds)

    cases = one_of([lambda draw, suffix=suffix: (suffix, damaged[suffix](draw)) for suffix in CODECS])
    hold("Clips", tmp_path, cases, read_bytes, (".avi", wholes[".avi"]), memory=BOUND)
