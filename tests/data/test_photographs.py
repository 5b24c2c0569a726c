"""Photographs as people have them: each is read, or one line says why not."""

import io
import os
import re
from collections import Counter

import numpy as np
import pytest
from conftest import picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from har.config.report import Page
from har.core.errors import HarError
from har.data import photographs
from har.data.folder.find import Found
from har.data.folder.inspect import examine
from har.data.photographs import Photograph, find, left_out, read
from har.data.store import Store, build
from har.reporting.page.thumbnails import write_photographs

WIDTH, HEIGHT = 120, 80


@pytest.fixture
def image():
    return Image.fromarray(picture(5, WIDTH, HEIGHT))


def pixels(path, short_side=40) -> np.ndarray:
    return np.asarray(read(path, short_side)).astype(int)


def written(image, path, **options):
    image.save(path, **options)
    return path


def encoded(image, kind: str) -> bytes:
    data = io.BytesIO()
    image.save(data, kind)
    return data.getvalue()


@given(st.integers(8, 120), st.integers(8, 120), st.integers(8, 40))
def test_the_short_side_is_exact_and_the_aspect_ratio_kept(width, height, short):
    columns, rows = read(encoded(Image.new("L", (width, height)), "PNG"), short).size
    assert min(rows, columns) == short
    assert max(rows, columns) == pytest.approx(short * max(width, height) / min(width, height), abs=0.51)


def test_a_jpeg_decoded_at_a_fraction_of_its_size_looks_the_same(tmp_path):
    path = written(Image.fromarray(picture(1, 640, 480)), tmp_path / "large.jpg", quality=95)
    with Image.open(path) as image:
        whole = np.asarray(image.resize((64, 48), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(pixels(path, 48) - whole).max() <= 8


JPEG, PNG = (encoded(Image.fromarray(picture(3, 60, 50)), kind) for kind in ("JPEG", "PNG"))
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"  # for which Pillow starts a program
UNREADABLE = {
    "empty.jpg": (b"", "not a readable image"),
    "page.jpg": (b"<html>503 Slow Down</html>", "not a readable image"),
    "half.jpg": (JPEG[: len(JPEG) // 2], "not a readable image"),
    "half.png": (PNG[: len(PNG) // 2], "not a readable image"),
    "eps.jpg": (EPS, "not a readable image: cannot identify"),
    "header.jpg": (JPEG[:20], "not a readable image"),
    "zeros.jpg": (b"\0" * 5000, "not a readable image"),
    "bomb.png": (encoded(Image.new("1", (8000, 8000)), "PNG"), "8000 x 8000 pixels, at most"),
    "strip.png": (encoded(Image.new("1", (4_000, 1)), "PNG"), "4000 x 1 pixels, expected sides"),
    "nowhere.jpg": (None, "no such file"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path, name):
    data, reason = UNREADABLE[name]
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(HarError, match=f"{name}: {reason}") as told:
        read(tmp_path / name, 32)
    assert "\n" not in str(told.value)


def sixteen(image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def half_clear(image) -> Image.Image:
    out = image.convert("RGBA")
    out.paste((0, 0, 0, 0), (0, 0, image.width // 2, image.height))
    return out


def on_white(image) -> Image.Image:
    out = image.copy()
    out.paste("white", (0, 0, image.width // 2, image.height))
    return out


def palette(image) -> Image.Image:
    """Of 201 colours, the first over the left half."""
    found = image.quantize(200)
    levels = np.asarray(found) + 1
    levels[:, : image.width // 2] = 0
    out = Image.fromarray(levels)
    out.putpalette([1, 2, 3, *found.getpalette()[:600]])
    return out


# mode as Pillow opens it: (how the file is made, the file's name, what is to be seen of `image`)
MODES = {
    "L": (lambda i: i.convert("L"), "a.png", lambda i: i.convert("L")),
    "LA": (lambda i: half_clear(i).convert("LA"), "a.png", lambda i: on_white(i.convert("L"))),
    "I;16": (sixteen, "a.png", lambda i: i.convert("L")),
    "P": (palette, "a.png", lambda i: palette(i).convert("RGB")),
    "P tRNS": (palette, "b.png", lambda i: on_white(palette(i).convert("RGB"))),
    "P gif": (palette, "b.gif", lambda i: on_white(palette(i).convert("RGB"))),
    "RGB": (lambda i: i, "a.webp", lambda i: i),
    "RGBA": (half_clear, "a.png", on_white),
    "CMYK": (lambda i: i.convert("CMYK"), "a.tif", lambda i: i.convert("CMYK").convert("RGB")),
}  # fmt: skip
REFUSED = {
    "F": ("float.tif", lambda i: i.convert("F")),
    "I 32 bits": ("deep.tif", lambda i: Image.fromarray(np.asarray(i.convert("L")).astype(np.int32) * 70_000)),
    "I signed": ("signed.tif", lambda i: Image.fromarray(np.asarray(i.convert("L")).astype(np.int32))),
}


def doors(path, short_side, folder) -> dict:
    """The pixels that each door gives of the image file `path`; the message where it refuses it."""
    found = {}
    page = Page(thumbnail=short_side, image=short_side, quality=95, jobs=1)
    for name, read_it in {
        "store": lambda: stored(path, short_side, folder / "store"),
        "predict": lambda: np.asarray(Photograph(str(path), path).read(short_side)),
        "look": lambda: examine([Found(7, path, path.name, "a")], 1, "stop")[0],
        "page": lambda: write_photographs([(7, path)], 1, folder / "page", page),
    }.items():
        try:
            found[name] = read_it()
        except HarError as error:
            found[name] = str(error).replace(" (unreadable: skip leaves such files out)", "")
    return found


def stored(path, short_side, folder, **options) -> np.ndarray:
    build({7: path}, folder, short_side, **options)
    return Store(folder).image(7)


@pytest.mark.parametrize("name", MODES)
def test_every_mode_is_read_alike_by_store_predict_and_page(image, tmp_path, name):
    make, file, seen = MODES[name]
    options = {"transparency": 0} if file.startswith("b.") else {"lossless": True} if file.endswith("webp") else {}
    found = doors(written(make(image), tmp_path / file, **options), HEIGHT, tmp_path)
    np.testing.assert_array_equal(found["store"], found["predict"])
    expected = seen(image).convert("RGB")
    assert np.abs(found["predict"].astype(int) - np.asarray(expected)).max() <= 2
    shown = np.asarray(Image.open(tmp_path / "page/images/7.jpg")).astype(int)
    expected.thumbnail((HEIGHT, HEIGHT))
    assert np.abs(shown - np.asarray(expected)).mean() < 6


@pytest.mark.parametrize("name", REFUSED)
def test_grey_levels_without_a_range_are_refused_alike_everywhere(image, tmp_path, name):
    file, make = REFUSED[name]
    told = doors(written(make(image), tmp_path / file), HEIGHT, tmp_path)
    assert len(set(told.values())) == 1
    assert re.fullmatch(rf".*{file}: .* have no agreed range, save it as 8 or 16 bits", told["look"])


def test_the_mean_of_a_grey_ramp_of_16_bits_is_the_middle(tmp_path):
    ramp = Image.fromarray(np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1)))
    for file, options in {"a.png": {}, "a.tif": {}, "a.pgm": {}, "zero.tif": {"tiffinfo": {262: 0}}}.items():
        levels = pixels(written(ramp, tmp_path / file, **options), 64)
        assert levels.mean() == pytest.approx(127.5, abs=1)
        assert (levels[0, 0, 0], levels[0, -1, 0]) == ((255, 0) if options else (0, 255))
    with Image.open(tmp_path / "a.png") as image:
        clear = int(np.asarray(image)[0, 0])
        written(image, tmp_path / "b.png", transparency=clear)
    assert pixels(tmp_path / "b.png", 64)[0, 0].tolist() == [255] * 3


def lying(tag: int) -> Image.Exif:
    exif = Image.Exif()
    exif[photographs.ORIENTATION] = tag
    return exif


@pytest.mark.parametrize(
    ("tag", "file"), [(4, "a.jpg"), (5, "a.jpg"), (6, "a.png"), (6, "a.webp"), (6, "a.tif"), (6, "a.avif")]
)
def test_turned_photographs_are_alike_in_store_page_and_predict(image, tmp_path, tag, file):
    found = doors(written(image, tmp_path / file, exif=lying(tag)), 40, tmp_path)
    np.testing.assert_array_equal(found["store"], found["predict"])
    wide = tag < 5
    assert found["store"].shape == ((40, 60, 3) if wide else (60, 40, 3))
    shown = Image.open(tmp_path / "page/images/7.jpg")
    assert (shown.width > shown.height) == wide
    assert (found["look"].width[0] > found["look"].height[0]) == wide


def test_photographs_of_coco_are_left_as_stored(image, tmp_path):
    path = written(image, tmp_path / "a.jpg", exif=lying(6))
    assert stored(path, 40, tmp_path / "store", turn=False).shape == (40, 60, 3)


def test_every_orientation_comes_out_upright(image, tmp_path):
    way = Image.Transpose
    stored_as = {  # CIPA DC-008, 4.6.5
        2: way.FLIP_LEFT_RIGHT, 3: way.ROTATE_180, 4: way.FLIP_TOP_BOTTOM, 5: way.TRANSPOSE, 6: way.ROTATE_90,
        7: way.TRANSVERSE, 8: way.ROTATE_270,
    }  # fmt: skip
    upright = pixels(written(image, tmp_path / "upright.png"))
    for tag, turn in stored_as.items():
        path = written(image.transpose(turn), tmp_path / f"{tag}.png", exif=lying(tag))
        assert np.abs(pixels(path) - upright).max() <= 2, tag  # resized before it is turned
        assert read(path).size == (WIDTH, HEIGHT)


def test_of_an_animation_the_first_frame_counts(image, tmp_path):
    more = {"save_all": True, "append_images": [image.transpose(Image.Transpose.ROTATE_180)]}
    first, still = written(image, tmp_path / "a.gif", **more), written(image, tmp_path / "b.gif")
    np.testing.assert_array_equal(pixels(first), pixels(still))


# --- finding -----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jpg", "a.PNG", "deep/er/c.jpeg", "odd[1].jpg", ".hidden.jpg", "notes.txt", ".cache/d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def names(found, folder):
    return [os.path.relpath(photograph.name, folder) for photograph in found if photograph.error is None]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", ["a.PNG", "b.jpg", "odd[1].jpg", "deep/er/c.jpeg"]),
        ("b*.jpg", ["b.jpg"]),
        ("**/*.jp*g", ["b.jpg", "deep/er/c.jpeg", "odd[1].jpg"]),
        ("notes.txt", ["notes.txt"]),  # named: its bytes decide, not its suffix
        ("odd[1].jpg", ["odd[1].jpg"]),
    ],
)
def test_folders_are_searched_through_in_order_patterns_and_files_taken_as_they_are(folder, asked, expected):
    assert names(find([folder / asked]), folder) == expected


def test_what_a_folder_holds_and_is_left_out_is_counted(folder):
    (folder / "linked").symlink_to(folder / "deep")
    others = Counter()
    list(find([folder], None, others))
    assert left_out(others) == "1 .txt, 1 hidden images, 1 links to folders"


def test_what_leads_nowhere_says_so(folder):
    told = [p.error for p in find([folder / "empty", folder / "*.gif", folder / "nothing.jpg"])]
    assert [line.split(": ")[1][:9] for line in told] == ["no images", "matches n", "no such f"]


def test_standard_input_holds_paths_or_an_image(folder, image):
    lines = f"{folder / 'b.jpg'}\r\n\n{folder / 'deep'}\n".encode()
    assert names(find(["-"], io.BytesIO(lines)), folder) == ["b.jpg", "deep/er/c.jpeg"]
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"):
        (photograph,) = find(["-"], io.BytesIO(encoded(image, kind)))
        assert photograph.read().size == image.size, kind
    assert list(find(["-"], io.BytesIO(b""))) == []
