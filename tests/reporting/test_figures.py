"""Figures: the same data give the same bytes, what is not there is named."""

import re
from html import escape
from importlib import resources

import numpy as np
import pandas as pd
import pytest
from predicted import simulate

from har.core.errors import HarError
from har.evaluation.summary import summarise
from har.reporting import figures
from har.reporting.style import CLASS_COLOURS, DARK, PAPER, RIGHT, RULE, WRONG, drawing, numbered, size_of


def curves(runs=2):
    rows = [(run, epoch, 1 / epoch, 1.2 / epoch, 0.5, 1e-3) for run in range(runs) for epoch in range(1, 5 + run)]
    columns = ["seed", "epoch", "train_loss", "validation_loss", "validation_accuracy", "learning_rate"]
    return pd.DataFrame(rows, columns=columns)


def summaries():
    skills = {"cnn_base": 0, "clip": 3, "majority": 1}
    return {name: summarise(simulate("posture", skill, skill), resamples=100) for name, skill in skills.items()}


def confusion(path):
    both = {"ViT": simulate("posture", 1), "": simulate("posture", 9, runs=1)}
    figures.confusion_matrices(both, "test", path, "Figure 3")


def augmentation(path):
    figures.augmentation_study(dict.fromkeys(("none", "rotation", "mine"), summaries()["clip"]), path, "Augmentation")


DRAW = {
    "confusion": confusion,
    "curves": lambda path: figures.learning_curves(curves(), path, "CNN_base"),
    "one_run": lambda path: figures.learning_curves(curves(1).head(1), path, "one epoch of one run"),
    "accuracy": lambda path: figures.accuracy_overview(summaries(), path, "Accuracy", classes=2),
    "augmentation": augmentation,
}


@pytest.mark.parametrize("name", DRAW)
def test_it_is_drawn_in_the_width_of_the_page(name, tmp_path):
    DRAW[name](tmp_path / "a.svg")
    assert b"matplotlib.org" not in (tmp_path / "a.svg").read_bytes()
    assert 400 <= size_of(tmp_path / "a.svg")[0] <= 960  # the page's column: text in its own size
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]


def test_same_data_same_bytes_and_a_readers_matplotlibrc_has_no_say(tmp_path):
    import matplotlib

    DRAW["confusion"](tmp_path / "a.svg")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "savefig.dpi": 10}):
        DRAW["confusion"](tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_nothing_to_draw_is_told(tmp_path):
    path = tmp_path / "x.svg"
    with pytest.raises(HarError, match="split 'train'"):
        figures.confusion_matrices({"ViT": simulate("posture", 1)}, "train", path, "")
    with pytest.raises(HarError, match="no epoch"):
        figures.learning_curves(curves().head(0), path, "")
    with pytest.raises(HarError, match="no policy"):
        figures.augmentation_study({}, path, "")
    with pytest.raises(HarError, match="no model"):
        figures.accuracy_overview({}, path, "", 3)
    assert not path.exists()


def test_names_of_any_kind_are_drawn_as_text(tmp_path, capsys, recwarn):
    """Dollar signs are no mathematics; a reader's own fonts have what ours lack."""
    names = ["$x$", "$", "坐着", "站立", "🚶", "a_b^c", "\\frac", "<b>"]
    with drawing(tmp_path / "0.svg", "title", 4, 2) as figure:
        axis = figure.subplots()
        axis.set_yticks(range(len(names)), names)
        axis.set_title(" ".join(names))
    assert not recwarn
    assert not capsys.readouterr().err
    assert all(f">{escape(name)}<" in (tmp_path / "0.svg").read_text(encoding="utf-8") for name in names)


def _luminance(colour):
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def test_each_colour_is_seen_on_paper_and_in_the_dark_and_is_the_pages():
    for light, dark in DARK.items():
        for colour, ground in ((light, PAPER), (dark, DARK[PAPER])):
            low, high = sorted(_luminance(one) for one in (colour, ground))
            assert light in (PAPER, RULE) or (high + 0.05) / (low + 0.05) >= 3, (colour, ground)
    css = (resources.files("har.reporting.page") / "static/page.css").read_text(encoding="utf-8")
    names = {"raised": PAPER, "right": RIGHT, "wrong": WRONG} | {f"c{i}": one for i, one in enumerate(CLASS_COLOURS)}
    for name, light in names.items():
        assert re.findall(rf"--{name}: (#\w+)", css) == [light, DARK[light]], name


def test_clip_paths_are_numbered_not_named_by_digits():
    svg = '<g clip-path="url(#p{0})"/><defs><clipPath id="p{0}"/><clipPath id="p{1}"/></defs>'
    a, b = (numbered(svg.format(*names)) for names in (("8f17b99b0f", "2b142638c5"), ("fdaeacb658", "58572139c0")))
    assert a == b == '<g clip-path="url(#clip0)"/><defs><clipPath id="clip0"/><clipPath id="clip1"/></defs>'
