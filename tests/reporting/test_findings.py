"""Sentences of the findings: each of their numbers stands in a table."""

import re

import pandas as pd
import pytest

from har.reporting.page.findings import TABLES, findings

SCORES = pd.DataFrame(
    [
        ("clip", "held_out", 1000, 0.70, 0.66, 0.74, None, None, None, None),
        ("vit", "held_out", 1000, 0.68, 0.64, 0.72, None, None, None, None),
        ("ensemble_person", "held_out", 1000, 0.83, 0.79, 0.86, None, None, None, None),
        ("cnn_base", "held_out", 1000, 0.41, 0.37, 0.45, None, None, None, None),
        ("clip", "test", 29, 0.71, 0.53, 0.84, 0.69, 0.52, 0.83, 0.7586),
        ("cnn_base", "test", 29, 0.35, 0.22, 0.51, 0.31, 0.21, 0.48, 0.3862),
    ],
    columns=["model", "split", "n", "balanced_accuracy", "balanced_low", "balanced_high", "accuracy", "ci_low",
             "ci_high", "paper_accuracy"],
).assign(runs=5)  # fmt: skip
PAIRS = pd.DataFrame(
    [
        ("vit", "clip", -0.02, -0.05, 0.01),
        ("clip", "cnn_base", 0.29, 0.25, 0.33),
        ("ensemble_person", "clip", 0.13, 0.1, 0.16),
    ],
    columns=["a", "b", "difference", "difference_low", "difference_high"],
).assign(task="activity", split="held_out")
PER_CLASS = pd.DataFrame(
    [("clip", "sitting", 0.81, 0.77, 0.85), ("clip", "standing", 0.57, 0.52, 0.62)],
    columns=["model", "class", "recall", "recall_low", "recall_high"],
).assign(task="activity", split="held_out")


@pytest.fixture
def folder(tmp_path):
    for path, table in zip(TABLES, (SCORES, PAIRS, PER_CLASS), strict=True):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        table.to_csv(tmp_path / path, index=False)
    return tmp_path


def test_each_number_is_read_back_from_the_tables(folder):
    cells = pd.concat([SCORES, PAIRS, PER_CLASS]).select_dtypes("number").stack()
    known = {f"{abs(value):.{digits}f}" for value in cells for digits in (2, 3)} | {f"{1 / 3:.2f}"}
    numbers = re.findall(r"\d\.\d+", " ".join(findings(folder, "activity", 3)))
    assert len(numbers) == 20
    assert set(numbers) <= known


def test_they_name_the_leader_what_it_beats_and_what_it_does_not(folder):
    best, others, fails, boxes, paper = findings(folder, "activity", 3)
    assert best.startswith("CLIP has the highest balanced accuracy of 3 rows: 0.70 [0.66, 0.74] on 1,000 held-out")
    assert "better than 1 of the 2 others, the closest of these CNN_base by +0.290 [+0.250, +0.330]" in others
    assert others.endswith("Not shown to differ from it: ViT by +0.020 [−0.010, +0.050].")
    assert boxes == "Where a person's box is annotated: Ensemble, person boxes, 0.83 [0.79, 0.86]."
    assert "standing: it finds 0.57 [0.52, 0.62]" in fails
    assert "CNN_base, accuracy 0.31 [0.21, 0.48] on 29 test images; the paper prints 0.39." in paper


def test_they_survive_what_is_missing(folder):
    (folder / TABLES[1]).unlink()
    (folder / TABLES[2]).unlink()
    SCORES[SCORES.split == "test"].drop(columns="paper_accuracy").to_csv(folder / TABLES[0], index=False)
    assert findings(folder, "activity", 3) == [
        "CLIP has the highest balanced accuracy of 2 rows: 0.71 [0.53, 0.84] on 29 test images, where chance is 0.33."
    ]
    assert "on 29 test clips, where" in findings(folder, "activity", 3, "clips")[0]
    (folder / TABLES[0]).unlink()
    assert findings(folder, "activity", 3) == []
