"""`har doctor`: what blocks a run is said, and nothing else blocks."""

import json
import shutil

import parameters
import pytest
from servers import model_hub, serving

from har.app import doctor
from har.app.cli.main import main
from har.app.doctor import examine
from har.app.new_profile import write_profile
from har.config.profile import load_params
from har.core.files import write_text


@pytest.fixture
def here(tmp_path):
    """A project whose params.yaml is the tests' with `changes`."""

    def write(changes: dict | None = None):
        parameters.write(tmp_path, changes)
        return tmp_path

    return write


def blocking(findings) -> list[str]:
    return [finding.name for finding in findings if finding.blocks]


@pytest.mark.parametrize(
    ("changes", "blocked"),
    [
        ({}, []),
        ({"profile": "smaple"}, ["params"]),
        ({"training.device": "cuda"}, ["device"]),
        ({"backbones.clip.source": "folder", "backbones.clip.folder": "nowhere"}, ["backbone clip"]),
    ],
)
def test_what_is_wrong_on_this_machine_blocks(here, monkeypatch, changes, blocked):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert blocking(examine(here(changes), online=True)) == blocked


def test_servers_are_asked_for_what_is_not_here_yet(here, tmp_path, monkeypatch):
    clip, siglip = (parameters.value(f"backbones.{name}") for name in ("clip", "siglip2"))
    site = model_hub(clip["id"], clip["revision"], {"config.json": b"{}", "model.safetensors": b"x" * 5_000_000})
    root = here({"profile": "coco", "profiles.coco.data.server.url": f"file://{tmp_path}/mirror"})
    with serving(site):
        monkeypatch.setenv("HF_ENDPOINT", site.url)
        findings = examine(root)
        params = load_params(root / "params.yaml")
        assert doctor._backbone(params, root, "clip", True)[1] == 5_000_000
    assert blocking(findings) == ["data server", "backbone vit", "backbone siglip2"]
    assert "status 404" in text_of(findings, "backbone vit")
    assert text_of(findings, "backbone clip").endswith("answers")
    assert blocking(examine(root, online=False)) == []
    cached = tmp_path / f"hub/models--{siglip['id'].replace('/', '--')}/snapshots/{siglip['revision']}"
    for folder in (root / "data/coco/backbones/vit", cached):  # made by a run, in the user's cache
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
    write_text(tmp_path / "mirror/annotations/annotations_trainval2017.zip", "")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert blocking(examine(root)) == ["backbone clip"]  # the server is gone


def test_a_run_that_does_not_fit_the_disk_is_blocked(here, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    assert blocking(examine(here(), online=False)) == ["disk"]


def test_the_exit_code_tells(here, capsys):
    assert main(["--project", str(here()), "doctor", "--offline", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fine"]
    assert main(["--project", str(here({"training.seedz": [0]})), "doctor", "--offline"]) == 1
    assert "BLOCKS" in capsys.readouterr().out


def text_of(findings, name: str) -> str:
    return next(finding.text for finding in findings if finding.name == name)


def test_own_images_are_counted_where_they_lie_seen_from_the_project(tmp_path, monkeypatch):
    for name in ("sit", "stand"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for number in range(12):
            (tmp_path / "mine" / name / f"{number}.jpg").touch()
    root = tmp_path
    (root / "params.yaml").write_text(parameters.text(), encoding="utf-8")
    monkeypatch.chdir(root)
    write_profile(root / "params.yaml", "mine", "mine")
    monkeypatch.chdir("/")
    findings = examine(root, online=False)
    assert blocking(findings) == []
    assert text_of(findings, "data") == "24 images of your own, no network needed"
    assert "generated" not in str(findings)
    shutil.rmtree(tmp_path / "mine")
    assert blocking(examine(root, online=False)) == ["data"]
    parameters.override(root, {"profiles.mine.data.source": "clips"})  # which the project draws
    assert text_of(examine(root, online=False), "data") == "generated, no network needed"


def test_an_encoder_of_open_clips_is_looked_up(here):
    pytest.importorskip("open_clip")
    commit = "1a25a446712ba5ee05982a381eed697ef9b435cf"
    chosen = {"backbones.clip.source": "open_clip", "backbones.clip.model": "ViT-B-32"}
    root = here(chosen | {"backbones.clip.pretrained": f"laion2b_s34b_b79k@{commit}"})
    address = doctor._address(load_params(root / "params.yaml").active.backbones["clip"])
    assert address.endswith(f"/laion/CLIP-ViT-B-32-laion2B-s34B-b79K/resolve/{commit}/open_clip_config.json")
    root = here(chosen | {"backbones.clip.pretrained": "laion2b"})
    assert blocking(examine(root, online=False)) == ["backbone clip"]
