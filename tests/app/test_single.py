"""The page as one file: it needs nothing beside it."""

import re

import pages
import pytest

from har.app.single import write_single
from har.core.errors import HarError


def test_nothing_is_loaded_and_no_link_leads_beside_it(tmp_path):
    _, page = pages.written(tmp_path / "w", 12)
    size = write_single(page, tmp_path / "out.html")
    html = (tmp_path / "out.html").read_text()
    assert size == len(html.encode())
    assert "<script" not in html
    assert 'id="images"' not in html
    assert set(re.findall(r'src="(.{5})', html)) == {"data:"}
    assert all(link.startswith(("#", "https://")) for link in re.findall(r' href="([^"]*)"', html))
    assert "Balanced accuracy" in html


def test_without_a_page_it_says_what_writes_one(tmp_path):
    with pytest.raises(HarError, match="is missing: `dvc repro page` writes it"):
        write_single(tmp_path / "index.html", tmp_path / "out.html")
