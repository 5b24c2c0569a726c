"""Servers that answer with anything: photographs and archives by HTTP, and a model hub."""

import hashlib
import io
import json
import threading

import pytest
from fuzzing import MB, NASTY, RAW, as_json, bytes_of, hold, hold_files, json_of, one_of
from servers import Handler, Site, model_hub, serving
from test_hub import FILES, REPO, REVISION

from har.core.errors import HarError
from har.data.download import download
from har.data.photographs import find
from har.models.hub import fetch_folder, fetch_hub

BOUND = 64 * MB
BODY = bytes(range(256)) * 8
NUMBERS = [*(str(v) for v in NASTY if isinstance(v, int | float)), *RAW.values(), "-1", "0", "²", "1e3", "", "*"]
SPANS = [
    f"bytes {a}-{b}/{c}" for a in ("0", "700", *NUMBERS[-6:]) for b in ("2047", "x") for c in ("2048", *NUMBERS[-6:])
]
HEADERS = {
    "Content-Length": NUMBERS,
    "Content-Range": SPANS,
    "Content-Encoding": ["gzip", "identity", "br, gzip", "x" * 3000],
    "Transfer-Encoding": ["chunked", "gzip", "chunked, chunked", "identity"],
    "Content-Type": ["text/html; charset=\xff", "multipart/x; boundary=" + "x" * 500],
    "Retry-After": [*NUMBERS, "Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 32 Foo",
                    "1 Jan 0001 00:00 +2359", ", , ,"],
    "ETag": ['"a"', 'W/"a"', "", "../../../escaped", '"../../../../escaped"', "x" * 5000, '"\xff\x01"'],
    "Last-Modified": ["never", "x" * 300],
    "Location": ["file:///etc/passwd", "ftp://127.0.0.1/", "//", "http://", "http://[::1", "http://127.0.0.1:99999/",
                 "/loop", "http://a..b/", "http://\xff/", "http://127.0.0.1:x/", "javascript:1", "?" * 300,
                 "http://" + "a" * 300 + ".invalid/"],
    "Set-Cookie": ["a=b; expires=" + "9" * 60, "x" * 3000],
    "Connection": ["close", "keep-alive, upgrade"],
    "X-Linked-ETag": ["../../../../../escaped", '"/tmp/escaped"', "x" * 300, "", '"' + "0" * 64 + '"'],
    "X-Linked-Size": NUMBERS,
    "X-Repo-Commit": ["../../../escaped", "/tmp/escaped", "main", "", REVISION],
    "X-Error-Code": ["RevisionNotFound", "EntryNotFound", "GatedRepo", "x" * 3000, "RepoNotFound"],
    "X-Error-Message": ["\x1b[31m", "a" * 5000],
    "X-Xet-Hash": ["../../x", "0" * 64],
    "Link": ['<http://127.0.0.1:9/x>; rel="next"', "<>; rel=next"],
}  # fmt: skip
CODES = (200, 200, 200, 206, 206, 204, 301, 302, 304, 308, 401, 403, 404, 416, 429, 500, 503, 99, 999)
STATUSES = [
    *(b"HTTP/1.1 %d X" % code for code in CODES), b"HTTP/1.1 200", b"HTTP/9.9 200 OK", b"HTTP/1.1 -1 x",
    b"HTTP/1.1 2000000 x", b"", b"\0", b"ICY 200 OK", b"HTTP/1.1 200 " + b"x" * 70_000,
]  # fmt: skip
CHUNKS = [b"800\r\n" + BODY + b"\r\n0\r\n\r\n", b"fffffffffffffffff\r\nx", b"-1\r\n", b"zz\r\n",
          b"800;x=" + b"y" * 9000 + b"\r\n" + BODY]  # fmt: skip
LINES = [(name, value) for name, values in HEADERS.items() for value in values]
BODIES = [BODY, BODY, b"", BODY[:100], BODY * 3, *CHUNKS]


def raw(status: bytes, lines, body: bytes) -> bytes:
    head = b"".join(f"{name}: {value}\r\n".encode("latin-1", "replace") for name, value in lines)
    return status + b"\r\n" + head + b"\r\n" + body


def answering(get, otherwise=Handler.serve):
    """A route that answers with the bytes that `get` tells and closes, or as `otherwise` where it tells none."""

    def route(handler: Handler, body: bytes):
        if (data := get()) is None:
            otherwise(handler, body)
        else:
            handler.close_connection = True
            handler.wfile.write(data)

    return route


@pytest.fixture(autouse=True)
def home(monkeypatch):
    for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def test_downloads(tmp_path, monkeypatch):
    """Whatever is answered, the file is whole or not there, also where a part of it waits from before."""
    monkeypatch.setattr("har.data.download.ATTEMPTS", 2)
    monkeypatch.setattr("har.data.download._threads", threading.local())
    now = {}
    site = Site(files={"/a": BODY, "/loop": BODY})
    site.routes["/a"] = site.routes["/loop"] = answering(lambda: now["answer"])
    out = tmp_path / "out"
    out.mkdir()
    with serving(site):
        url, part = f"{site.url}/a", out / ".a.part"

        def read(case):
            now["answer"], begun, known = case
            if begun:
                part.write_bytes(BODY[:700])
            options = {"sha256": hashlib.sha256(BODY).hexdigest(), "size": len(BODY)} if known else {}
            try:
                download(url, out / "a", max_bytes=4000, **options)
                assert (out / "a").read_bytes() == BODY or not known
            except HarError:
                assert not (out / "a").exists()
                raise
            finally:
                left = {p.name for p in out.iterdir()}
                for p in out.iterdir():
                    p.unlink()
                assert left <= {"a", part.name}

        plain = raw(b"HTTP/1.1 200 OK", [("Content-Length", "2048"), ("ETag", '"a"')], BODY)
        answers = one_of([
            lambda draw: raw(draw.choice(STATUSES), draw.sample(LINES, draw.randint(0, 4)), draw.choice(BODIES)),
            bytes_of(plain),
        ])  # fmt: skip
        cases = lambda draw: (answers(draw), draw.random() < 0.5, draw.random() < 0.5)  # noqa: E731
        hold("Downloads", tmp_path, cases, read, (plain, False, True), memory=BOUND)


FEW = {name: FILES[name] for name in ("config.json", "model.safetensors")}  # one by each of the hub's two ways
TREE = json.loads(model_hub(REPO, REVISION, FEW).files[f"/api/models/{REPO}/tree/{REVISION}"])


def test_a_hub(tmp_path, monkeypatch):
    """Listings, redirects and headers of a hub that lies: nothing lands outside cache and destination."""
    now = {}
    site = model_hub(REPO, REVISION, FEW)
    places_of = [*site.routes, *site.files]
    for path in places_of:
        get = lambda path=path: now["case"][1] if now["case"][0] == path else None  # noqa: E731
        site.routes[path] = answering(get, site.routes.get(path, Handler.serve))
    listing = next(path for path in places_of if "/tree/" in path)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    lies = lambda draw: (listing, head + json_of(TREE)(draw))  # noqa: E731
    count = iter(range(10**9))
    good = [("ETag", '"abc"'), ("X-Repo-Commit", REVISION), ("Content-Length", "2048")]

    def answers(draw):
        some = draw.sample(LINES, draw.randint(0, 3))
        lines = some + [line for line in good if line[0] not in dict(some)]
        return draw.choice(places_of), raw(draw.choice(STATUSES), lines, draw.choice([BODY, b"", b"{}"]))

    def read(case):
        now["case"] = case
        here = tmp_path / f"{next(count)}"
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(here / "cache"))
        try:
            fetch_hub(REPO, REVISION, here / "out", max_bytes=10**7)
            assert {p.name for p in (here / "out").iterdir()} == set(FEW)
        finally:
            assert {p.name for p in here.glob("*")} <= {"cache", "out"}

    with serving(site):
        monkeypatch.setenv("HF_ENDPOINT", site.url)
        hold("Model hub", tmp_path, one_of([lies, answers]), read, ("nowhere", b""), few=12, memory=BOUND)


def test_a_folder_as_a_hub(tmp_path):
    """JSON of a checkpoint's folder: no code asked for, no shard outside."""
    config = {"model_type": "clip", "text_config": {"hidden_size": 8}}
    index = {"metadata": {"total_size": 9}, "weight_map": {"a": "model-00001-of-00001.safetensors"}}
    hostile = one_of([json_of(config), json_of(config | {"auto_map": {"AutoModel": "evil.Evil"}})])
    files = {
        "source/config.json": (as_json(config), hostile),
        "source/tokenizer_config.json": (as_json(config), hostile),
        "source/model.safetensors.index.json": (as_json(index), json_of(index)),
    }
    (tmp_path / "source").mkdir()
    (tmp_path / "source/model-00001-of-00001.safetensors").write_bytes(FILES["model.safetensors"])

    def read(folder):
        fetch_folder(folder / "source", folder / "out", max_bytes=10**7)
        for file in (folder / "out").glob("*config.json"):
            assert b'"auto_map": {"' not in file.read_bytes()

    hold_files("Folder of a checkpoint", tmp_path, files, read)


def test_names_on_standard_input(tmp_path, monkeypatch):
    """What `har predict -` is given: names, patterns, or bytes of who knows what."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("a.jpg", "sub/b.png", "[x].jpg"):
        (tmp_path / name).write_bytes(b"")
    words = [*b"a.jpg sub * ** [x].jpg [ - .. /dev/null \0 \xff sub/* ~".split(), b"x" * 5000, b"\n"]
    names = lambda draw: b"\n".join(draw.choices(words, k=draw.randint(0, 8)))  # noqa: E731
    cases = one_of([names, bytes_of(b"a.jpg\nsub\n*.jpg\n")])
    read = lambda case: list(find(["-"], io.BytesIO(case)))  # noqa: E731
    hold("Names on standard input", tmp_path, cases, read, b"a.jpg\nsub\n")
