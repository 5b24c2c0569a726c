"""One list of rows gives the same figures as CSV, Markdown and HTML; what others wrote is markup in none of them."""

import html
import re

import pandas as pd
import pytest

from har.reporting.table import (
    LEAST_P,
    NONE,
    Bold,
    Column,
    ImageId,
    Table,
    count,
    estimate,
    markdown_table,
    number,
    p_value,
    pivoted,
    quote,
    write_tables,
)

ROWS = [
    {"model": "clip", "split": "test", "n": 1000, "accuracy": 0.71, "low": 0.53, "high": 0.84, "p": 3e-16},
    {"model": "vit", "split": "test", "n": 29, "accuracy": -0.4, "low": None, "high": None, "p": 0.0},
    {"model": "vit", "split": "extended", "n": 29, "accuracy": None, "p": None},
]
COLUMNS = [
    Column("model", "Model", str.upper),
    Column("split"),
    Column("n", "n", count),
    Column(("accuracy", "low", "high"), "Accuracy", estimate),
    Column("p", "p", p_value),
]


def table(rows=ROWS, columns=COLUMNS, **options):
    return Table("one", "Title", "profile sample", rows, columns, **options)


def cells(markup):
    """The texts of a table's cells, a list for each row."""
    rows = re.findall(r"<tr>(.*?)</tr>", markup, re.DOTALL)
    return [[html.unescape(re.sub("<[^>]+>", "", c)) for c in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def test_people_read_the_same_cells_in_markdown_and_html():
    lines = [line for line in table().markdown().splitlines() if line.startswith("|")]
    shown = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert shown[:1] + shown[2:] == cells(table().html()) == [
        ["Model", "n", "Accuracy", "p"],
        ["CLIP", "1,000", "0.710 [0.530, 0.840]", "< 0.001"],
        ["VIT", "29", "−0.400 –", "< 0.001"],
        ["VIT", "29", NONE, NONE],
    ]  # fmt: skip


def test_programs_read_plain_numbers(tmp_path):
    write_tables({"one": table()}, tmp_path)
    frame = pd.read_csv(tmp_path / "one.csv")
    assert list(frame) == ["model", "split", "n", "accuracy", "low", "high", "p"]
    assert frame.n.tolist() == [1000, 29, 29]
    assert frame.accuracy.tolist()[:2] == [0.71, -0.4]
    assert frame.p.tolist()[:2] == [3e-16, LEAST_P]
    assert frame.isna().sum().to_dict() == {"model": 0, "split": 0, "n": 0, "accuracy": 1, "low": 2, "high": 2, "p": 1}
    assert (tmp_path / "one.md").read_text() == table().markdown()
    assert (tmp_path / "one.html").read_text() == table().html()


def test_rounding_alone_is_zero_but_for_a_p_value():
    assert Column("x").plain(1e-17) == 0
    assert Column("p", format=p_value).plain(3.1415926e-16) == 3.14159e-16
    assert Column("x").plain(0.12345678) == 0.123457
    assert Column("x").plain(float("nan")) is None


def test_lines_for_people_may_be_others_than_the_rows():
    lines = pivoted(ROWS[1:], ["model"], "split")
    columns = [*COLUMNS[:3], Column("accuracy_test", "Test", number, csv=False)]
    one = table(columns=columns, lines=lines)
    assert len(one.frame) == 3
    assert list(one.frame) == ["model", "split", "n"]
    assert one.text.to_numpy().tolist() == [["VIT", "29", "−0.400"]]


def test_a_table_without_rows_keeps_its_columns():
    empty = table([])
    assert list(empty.frame) == ["model", "split", "n", "accuracy", "low", "high", "p"]
    assert cells(empty.html()) == [["Model", "n", "Accuracy", "p"]]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "a | b",
        "![x](http://example.org/x.png)", "*bold* _it_ `code` ~~no~~ # &lt; &amp;", "<javascript:alert(1)>", '"\'',
    ],
)  # fmt: skip
def test_what_others_wrote_stays_text(text):
    from markdown_it import MarkdownIt

    one = Table(text, text, text, [{"a": text, "b": 1}], [Column("a", text, quote), Column("b", "b")], [text])
    assert cells(one.html())[1] == [text, "1"]
    assert not re.search(r"<(script|img|iframe|javascript)|<a ", one.html())
    markdown = Table("t", "T", "h", [{"a": "x", "b": text}], [Column("a", "a"), Column("b", "b", quote)]).markdown()
    told = MarkdownIt("gfm-like", {"linkify": False}).render(markdown)
    assert cells(told)[1] == ["x", text]
    assert not re.search(r"<(script|img|a|em|strong|code|s)\b", told.split("<table>")[1])


def test_columns_are_set_by_what_they_hold():
    rows = [{"image": "194", "label": "standing", "caption": "a man " * 20, "rho": 0.5}]
    columns = [Column("image", "Image", ImageId), Column("label", "Label"), Column("caption", "Captions"),
               Column("rho", "ρ", lambda rho: Bold(number(rho)))]  # fmt: skip
    one = table(rows, columns)
    shown = one.html()
    assert '<th scope="row" class="slim"><a href="#images?image=194">194</a></th><td class="short">standing' in shown
    assert '<td class="long">a man' in shown
    assert '<td class="n"><strong>0.500</strong></td>' in shown
    assert "| **0.500** |" in one.markdown()
    assert "style=" not in shown
    assert "<caption>Title <small>profile sample</small></caption>" in shown


def test_notes_stand_once_and_empty_cells_are_explained():
    one = table(notes=["a", "", "a", "b"])
    assert one.footnotes() == ["a", "b", f"{NONE}: not measured, or not defined on these data."]
    assert "<li>a</li>" in one.html()


@pytest.mark.parametrize(
    ("value", "digits", "sign", "text"),
    [(0.12345, 3, False, "0.123"), (-0.2, 3, True, "−0.200"), (0.2, 2, True, "+0.20"), (-1e-9, 3, True, "0.000"),
     (None, 3, False, "–"), (float("nan"), 3, False, "–")],
)  # fmt: skip
def test_numbers_for_people(value, digits, sign, text):
    assert number(value, digits, sign) == text


def test_figures_are_set_right_and_texts_left():
    change = ["−0.1 [−0.2, 0.0]", "**+.5**"]
    columns = {"Model": ["a", "b"], "n": ["1,000", "–"], "Change": change, "Set": ["lr 0.1", "–"]}
    header, rule, first, _ = markdown_table(pd.DataFrame(columns)).splitlines()
    assert [cell.strip().endswith("-:") for cell in rule.strip("| ").split("|")] == [False, True, True, False]
    assert len({len(line) for line in (header, rule, first)}) == 1
