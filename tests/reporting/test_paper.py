"""The paper's printed values are whole images where it says so, and show what does not add up in them."""

import pytest

from har.reporting import paper
from har.reporting.names import class_name, model_name, policy_name


def test_counts_and_shares_of_table_1():
    classes = [row for label, row in paper.TABLE1.items() if label != "all"]
    assert sum(row.count for row in classes) == paper.TABLE1["all"].count == 285
    for row in classes:
        assert row.share == pytest.approx(row.count / 285, abs=5e-4)


@pytest.mark.parametrize("table", ["table3", "table4", "table6"])
def test_single_runs_are_whole_images_of_29(table):
    for row, score in paper.TABLES[table].items():
        images = score.accuracy * paper.TEST_IMAGES
        assert images == pytest.approx(round(images), abs=0.005), row


def test_table_2_is_whole_images_over_five_runs():
    for score in paper.TABLE2.values():
        images = score.accuracy * 5 * paper.TEST_IMAGES
        assert images == pytest.approx(round(images), abs=0.01)


def test_binary_scores_are_whole_images_of_20():
    assert [round(score.accuracy * paper.POSTURE_TEST_IMAGES, 9) for score in paper.TABLE5.values()] == [13, 11, 10]


def test_clip_is_22_of_29():
    assert 22 / 29 == pytest.approx(0.7586, abs=5e-5)
    score, table = paper.activity_score("clip")
    assert (score.accuracy, table) == (22 / 29, "table7")
    assert "22/29" in score.text


def test_the_similarity_row_is_a_constant_prediction():
    """8 of 29 images right by one class alone: precision 8/29/3, recall 1/3, F1 2·8/(29+8)/3."""
    score = paper.TABLE6["feature"]
    expected = (8 / 29, 8 / 29 / 3, 1 / 3, 2 * 8 / 37 / 3)
    assert (score.accuracy, score.precision, score.recall, score.f1) == pytest.approx(expected, abs=6e-5)


def test_all_combined_contradicts_itself():
    """Its macro scores are those of a constant prediction of 3/7 of the images, its accuracy is 13/29."""
    score = paper.TABLE3["all_combined"]
    assert score.recall == pytest.approx(1 / 3, abs=5e-5)
    assert 3 * score.precision != pytest.approx(score.accuracy, abs=0.01)


def test_what_is_not_printed_is_none():
    assert paper.score("table7", "vit").accuracy is None
    assert paper.score("table2", "clip") == paper.Score()
    assert paper.activity_score("vit") == (paper.Score(), "")
    assert paper.activity_score("multimodal")[1] == "table6"


def test_unknown_names_stand_for_themselves():
    assert model_name("clip") == "CLIP"
    assert model_name("my_resnet") == "my_resnet"
    assert policy_name("cut_out") == "Cut out"
    assert class_name("walking_running") == "walking / running"
