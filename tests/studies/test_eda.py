"""Table 1, the test of its claim, and the two figures of the images."""

import numpy as np
import pandas as pd
import pytest

from har.reporting.paper import TABLE1
from har.studies import eda

CLASSES = ("walking_running", "sitting", "standing")


@pytest.fixture
def manifest():
    random = np.random.default_rng(0)
    images = pd.DataFrame({"image_id": range(100, 160), "label": CLASSES * 20})
    images["part"] = ["drawn"] * 48 + ["extended"] * 12
    return images.assign(width=random.choice([640, 480, 427], 60), height=random.choice([640, 480, 426], 60))


def test_table_1_counts_the_drawn_images(manifest):
    table = pd.DataFrame(eda.size_table(manifest, CLASSES)).set_index("label")
    drawn = manifest[manifest["part"] == "drawn"]
    assert table["count"].to_dict() == {"walking_running": 16, "sitting": 16, "standing": 16, "all": 48}
    assert table.loc["all", "width"] == pytest.approx(drawn["width"].mean())
    assert table.loc["all", "aspect_ratio"] == pytest.approx((drawn["width"] / drawn["height"]).mean())
    assert table.loc[list(CLASSES), "share"].sum() == pytest.approx(1)


def test_the_size_test_finds_a_class_of_larger_images(manifest):
    same = eda.size_tests(manifest, CLASSES)
    assert [row["measure"] for row in same] == ["width", "height", "area", "aspect_ratio"]
    assert all(row["p_holm"] >= row["p"] for row in same)
    larger = manifest.assign(width=manifest["width"] + 300 * (manifest["label"] == "sitting"))
    found = eda.size_tests(larger, CLASSES)[0]
    assert found["p_holm"] < 0.001
    assert found["epsilon_squared"] > 0.4


def test_images_of_one_size_have_a_note(manifest):
    tables = eda.size_tables(manifest.assign(width=640, height=480), CLASSES, "header", TABLE1)
    assert tables["size_tests"].frame[["H", "p", "epsilon_squared"]].to_numpy().tolist() == [[None, None, 0]] * 4
    assert "every value is the same" in tables["size_tests"].markdown()
    assert "Paper: images" in tables["table1"].markdown()
    empty = eda.size_tables(manifest[manifest["label"] != "sitting"], CLASSES, "header")
    assert empty["table1"].frame.loc[1, ["count", "width"]].tolist() == [0, None]
    assert empty["size_tests"].frame["p"].notna().all()  # of the other classes


def test_examples_are_drawn_and_do_not_depend_on_the_order_of_rows(manifest):
    chosen = eda.choose_examples(manifest, CLASSES, 3, seed=1)
    assert chosen == eda.choose_examples(manifest.sample(frac=1, random_state=0), CLASSES, 3, seed=1)
    labels = manifest.set_index("image_id")["label"]
    assert all(labels[i] == label for label, ids in chosen.items() for i in ids)
    assert len(eda.choose_examples(manifest, CLASSES, 99)["sitting"]) == 16


def test_figures_are_drawn(manifest, tmp_path):
    def load(image_id):
        size = manifest.set_index("image_id").loc[image_id]
        return np.full((int(size["height"]) // 8, int(size["width"]) // 8, 3), image_id, np.uint8)

    eda.figure_examples(manifest, CLASSES, load, tmp_path / "examples.svg", "Figure 1", per_class=2)
    assert (tmp_path / "examples.svg").read_text().count("data:image/jpeg") == 6
    eda.figure_sizes(manifest, CLASSES, tmp_path / "sizes.svg", "Figure 2")
    eda.figure_sizes(manifest.assign(width=640, height=480), CLASSES, tmp_path / "one_size.svg", "one size")
