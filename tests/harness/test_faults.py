"""The fault harness itself: its plan, what it keeps for a second call, and what it counts as a failure."""

from collections import Counter

import pytest
from faults import disk, kills, network, report
from faults.__main__ import once

STAGES = [("check", 1.0), ("train", 30.0), ("page", 4.0)]


def struck(number, **changes):
    moment = kills.Moment(number, "train", 30.0, 0.5, "stage", "SIGKILL")
    return kills.Struck(moment, "stage", ended=True, **changes)


def fetched(whole=3):
    return network.Fetched(3, 900, whole, 0 if whole == 3 else 300, 20, Counter({"500": 4, "429": 1}), 5, 2)


FULL = disk.Full("disk", [54.9, None], ["images: the disk is full"], [], {})


def found(**changes):
    given = {"struck": [struck(0), struck(1)], "lost": {}, "network": fetched(), "full": FULL} | changes
    return report.Found(2017, 3, (35.0, 700.0), (2, 5000), **given)


def test_a_seed_decides_every_moment_and_no_stage_is_left_out():
    moments = kills.plan(STAGES, 20, 7)
    assert moments == kills.plan(STAGES, 20, 7)
    assert moments != kills.plan(STAGES, 20, 8)
    assert {one.stage for one in moments} == {"check", "train", "page"}
    assert sorted(one.number for one in moments) == list(range(20))
    assert all(0 <= one.share < 1 for one in moments)


@pytest.mark.parametrize("outcome", [fetched(), FULL], ids=["network", "disk"])
def test_an_outcome_is_kept_for_a_second_call(tmp_path, outcome):
    calls = []
    for _ in range(2):
        assert once(tmp_path / "here", type(outcome), lambda: calls.append(1) or outcome) == outcome
    assert calls == [1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lost": {"data/a.csv": 7}}, "data/a.csv differs or is missing (7 bytes)"),
        ({"struck": [struck(4, torn=["data/a.csv"])]}, "moment 4: data/a.csv was half written"),
        ({"struck": [struck(5, left=2)]}, "moment 5: 2 processes outlived it"),
        ({"network": fetched(whole=2)}, "1 files did not come whole"),
        ({"full": disk.Full("disk", [5], [], ["data/b.csv"], {})}, "data/b.csv was half written"),
    ],
)
def test_what_must_not_be_is_told(changes, said):
    assert found().failures == []
    (told,) = found(**changes).failures
    assert said in told


def test_the_counts_reach_the_report(tmp_path):
    table = report.write(found(), tmp_path / "faults.md")
    text = (tmp_path / "faults.md").read_text()
    assert table in text
    assert "2 moments, 2 ended DVC" in text
    assert "0 of 5,000 in 2 files" in text
    assert "3 of 3 files, all hashes right" in text
    assert "the disk is full" in text
