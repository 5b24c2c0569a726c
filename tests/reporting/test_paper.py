"""The paper's printed values are whole images where it says so."""

import pytest

from har.reporting import paper
from har.reporting.names import class_name, model_name, policy_name


def test_counts_and_shares_of_table_1():
    classes = [row for label, row in paper.TABLE1.items() if label != "all"]
    assert sum(row.count for row in classes) == paper.TABLE1["all"].count == 285
    for row in classes:
        assert row.share == pytest.approx(row.count / 285, abs=5e-4)


@pytest.mark.parametrize(
    ("table", "images"), [("table2", 5 * 29), ("table3", 29), ("table4", 29), ("table5", 20), ("table6", 29)]
)
def test_scores_are_whole_images(table, images):
    """Of table 2 over five runs."""
    for row, score in paper.TABLES[table].items():
        right = score.accuracy * images
        assert right == pytest.approx(round(right), abs=0.01), row


def test_what_is_not_printed_is_none():
    assert paper.score("table7", "vit").accuracy is None
    assert paper.score("table2", "clip") == paper.Score()
    assert paper.activity_score("vit") == (paper.Score(), "")
    assert [paper.activity_score(model)[1] for model in ("clip", "multimodal")] == ["table7", "table6"]


def test_unknown_names_stand_for_themselves():
    assert model_name("clip") == "CLIP"
    assert model_name("my_resnet") == "my_resnet"
    assert policy_name("cut_out") == "Cut out"
    assert class_name("walking_running") == "walking / running"
