"""Backbones come from a pinned revision, compared with a hash, without anything that could run code."""

import hashlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save
from servers import model_hub, other, reset, serving, status, truncate

from har.core.errors import HarError
from har.models.hub import fetch_folder, fetch_hub
from har.models.hub_files import check_safetensors

REPO = "someone/tiny-clip"
REVISION = "c237dc49a33fc61debc9276459120b7eac67e7ef"
TENSORS = {"a.weight": np.arange(300_000, dtype=np.float32).reshape(300, 1000), "b": np.zeros((), np.float16)}
MODEL = save(TENSORS)
FILES = {
    "config.json": json.dumps({"model_type": "clip", "text_config": {"hidden_size": 8}}).encode(),
    "preprocessor_config.json": b'{"size": 224}',
    "tokenizer.json": json.dumps({"model": {"vocab": {"a": 0}}}).encode(),
    "merges.txt": b"a b\n",
    "model.safetensors": MODEL,
}
JUNK = {
    "README.md": b"# card",
    "pytorch_model.bin": b"pickle",
    "modeling_evil.py": b"import os",
    "training_args.json": b"{}",
}
CDN = f"/cdn/{hashlib.sha256(MODEL).hexdigest()}"


def at(name):
    return f"/{REPO}/resolve/{REVISION}/{name}"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    # the library waits whole seconds between its own tries
    import huggingface_hub.file_download
    import huggingface_hub.utils._http

    for module in (huggingface_hub.file_download, huggingface_hub.utils._http):
        monkeypatch.setattr(module.time, "sleep", lambda seconds: None)


@pytest.fixture
def hub():
    with serving(model_hub(REPO, REVISION, {**FILES, **JUNK})) as site:
        yield site


def fetch(site, tmp_path, **options):
    options = {"max_bytes": 10**8, "endpoint": site.url, "revision": REVISION, "backoff": 0.0, **options}
    revision = options.pop("revision")
    return fetch_hub(REPO, revision, tmp_path / "out" / "clip", cache_dir=tmp_path / "cache", **options)


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_only_safe_files_arrive_with_provenance(hub, tmp_path):
    rows = fetch(hub, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES
    assert {r["file"]: (r["bytes"], r["sha256"]) for r in rows} == {
        name: (len(body), hashlib.sha256(body).hexdigest()) for name, body in FILES.items()
    }
    assert rows[0]["url"] == f"{hub.url}{at('config.json')}"
    assert not any(junk in r.path for junk in JUNK for r in hub.requests)
    assert os.listdir(tmp_path / "out") == ["clip"]


def test_a_warm_cache_needs_no_network(hub, tmp_path):
    first = fetch(hub, tmp_path)
    before = len(hub.requests)
    assert fetch(hub, tmp_path) == first
    assert len(hub.requests) == before
    os.remove(tmp_path / "out" / "clip" / "config.json")
    (tmp_path / "out" / "clip" / "stale.json").write_text("{}")
    # another process, offline, and a hub that is gone
    code = (
        "from har.models.hub import fetch_hub; fetch_hub("
        f"{REPO!r}, {REVISION!r}, {str(tmp_path / 'out' / 'clip')!r}, cache_dir={str(tmp_path / 'cache')!r}, "
        "max_bytes=10**8, endpoint='http://127.0.0.1:9')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert contents(tmp_path / "out" / "clip") == FILES


@pytest.mark.parametrize("revision", ["main", "v1.0", "c237dc4", REVISION.upper(), REVISION + "\n", ""])
def test_a_revision_must_be_pinned(hub, tmp_path, revision):
    with pytest.raises(HarError, match="commit of 40 hex digits"):
        fetch(hub, tmp_path, revision=revision)
    assert hub.requests == []


@pytest.mark.parametrize("fault", [truncate(400_000), reset(400_000)])
def test_a_broken_transfer_is_taken_up_again(hub, tmp_path, fault):
    hub.faults[CDN] = [fault]
    fetch(hub, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES
    assert len(hub.seen(CDN)) == 2


def test_a_truncated_transfer_resumes_with_range(hub, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 50_000)
    hub.faults[CDN] = [truncate(400_000)]
    fetch(hub, tmp_path)
    first, second = hub.seen(CDN)
    assert second.status == 206
    assert len(MODEL) <= first.sent + second.sent <= len(MODEL) + 50_000


def test_a_busy_hub_is_asked_again(hub, tmp_path):
    hub.faults[f"/api/models/{REPO}/tree/{REVISION}"] = [status(503)] * 2
    hub.faults[CDN] = [status(503), status(500), status(429)]
    fetch(hub, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES


def test_bytes_with_a_wrong_hash_are_fetched_once_more(hub, tmp_path):
    wrong = MODEL[:-1] + bytes([MODEL[-1] ^ 1])
    hub.faults[CDN] = [other(wrong)]
    fetch(hub, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES


def test_bytes_that_stay_wrong_leave_nothing_behind(hub, tmp_path):
    hub.files[CDN] = MODEL[:-1] + bytes([MODEL[-1] ^ 1])
    with pytest.raises(HarError, match=rf"^{REPO}@{REVISION}: model\.safetensors has sha256 .*as the hub says"):
        fetch(hub, tmp_path)
    assert os.listdir(tmp_path / "out") == [] if (tmp_path / "out").exists() else True
    hub.files[CDN] = MODEL  # and the cache was not poisoned
    fetch(hub, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES


def test_small_files_are_compared_with_their_git_id(hub, tmp_path):
    hub.files[at("tokenizer.json")] = FILES["tokenizer.json"].replace(b"a", b"b")
    with pytest.raises(HarError, match=r"tokenizer\.json has git blob id"):
        fetch(hub, tmp_path)


def test_a_hash_given_beforehand_outranks_the_hub(hub, tmp_path):
    fetch(hub, tmp_path, sha256={"model.safetensors": hashlib.sha256(MODEL).hexdigest().upper()})
    with pytest.raises(HarError, match=r"model\.safetensors has sha256 .*expected 0{64} \(as given\)"):
        fetch(hub, tmp_path, sha256={"model.safetensors": "0" * 64})
    with pytest.raises(HarError, match=r"sha256 names model\.bin, which is not among config\.json"):
        fetch(hub, tmp_path, sha256={"model.bin": "0" * 64})


def test_a_spoilt_cache_is_mended(hub, tmp_path):
    fetch(hub, tmp_path)
    blob = next((tmp_path / "cache").rglob("snapshots/*/model.safetensors")).resolve()
    blob.write_bytes(b"\0" * len(MODEL))
    fetch(hub, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES


def test_what_is_missing_is_told_by_name(hub, tmp_path):
    gone = "0" * 40
    tree = f"/api/models/{REPO}/tree/{gone}"
    hub.headers[tree] = {"X-Error-Code": "RevisionNotFound"}
    with pytest.raises(HarError, match=rf"^{REPO}@{gone}: list of files: this revision does not exist"):
        fetch(hub, tmp_path, revision=gone)
    hub.headers[tree] = {"X-Error-Code": "RepoNotFound"}
    with pytest.raises(HarError, match="repository does not exist or is private"):
        fetch(hub, tmp_path, revision=gone)
    hub.routes[at("merges.txt")] = status(404, **{"X-Error-Code": "EntryNotFound"})
    with pytest.raises(HarError, match=r"merges\.txt: this file does not exist"):
        fetch(hub, tmp_path)


def test_an_unreachable_hub_is_told_in_one_line(hub, tmp_path):
    with pytest.raises(HarError, match=rf"^{REPO}@{REVISION}: list of files: cannot be fetched") as error:
        fetch(hub, tmp_path, endpoint="http://127.0.0.1:9", attempts=2)
    assert "\n" not in str(error.value)


def test_hf_endpoint_is_honoured_and_gets_no_token_meant_for_another(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(hub, tmp_path, endpoint=None)
    assert hub.requests
    assert not any("authorization" in map(str.lower, r.headers) for r in hub.requests)


def refused(tmp_path, files, **options):
    with serving(model_hub(REPO, REVISION, files)) as site, pytest.raises(HarError) as error:
        fetch(site, tmp_path, **options)
    assert not (tmp_path / "out" / "clip").exists()
    return str(error.value), site


def test_a_repository_without_safetensors_is_refused_before_any_weights(tmp_path):
    files = {name: body for name, body in {**FILES, **JUNK}.items() if name != "model.safetensors"}
    message, site = refused(tmp_path, files)
    assert re.search(r"model\.safetensors is missing \(only pytorch_model\.bin, .*choose a revision", message)
    assert not any("/cdn/" in r.path for r in site.requests)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize("key", ["auto_map", "custom_pipelines"])
def test_code_of_the_repository_is_refused(tmp_path, name, key):
    config = {"model_type": "clip", "vision_config": {key: {"AutoModel": "modeling_evil.Evil"}}}
    message, site = refused(tmp_path, {**FILES, name: json.dumps(config).encode()})
    assert f"{name} has {key}" in message
    assert not any("/cdn/" in r.path for r in site.requests)


def test_sizes_are_bounded_before_anything_large_is_fetched(tmp_path):
    message, site = refused(tmp_path, FILES, max_bytes=100_000)
    assert "more than the 100000 allowed" in message
    assert not any("/cdn/" in r.path for r in site.requests)


def test_a_model_needs_its_configuration(tmp_path):
    message, _ = refused(tmp_path, {"model.safetensors": MODEL})
    assert "config.json is missing" in message
    message, _ = refused(tmp_path / "second", {**FILES, "config.json": b"{"})
    assert "config.json: cannot be read as JSON" in message


def test_shards_arrive_with_their_index(tmp_path):
    shards = {f"model-0000{i}-of-00002.safetensors": save({f"t{i}": np.ones(5)}) for i in (1, 2)}
    index = {"weight_map": {"t1": "model-00001-of-00002.safetensors", "t2": "model-00002-of-00002.safetensors"}}
    files = {"config.json": b"{}", "model.safetensors.index.json": json.dumps(index).encode(), **shards}
    with serving(model_hub(REPO, REVISION, files)) as site:
        fetch(site, tmp_path)
    assert contents(tmp_path / "out" / "clip") == files
    index["weight_map"]["t2"] = "../../evil.bin"
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    message, _ = refused(tmp_path / "second", files)
    assert "names the shard '../../evil.bin'" in message


def write(folder, files):
    folder.mkdir(parents=True)
    for name, body in files.items():
        (folder / name).write_bytes(body)
    return folder


def test_a_local_folder_passes_the_same_door(tmp_path):
    folder = write(tmp_path / "models" / "clip", {**FILES, **JUNK})
    rows = fetch_folder(folder, tmp_path / "out", max_bytes=10**8)
    assert contents(tmp_path / "out") == FILES
    assert rows[-1]["url"] == (folder / "model.safetensors").as_uri()
    wanted = {"sha256": {"model.safetensors": "0" * 64}}
    for options, message in [(wanted, "as given"), ({"max_bytes": 9}, "more than the 9 allowed")]:
        with pytest.raises(HarError, match=message):
            fetch_folder(folder, tmp_path / "bad", **{"max_bytes": 10**8, **options})
    (folder / "model.safetensors").write_bytes(MODEL[:-8])
    with pytest.raises(HarError, match="no whole safetensors file"):
        fetch_folder(folder, tmp_path / "bad", max_bytes=10**8)
    (folder / "model.safetensors").unlink()
    with pytest.raises(HarError, match=r"model\.safetensors is missing"):
        fetch_folder(folder, tmp_path / "bad", max_bytes=10**8)
    assert len(fetch_folder(folder, tmp_path / "text", max_bytes=10**8, weights=False)) == 4
    with pytest.raises(HarError, match="no such folder"):
        fetch_folder(tmp_path / "nowhere", tmp_path / "bad", max_bytes=10**8)
    assert not (tmp_path / "bad").exists()


def header(tensors, body=b"\0" * 8):
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text + body


GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 a pickle in a zip archive",
        (1 << 62).to_bytes(8, "little") + b"{}",
        header([]),
        header({"a": {**GOOD, "shape": [3]}}),
        header({"a": {**GOOD, "shape": [-2]}}),
        header({"a": {**GOOD, "dtype": "PICKLE"}}),
        header({"a": {**GOOD, "data_offsets": [8, 16]}}),
        header({"a": GOOD, "b": GOOD}),
        header({"a": GOOD}, b"\0" * 9),
        header({"a": GOOD}, b"\0" * 7),
    ],
)
def test_a_malformed_safetensors_header_is_refused(tmp_path, data):
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(HarError, match="safetensors file"):
        check_safetensors(path)
    path.write_bytes(header({"a": GOOD, "__metadata__": {"format": "pt"}}))
    check_safetensors(path)
