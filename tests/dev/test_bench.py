"""The benchmark: it counts what it says it counts, both sides are given the same, and the table says which is which."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from har.core.errors import HarError
from har.dev.bench import __main__, measure, work
from har.dev.bench.measure import Spent


def test_time_and_memory_are_those_of_the_command_and_its_children(tmp_path):
    child = "import time; x = b'x' * 150_000_000; time.sleep(1.5)"
    command = f"import subprocess, sys, har; print(har.__file__); subprocess.run([sys.executable, '-c', {child!r}])"
    spent = measure.run([sys.executable, "-c", command], tmp_path)
    assert 150e6 < spent.bytes < 300e6
    assert spent.seconds >= 1.5
    assert (tmp_path / "bench.log").read_text().strip() == str(Path("har/__init__.py").resolve())  # this one


def test_a_failing_command_tells_its_last_line(tmp_path):
    with pytest.raises(HarError, match=r"exit code 1, and said last: ValueError: no$"):
        measure.run([sys.executable, "-c", "raise ValueError('no')"], tmp_path)


def test_the_table_shows_medians_and_the_spread_of_ratios():
    pairs = [(10, 2), (20, 3), (11, 2.75)]
    spent = [(Spent(ours, 1_500_000_000), Spent(theirs, 10**9)) for ours, theirs in pairs]
    shown = __main__.table(__main__.rows_of("Tune", "Trainer", spent, times=20))
    assert shown.iloc[0].tolist() == [
        "Tune", "11 s", "Trainer", "55 s", "4.00 × [3.00, 5.00]", "1.5 GB / 1.0 GB",
    ]  # fmt: skip


@pytest.mark.slow
def test_both_sides_train_and_embed_the_same_images(tmp_path, checkpoints, monkeypatch):
    monkeypatch.setattr(work, "IMAGES", 40)
    work.make(tmp_path, checkpoints["clip"], 1)
    trained, note = __main__.training(tmp_path, checkpoints["clip"], 2, 1)
    assert len(trained) == 2
    assert "Accuracy on 19 images" in note
    told = pd.read_parquet(tmp_path / "ours.parquet")
    assert set(told.groupby("seed").size()) == {22}
    np.testing.assert_allclose(np.load(tmp_path / "trainer-1.npy").sum(1), np.ones(22))
    _, note = __main__.embedding(tmp_path, checkpoints["vit"], 1, 1)
    assert float(note.rsplit(" ", 1)[1].rstrip(".")) > 0.99
