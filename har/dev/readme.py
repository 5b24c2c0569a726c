"""Put what README.md quotes between its marks: `python -m har.dev.readme`."""

from pathlib import Path

from har.core.errors import HarError, told_in_one_line
from har.core.files import write_text

# The result table of the committed sample, where the project leaves the paper, and how fast it is on each machine that
# was measured: mark before, mark after, source (of a folder: each .md in it, in order of their names).
RESULTS = (
    "<!-- results: written by `make readme` -->",
    "<!-- end of results -->",
    Path("reports/sample/tables/summary.md"),
)
DEVIATIONS = (
    "<!-- deviations: written by `make readme` from har/reporting/page/deviations.md -->",
    "<!-- end of deviations -->",
    Path("har/reporting/page/deviations.md"),
)
BENCH = (
    "<!-- bench: written by `make bench readme` -->",
    "<!-- end of bench -->",
    Path("reports/bench"),
)


def content(source: Path) -> str:
    files = [source] if source.suffix else sorted(source.glob("*.md"))
    return "\n\n".join(file.read_text(encoding="utf-8").strip() for file in files)


def between(text: str, start: str, end: str, content: str) -> str:
    """`text` with `content` between the marks `start` and `end`; HarError where they are not there once."""
    if text.count(start) != 1 or text.count(end) != 1:
        raise HarError(f"README.md: expected one line {start} and one line {end}")
    before, after = text.split(start)[0], text.split(end)[1]
    return f"{before}{start}\n\n{content.strip()}\n\n{end}{after}"


def quoted(text: str) -> str:
    """README.md's `text` with all that it quotes brought up to date."""
    for start, end, source in (RESULTS, DEVIATIONS, BENCH):
        text = between(text, start, end, content(source))
    return text


if __name__ == "__main__":
    with told_in_one_line("readme"):
        readme = Path("README.md")
        write_text(readme, quoted(readme.read_text(encoding="utf-8")))
