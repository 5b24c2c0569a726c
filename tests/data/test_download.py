"""A download arrives whole and verified, or not at all, whatever the server does."""

import email.utils
import hashlib
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import Site, other, reset, serving, stall, status, truncate

from har.core.errors import HarError
from har.data import download as module
from har.data.download import download

BODY = bytes(range(256)) * 2000  # 512 kB
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = {"max_bytes": 10**7, "backoff": 0.001, "timeout": (1.0, 0.3)}


@pytest.fixture
def site():
    with serving(Site({"/file.bin": BODY})) as site:
        yield site


@pytest.fixture
def waits(monkeypatch):
    """The back-off waits that were asked for; none is slept."""
    asked = []
    monkeypatch.setattr(module, "_sleep", asked.append)
    return asked


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_good_file_arrives_with_its_hash(site, tmp_path):
    receipt = download(f"{site.url}/file.bin", tmp_path / "a" / "b", sha256=SHA256, size=len(BODY), **QUICK)
    assert (receipt.bytes, receipt.sha256) == (len(BODY), SHA256)
    assert (tmp_path / "a" / "b").read_bytes() == BODY
    assert files(tmp_path) == ["a/b"]


@pytest.mark.parametrize("code", [503, 500, 502, 429, 408])
def test_a_busy_server_is_asked_again_with_doubled_waits(site, tmp_path, waits, code):
    site.faults["/file.bin"] = [status(code)] * 4
    download(f"{site.url}/file.bin", tmp_path / "x", max_bytes=10**7, backoff=0.5)
    assert waits == [0.5, 1, 2, 4]
    assert (tmp_path / "x").read_bytes() == BODY


def test_retry_after_prolongs_the_wait_but_not_beyond_the_bound(site, tmp_path, waits):
    in_20 = email.utils.formatdate(time.time() + 20, usegmt=True)
    answers = ["7", "3600", in_20, "soon", "0"]
    site.faults["/file.bin"] = [status(503, Retry_After=value) for value in answers]
    download(f"{site.url}/file.bin", tmp_path / "x", max_bytes=10**7, backoff=0.5, max_wait=60)
    assert waits[:2] == [7, 60]
    assert 15 < waits[2] <= 20
    assert waits[3:] == [4, 8]


@pytest.mark.parametrize("fault", [truncate(200_000), reset(200_000), stall(200_000, 1.0)])
def test_a_broken_transfer_resumes_where_it_broke(site, tmp_path, fault):
    site.faults["/file.bin"] = [fault]
    download(f"{site.url}/file.bin", tmp_path / "x", sha256=SHA256, **QUICK)
    second = site.seen("/file.bin")[1]
    assert second.status == 206
    start = int(second.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 200_000
    assert second.sent == len(BODY) - start
    assert (tmp_path / "x").read_bytes() == BODY


def test_a_later_process_resumes_too(site, tmp_path):
    known = {"sha256": SHA256, "partial_dir": tmp_path / "parts", **QUICK}
    site.faults["/file.bin"] = [truncate(300_000)]
    with pytest.raises(HarError, match=r"file\.bin.*broke"):
        download(f"{site.url}/file.bin", tmp_path / "x", attempts=1, **known)
    assert not (tmp_path / "x").exists()
    download(f"{site.url}/file.bin", tmp_path / "x", **known)
    first, second = (r.sent for r in site.seen("/file.bin"))
    # up to one chunk was read but not yet written when the connection broke
    assert len(BODY) <= first + second <= len(BODY) + module.CHUNK
    assert files(tmp_path) == ["x"]


def test_a_file_that_changed_meanwhile_is_not_patched_together(site, tmp_path):
    site.faults["/file.bin"] = [truncate(300_000)]
    with pytest.raises(HarError):
        download(f"{site.url}/file.bin", tmp_path / "x", attempts=1, partial_dir=tmp_path / "parts", **QUICK)
    site.files["/file.bin"] = BODY[::-1]
    download(f"{site.url}/file.bin", tmp_path / "x", partial_dir=tmp_path / "parts", **QUICK)
    assert (tmp_path / "x").read_bytes() == BODY[::-1]


def test_a_server_that_ignores_range_is_served_from_the_start(site, tmp_path):
    site.ranges = False
    site.faults["/file.bin"] = [truncate(300_000)]
    download(f"{site.url}/file.bin", tmp_path / "x", **QUICK)
    assert [r.status for r in site.seen("/file.bin")] == [200, 200]
    assert (tmp_path / "x").read_bytes() == BODY


@pytest.mark.parametrize("span", ["bytes 7-511999/512000", "nonsense"])
def test_an_answer_for_another_range_is_not_spliced_in(site, tmp_path, span):
    site.faults["/file.bin"] = [
        truncate(300_000),
        lambda handler, body: handler.reply(206, b"x" * 1000, **{"Content-Range": span}),
    ]
    download(f"{site.url}/file.bin", tmp_path / "x", **QUICK)
    assert (tmp_path / "x").read_bytes() == BODY


def test_a_partial_beyond_the_end_is_dropped(site, tmp_path):
    site.faults["/file.bin"] = [truncate(300_000), status(416)]
    download(f"{site.url}/file.bin", tmp_path / "x", **QUICK)
    assert (tmp_path / "x").read_bytes() == BODY


def test_wrong_bytes_of_the_right_size_are_fetched_again(site, tmp_path):
    site.faults["/file.bin"] = [other(BODY[::-1])]
    download(f"{site.url}/file.bin", tmp_path / "x", sha256=SHA256, **QUICK)
    assert (tmp_path / "x").read_bytes() == BODY


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"sha256": "0" * 64}, "expected 0000"),
        ({"size": 7}, "expected 7"),
        ({"max_bytes": 1000}, "more than the 1000"),
    ],
)
def test_bytes_that_stay_wrong_leave_nothing_behind(site, tmp_path, waits, keep, wanted, message):
    parts = tmp_path / "parts" if keep else None
    with pytest.raises(HarError, match=message) as error:
        download(f"{site.url}/file.bin", tmp_path / "x", partial_dir=parts, **{**QUICK, **wanted})
    assert f"{site.url}/file.bin" in str(error.value)
    assert "\n" not in str(error.value)
    assert files(tmp_path) == []


def test_an_endless_body_is_cut_off(site, tmp_path):
    def endless(handler, body):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b"x" * 100_000)
        handler.close_connection = True

    site.faults["/file.bin"] = [endless]
    with pytest.raises(HarError, match="more than the 1000000"):
        download(f"{site.url}/file.bin", tmp_path / "x", max_bytes=1_000_000)
    assert files(tmp_path) == []


def test_the_check_sees_the_bytes_before_they_get_their_name(site, tmp_path, waits):
    calls = []

    def check(path):
        calls.append(path.read_bytes() == BODY)
        assert not (tmp_path / "x").exists()
        raise HarError("is not to my taste")

    with pytest.raises(HarError, match=r"file\.bin: is not to my taste"):
        download(f"{site.url}/file.bin", tmp_path / "x", check=check, **QUICK)
    assert calls == [True] * 3
    assert files(tmp_path) == []


def test_patience_ends(site, tmp_path, waits):
    site.faults["/file.bin"] = [status(503)] * 100
    with pytest.raises(HarError, match=r"/file\.bin: the server answered 503 .*tried 6 times"):
        download(f"{site.url}/file.bin", tmp_path / "x", **QUICK)
    assert len(site.seen("/file.bin")) == 6
    assert files(tmp_path) == []


def test_a_transfer_that_keeps_moving_outlives_its_attempts(tmp_path, waits):
    body = os.urandom(9 << 20)
    with serving(Site({"/big": body})) as site:
        site.faults["/big"] = [truncate((1 << 20) + (1 << 17))] * 7
        download(f"{site.url}/big", tmp_path / "x", attempts=2, **{**QUICK, "max_bytes": 10 << 20})
        assert sum(r.sent for r in site.seen("/big")) <= len(body) + 7 * module.CHUNK
    assert (tmp_path / "x").read_bytes() == body


@pytest.mark.parametrize("code", [404, 403, 401])
def test_what_is_not_there_is_not_asked_for_twice(site, tmp_path, code):
    site.faults["/file.bin"] = [status(code)]
    with pytest.raises(HarError, match=f"answered {code}"):
        download(f"{site.url}/file.bin", tmp_path / "x", **QUICK)
    assert len(site.seen("/file.bin")) == 1


def test_nobody_listens(tmp_path, waits):
    with serving(Site()) as site:
        pass
    with pytest.raises(HarError, match=f"^{site.url}/a: the connection was refused"):
        download(f"{site.url}/a", tmp_path / "x", **QUICK)
    assert len(waits) == 5


def test_two_at_once_do_not_share_a_partial_file(site, tmp_path):
    inner = []

    def check(path):  # a second download of the same URL while the first holds the partial file
        if not inner:
            inner.append(path)
            download(f"{site.url}/file.bin", tmp_path / "y", partial_dir=tmp_path / "parts", **QUICK)

    download(f"{site.url}/file.bin", tmp_path / "x", partial_dir=tmp_path / "parts", check=check, **QUICK)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes() == BODY
    assert files(tmp_path) == ["x", "y"]


def test_file_urls_pass_the_same_door(tmp_path):
    source = tmp_path / "a file.bin"
    source.write_bytes(BODY)
    url = source.as_uri()
    assert download(url, tmp_path / "out" / "x", sha256=SHA256, **QUICK).bytes == len(BODY)
    for wanted, message in [
        ({"sha256": "0" * 64}, "expected 0000"),
        ({"size": 3}, "expected 3"),
        ({"max_bytes": 9}, "9 bytes allowed"),
    ]:
        with pytest.raises(HarError, match=message):
            download(url, tmp_path / "out" / "y", **{**QUICK, **wanted})
    for bad in [url + "x", tmp_path.as_uri(), "file://host/x", "ftp://host/x", "plain/path"]:
        with pytest.raises(HarError, match="file"):
            download(bad, tmp_path / "out" / "y", **QUICK)
    assert files(tmp_path / "out") == ["x"]


FAULTS = st.one_of(
    st.sampled_from([status(503), status(429, Retry_After="0"), other(b"<html>login</html>"), other(BODY[::-1])]),
    st.integers(0, len(BODY) - 1).map(truncate),
)


@given(faults=st.lists(FAULTS, max_size=5), ranges=st.booleans(), keep=st.booleans())
def test_law_whole_and_right_or_absent(site, tmp_path, faults, ranges, keep):
    site.faults["/file.bin"], site.ranges = list(faults), ranges
    dest = tmp_path / "x"
    dest.unlink(missing_ok=True)
    parts = tmp_path / "parts" if keep else None
    try:
        download(f"{site.url}/file.bin", dest, sha256=SHA256, partial_dir=parts, **{**QUICK, "backoff": 0.0})
    except HarError:
        assert not dest.exists()
        assert len(faults) >= 3
    else:
        assert dest.read_bytes() == BODY
