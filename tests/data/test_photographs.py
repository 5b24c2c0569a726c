"""Photographs as people have them: each is read, or one line says why not."""

import io
import os

import numpy as np
import pytest
from conftest import picture
from PIL import Image

from har.core.errors import HarError
from har.data import photographs
from har.data.photographs import Photograph, find, read
from har.data.store import decode

WIDTH, HEIGHT = 120, 80


@pytest.fixture
def image():
    return Image.fromarray(picture(5, WIDTH, HEIGHT))


def pixels(path, short_side=40) -> np.ndarray:
    return np.asarray(read(Photograph(str(path), path), short_side)).astype(int)


def saved(image, path, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_an_ordinary_photograph_is_what_the_store_has(image, tmp_path, name):
    path = saved(image, tmp_path / name)
    np.testing.assert_array_equal(pixels(path), decode(path, 40))


def test_every_orientation_comes_out_upright(image, tmp_path):
    upright = pixels(saved(image, tmp_path / "upright.png"))
    for tag in range(1, 9):
        exif = Image.Exif()
        exif[photographs.ORIENTATION] = tag
        turn = photographs.UPRIGHT.get(tag)
        inverse = {
            Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
            Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
        }
        stored = image if turn is None else image.transpose(inverse.get(turn, turn))
        path = saved(stored, tmp_path / f"{tag}.png", exif=exif)
        assert np.abs(pixels(path) - upright).max() <= 2, tag  # resized before it is turned
        assert read(Photograph("x", path), None).size == (WIDTH, HEIGHT)


def test_bytes_and_files_are_read_alike(image, tmp_path):
    path = saved(image, tmp_path / "a.jpg")
    held = np.asarray(read(Photograph("-", path.read_bytes()), 40))
    np.testing.assert_array_equal(held, pixels(path))


@pytest.mark.parametrize("name", ["grey.png", "grey.tif"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(image, tmp_path, name):
    eight = image.convert("L")
    sixteen = Image.fromarray(np.asarray(eight).astype(np.uint16) * 257)
    np.testing.assert_array_equal(pixels(saved(sixteen, tmp_path / name)), pixels(saved(eight, tmp_path / "eight.png")))


def test_transparency_lies_on_white(image, tmp_path):
    clear = image.convert("RGBA")
    clear.putalpha(Image.new("L", image.size, 0))
    assert (pixels(saved(clear, tmp_path / "a.png")) == 255).all()
    clear.putalpha(Image.new("L", image.size, 255))
    np.testing.assert_array_equal(pixels(saved(clear, tmp_path / "b.png")), pixels(saved(image, tmp_path / "c.png")))


def test_of_an_animation_the_first_frame_counts(image, tmp_path):
    first, still = tmp_path / "a.gif", tmp_path / "b.gif"
    image.save(first, save_all=True, append_images=[image.transpose(Image.Transpose.ROTATE_180)])
    np.testing.assert_array_equal(pixels(first), pixels(saved(image, still)))


@pytest.mark.parametrize("mode", ["CMYK", "P", "L", "1"])
def test_other_modes_show_the_same_picture(image, tmp_path, mode):
    path = saved(image.convert(mode), tmp_path / ("a.jpg" if mode == "CMYK" else "a.png"))
    grey = pixels(path).mean(-1).ravel()
    assert np.corrcoef(grey, pixels(saved(image, tmp_path / "b.png")).mean(-1).ravel())[0, 1] > 0.8


def test_what_cannot_be_read_is_told_in_one_line(image, tmp_path):
    data = io.BytesIO()
    image.save(data, "JPEG")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "truncated.jpg").write_bytes(data.getvalue()[: data.tell() // 2])
    (tmp_path / "text.jpg").write_text("no image")
    Image.new("1", (50_000, 2)).save(tmp_path / "strip.png")
    Image.new("1", (20_000, 4_000)).save(tmp_path / "huge.png")
    Image.new("F", (9, 9)).save(tmp_path / "float.tif")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(HarError, match=path.name) as told:
            read(Photograph(str(path), path), 128)
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("wide", [(50_000, 900), (900, 50_000)])
def test_a_panorama_is_read(tmp_path, wide):
    path = saved(Image.new("L", wide), tmp_path / "panorama.png")
    assert min(read(Photograph("p", path), 64).size) == 64


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(image, tmp_path):
    path = saved(image, tmp_path / "secret.png")
    path.chmod(0)
    with pytest.raises(HarError, match=r"secret\.png.*Permission"):
        pixels(path)


# --- finding -----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jpg", "a.PNG", "deep/er/c.jpeg", ".hidden.jpg", "notes.txt", ".cache/d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def names(found, folder):
    return [os.path.relpath(photograph.name, folder) for photograph in found if photograph.error is None]


def test_a_folder_is_searched_through_in_order(folder):
    assert names(find([folder]), folder) == ["a.PNG", "b.jpg", "deep/er/c.jpeg"]


def test_patterns_and_files_are_taken_as_they_are(folder):
    assert names(find([folder / "*.jpg"]), folder) == ["b.jpg"]
    assert names(find([folder / "**/*.jp*g"]), folder) == ["b.jpg", "deep/er/c.jpeg"]
    assert names(find([folder / "notes.txt"]), folder) == ["notes.txt"]  # named: its bytes decide, not its suffix
    (folder / "odd[1].jpg").touch()
    assert names(find([folder / "odd[1].jpg"]), folder) == ["odd[1].jpg"]


def test_what_leads_nowhere_says_so(folder):
    told = [p.error for p in find([folder / "empty", folder / "*.gif", folder / "nothing.jpg"])]
    assert [line.split(": ")[1][:9] for line in told] == ["no images", "matches n", "no such f"]


def test_standard_input_holds_paths_or_an_image(folder, image):
    lines = f"{folder / 'b.jpg'}\r\n\n{folder / 'deep'}\n".encode()
    assert names(find(["-"], io.BytesIO(lines)), folder) == ["b.jpg", "deep/er/c.jpeg"]
    for format in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"):
        data = io.BytesIO()
        image.save(data, format)
        (photograph,) = find(["-"], io.BytesIO(data.getvalue()))
        assert read(photograph, None).size == image.size, format
    assert list(find(["-"], io.BytesIO(b""))) == []
