"""Rows of large tables come one by one, and what is no such table is told in one line."""

import pytest

from har.core.csv_rows import LONGEST, read_rows
from har.core.errors import HarError

COLUMNS = {"image_id": int, "share": float, "text": str}


def written(folder, content):
    (folder / "t.csv").write_text(content, encoding="utf-8")
    return folder / "t.csv"


def test_columns_are_found_by_name_and_typed(tmp_path):
    path = written(tmp_path, '\ufefftext,share,more,image_id\n"a, ""b""\nc",0.5,,1\n\n,1e-3,x,2\n')
    assert list(read_rows(path, COLUMNS)) == [(1, 0.5, 'a, "b"\nc'), (2, 0.001, "")]


def test_a_row_comes_before_the_next_is_read(tmp_path):
    rows = read_rows(written(tmp_path, "image_id,share,text\n1,0.5,a\nbroken\n"), COLUMNS)
    assert next(rows) == (1, 0.5, "a")
    with pytest.raises(HarError, match=r"t\.csv: line 3: 1 cells, expected 3"):
        next(rows)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "column 'image_id' is missing"),
        ("image_id,share\n1,0.5\n", "column 'text' is missing"),
        ("image_id,share,text,text\n1,0.5,a,b\n", "column 'text' is missing or stands twice"),
        ("image_id,share,text\nx,0.5,a\n", "line 2: invalid literal"),
        ("image_id,share,text\n1,much,a\n", "line 2: could not convert"),
        ("image_id,share,text\n2,0.5,a\n1,0.5,a\n", "line 3: image_id 1 follows 2"),
        ("image_id,share,text\n1,0.5,a\n1,0.5,b\n", "line 3: image_id 1 follows 1"),
        ("image_id,share,text\n1,0.5," + "a" * 200_000 + "\n", "cannot be read as CSV"),
        ("image_id,share,text\n1,0.5" + ",a" * LONGEST + "\n", "line 2: "),
    ],
)
def test_what_is_no_such_table_is_told(tmp_path, content, said):
    with pytest.raises(HarError) as caught:
        list(read_rows(written(tmp_path, content), COLUMNS))
    assert said in str(caught.value)
    assert "t.csv: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none_is_told(tmp_path):
    with pytest.raises(HarError, match="no such file; expected a table with image_id, share, text"):
        list(read_rows(tmp_path / "none.csv", COLUMNS))
    (tmp_path / "latin.csv").write_bytes(b"image_id,share,text\n1,0.5,\xe9\n")
    with pytest.raises(HarError, match=r"latin\.csv"):
        list(read_rows(tmp_path / "latin.csv", COLUMNS))


def test_several_rows_of_an_image_where_it_may_have_them(tmp_path):
    path = written(tmp_path, "image_id,text\n1,a\n1,b\n")
    assert list(read_rows(path, {"image_id": int, "text": str}, unique=False)) == [(1, "a"), (1, "b")]
