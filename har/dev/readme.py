"""Put what the committed sample found and its result table into README.md: `python -m har.dev.readme`."""

from pathlib import Path

from har.core.errors import HarError, exit_with_message
from har.core.files import write_text
from har.reporting.answers import findings

MARKS = ("<!-- results: written by `make readme` -->", "<!-- end of results -->")
REPORTS = Path("reports/sample")


def quoted(text: str, results: str) -> str:
    """README.md's `text` with `results` between its marks; HarError where these are not there once."""
    start, end = MARKS
    if text.count(start) != 1 or text.count(end) != 1:
        raise HarError(f"README.md: expected one line {start} and one line {end}")
    before, after = text.split(start)[0], text.split(end)[1]
    return f"{before}{start}\n\n{results.strip()}\n\n{end}{after}"


if __name__ == "__main__":
    with exit_with_message("readme"):
        readme = Path("README.md")
        table = (REPORTS / "tables/summary.md").read_text(encoding="utf-8")
        results = "\n".join(f"- {sentence}" for sentence in findings(REPORTS, "activity", 3)) + f"\n\n{table}"
        write_text(readme, quoted(readme.read_text(encoding="utf-8"), results))
