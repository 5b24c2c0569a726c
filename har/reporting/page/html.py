"""Templates, which escape every value in HTML, and the project's own Markdown as HTML."""

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

REGION = '<div class="table" role="region" tabindex="0" aria-label="Table"><table>'


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("har.reporting.page"),
        autoescape=lambda name: not name.endswith(".md.jinja"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["share"] = "{:.2%}".format
    return templates


def render(template: str, **values: object) -> Markup:
    """A file of templates/ with `values`; in HTML each is escaped unless it is Markup."""
    return Markup(_templates().get_template(template).render(values))


def table_id(title: str) -> str:
    """'Table 2. The baselines' gives 'table-2-the-baselines'; no section is called so."""
    return f"table-{'-'.join(re.findall(r'[a-z0-9]+', title.lower())).removeprefix('table-')}"


def safe_address(address: str) -> bool:
    """Whether `address` is a plain http or https link; control characters and spaces are what disguises are made of."""
    return bool(re.fullmatch(r"https?://[^\s/@\\\x00-\x1f]+(?:/[^\s\\\x00-\x1f]*)?", address, re.ASCII | re.IGNORECASE))


@cache
def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    reader.validateLink = lambda address: safe_address(address) or ":" not in address
    reader.add_render_rule("table_open", lambda *_: REGION)
    reader.add_render_rule("table_close", lambda *_: "</table></div>")
    return reader


def prose(markdown: str) -> Markup:
    """Markdown as HTML: raw HTML stays text, images are not loaded, a link leads to http, https or beside the page."""
    return Markup(_reader().render(markdown))
