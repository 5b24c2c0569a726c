"""open_clip's tags and repositories, from a hub of our own: safetensors alone, at a commit, and in one line what else
there is."""

import json

import huggingface_hub
import pytest
from servers import model_hub, serving
from test_backbone import config
from test_hub import home  # noqa: F401
from test_open_clip_door import CLIP, agree, library, write

from har.core.errors import HarError
from har.models import backbone, open_clip_door

REPO, COMMIT = "laion/tiny", "1a25a446712ba5ee05982a381eed697ef9b435cf"


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "theirs", CLIP, mean=[0.1, 0.2, 0.3])


@pytest.fixture
def tag(monkeypatch):
    """ViT-B-32 with a tag of its own, at our repository; a network that is tiny."""
    from open_clip import pretrained

    known = {"url": "", "hf_hub": f"{REPO}/", "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5), "resize_mode": "squash"}
    monkeypatch.setitem(pretrained._PRETRAINED, "ViT-B-32", {"tiny": known, "other": known})
    monkeypatch.setitem(library.factory._MODEL_CONFIGS, "ViT-B-32", CLIP)
    return known


def hub(files, commit=COMMIT):
    site = model_hub(REPO, commit, files)
    about = json.dumps({"id": REPO, "modelId": REPO, "sha": commit, "siblings": [], "private": False}).encode()
    for name in (f"/api/models/{REPO}", f"/api/models/{REPO}/revision/main"):
        site.files[name] = about
        site.headers[name] = {"Content-Type": "application/json; charset=utf-8"}
    return serving(site)


def files(folder, **more):
    return {path.name: path.read_bytes() for path in folder.iterdir()} | {"README.md": b"#"} | more


def fetch(site, tmp_path, monkeypatch, model, pretrained="", **changes):
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    chosen = config(source="open_clip", model=model, pretrained=pretrained, **changes)
    backbone.provide(chosen, tmp_path / "clip", pretrained=tmp_path)
    return tmp_path / "clip"


@pytest.mark.parametrize("pinned", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_repository(folder, tmp_path, monkeypatch, capsys, pinned):
    site = hub(files(folder, **{"model.safetensors": b"transformers' own", "open_clip_pytorch_model.bin": b"pickle"}))
    name = f"hf-hub:{REPO}" + f"@{COMMIT}" * pinned
    with site as site:
        made = fetch(site, tmp_path, monkeypatch, name)
        agree(folder, made)
        asked = [one.path for one in site.requests]
        assert not any(name in path for path in asked for name in ("README", "pickle", "/model.safetensors", ".bin"))
        assert (f"{REPO} is at {COMMIT}; add @{COMMIT}" in capsys.readouterr().out) is not pinned
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    fetch(site, tmp_path, monkeypatch, name)  # from the cache
    with pytest.raises(HarError, match="has sha256"):
        fetch(site, tmp_path, monkeypatch, f"hf-hub:{REPO}@{COMMIT}", sha256="0" * 64)


def test_a_tag(folder, tag, tmp_path, monkeypatch):
    """The architecture and the preprocessing are the library's, whatever the repository says."""
    given = files(folder, **{"open_clip_config.json": b'{"model_cfg": {"embed_dim": 1}}'})
    before = dict(given)
    with hub(given) as site:
        made = fetch(site, tmp_path, monkeypatch, "ViT-B-32", f"tiny@{COMMIT}")
    described = json.loads((made / "preprocessor_config.json").read_text())
    assert described["image_mean"] == [0.1, 0.2, 0.3]
    assert described["size"] == {"height": 32, "width": 32}
    whole = {"model_cfg": CLIP, "preprocess_cfg": {key: tag[key] for key in ("mean", "std", "resize_mode")}}
    (folder / "open_clip_config.json").write_text(json.dumps(whole))
    agree(folder, made)
    cached = next((tmp_path / "cache").rglob("open_clip_config.json"))
    assert cached.read_bytes() == before["open_clip_config.json"]


def test_a_pickle_is_refused_with_what_would_do(folder, tag, tmp_path, monkeypatch):
    given = files(folder, **{"open_clip_pytorch_model.bin": b"pickle"})
    del given[open_clip_door.WEIGHTS]
    told = r"open_clip_model\.safetensors is missing \(only open_clip_pytorch_model\.bin, which may run code\); take"
    with hub(given) as site:
        with pytest.raises(HarError, match=rf"ViT-B-32, tiny: .*{told} other tags of ViT-B-32: other"):
            fetch(site, tmp_path, monkeypatch, "ViT-B-32", f"tiny@{COMMIT}")
        with pytest.raises(HarError, match=r"which may run code"):
            fetch(site, tmp_path, monkeypatch, f"hf-hub:{REPO}@{COMMIT}")
        assert not [one for one in site.requests if ".bin" in one.path]
    assert not (tmp_path / "clip").exists()


def test_a_repository_of_another_format(folder, tmp_path, monkeypatch):
    with hub({"config.json": b"{}", "model.safetensors": b""}) as site:
        with pytest.raises(HarError, match=r"open_clip_config\.json is missing; expected a model in open_clip's"):
            fetch(site, tmp_path, monkeypatch, f"hf-hub:{REPO}@{COMMIT}")


def test_nothing_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    huggingface_hub.constants.HF_HUB_CACHE = str(tmp_path / "cache")
    with pytest.raises(HarError, match=r"127\.0\.0\.1 cannot be reached"):
        backbone.provide(config(source="open_clip", model=f"hf-hub:{REPO}"), tmp_path / "clip", pretrained=tmp_path)
