"""The README shows what the committed run gave, and confesses what the page confesses."""

from pathlib import Path

import pytest

from har.core.errors import HarError
from har.dev.readme import DEVIATIONS, RESULTS, between, content, quoted


def test_the_readme_holds_what_it_quotes():
    text = Path("README.md").read_text()
    assert text == quoted(text), "README.md is out of date: make readme"


@pytest.mark.parametrize(("start", "end", "source"), [RESULTS, DEVIATIONS])
def test_marks_are_needed(start, end, source):
    assert source.read_text().strip()
    assert between(f"a\n{start}\nold\n{end}\nb", start, end, "new") == f"a\n{start}\n\nnew\n\n{end}\nb"
    with pytest.raises(HarError, match="expected one line"):
        between("no marks", start, end, "table")


def test_of_a_folder_every_machine_is_quoted(tmp_path):
    for name in ("b.md", "a.md", "a.csv"):
        (tmp_path / name).write_text(f"{name}\n")
    assert content(tmp_path) == "a.md\n\nb.md"
