"""Put what README.md quotes between its marks: `python -m har.readme`."""

from pathlib import Path

from har.errors import HarError, told_in_one_line
from har.files import write_text

# The result table of the committed sample, and where the project leaves the paper: mark before, mark after, source.
RESULTS = (
    "<!-- results: written by `make readme` -->",
    "<!-- end of results -->",
    Path("reports/sample/tables/summary.md"),
)
DEVIATIONS = (
    "<!-- deviations: written by `make readme` from har/page/deviations.md -->",
    "<!-- end of deviations -->",
    Path("har/page/deviations.md"),
)


def between(text: str, start: str, end: str, content: str) -> str:
    """`text` with `content` between the marks `start` and `end`; HarError where they are not there once."""
    if text.count(start) != 1 or text.count(end) != 1:
        raise HarError(f"README.md: expected one line {start} and one line {end}")
    before, after = text.split(start)[0], text.split(end)[1]
    return f"{before}{start}\n\n{content.strip()}\n\n{end}{after}"


def quoted(text: str) -> str:
    """README.md's `text` with all that it quotes brought up to date."""
    for start, end, source in (RESULTS, DEVIATIONS):
        text = between(text, start, end, source.read_text(encoding="utf-8"))
    return text


if __name__ == "__main__":
    with told_in_one_line("readme"):
        readme = Path("README.md")
        write_text(readme, quoted(readme.read_text(encoding="utf-8")))
