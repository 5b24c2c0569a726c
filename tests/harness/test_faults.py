"""The fault harness itself: it fits the parameters, and sees what must not be. It runs the pipeline: `make faults`."""

import subprocess

import parameters
from faults.project import REDUCED, lost, recover, snapshot

from har.config.profile import load_params


def test_what_is_reduced_is_there(tmp_path):
    load_params(parameters.write(tmp_path, REDUCED))


def test_what_is_missing_changed_or_half_written_is_found(tmp_path):
    for name, text in {"data/a.csv": "a", "data/.b.part": "b", "reports/c.md": "c"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    truth = snapshot(tmp_path)
    assert set(truth) == {"data/a.csv", "reports/c.md"}
    assert lost(tmp_path, truth) == {}
    (tmp_path / "data/a.csv").unlink()
    (tmp_path / "reports/c.md").write_text("changed")
    assert lost(tmp_path, truth) == {"data/a.csv": 1, "reports/c.md": 7}
    committed = {"dvc.lock": "stages: {a: {}, b: {}}", "data/pretrained/log.csv": "x"}
    for name, text in committed.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for command in ("init -q", "add dvc.lock data/pretrained", "-c user.name=t -c user.email=t@t commit -qm start"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    assert recover(tmp_path) == []
    for torn in ("stages: [", "stages: {a: {}}"):
        for name, text in {"dvc.lock": torn, ".dvc/tmp/rwlock": "", ".git/index.lock": ""}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        assert recover(tmp_path) == ["index.lock", "rwlock", "dvc.lock"]
        assert (tmp_path / "dvc.lock").read_text() == committed["dvc.lock"]
    assert recover(tmp_path) == []
