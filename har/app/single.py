"""The page of a profile as one file to mail: the results with their figures, without the gallery and its scripts."""

import re
from base64 import b64encode
from datetime import date
from mimetypes import guess_type
from pathlib import Path

from har.core.errors import HarError
from har.core.files import write_text
from har.core.machine import commit

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def write_single(page: Path, out: Path) -> int:
    """Write `page` with what it shows inside `out`, and return the size in bytes; HarError where there is no page."""
    if not page.exists():
        raise HarError(f"{page} is missing: `dvc repro page` writes it")

    def inlined(match: re.Match) -> str:
        path = page.parent / match[1]
        return f'src="data:{guess_type(path)[0]};base64,{b64encode(path.read_bytes()).decode()}"'

    html = page.read_text(encoding="utf-8")
    style = (page.parent / "page/page.css").read_text(encoding="utf-8")
    html = re.sub(r"<script.*?</script>\n?|<link [^>]*>\n?", "", html)
    html = re.sub(r'<div id="images".*?(?=</main>)', "", html, flags=re.DOTALL)
    html = re.sub(r'<p class="take">.*?</p>|<a [^>]*(?:class="more"|data-view="images").*?</a>', "", html)
    html = re.sub(r'(?<=Content-Security-Policy" content=")[^"]*', POLICY, html)
    html = re.sub(r' href="(?!#(?!images)|https?:)[^"]*"', "", html)  # beside the page, or in the gallery
    html = re.sub(r'src="([^":]+)"', inlined, html)
    source = commit(page.parent).replace("`", "")
    made = f"This file was made on {date.today()}{f' from commit {source}' if source else ''}."
    html = html.replace("</footer>", f"<p>{made}</p>\n</footer>")
    write_text(out, html.replace("</head>", f"<style>{style}</style>\n</head>", 1))
    return out.stat().st_size
