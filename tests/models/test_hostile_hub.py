"""A hub that lies: its headers become no file names, its lists and files come to an end."""

import json

import pytest
from servers import MB, model_hub, serving
from test_hub import CDN, FILES, LISTING, MODEL, REPO, REVISION, at, fetch, home  # noqa: F401

from har.core.errors import HarError


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("header", ["ETag", "X-Linked-ETag", "X-Repo-Commit"])
@pytest.mark.parametrize("value", ["../../../../escaped", '"../../../../escaped"', "/tmp/escaped", "a/b", "..", ""])
def test_headers_become_no_file_names(tmp_path, header, value):
    site = model_hub(REPO, REVISION, FILES)
    for status in (200, 404):
        extra = {"ETag": '"abc"', "X-Repo-Commit": REVISION, "X-Error-Code": "EntryNotFound", header: value}
        site.routes[at("config.json")] = lambda handler, body, s=status, e=extra: handler.reply(s, body, **e)
        with serving(site), pytest.raises(HarError, match=r"config\.json|does not have an ETag|X-Repo-Commit"):
            fetch(site, tmp_path / "room" / "inner")
    assert not [name for name in everything(tmp_path) if "escaped" in name or ".no_exist" in name]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_without_end_is_stopped(tmp_path, monkeypatch, name):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000)
    monkeypatch.setattr("har.models.hub.MAX_SMALL", MB)
    site = model_hub(REPO, REVISION, FILES)

    def endless(handler, body):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"186a0\r\n" + b"x" * 100_000 + b"\r\n"
        try:
            for _ in range(1000):
                handler.wfile.write(chunk)
        except OSError:
            handler.close_connection = True

    kept = f"/api/resolve-cache/models/{REPO}/{REVISION}/config.json"
    site.routes[kept if name == "config.json" else CDN] = lambda handler, body: (
        endless(handler, body) if handler.command == "GET" else handler.serve(body)
    )
    with serving(site), pytest.raises(HarError, match=r"more than [\d,]+ bytes come"):
        fetch(site, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 5 * len(MODEL) + (1 << 20)


def test_a_list_without_end_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("har.models.hub.MAX_ANSWERS", 20)
    site = model_hub(REPO, REVISION, FILES)

    def again(handler, body):
        handler.reply(200, b"[]", Link=f'<{site.url}{LISTING}?cursor=1>; rel="next"', Content_Type="application/json")

    site.routes[LISTING] = again
    with serving(site), pytest.raises(HarError, match="more than 20 answers"):
        fetch(site, tmp_path)
    assert len(site.requests) <= 22


@pytest.mark.parametrize(
    "change",
    [
        {"size": None},
        {"size": "5"},
        {"size": -1},
        {"size": 10**400},
        {"path": None},
        {"path": 5},
    ],
    ids=str,
)
def test_a_list_that_does_not_describe_its_files_is_told(tmp_path, change):
    site = model_hub(REPO, REVISION, FILES)
    tree = json.loads(site.files[LISTING])
    tree[0] |= change
    site.files[LISTING] = json.dumps(tree).encode()
    with serving(site), pytest.raises(HarError, match=REVISION) as told:
        fetch(site, tmp_path)
    assert "\n" not in str(told.value)
