"""The README shows what the committed run gave."""

from pathlib import Path

import pytest

from har.errors import HarError
from har.readme import END, START, with_results

SUMMARY = Path("reports/sample/tables/summary.md")


def test_the_readme_holds_the_committed_table():
    text = Path("README.md").read_text()
    assert text == with_results(text, SUMMARY.read_text()), "README.md is out of date: make readme"


def test_marks_are_needed():
    assert with_results(f"a\n{START}\nold\n{END}\nb", "new") == f"a\n{START}\n\nnew\n\n{END}\nb"
    with pytest.raises(HarError, match="expected one line"):
        with_results("no marks", "table")
