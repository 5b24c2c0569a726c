"""Put the generated result table of the sample into README.md: `python -m har.readme`."""

from pathlib import Path

from har.errors import HarError, told_in_one_line
from har.files import write_text

START, END = "<!-- results: written by `make readme` -->", "<!-- end of results -->"


def with_results(text: str, table: str) -> str:
    """`text` with `table` between its two marks; HarError where they are not there."""
    if text.count(START) != 1 or text.count(END) != 1:
        raise HarError(f"README.md: expected one line {START} and one line {END}")
    before, after = text.split(START)[0], text.split(END)[1]
    return f"{before}{START}\n\n{table.strip()}\n\n{END}{after}"


if __name__ == "__main__":
    with told_in_one_line("readme"):
        readme = Path("README.md")
        table = Path("reports/sample/tables/summary.md").read_text()
        write_text(readme, with_results(readme.read_text(), table))
