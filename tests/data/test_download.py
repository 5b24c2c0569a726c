"""A download arrives whole and verified, or not at all, whatever the server does."""

import contextlib
import email.utils
import hashlib
import io
import threading
import time

import pytest
import requests
from requests.adapters import HTTPAdapter
from servers import Site, other, reset, serving, stall, status, truncate

from har.core.errors import HarError
from har.data import download as module
from har.data.download import download

BODY = bytes(range(256)) * 2000  # 512 kB
SHA256 = hashlib.sha256(BODY).hexdigest()
MOST = 10**7


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """The waits that were asked for; none is slept."""
    asked = []
    for name, value in {"TIMEOUT": (1.0, 0.3), "_threads": threading.local()}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr("urllib3.util.retry.time.sleep", asked.append)
    return asked


@pytest.fixture
def site(waits):
    with serving(Site({"/file.bin": BODY})) as site:
        yield site


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_redirect_that_leaves_encryption_is_refused(site, tmp_path):
    class Encrypted(HTTPAdapter):
        def send(self, request, **options):
            answer = requests.Response()
            answer.status_code, answer.request, answer.url, answer.raw = 302, request, request.url, io.BytesIO()
            answer.headers["Location"] = f"{site.url}/file.bin"
            return answer

    module._session().mount("https://", Encrypted())
    with pytest.raises(HarError, match=rf"redirects to {site.url}/file\.bin, which is not encrypted"):
        download("https://example.org/file.bin", tmp_path / "x", max_bytes=MOST)
    assert site.seen("/file.bin")
    assert not files(tmp_path)


def test_a_busy_server_is_asked_again_after_what_it_asks_for_within_a_bound(site, tmp_path, waits):
    in_20 = email.utils.formatdate(time.time() + 20, usegmt=True)
    asked = [status(429, Retry_After="7"), status(503, Retry_After="3600"), status(503, Retry_After=in_20), status(408)]
    site.faults["/file.bin"] = asked
    download(f"{site.url}/file.bin", tmp_path / "x", max_bytes=MOST)
    assert (tmp_path / "x").read_bytes() == BODY
    assert waits[:2] == [7, 60]
    assert 15 < waits[2] <= 20


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("fault", [truncate(200_000), reset(200_000), stall(200_000, 1.0)])
def test_a_broken_transfer_resumes_where_it_broke(site, tmp_path, fault, ranges):
    site.faults["/file.bin"], site.ranges = [fault], ranges
    download(f"{site.url}/file.bin", tmp_path / "x", sha256=SHA256, max_bytes=MOST)
    _, second = site.seen("/file.bin")
    start = int(second.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 200_000
    assert second.sent == len(BODY) - start * ranges  # a server that knows no ranges sends all again
    assert (tmp_path / "x").read_bytes() == BODY
    site.faults["/file.bin"] = [fault]
    download(f"{site.url}/file.bin", tmp_path / "y", max_bytes=MOST)
    assert "Range" not in site.seen("/file.bin")[-1].headers  # of what is not pinned nothing tells whether parts fit


def test_a_later_call_resumes_what_is_pinned_and_starts_anew_what_is_not(site, tmp_path, monkeypatch):
    def broken_and_again(name, **known):
        monkeypatch.setattr(module, "ATTEMPTS", 1)
        site.faults["/file.bin"] = [truncate(300_000)]
        with pytest.raises(HarError, match=r"file\.bin.*broke"):
            download(f"{site.url}/file.bin", tmp_path / name, max_bytes=MOST, **known)
        download(f"{site.url}/file.bin", tmp_path / name, max_bytes=MOST, **known)
        return [r.status for r in site.seen("/file.bin")][-2:]

    assert broken_and_again("x", sha256=SHA256) == [200, 206]
    assert broken_and_again("y") == [200, 200]
    assert files(tmp_path) == ["x", "y"]


@pytest.mark.parametrize(
    "answer",
    [
        lambda handler, body: handler.reply(206, b"x" * 1000, **{"Content-Range": "bytes 7-511999/512000"}),
        lambda handler, body: handler.reply(206, b"x" * 1000, **{"Content-Range": "nonsense"}),
        status(416),
        other(BODY[::-1]),
    ],
)
def test_what_does_not_fit_the_part_is_not_spliced_in(site, tmp_path, answer):
    site.faults["/file.bin"] = [truncate(300_000), answer]
    with contextlib.suppress(HarError):  # of an answer for another range; the next call starts anew
        download(f"{site.url}/file.bin", tmp_path / "x", sha256=SHA256, max_bytes=MOST)
    download(f"{site.url}/file.bin", tmp_path / "x", sha256=SHA256, max_bytes=MOST)
    assert (tmp_path / "x").read_bytes() == BODY


@pytest.mark.parametrize(
    ("wanted", "message"),
    [({"sha256": "0" * 64}, "expected 0000"), ({"size": 7}, "expected 7"), ({"max_bytes": 1000}, "more than the 1000")],
)
def test_bytes_that_stay_wrong_leave_nothing_behind(site, tmp_path, wanted, message):
    with pytest.raises(HarError, match=message) as error:
        download(f"{site.url}/file.bin", tmp_path / "x", **{"max_bytes": MOST, **wanted})
    assert str(error.value).startswith(f"{site.url}/file.bin: ")
    assert "\n" not in str(error.value)
    assert files(tmp_path) == []


def test_an_endless_body_is_cut_off(site, tmp_path):
    def endless(handler, body):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x" * 100_000)
        handler.close_connection = True

    site.faults["/file.bin"] = [endless]
    with pytest.raises(HarError, match="more than the 1000000"):
        download(f"{site.url}/file.bin", tmp_path / "x", sha256=SHA256, max_bytes=1_000_000)
    assert files(tmp_path) == []


def test_the_check_sees_the_bytes_before_they_get_their_name(site, tmp_path, waits):
    calls = []

    def check(path):
        calls.append(path.read_bytes() == BODY)
        assert not (tmp_path / "x").exists()
        raise HarError("is not to my taste")

    with pytest.raises(HarError, match=r"file\.bin: is not to my taste \(tried 5 times\)"):
        download(f"{site.url}/file.bin", tmp_path / "x", check=check, max_bytes=MOST)
    assert calls == [True] * 5
    assert waits == [0.5, 1, 2, 4]
    assert files(tmp_path) == []


@pytest.mark.parametrize(("code", "times"), [(503, 5), (404, 1), (403, 1), (401, 1)])
def test_patience_ends_and_what_is_not_there_is_not_asked_for_twice(site, tmp_path, code, times):
    site.faults["/file.bin"] = [status(code)] * 100
    with pytest.raises(HarError, match=rf"/file\.bin: the server answered {code}"):
        download(f"{site.url}/file.bin", tmp_path / "x", max_bytes=MOST)
    assert len(site.seen("/file.bin")) == times
    assert files(tmp_path) == []


def test_nobody_listens(tmp_path, waits):
    with serving(Site()) as site:
        pass
    with pytest.raises(HarError, match=f"^{site.url}/a: the connection was refused"):
        download(f"{site.url}/a", tmp_path / "x", max_bytes=MOST)
    assert len(waits) == 3  # the first time at once


def test_file_urls_pass_the_same_door(tmp_path):
    source, out = tmp_path / "a file.bin", tmp_path / "out"
    source.write_bytes(BODY)
    url = source.as_uri()
    download(url, out / "x", sha256=SHA256, max_bytes=MOST)
    for wanted, message in [({"sha256": "0" * 64}, "expected 0000"), ({"max_bytes": 9}, "at most 9 allowed")]:
        with pytest.raises(HarError, match=message):
            download(url, out / "y", **{"max_bytes": MOST, **wanted})
    for bad in [url + "x", tmp_path.as_uri(), "file://host/x", "ftp://host/x", "plain/path"]:
        with pytest.raises(HarError, match="file"):
            download(bad, out / "y", max_bytes=MOST)
    assert files(out) == ["x"]
