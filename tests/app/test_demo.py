"""The page in the browser: built where gradio is installed, one clear line where it is not."""

import sys

import pytest
from projects import IMAGES

from har.app.cli.main import main
from har.app.demo import page


def test_without_gradio_one_line_says_what_to_install(project, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["--project", str(project), "demo"]) == 2
    assert capsys.readouterr().err == 'har demo: gradio is not installed: pip install "har-still[demo]"\n'


def test_the_page_tells_the_probability_of_each_class(project):
    pytest.importorskip("gradio")
    built = page("activity-vit", root=project)
    shares = built.fn(str(project / f"data/sample/images/{IMAGES[0]:012d}.jpg"))
    assert sum(shares.values()) == pytest.approx(1)
    assert built.fn(None) == {}


def test_a_file_reaches_har_as_it_is(project):
    pytest.importorskip("gradio")
    built = page("activity-vit", root=project)
    assert built.input_components[0].image_mode is None  # gradio would rewrite CMYK, 16 bits and transparency
