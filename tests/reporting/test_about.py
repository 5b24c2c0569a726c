"""The page says what made it, and how to cite it."""

from pathlib import Path

from har.reporting.page.about import about


def test_it_names_settings_cards_and_each_work_of_the_citation():
    told = about("3fa9c1d2e4b5", Path("CITATION.cff"), [Path("x/activity-clip.md")])
    assert "Settings 3fa9c1d2e4b5 (hash of" in told
    assert "[activity-clip](cards/activity-clip.md)" in told
    assert "@software{har-still," in told
    assert "@article{mahanta2025,\n" in told
    assert "  author = {Mahanta, Cristina and Bhatia, Gagan},\n  year = {2025}" in told
