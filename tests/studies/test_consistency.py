"""A row of scores has a confusion matrix or it has none; ours are recomputed by another library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from predicted import simulate
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from har.core.errors import HarError
from har.evaluation.summary import summarise
from har.reporting import paper
from har.studies import consistency


def printed(truth, guess, classes):
    macro = precision_recall_fscore_support(truth, guess, labels=range(classes), average="macro", zero_division=0)
    return paper.Score(*[round(float(v), 4) for v in (accuracy_score(truth, guess), *macro[:3])])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=6, max_size=14))
def test_scores_of_real_predictions_always_have_a_matrix(pairs):
    truth, guess = np.array(pairs).T
    counts = np.bincount(truth, minlength=3)
    if (counts == 0).any():
        return
    assert consistency.has_matrix(printed(truth, guess, 3), counts)


def test_a_changed_accuracy_has_none():
    truth, guess = np.array([0, 0, 0, 1, 1, 2, 2, 2]), np.array([0, 1, 0, 1, 0, 2, 2, 1])
    score = printed(truth, guess, 3)
    other = paper.Score(score.accuracy - 0.125, score.precision, score.recall, score.f1)
    assert not consistency.has_matrix(other, (3, 2, 3))
    assert consistency.has_matrix(other, (3, 2, 3), accuracy=False)


def test_a_class_cannot_be_confused_with_itself():
    # one of two hit in each class; the first class predicted three times would need two misses of the second
    score = paper.Score(1 / 2, (1 / 3 + 1) / 2, 1 / 2, (2 / 5 + 2 / 3) / 2)
    assert not consistency.has_matrix(score, (2, 2))
    assert consistency.has_matrix(paper.Score(1 / 2, 1 / 2, 1 / 2, 1 / 2), (2, 2))


@pytest.mark.parametrize(
    ("table", "sizes"), [("table3", (6, 11, 12)), ("table4", (8, 8, 13)), ("table5", (8, 12)), ("table6", (8, 8, 13))]
)
def test_the_papers_tables_fit_one_composition_each(table, sizes):
    assert consistency.shared(consistency.examine(table)) == [sizes]


def test_the_papers_inconsistent_and_constant_rows():
    findings = [f for table in consistency.SINGLE_RUNS for f in consistency.examine(table)]
    none = {f.row for f in findings if not f.fits}
    assert none == {"perspective", "all_combined", "color_jitter", "rotation"}
    assert [f.row for f in findings if f.constant and f.fits] == ["feature"]
    assert all(f.correct is not None for f in findings)


def test_the_table_holds_every_single_run_row_and_says_where_the_majority_wins():
    table = consistency.paper_table("header")
    assert len(table.frame) == 17
    said = " ".join(table.notes)
    assert "0.4483, more than CNN_gen, CNN_base" in said
    assert "56/145" in said


def test_two_libraries_agree_and_a_wrong_number_is_named():
    predictions = simulate("activity", 0.5)
    ours = summarise(predictions, ("test",), resamples=100)["test"]
    row = consistency.recompute(predictions, "test")
    assert {m: ours[m]["mean"] for m in row} == pytest.approx(row, abs=1e-6)
    assert consistency.check(row, row, "table2.csv") == 0
    with pytest.raises(HarError, match=r"table2\.csv: f1 is .* its predictions give"):
        consistency.check(row | {"f1": row["f1"] + 0.001}, row, "table2.csv")
    with pytest.raises(HarError, match="accuracy is nan"):
        consistency.check(row | {"accuracy": float("nan")}, row, "table2.csv")
