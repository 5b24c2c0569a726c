"""Backbones come from a pinned revision, compared with a hash, without anything that could run code."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from safetensors.numpy import save
from servers import model_hub, other, refusal, reset, serving, stall, status, truncate

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
LISTING = f"/api/models/{REPO}/tree/{REVISION}"


def at(name):
    return f"/{REPO}/resolve/{REVISION}/{name}"


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
    os.environ["HF_ENDPOINT"] = site.url  # `home` takes both back
    huggingface_hub.constants.HF_HUB_CACHE = str(tmp_path / "cache")
    options = {"max_bytes": 10**8, "revision": REVISION} | options
    fetch_hub(REPO, options.pop("revision"), tmp_path / "out" / "clip", **options)


def in_a_process(tmp_path, **environment):
    """fetch_hub as a stage runs it: what it writes on standard error, nothing where all went well."""
    code = (
        "import sys; from har.core.errors import HarError; from har.models.hub import fetch_hub\n"
        f"try: fetch_hub({REPO!r}, {REVISION!r}, {str(tmp_path / 'out/clip')!r}, max_bytes=10**8)\n"
        "except HarError as error: sys.exit(str(error))"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = kept | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"} | environment
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    return ended.stderr.strip()


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_only_safe_files_arrive(hub, tmp_path):
    fetch(hub, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES
    assert not any(junk in r.path for junk in JUNK for r in hub.requests)
    assert os.listdir(tmp_path / "out") == ["clip"]


def test_a_checkpoint_is_stored_once(hub, tmp_path):
    fetch(hub, tmp_path)
    blob = next((tmp_path / "cache").rglob("snapshots/*/model.safetensors")).resolve()
    assert blob.samefile(tmp_path / "out" / "clip" / "model.safetensors")


@pytest.mark.slow
def test_the_users_cache_is_used(hub, tmp_path):
    """Filled once, in the place that HF_HOME or HF_HUB_CACHE names, it serves later runs and HF_HUB_OFFLINE=1."""
    assert in_a_process(tmp_path, HF_ENDPOINT=hub.url) == ""
    assert list((tmp_path / "home" / "hub").glob("models--*"))
    asked = len(hub.requests)
    assert in_a_process(tmp_path, HF_ENDPOINT=hub.url) == ""
    assert len(hub.requests) == asked
    os.remove(tmp_path / "out" / "clip" / "config.json")
    moved = {"HF_HOME": "/nowhere", "HF_HUB_CACHE": str(tmp_path / "home" / "hub")}
    assert in_a_process(tmp_path, HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="1", **moved) == ""
    assert contents(tmp_path / "out" / "clip") == FILES
    missing = in_a_process(tmp_path, HF_HUB_OFFLINE="1", HF_HUB_CACHE=str(tmp_path / "other"))
    assert missing == f"{REPO}@{REVISION}: not in the cache, and HF_HUB_OFFLINE forbids to fetch it"


def test_a_cache_that_another_client_filled_serves_without_network(hub, tmp_path):
    code = (
        "from huggingface_hub import hf_hub_download\n"
        f"for name in {list(FILES)}: hf_hub_download({REPO!r}, name, revision={REVISION!r})"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = kept | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)
    assert in_a_process(tmp_path, HF_ENDPOINT="http://127.0.0.1:9") == ""
    assert contents(tmp_path / "out" / "clip") == FILES


@pytest.mark.parametrize("revision", ["main", "v1.0", "c237dc4", REVISION.upper(), REVISION + "\n", ""])
def test_a_revision_must_be_pinned(hub, tmp_path, revision):
    with pytest.raises(HarError, match="commit of 40 hex digits"):
        fetch(hub, tmp_path, revision=revision)
    assert hub.requests == []


@pytest.mark.parametrize("fault", [truncate(400_000), reset(400_000)])
def test_a_broken_transfer_is_taken_up_again(hub, tmp_path, monkeypatch, fault):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)
    hub.faults[CDN] = [fault]
    fetch(hub, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES
    first, second = hub.seen(CDN)
    assert (first.status, second.status) == (200, 206)  # a reset loses what the client has not read
    assert second.sent < len(MODEL)


def test_a_killed_download_resumes_and_leaves_nothing(hub, tmp_path):
    blobs = tmp_path / "cache" / f"models--{REPO.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    sha256 = hashlib.sha256(MODEL).hexdigest()
    for name, size in (("0123abcd", 700_000), ("89abcdef", 100)):  # as the library names them, of two that were killed
        (blobs / f"{sha256}.{name}.incomplete").write_bytes(MODEL[:size])
    fetch(hub, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES
    assert [(seen.status, seen.sent) for seen in hub.seen(CDN)] == [(206, len(MODEL) - 700_000)]
    assert not list((tmp_path / "cache").rglob("*incomplete*"))


@pytest.mark.slow
def test_a_process_killed_in_a_download_goes_on_where_it_was(hub, tmp_path):
    hub.faults[CDN] = [stall(700_000, 60)]
    code = (
        "from huggingface_hub import constants; constants.DOWNLOAD_CHUNK_SIZE = 50_000\n"
        "from har.models.hub import fetch_hub\n"
        f"fetch_hub({REPO!r}, {REVISION!r}, {str(tmp_path / 'out/clip')!r}, max_bytes=10**8)"
    )
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "cache")}
    client = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)
    part = tmp_path / "cache" / f"models--{REPO.replace('/', '--')}" / "blobs" / f"{Path(CDN).name}.0.incomplete"
    end = time.monotonic() + 60
    while (part.stat().st_size if part.exists() else 0) < 600_000 and time.monotonic() < end:
        pass
    client.kill()
    client.wait()
    fetch(hub, tmp_path)
    assert hub.seen(CDN)[-1].status == 206
    assert hub.seen(CDN)[-1].sent <= len(MODEL) - 600_000
    assert contents(tmp_path / "out" / "clip") == FILES
    assert not list((tmp_path / "cache").rglob("*incomplete*"))


def test_what_a_failed_download_fetched_is_not_fetched_again(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)
    hub.faults[CDN] = [truncate(1_000_000), *[refusal(503)] * 9]
    with pytest.raises(HarError, match="is busy"):
        fetch(hub, tmp_path)
    hub.faults[CDN] = []
    fetch(hub, tmp_path)
    assert hub.seen(CDN)[-1].sent < 300_000
    assert contents(tmp_path / "out" / "clip") == FILES


def test_a_busy_hub_is_asked_again(hub, tmp_path):
    hub.faults[LISTING] = [refusal(503)] * 2
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
    with pytest.raises(HarError, match=rf"^{REPO}@{REVISION}: model\.safetensors comes with other bytes"):
        fetch(hub, tmp_path)
    assert os.listdir(tmp_path / "out") == [] if (tmp_path / "out").exists() else True
    hub.files[CDN] = MODEL  # and the cache was not poisoned
    fetch(hub, tmp_path)
    assert contents(tmp_path / "out" / "clip") == FILES


def test_small_files_are_compared_with_their_git_id(hub, tmp_path):
    kept = f"/api/resolve-cache/models/{REPO}/{REVISION}/tokenizer.json"
    hub.files[kept] = FILES["tokenizer.json"].replace(b"a", b"b")
    with pytest.raises(HarError, match=r"tokenizer\.json comes with other bytes than the hash"):
        fetch(hub, tmp_path)


def test_a_hash_given_beforehand_outranks_the_hub(hub, tmp_path):
    fetch(hub, tmp_path, sha256=hashlib.sha256(MODEL).hexdigest().upper())
    with pytest.raises(HarError, match=r"model\.safetensors has sha256 .*expected 0{64} \(as given\)"):
        fetch(hub, tmp_path, sha256="0" * 64)


def test_a_spoilt_cache_is_mended(hub, tmp_path):
    fetch(hub, tmp_path)
    for name in ("model.safetensors", "config.json"):
        path = next((tmp_path / "cache").rglob(f"snapshots/*/{name}"))
        path.resolve().write_bytes(b"\0" * path.stat().st_size)
        fetch(hub, tmp_path)
        assert contents(tmp_path / "out" / "clip") == FILES


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refusal(401), "the hub wants an access token"),
        (refusal(401, "RepoNotFound"), "this repository does not exist or is private"),
        (refusal(401, "GatedRepo"), "access needs the owner's consent"),
        (refusal(403, "GatedRepo"), "access needs the owner's consent"),
        (refusal(403), "the hub refuses access"),
        (refusal(404), "the hub has no such repository, revision or file"),
        (refusal(404, "RevisionNotFound"), "this revision does not exist"),
        (refusal(404, "EntryNotFound"), "this file does not exist"),
        (refusal(429, Retry_After="300"), "too many requests .status 429., try again in 300 seconds"),
        (refusal(429, RateLimit='"api";r=0;t=250'), "too many requests .status 429., try again in 250 seconds"),
        (refusal(429), "too many requests .status 429., try again later"),
        (refusal(503, RateLimit=""), "the hub is busy .status 503., try again later"),
    ],
)
@pytest.mark.parametrize("where", [LISTING, CDN])
def test_a_refusal_is_one_line_wherever_it_comes(hub, tmp_path, where, answer, reason):
    hub.routes[where] = answer
    with pytest.raises(HarError, match=rf"^{REPO}@{REVISION}: (\S+: )?(the hub has had )?({reason})") as error:
        fetch(hub, tmp_path)
    assert "\n" not in str(error.value)
    assert len([seen for seen in hub.requests if seen.path.startswith(where)]) <= 4


def test_no_network_is_one_line_within_seconds(tmp_path):
    started = time.monotonic()
    told = in_a_process(tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    assert re.fullmatch(rf"{REPO}@{REVISION}: 127\.0\.0\.1 cannot be reached \(.*\)", told)
    assert time.monotonic() - started < 30  # seven of waiting, and an interpreter that starts


def test_a_token_goes_to_no_other_endpoint_unless_told(hub, tmp_path):
    """Fresh processes: the library takes HF_ENDPOINT for its own default there."""

    def tokens(**environment):
        hub.requests.clear()
        assert in_a_process(tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN="hf_secret", **environment) == ""
        assert hub.requests
        return {seen.path.partition("?")[0]: seen.headers.get("authorization") for seen in hub.requests}

    assert set(tokens().values()) == {None}
    sent = tokens(HAR_TOKEN_TO_ENDPOINT="1", HF_HUB_CACHE=str(tmp_path / "second"))
    assert sent.pop(CDN) is None  # nor to the storage that the hub redirects to
    assert set(sent.values()) == {"Bearer hf_secret"}


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
    fetch_folder(folder, tmp_path / "out", max_bytes=10**8)
    assert contents(tmp_path / "out") == FILES
    with pytest.raises(HarError, match="more than the 9 allowed"):
        fetch_folder(folder, tmp_path / "bad", max_bytes=9)
    (folder / "model.safetensors").write_bytes(MODEL[:-8])
    with pytest.raises(HarError, match="no whole safetensors file"):
        fetch_folder(folder, tmp_path / "bad", max_bytes=10**8)
    (folder / "model.safetensors").unlink()
    with pytest.raises(HarError, match=r"model\.safetensors is missing"):
        fetch_folder(folder, tmp_path / "bad", max_bytes=10**8)
    fetch_folder(folder, tmp_path / "text", max_bytes=10**8, weights=False)
    assert len(contents(tmp_path / "text")) == 4
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
