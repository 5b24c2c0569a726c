"""Backbones come from a pinned revision, compared with a hash, without anything that could run code."""

import hashlib
import json
import os
from contextlib import suppress
from functools import partial

import huggingface_hub
import numpy as np
import pytest
from safetensors.numpy import save
from servers import MB, model_hub, refusal, reset, serving, status, truncate

from har.core.errors import HarError
from har.models.hub import fetch_folder, fetch_hub
from har.models.hub_files import check_model, check_safetensors, transformers_files

REPO = "someone/tiny-clip"
REVISION = "c237dc49a33fc61debc9276459120b7eac67e7ef"
MODEL = save({"a.weight": np.arange(300_000, dtype=np.float32).reshape(300, 1000), "b": np.zeros((), np.float16)})
FILES = {
    "config.json": json.dumps({"model_type": "clip", "text_config": {"hidden_size": 8}}).encode(),
    "preprocessor_config.json": b'{"size": 224}',
    "tokenizer.json": json.dumps({"model": {"vocab": {"a": 0}}}).encode(),
    "merges.txt": b"a b\n",
    "model.safetensors": MODEL,
}
JUNK = {"README.md": b"#", "pytorch_model.bin": b"pickle", "modeling_evil.py": b"import os", "training_args.json": b""}
CDN = f"/cdn/{hashlib.sha256(MODEL).hexdigest()}"
LISTING = f"/api/models/{REPO}/tree/{REVISION}"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A user's cache of our own, and no waiting."""
    for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_HOME", "HF_HUB_CACHE", "HAR_TOKEN_TO_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.fixture
def hub():
    with serving(model_hub(REPO, REVISION, {**FILES, **JUNK})) as site:
        yield site


def fetch(site, tmp_path, **options):
    os.environ["HF_ENDPOINT"] = getattr(site, "url", site)  # `home` takes both back
    huggingface_hub.constants.HF_HUB_CACHE = str(tmp_path / "cache")
    fetch_hub(REPO, options.pop("revision", REVISION), tmp_path / "out" / "clip", **{"max_bytes": 10**8} | options)


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_only_safe_files_arrive_and_are_stored_once(hub, tmp_path):
    fetch(hub, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES
    assert not any(junk in r.path for junk in JUNK for r in hub.requests)
    assert os.listdir(tmp_path / "out") == ["clip"]
    blob = next((tmp_path / "cache").rglob("snapshots/*/model.safetensors")).resolve()
    assert blob.samefile(tmp_path / "out" / "clip" / "model.safetensors")


def test_the_users_cache_is_used(hub, tmp_path, monkeypatch):
    fetch(hub, tmp_path)
    asked = len(hub.requests)
    fetch(hub, tmp_path)
    assert len(hub.requests) == asked
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    fetch(NOWHERE, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES
    with pytest.raises(HarError, match=f"^{REPO}@{REVISION}: not in the cache, and HF_HUB_OFFLINE forbids"):
        fetch(hub, tmp_path / "other")


def test_a_cache_that_another_client_filled_serves_without_network(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    for name in FILES:
        huggingface_hub.hf_hub_download(
            REPO, name, revision=REVISION, cache_dir=tmp_path / "cache", endpoint=hub.url, token=False
        )
    fetch(NOWHERE, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES


def test_a_revision_must_be_pinned(hub, tmp_path):
    for revision in ("main", "c237dc4", REVISION.upper(), REVISION + "\n", ""):
        with pytest.raises(HarError, match="commit of 40 hex digits"):
            fetch(hub, tmp_path, revision=revision)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("path", "faults"),
    [(CDN, [truncate(400_000)]), (CDN, [reset(400_000)]), (CDN, [status(429)]), (LISTING, [refusal(503)] * 2)],
)
def test_a_broken_transfer_and_a_busy_hub_are_made_good(hub, tmp_path, monkeypatch, path, faults):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)
    hub.faults[path] = list(faults)
    fetch(hub, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES


@pytest.mark.parametrize("path", [CDN, f"/api/resolve-cache/models/{REPO}/{REVISION}/tokenizer.json"])
def test_bytes_with_a_wrong_hash_are_told_and_not_kept(hub, tmp_path, path):
    right = hub.files[path]
    hub.files[path] = right[:-1] + bytes([right[-1] ^ 1])
    with pytest.raises(HarError, match=rf"^{REPO}@{REVISION}: (model\.safetensors|tokenizer\.json) came with other"):
        fetch(hub, tmp_path)
    assert not (tmp_path / "out").exists()
    hub.files[path] = right
    fetch(hub, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refusal(401, "RepoNotFound"), "this repository does not exist or is private"),
        (refusal(403, "GatedRepo"), "access needs the owner's consent"),
        (refusal(404, "RevisionNotFound"), "this revision does not exist"),
        (refusal(429, Retry_After="300"), "cannot be fetched from .*429 Too Many Requests"),
        (refusal(503, RateLimit=""), "cannot be fetched from .*503"),
    ],
)
def test_a_refusal_is_one_line(hub, tmp_path, answer, reason):
    hub.routes[LISTING] = answer
    with pytest.raises(HarError, match=rf"^{REPO}@{REVISION}: {reason}[^\n]*$"):
        fetch(hub, tmp_path)


def test_a_token_goes_to_no_other_endpoint_unless_told(hub, tmp_path, monkeypatch):
    place = "{repo_id}/resolve/{revision}/{filename}"  # both as in a process with this HF_ENDPOINT
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", f"{hub.url}/{place}")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(hub, tmp_path / "first")
    assert {seen.headers.get("authorization") for seen in hub.requests} == {None}
    hub.requests.clear()
    monkeypatch.setenv("HAR_TOKEN_TO_ENDPOINT", "1")
    fetch(hub, tmp_path / "second")
    sent = {seen.path.partition("?")[0]: seen.headers.get("authorization") for seen in hub.requests}
    assert sent.pop(CDN) is None  # nor to the storage that the hub redirects to
    assert set(sent.values()) == {"Bearer hf_secret"}


def test_what_is_too_large_is_refused_before_it_comes(hub, tmp_path):
    with pytest.raises(HarError, match="more than the 100000 allowed"):
        fetch(hub, tmp_path, max_bytes=100_000)
    assert not any("/cdn/" in seen.path for seen in hub.requests)


def test_what_is_no_safe_model_is_refused(tmp_path):
    without = {name: body for name, body in {**FILES, **JUNK}.items() if name != "model.safetensors"}
    code = {"model_type": "clip", "vision_config": {"auto_map": {"AutoModel": "modeling_evil.Evil"}}}
    for number, (files, told) in enumerate(
        [
            (without, r"model\.safetensors is missing \(only pytorch_model\.bin, .*choose a revision"),
            ({"model.safetensors": MODEL}, "config.json is missing"),
            ({**FILES, "config.json": json.dumps(code).encode()}, "config.json has auto_map"),
        ]
    ):
        with serving(model_hub(REPO, REVISION, files)) as site, pytest.raises(HarError, match=told):
            fetch(site, tmp_path / str(number))
        assert not (tmp_path / str(number) / "out").exists()


def test_shards_arrive_with_their_index(tmp_path):
    shards = {f"model-0000{i}-of-00002.safetensors": save({f"t{i}": np.ones(5)}) for i in (1, 2)}
    index = {"weight_map": {"t1": "model-00001-of-00002.safetensors", "t2": "../../evil.bin"}}
    files = {"config.json": b"{}", "model.safetensors.index.json": json.dumps(index).encode(), **shards}
    with serving(model_hub(REPO, REVISION, files)) as site:
        fetch(site, tmp_path)
    assert contents(tmp_path / "out" / "clip") == files
    with pytest.raises(HarError, match=r"names the shard '\.\./\.\./evil\.bin'"):
        check_model(tmp_path / "out" / "clip")


@pytest.mark.parametrize("header", ["ETag", "X-Linked-ETag", "X-Repo-Commit"])
def test_headers_become_no_file_names(tmp_path, header):
    site, path = model_hub(REPO, REVISION, FILES), f"/{REPO}/resolve/{REVISION}/config.json"
    for answer in (200, 404):
        extra = {"ETag": '"abc"', "X-Repo-Commit": REVISION, "X-Error-Code": "EntryNotFound"}
        extra[header] = "../../../../escaped"
        site.routes[path] = lambda handler, body, s=answer, e=extra: handler.reply(s, body, **e)
        with serving(site), pytest.raises(HarError, match=r"config\.json|does not have an ETag|X-Repo-Commit"):
            fetch(site, tmp_path / "room" / "inner")
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_file_without_end_is_stopped(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000)

    def endless(handler, body):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        handler.close_connection = True
        with suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(b"186a0\r\n" + b"x" * 100_000 + b"\r\n")

    hub.routes[CDN] = endless
    with pytest.raises(HarError, match=r"more than [\d,]+ bytes come"):
        fetch(hub, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 5 * len(MODEL) + MB


def test_a_list_without_end_is_stopped(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("har.models.hub.MAX_ANSWERS", 20)
    link = f'<{hub.url}{LISTING}?cursor=1>; rel="next"'
    hub.routes[LISTING] = lambda handler, body: handler.reply(200, b"[]", Link=link, Content_Type="application/json")
    with pytest.raises(HarError, match="more than 20 answers"):
        fetch(hub, tmp_path)


@pytest.mark.parametrize("change", [{"size": None}, {"size": -1}, {"path": 5}], ids=str)
def test_a_list_that_does_not_describe_its_files_is_told(hub, tmp_path, change):
    tree = json.loads(hub.files[LISTING])
    tree[0] |= change
    hub.files[LISTING] = json.dumps(tree).encode()
    with pytest.raises(HarError, match=rf"{REVISION}[^\n]*$"):
        fetch(hub, tmp_path)


def test_a_local_folder_passes_the_same_door(tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    for name, body in {**FILES, **JUNK}.items():
        (folder / name).write_bytes(body)
    fetch_folder(folder, tmp_path / "out", max_bytes=10**8)
    assert contents(tmp_path / "out") == FILES
    with pytest.raises(HarError, match="more than the 9 allowed"):
        fetch_folder(folder, tmp_path / "bad", max_bytes=9)
    (folder / "model.safetensors").unlink()
    fetch_folder(folder, tmp_path / "text", max_bytes=10**8, choose=partial(transformers_files, weights=False))
    assert len(contents(tmp_path / "text")) == 4
    with pytest.raises(HarError, match="no such folder"):
        fetch_folder(tmp_path / "nowhere", tmp_path / "bad", max_bytes=10**8)
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 a pickle in a zip archive", MODEL[:-1], MODEL + b"\0"])
def test_what_is_no_whole_safetensors_file_is_refused(tmp_path, data):
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(HarError, match=f"{path} is no whole safetensors file"):
        check_safetensors(path)
