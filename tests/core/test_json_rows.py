"""JSON read row by row is what json.loads gives, wherever the file is cut into chunks; what is no JSON is refused."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from har.core import json_rows
from har.core.errors import HarError
from har.core.json_rows import read_rows

PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
VALUES = st.recursive(PLAIN, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner)))


def whole(path):
    """What the rows of `path` come from."""
    found = {}
    for key, place, value in read_rows(path, "an example"):
        if place is None:
            found[key] = value
        else:
            assert place == len(found.setdefault(key, []))
            found[key].append(value)
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(), VALUES, max_size=5), st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_law_rows_are_those_of_the_whole(tmp_path, monkeypatch, value, chunk, indent, escaped):
    monkeypatch.setattr(json_rows, "CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=escaped), encoding="utf-8")
    assert whole(path) == value


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-be"])
def test_encodings_are_those_of_json(tmp_path, encoding):
    (tmp_path / "a.json").write_text('{"ä": ["ö", 1]}', encoding=encoding)
    assert whole(tmp_path / "a.json") == {"ä": ["ö", 1]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b'{"a": 1', "cannot be read as JSON"),
        (b'{"a": [1, 2', "cannot be read as JSON"),
        (b'{"a": [1 2]}', "a comma or ] was expected"),
        (b'{"a": [1,]}', "cannot be read as JSON"),
        (b'{"a": 1,}', "cannot be read as JSON"),
        (b'{"a" 1}', "a key and a colon were expected"),
        (b'{"a": 1} {}', "more follows the object"),
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (b'{"a": "\xff"}', "cannot be read as JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "cannot be read as JSON"),
        (b'{"a": [' + b"[" * 100 + b"]" * 100 + b"]}", "deeper than 64"),
        (b'{"a": [' + b"[" * 200_000, "deeper than 64"),
        (b'{"a": ["' + b"x" * 2000, "a row is too long"),
    ],
)
def test_what_is_no_json_is_told_in_one_line(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(json_rows, "LONGEST", 1000 if b"xxx" in content else json_rows.LONGEST)
    monkeypatch.setattr(json_rows, "CHUNK", 64 if b"xxx" in content else json_rows.CHUNK)
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(HarError) as caught:
        whole(tmp_path / "a.json")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/a.json: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(HarError, match=r"no\.json: no such file; expected an example"):
        whole(tmp_path / "no.json")
