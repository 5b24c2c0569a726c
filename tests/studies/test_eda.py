"""Table 1, the test of its claim, and the two figures of the images."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from har.core.errors import HarError
from har.studies import eda

CLASSES = ("walking_running", "sitting", "standing")


@pytest.fixture
def manifest():
    random = np.random.default_rng(0)
    n = 60
    return pd.DataFrame(
        {
            "image_id": np.arange(n) + 100,
            "label": np.array(CLASSES)[np.arange(n) % 3],
            "part": ["drawn"] * 48 + ["extended"] * 12,
            "width": random.choice([640, 480, 427], n),
            "height": random.choice([640, 480, 426], n),
        }
    )


def test_table_1_counts_the_drawn_images(manifest):
    table = eda.size_table(manifest, CLASSES).set_index("label")
    drawn = manifest[manifest["part"] == "drawn"]
    assert table["count"].to_dict() == {"walking_running": 16, "sitting": 16, "standing": 16, "all": 48}
    assert table.loc["all", "width"] == pytest.approx(drawn["width"].mean())
    assert table.loc["all", "aspect_ratio"] == pytest.approx((drawn["width"] / drawn["height"]).mean())
    assert table.loc[list(CLASSES), "share"].sum() == pytest.approx(1)
    assert eda.size_table(manifest, CLASSES, "extended").set_index("label").loc["all", "count"] == 12


def test_the_size_test_finds_a_class_of_larger_images(manifest):
    same = eda.size_tests(manifest, CLASSES).set_index("measure")
    assert list(same.index) == ["width", "height", "area", "aspect_ratio"]
    assert (same["p_holm"] >= same["p"]).all()
    larger = manifest.assign(width=manifest["width"] + 300 * (manifest["label"] == "sitting"))
    found = eda.size_tests(larger, CLASSES).set_index("measure").loc["width"]
    assert found["p_holm"] < 0.001
    assert found["epsilon_squared"] > 0.4


def test_images_of_one_size_have_a_note(manifest):
    tests = eda.size_tests(manifest.assign(width=640, height=480), CLASSES)
    assert not tests.drop(columns=["H", "p", "p_holm"]).isna().any(axis=None)
    assert tests["note"].str.contains("same").all()
    assert all(value is None for value in tests["p"])


def test_a_manifest_that_does_not_fit(manifest):
    with pytest.raises(HarError, match="column 'width'"):
        eda.size_table(manifest.drop(columns="width"), CLASSES)
    with pytest.raises(HarError, match="part 'kept'"):
        eda.size_table(manifest, CLASSES, "kept")
    with pytest.raises(HarError, match="image 100 has no positive"):
        eda.size_table(manifest.assign(width=[0] + [640] * 59), CLASSES)


def test_examples_are_drawn_and_do_not_depend_on_the_order_of_rows(manifest):
    chosen = eda.choose_examples(manifest, CLASSES, 3, seed=1)
    assert chosen == eda.choose_examples(manifest.sample(frac=1, random_state=0), CLASSES, 3, seed=1)
    labels = manifest.set_index("image_id")["label"]
    assert all(labels[i] == label for label, ids in chosen.items() for i in ids)
    assert len(eda.choose_examples(manifest, CLASSES, 99)["sitting"]) == 16


def test_figures_are_the_same_bytes_each_time(manifest, tmp_path):
    def load(image_id):
        size = manifest.set_index("image_id").loc[image_id]
        return Image.new("RGB", (int(size["width"]) // 8, int(size["height"]) // 8), (image_id, 90, 200))

    for name in ("a", "b"):
        eda.figure_examples(manifest, CLASSES, load, tmp_path / f"1{name}.svg", "Figure 1", per_class=2)
        eda.figure_sizes(manifest, CLASSES, tmp_path / f"2{name}.svg", "Figure 2")
    for figure in "12":
        assert (tmp_path / f"{figure}a.svg").read_bytes() == (tmp_path / f"{figure}b.svg").read_bytes()
    eda.figure_sizes(manifest.assign(width=640, height=480), CLASSES, tmp_path / "one_size.svg", "one size")
    assert (tmp_path / "1a.svg").read_text().count("data:image/jpeg") == 6
