"""The gate: small drifts pass, anything else is told and fails."""

import copy
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from har.core.errors import HarError, exit_with_message
from har.dev import gate
from har.evaluation.summary import tolerance


def metrics(**changes) -> dict:
    split = {
        "accuracy": 0.7,
        "sd": 0.02,
        "ci_low": 0.6,
        "ci_high": 0.8,
        "balanced_accuracy": 0.69,
        "balanced_sd": 0.02,
        "f1": 0.68,
        "f1_sd": 0.03,
        "n": 1000,
        "balanced_n": 900,
        "runs": 5,
    }
    return {"test": split | changes, "parameters": 1000, "kept_seed": 3, "epochs": 15.0}


def breaches(before: dict, now: dict) -> list[tuple[str, str]]:
    return [(row.key, row.verdict) for row in gate.compare({"a.json": before}, {"a.json": now}) if row.breach]


def test_the_tolerance_is_the_stated_formula():
    assert tolerance(1000, 5, 0.05) == pytest.approx(3 * 0.05 * 0.4**0.5)
    assert tolerance(1000, 5, 0.0) == 0.01
    assert tolerance(29, 5, None) == 1 / 29
    assert tolerance(1000, 5, 0.1) > 0.1


def test_the_rarest_class_says_how_far_balanced_accuracy_may_move():
    few = {"balanced_n": 36, "balanced_sd": 0.0}
    assert not breaches(metrics(**few), metrics(**few, balanced_accuracy=0.69 + 1 / 37))
    assert breaches(metrics(**few), metrics(**few, balanced_accuracy=0.69 + 1 / 35)) == [
        ("test balanced_accuracy", "higher")
    ]


def test_equal_metrics_pass():
    assert not breaches(metrics(), metrics())


@given(st.floats(0, 0.2), st.integers(10, 2000), st.integers(1, 10), st.sampled_from([-1, 1]))
def test_a_change_passes_up_to_what_is_allowed_in_either_direction(sd, n, runs, sign):
    before = metrics(sd=sd, n=n, runs=runs, accuracy=0.5)
    allowed = tolerance(before["test"]["n"], before["test"]["runs"], before["test"]["sd"])
    for factor, expected in ((0.99, []), (1.01, [("test accuracy", "higher" if sign > 0 else "lower")])):
        assert breaches(before, metrics(sd=sd, n=n, runs=runs, accuracy=0.5 + sign * factor * allowed)) == expected


def test_a_model_that_became_erratic_does_not_widen_its_tolerance():
    assert breaches(metrics(), metrics(accuracy=0.65, sd=0.2)) == [("test accuracy", "lower")]


@pytest.mark.parametrize("key", ["n", "runs"])
def test_counts_must_be_equal(key):
    now = metrics()
    now["test"][key] += 1
    assert breaches(metrics(), now) == [(f"test {key}", "higher")]


def test_intervals_and_deviations_are_not_judged():
    assert not breaches(metrics(), metrics(ci_low=0.1, sd=0.3) | {"kept_seed": 0, "epochs": 3.0})


@pytest.mark.parametrize("gone", ["sd", "accuracy", "ci_low"])
def test_a_key_that_vanished_or_was_added_is_told(gone):
    less = copy.deepcopy(metrics())
    del less["test"][gone]
    assert breaches(metrics(), less) == [(f"test {gone}", "vanished")]
    assert breaches(less, metrics())[-1] == (f"test {gone}", "not committed")


def test_a_split_or_file_that_vanished_or_was_added_is_told():
    less = {"parameters": 1000, "kept_seed": 3, "epochs": 15.0}
    assert {verdict for _, verdict in breaches(metrics(), less)} == {"vanished"}
    both, one = {"a": metrics(), "b": metrics()}, {"a": metrics()}
    assert [r.verdict for r in gate.compare(both, one) if r.breach] == ["vanished"]
    assert [r.verdict for r in gate.compare(one, both) if r.breach] == ["not committed"]


@pytest.mark.parametrize("value", [float("nan"), None, "high", [1]])
def test_what_is_no_number_is_named(value):
    with pytest.raises(HarError, match=r"a\.json: test\.accuracy"):
        breaches(metrics(), metrics(accuracy=value))


def test_the_table_reads_well():
    rows = gate.compare({"m/clip.json": metrics()}, {"m/clip.json": metrics(accuracy=0.5, n=999)})
    lines = gate.markdown(rows, "HEAD").splitlines()
    assert lines[0] == "## Metrics against HEAD: 2 of 7 comparisons breached"
    assert "| clip | test accuracy | 0.700 | 0.500 | -0.200 | 0.038 | **lower** |" in lines
    assert "| clip | test n | 1000 | 999 | -1 | 0.000 | **lower** |" in lines
    assert "| clip | test f1 | 0.680 | 0.680 | +0.000 | 0.057 | ok |" in lines


@pytest.fixture
def checkout(tmp_path):
    """A git repository with committed metrics of two folders."""

    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    for name in ("metrics/clip", "metrics/cnn", "baselines/majority"):
        path = tmp_path / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(metrics()))
    git("add", ".")
    git("commit", "-qm", "metrics")
    return tmp_path


@pytest.fixture
def run(checkout, monkeypatch, capsys):
    """The command in the checkout, or below it: exit code, standard output and standard error."""

    def command(*arguments, below=".", **environment):
        monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(checkout / below)
        with pytest.raises(SystemExit) as ended, exit_with_message("gate"):
            sys.exit(gate.main(arguments))
        out, _ = capsys.readouterr()
        return ended.value.code, out

    return command


class TestCommand:
    def test_an_unchanged_checkout_passes(self, run):
        code, out = run("metrics", "baselines")
        assert code == 0
        assert out.startswith("## Metrics against HEAD: all 21 comparisons hold")

    def test_a_breach_exits_with_one_and_tells_the_summary(self, checkout, run):
        (checkout / "metrics" / "cnn.json").write_text(json.dumps(metrics(accuracy=0.2)))
        summary = checkout / "summary.md"
        summary.write_text("before\n")
        code, out = run("metrics", "baselines", GITHUB_STEP_SUMMARY=str(summary))
        assert code == 1
        assert "| cnn | test accuracy | 0.700 | 0.200 | -0.500 | 0.038 | **lower** |" in out
        assert summary.read_text().startswith("before\n## Metrics against HEAD: 1 of 21")

    def test_a_file_that_was_not_rebuilt_fails(self, checkout, run):
        (checkout / "baselines" / "majority.json").unlink()
        code, out = run("metrics", "baselines")
        assert code == 1
        assert "| majority | (file) | — | — | — | 0.000 | **vanished** |" in out

    def test_an_uncommitted_file_fails(self, checkout, run):
        (checkout / "metrics" / "new.json").write_text(json.dumps(metrics()))
        code, out = run("metrics")
        assert code == 1
        assert "**not committed**" in out

    def test_it_works_below_the_root_and_against_another_revision(self, run):
        assert run(".", below="metrics")[0] == 0
        assert run("metrics", "--against", "HEAD")[0] == 0

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["nowhere"], "HEAD holds no metrics in nowhere"),
            (["metrics", "--against", "no-such-tag"], "git ls-tree: fatal"),
        ],
    )
    def test_trouble_is_one_line(self, run, arguments, told):
        message, _ = run(*arguments)
        assert message.startswith(f"gate: {told}")
        assert "\n" not in message

    def test_a_broken_file_is_named(self, checkout, run):
        (checkout / "metrics" / "cnn.json").write_text("{")
        message, _ = run("metrics")
        assert message.startswith("gate: metrics/cnn.json: cannot be read as JSON")

    def test_a_reader_that_has_seen_enough_meets_no_traceback(self, checkout):
        command = f"{sys.executable} -m har.dev.gate metrics | true"
        done = subprocess.run(["sh", "-c", command], cwd=checkout, capture_output=True, text=True)
        assert done.stderr == ""
