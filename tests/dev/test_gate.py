"""The gate: small drifts pass, anything else is told and fails."""

import json
import subprocess
import sys

import pytest

from har.core.errors import HarError, exit_with_message
from har.dev import gate

SPLIT = {
    "accuracy": 0.7, "sd": 0.02, "ci_low": 0.6, "ci_high": 0.8, "balanced_accuracy": 0.69, "balanced_sd": 0.02,
    "f1": 0.68, "f1_sd": 0.03, "n": 1000, "balanced_n": 900, "runs": 5,
}  # fmt: skip


def metrics(**changes) -> dict:
    """Those of a model; None takes a key away."""
    split = {key: value for key, value in (SPLIT | changes).items() if value is not None}
    return {"test": split, "parameters": 1000, "kept_seed": 3, "epochs": 15.0}


def breaches(before: dict, now: dict) -> list[tuple[str, str]]:
    rows = gate.compare({"a.json": before}, {"a.json": now})
    return [(row["key"], row["verdict"]) for row in gate.breaches(rows)]


FEW = {"balanced_n": 36, "balanced_sd": 0.0}  # the rarest class says how far balanced accuracy may move


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({}, {}, []),
        ({}, {"accuracy": 0.7 + 0.0379}, []),  # 3 sd sqrt(2 / runs)
        ({}, {"accuracy": 0.7 + 0.038}, [("test accuracy", "higher")]),
        ({}, {"accuracy": 0.7 - 0.038}, [("test accuracy", "lower")]),
        ({"sd": 0.0}, {"accuracy": 0.7 + 0.0099}, []),
        (FEW, FEW | {"balanced_accuracy": 0.69 + 1 / 37}, []),
        (FEW, FEW | {"balanced_accuracy": 0.69 + 1 / 35}, [("test balanced_accuracy", "higher")]),
        ({}, {"accuracy": 0.65, "sd": 0.2}, [("test accuracy", "lower")]),  # erratic now: no tolerance of its own
        ({}, {"n": 1001}, [("test n", "higher")]),
        ({}, {"runs": 6}, [("test runs", "higher")]),
        ({}, {"ci_low": 0.1, "sd": 0.3}, []),  # not judged
        ({}, {"ci_low": None}, [("test ci_low", "vanished")]),
        ({"ci_low": None}, {}, [("test ci_low", "not committed")]),
        ({}, dict.fromkeys(SPLIT), [(f"test {key}", "vanished") for key in SPLIT]),
    ],
)
def test_what_is_a_breach(before, now, told):
    assert breaches(metrics(**before), metrics(**now)) == told


@pytest.mark.parametrize("value", [float("nan"), "high", [1]])
def test_what_is_no_number_is_named(value):
    with pytest.raises(HarError, match=r"a\.json: test\.accuracy"):
        breaches(metrics(), metrics(accuracy=value))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A git repository with committed metrics of two folders, and since then a breach, a loss and a new file."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("same/clip", "metrics/clip", "metrics/cnn", "metrics/gone", "broken/clip"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / f"{name}.json").write_text(json.dumps(metrics()))
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b -c commit.gpgsign=false commit -qm metrics"):
        subprocess.run(["git", *command.split()], cwd=root, check=True)
    (root / "metrics/cnn.json").write_text(json.dumps(metrics(accuracy=0.2, n=999)))
    (root / "metrics/gone.json").unlink()
    (root / "metrics/new.json").write_text(json.dumps(metrics()))
    (root / "broken/clip.json").write_text("{")
    return root


@pytest.fixture
def run(checkout, monkeypatch, capsys):
    """The command in the checkout, or below it: exit code or message, and standard output."""

    def command(*arguments, below="."):
        monkeypatch.chdir(checkout / below)
        with pytest.raises(SystemExit) as ended, exit_with_message("gate"):
            sys.exit(gate.main(arguments))
        return ended.value.code, capsys.readouterr().out

    return command


def test_an_unchanged_checkout_passes(run):
    for arguments, below in ((["same"], "."), (["."], "same"), (["same", "--against", "HEAD"], ".")):
        code, out = run(*arguments, below=below)
        assert code == 0
        assert out.startswith("## Metrics against HEAD: all 7 comparisons hold")


def test_breaches_exit_with_one_and_reach_the_summary(run, tmp_path, monkeypatch):
    (tmp_path / "summary.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    code, out = run("same", "metrics")
    assert code == 1
    rows = {" ".join(line.replace("|", "").split()) for line in out.splitlines()}
    assert rows >= {
        "cnn test accuracy 0.700 0.200 -0.500 0.038 **lower**",
        "cnn test n 1000 999 -1 0.000 **lower**",
        "clip test f1 0.680 0.680 +0.000 0.057 ok",
        "gone (file) – – – 0.000 **vanished**",
        "new (file) – – – 0.000 **not committed**",
    }
    assert (tmp_path / "summary.md").read_text().startswith("before\n## Metrics against HEAD: 4 of ")


def test_trouble_is_one_line(run):
    for arguments, told in (
        (["nowhere"], "HEAD holds no metrics in nowhere"),
        (["same", "--against", "no-such-tag"], "git ls-tree: fatal"),
        (["broken"], "broken/clip.json: cannot be read as JSON"),
    ):
        message, _ = run(*arguments)
        assert message.startswith(f"gate: {told}")
        assert "\n" not in message


def test_a_reader_that_has_seen_enough_meets_no_traceback(checkout):
    command = f"{sys.executable} -m har.dev.gate same | true"
    done = subprocess.run(["sh", "-c", command], cwd=checkout, capture_output=True, text=True)
    assert done.stderr == ""
