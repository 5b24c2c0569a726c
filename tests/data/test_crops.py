"""The person's part of an image: inside the image, around the box, square where there is room."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_models import FINETUNE

from har.core.errors import HarError
from har.data.crops import BOXES, EDGES, PersonStore, largest_persons, person_window, read_boxes, write_boxes
from har.training.experiment import images

SHARE = st.floats(0, 1).map(lambda value: round(value, 6))


@st.composite
def boxes(draw):
    edges = [sorted(draw(st.lists(SHARE, min_size=2, max_size=2, unique=True))) for _ in range(2)]
    return np.array([edges[0][0], edges[1][0], edges[0][1], edges[1][1]])


@given(boxes(), st.integers(1, 700), st.integers(1, 700), st.floats(0, 2))
def test_a_window_lies_in_the_image_holds_the_box_and_is_square_where_there_is_room(box, width, height, margin):
    left, top, right, bottom = person_window(box, width, height, margin)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    edges = box * np.array([width, height, width, height])
    # rounding to whole pixels, of the window's size and of its place
    assert ([left, top] <= edges[:2] + 1.5).all()
    assert ([right, bottom] >= edges[2:] - 1.5).all()
    wide, high = right - left, bottom - top
    assert wide == high or wide == width or high == height


def test_the_margin_is_a_share_of_the_box():
    box = np.array([0.4, 0.3, 0.5, 0.7])
    assert person_window(box, 200, 100, 0.0) == (70, 30, 110, 70)
    assert person_window(box, 200, 100, 0.25) == (60, 20, 120, 80)
    # at the border the window moves, it does not shrink
    assert person_window(np.array([0.0, 0.3, 0.1, 0.7]), 200, 100, 0.25) == (0, 20, 60, 80)


def test_the_largest_person_as_shares_cut_at_the_border(tmp_path):
    boxes = {
        3: [[20, 10, 100, 50], [0, 0, 5, 5]],
        4: [],
        5: [[150, 60, 50.4, 41]],
        6: [[10, 10, 0, 0]],
        7: [[10, 10, 1e-5, 50]],
    }
    records = {i: SimpleNamespace(boxes=found, width=200, height=100) for i, found in boxes.items()}
    found = largest_persons(records, [3, 4, 5, 6, 7, 8])
    assert found.image_id.tolist() == [3, 5]
    assert found[EDGES].to_numpy().tolist() == [[0.1, 0.1, 0.6, 0.6], [0.75, 0.6, 1.0, 1.0]]
    write_boxes(tmp_path / "boxes.csv", found)
    pd.testing.assert_frame_equal(read_boxes(tmp_path / "boxes.csv"), found)


@pytest.mark.parametrize("edges", [[0.5, 0, 0.4, 1], [-0.1, 0, 0.4, 1], [0, 0, 1.1, 1], [0, 0, 0, 1]])
def test_a_box_that_is_none_names_the_file_and_the_image(tmp_path, edges):
    pd.DataFrame([[9, 0, 0, 1, 1], [12, *edges]], columns=["image_id", *EDGES]).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(HarError, match=r"b\.csv: image 12: no box"):
        read_boxes(tmp_path / "b.csv")


def test_a_model_sees_the_person_and_the_whole_image_where_none_is_annotated(store, checkpoints):
    table = pd.DataFrame([[7, 0.25, 0.25, 0.5, 0.75]], columns=["image_id", *EDGES])
    config = FINETUNE.model_copy(update={"view": "person", "person_margin": 0.0})
    write_boxes(store.folder / BOXES, table)
    seen = images(config, store, [3, 7], checkpoints["vit"])
    whole = images(FINETUNE, store, [3, 7], checkpoints["vit"])
    assert (seen[0] == whole[0]).all()
    assert (seen[1] != whole[1]).any()
    persons = PersonStore(store.folder, 0.0)
    height, width = store.image(7).shape[:2]
    left, top, right, bottom = person_window(table[EDGES].to_numpy()[0], width, height, 0.0)
    assert (persons.image(7) == store.image(7)[top:bottom, left:right]).all()
