"""`har doctor`: what blocks a run is said, and nothing else blocks."""

import json

import parameters
import pytest

from har.app.cli.main import main
from har.app.doctor import examine


@pytest.fixture
def here(tmp_path):
    """A project whose params.yaml is the tests' with `changes`."""

    def write(changes: dict | None = None):
        parameters.write(tmp_path, changes)
        return tmp_path

    return write


def blocking(findings) -> list[str]:
    return [finding.name for finding in findings if finding.blocks]


def test_the_sample_needs_no_server(here):
    findings = examine(here(), online=True)
    assert blocking(findings) == []
    assert any("no network" in finding.text for finding in findings)


def test_a_wrong_parameter_blocks_and_is_named(here):
    findings = examine(here({"profile": "smaple"}), online=False)
    assert blocking(findings) == ["params"]
    assert "profile" in findings[-1].text


def test_a_device_that_is_not_there_blocks(here, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    findings = examine(here({"training.device": "cuda"}), online=False)
    assert blocking(findings) == ["device"]


def test_a_server_is_asked_and_a_closed_one_blocks(here, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    mirror = tmp_path / "mirror/annotations"
    mirror.mkdir(parents=True)
    root = here({"profile": "coco", "profiles.coco.data.server.url": f"file://{tmp_path}/mirror"})
    asked = blocking(examine(root, online=True))
    assert asked == ["data server", "hub, vit", "hub, clip", "hub, siglip2"]
    (mirror / "annotations_trainval2017.zip").touch()
    assert "data server" not in blocking(examine(root, online=True))
    assert blocking(examine(root, online=False)) == []
    (root / "data/coco/backbones/vit").mkdir(parents=True)
    (root / "data/coco/backbones/vit/config.json").touch()
    assert "hub, vit" not in blocking(examine(root, online=True))  # already here


def test_a_run_that_does_not_fit_the_disk_is_blocked(here, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    assert blocking(examine(here(), online=False)) == ["disk"]


def test_the_exit_code_tells(here, capsys):
    assert main(["--project", str(here()), "doctor", "--offline", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fine"]
    assert main(["--project", str(here({"training.seedz": [0]})), "doctor", "--offline"]) == 1
    assert "BLOCKS" in capsys.readouterr().out
