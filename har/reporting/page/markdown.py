"""The reports' Markdown as HTML: tables with a caption and headers that say what they head, nothing else let through.

The tables may quote captions, which are other people's text: raw HTML stays text, images are not loaded, and a link
leads to http, https or a place beside the page.
"""

import html
import re
from collections.abc import Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

LONG = 30  # characters of a row's name that deserve room
SLIM = 8  # characters of rows' names that need none
SHORT = 24  # characters of a text that stays on one line
WIDE = 8  # columns from which on a table is set closer
IMAGES = ("Image", "Image a", "Image b")  # columns of image ids
ALIGNED = re.compile(r"text-align:\s*(\w+)")


@cache
def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    reader.validateLink = lambda address: safe_address(address) or ":" not in address
    return reader


def safe_address(address: str) -> bool:
    """Whether `address` is a plain http or https link; control characters and spaces are what disguises are made of."""
    return bool(re.fullmatch(r"https?://[^\s/@\\\x00-\x1f]+(?:/[^\s\\\x00-\x1f]*)?", address, re.ASCII | re.IGNORECASE))


def slug(text: str) -> str:
    """An id for a heading: 'Table 2. The baselines' gives 'table-2-the-baselines'."""
    return "-".join(re.findall(r"[a-z0-9]+", text.lower()))


def tables(markdown: str, title: str) -> str:
    """`markdown` as HTML. A heading becomes the caption of the table after it, the emphasised line below it (which
    profile made the table) stays with it, a list after the table becomes its notes. `title`: the caption of a table
    without a heading."""
    tokens = _reader().parse(markdown)
    out, heading, header, place = [], "", "", 0
    while place < len(tokens):
        token = tokens[place]
        end = _end(tokens, place)
        if token.type == "heading_open":
            heading = html.unescape(_inline(tokens[place + 1]))
        elif token.type == "paragraph_open" and _is_emphasis(tokens[place + 1]):
            header = _plain(tokens[place + 1])
        elif token.type == "table_open":
            out.append(_table(tokens[place : end + 1], heading or title, header))
            heading = header = ""
        elif token.type == "bullet_list_open":
            items = "".join(_render(tokens[place + 1 : end]))
            out.append(f'<ul class="notes">{items}</ul>')
        else:
            out.append(_render(tokens[place : end + 1]))
        place = end + 1
    if heading:  # of a part without a table
        out.insert(0, f"<h3>{html.escape(heading)}</h3>")
    return "\n".join(out)


def prose(markdown: str) -> str:
    """Markdown without tables of its own, such as an introduction."""
    return _render(_reader().parse(markdown))


def _end(tokens: Sequence[Token], place: int) -> int:
    """Where the block that opens at `place` closes."""
    depth = 0
    for at in range(place, len(tokens)):
        depth += tokens[at].nesting
        if depth == 0:
            return at
    return len(tokens) - 1


def _render(tokens: Sequence[Token]) -> str:
    return _reader().renderer.render(list(tokens), _reader().options, {})


def _inline(token: Token) -> str:
    return _reader().renderer.renderInline(token.children or [], _reader().options, {})


def _plain(token: Token) -> str:
    return "".join(child.content for child in token.children or [])


def _is_emphasis(token: Token) -> bool:
    children = [child for child in token.children or [] if child.content or child.nesting]
    return len(children) > 2 and children[0].type == "em_open" and children[-1].type == "em_close"


def _table(tokens: Sequence[Token], caption: str, header: str) -> str:
    """A table whose first column heads its rows. Columns are set by class, as the page allows no inline style: `n`
    those that Markdown sets right, of texts `short` where all stay on one line, `long` where one needs several. Ids of
    images lead to the gallery."""
    name = f"table-{slug(caption).removeprefix('table-')}"  # no section is called so
    small = f" <small>{html.escape(header)}</small>" if header else ""
    rows, right = [], []  # cells as HTML, the first row heads the columns
    for place, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            rows[-1].append(_inline(tokens[place + 1]))
            if token.type == "th_open":
                found = ALIGNED.search(str(token.attrs.get("style", "")))
                right.append(bool(found) and found.group(1) == "right")
    columns = zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * len(right)
    kinds = ["n" if told else _kind(column) for told, column in zip(right, columns, strict=True)]
    head = "".join(
        f'<th scope="col"{_class("n" if kind == "n" else "")}>{cell}</th>'
        for cell, kind in zip(rows[0], kinds, strict=True)
    )
    slim = "slim" if all(len(html.unescape(row[0])) <= SLIM for row in rows[1:]) else ""
    body = []
    for row in rows[1:]:
        first, *others = (
            f'<a href="#images?image={cell}">{cell}</a>' if column in IMAGES and cell.isdecimal() else cell
            for cell, column in zip(row, rows[0], strict=True)
        )
        long = "long" if len(html.unescape(row[0])) > LONG else slim
        cells = "".join(f"<td{_class(kind)}>{cell}</td>" for cell, kind in zip(others, kinds[1:], strict=True))
        body.append(f'<tr><th scope="row"{_class(long)}>{first}</th>{cells}</tr>')
    wide = " wide" if len(kinds) >= WIDE else ""
    label = html.escape(caption)
    return (
        f'<div class="table{wide}" id="{name}" role="region" tabindex="0" aria-label="{label}">\n<table>\n'
        f"<caption>{label}{small}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
        f"{chr(10).join(body)}\n</tbody>\n</table>\n</div>"
    )


def _kind(cells: Sequence[str]) -> str:
    longest = max((len(html.unescape(cell)) for cell in cells), default=0)
    return "short" if longest <= SHORT else "long" if longest > 2 * SHORT else ""


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""
