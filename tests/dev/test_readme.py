"""The README shows the result table between its marks."""

from pathlib import Path

import pytest

from har.core.errors import HarError
from har.dev.readme import MARKS, quoted


def test_the_readme_has_a_place_for_the_results():
    text = Path("README.md").read_text(encoding="utf-8")
    assert quoted(quoted(text, "new table"), "other table") == quoted(text, "other table")
    assert "new table" in quoted(text, "new table")


@pytest.mark.parametrize("text", ["no marks", f"{MARKS[0]} {MARKS[0]} {MARKS[1]}"])
def test_marks_are_needed(text):
    with pytest.raises(HarError, match="expected one line"):
        quoted(text, "table")
