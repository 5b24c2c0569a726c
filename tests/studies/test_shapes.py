"""Masks: the share is exact, the shape is right, hiding and keeping are complements, the same seed gives the same."""

import numpy as np
import pandas as pd
import parameters
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from har.core.errors import HarError
from har.data.coco.instances import Instances
from har.data.store import Store
from har.models.preprocess import Preprocess
from har.studies.masking.conditions import annotated_regions, masked, relevant_region
from har.studies.masking.regions import seen
from har.studies.masking.shapes import SHAPES, covered_pixels, draw_one, drawn_mask

SIZES = st.integers(8, 70)
SHARES = st.one_of(st.sampled_from([0.1, 0.3, 0.5]), st.floats(0, 0.5))
WHO = {"seed": st.integers(0, 99), "image_id": st.integers(0, 999_999)}


class TestDrawn:
    @given(st.sampled_from(list(SHAPES)), SHARES, SIZES, SIZES, WHO["seed"], WHO["image_id"])
    def test_the_share_is_exact(self, kind, share, height, width, seed, image_id):
        mask = drawn_mask(kind, share, height, width, seed=seed, image_id=image_id)
        assert mask.shape == (height, width)
        assert mask.dtype == bool
        assert mask.sum() == covered_pixels(share, height, width)
        assert abs(mask.sum() - share * height * width) <= 0.5

    @pytest.mark.parametrize("kind", SHAPES)
    def test_each_seed_and_image_has_its_own(self, kind):
        masks = [drawn_mask(kind, 0.3, 64, 64, seed=seed, image_id=i) for seed, i in [(1, 5), (1, 5), (2, 5), (1, 6)]]
        assert [(mask != masks[0]).any() for mask in masks] == [False, False, True, True]

    @given(st.sampled_from(list(SHAPES)), st.floats(0.1, 0.5), WHO["image_id"])
    def test_an_image_has_the_same_mask_at_every_resolution(self, kind, share, image_id):
        small, large = (drawn_mask(kind, share, side, side, seed=1, image_id=image_id) for side in (64, 192))
        middles = large[1::3, 1::3]
        assert (small != middles).mean() < 0.1  # along the edges

    @given(st.floats(0.05, 0.5), WHO["image_id"])
    def test_shapes_are_told_apart_by_the_area_of_their_box(self, share, image_id):
        def filled(kind):
            mask = drawn_mask(kind, share, 120, 120, seed=0, image_id=image_id)
            box = np.ptp(np.flatnonzero(mask.any(1))) + 1, np.ptp(np.flatnonzero(mask.any(0))) + 1
            return mask.sum() / (box[0] * box[1])

        assert filled("rectangle") > 0.9
        assert filled("ellipse") == pytest.approx(np.pi / 4, abs=0.08)
        assert filled("triangle") == pytest.approx(0.5, abs=0.08)

    @given(st.floats(0.1, 0.5), WHO["image_id"])
    def test_stripes_are_parallel_and_as_many_as_asked(self, share, image_id):
        mask = drawn_mask("stripes", share, 120, 120, seed=0, image_id=image_id, stripes=4)
        most = max((np.diff(np.r_[0, line, 0].astype(int)) == 1).sum() for lines in (mask, mask.T) for line in lines)
        assert 3 <= most <= 5  # along the axis that they cross more steeply

    @given(st.floats(0, 0.9), st.floats(0, 0.1), WHO["image_id"])
    def test_more_patches_hold_the_fewer(self, share, more, image_id):
        few, many = (drawn_mask("patches", s, 40, 56, seed=0, image_id=image_id) for s in (share, share + more))
        assert not (few & ~many).any()

    def test_another_shape_changes_no_mask(self, monkeypatch):
        def drawn():
            return [drawn_mask(kind, 0.3, 32, 32, seed=1, image_id=5) for kind in sorted(SHAPES)]

        before = drawn()
        monkeypatch.setattr("har.studies.masking.shapes.SHAPES", {"wave": None, **dict(reversed(SHAPES.items()))})
        np.testing.assert_array_equal(drawn(), before)

    def test_a_draw_follows_the_names_and_not_their_order(self):
        def drawn(options):
            return [draw_one(options, 7, image_id) for image_id in range(900)]

        few, more = drawn(["a", "b"]), drawn(["c", "b", "a"])
        assert few == drawn(["b", "a"])
        assert all(new in (old, "c") for old, new in zip(few, more, strict=True))
        assert min(more.count(name) for name in "abc") > 250
        assert drawn([0.0, 0.1, 0.5]) == drawn([0.5, 0.0, 0.1])
        assert few != [draw_one(["a", "b"], 8, image_id) for image_id in range(900)]


def instances() -> Instances:
    """40 x 20 pixels: a person as a polygon, a crowd as run lengths, a bench as a box alone."""
    person = {"bbox": [2, 2, 10, 10], "segmentation": [[2, 2, 12, 2, 12, 12, 2, 12]]}
    runs = [30 * 20 + 10] + [10] * 19  # the lower half of the last ten columns
    crowd = {"bbox": [30, 10, 10, 10], "segmentation": {"size": [20, 40], "counts": runs}}
    bench = {"bbox": [-3.0, 15.2, 10, 10], "segmentation": None}
    return Instances(40, 20, ["person", "person", "bench"], [person, crowd, bench])


class TestRegions:
    def test_outlines_crowds_and_boxes_become_pixels(self):
        person = instances().region(["person"])
        assert person[2:12, 2:12].all()
        assert person[10:, 30:].all()
        assert person.sum() == 200
        bench = instances().region(["bench"])
        assert bench[15:, :7].all()
        assert bench.sum() == 35  # what overhangs is cut
        assert not instances().region(["dog"]).any()
        assert instances().holds(["dog", "bench"])

    @given(st.integers(8, 60), st.sampled_from(["squash", "crop"]), st.sampled_from([1.0, 0.875]))
    def test_a_region_is_seen_where_the_network_sees_it(self, size, fit, crop_pct):
        """Painted white and sent the way that photographs go, the region is found again."""
        region = np.zeros((40, 64), dtype=bool)
        region[8:30, 20:50] = True
        painted = np.repeat(region[..., None] * np.uint8(255), 3, axis=2)
        store = Store.__new__(Store)
        store.image = lambda image_id: painted
        there = store.square([1], size, fit, Image.Resampling.BOX, crop_pct)[0, ..., 0] > 127
        assert (there != seen(region, size, fit, crop_pct)).mean() <= 4 / size


class TestConditions:
    LABELS = pd.Series({1: "sitting", 2: "standing", 3: "sitting"})
    CUES = {"sitting": ["bench"], "standing": []}  # noqa: RUF012

    def regions(self):
        one = instances()
        bare = Instances(40, 20, one.names[:1], one.shapes[:1])
        return list(annotated_regions({1: one, 2: bare}, self.LABELS, self.CUES, Preprocess(20, "squash")))

    def test_a_region_condition_has_the_images_that_show_it(self):
        regions = {name: (rows.tolist(), masks) for name, rows, masks in self.regions()}
        assert {name: rows for name, (rows, _) in regions.items()} == {
            "person": [0, 1], "box": [0, 1], "elsewhere": [0, 1], "cues": [0], "things": [0],
        }  # fmt: skip
        np.testing.assert_array_equal(regions["elsewhere"][1], regions["box"][1][::-1])  # another image's box

    def test_hiding_and_keeping_are_complements(self):
        x = np.random.default_rng(0).integers(1, 256, (3, 3, 20, 20), dtype=np.uint8)
        changes = {"kinds": ["patches", "ellipse"], "shares": [0.125, 0.5], "seed": 4, "fills": ["black"]}
        masks = parameters.profile().masking.model_copy(update=changes)
        found = {name: rest for name, *rest in masked(x, np.arange(3), masks, self.regions())}
        drawn = {"patches-12.5": 0.125, "patches-50": 0.5, "ellipse-12.5": 0.125, "ellipse-50": 0.5}
        assert list(found)[:5] == ["none", *drawn]
        np.testing.assert_array_equal(found["none"][1], x)
        for name in ("person", "box", "elsewhere", "cues"):
            (rows, hidden, most), (again, kept, least) = found[f"hide_{name}"], found[f"keep_{name}"]
            np.testing.assert_array_equal(rows, again)
            np.testing.assert_array_equal(hidden + kept, x[rows])  # each pixel in one of the two
            assert ((hidden == 0) | (kept == 0)).all()
            np.testing.assert_allclose(most + least, 1)
        for name, share in drawn.items():
            _, images, covered = found[name]
            np.testing.assert_allclose(covered, share)
            np.testing.assert_allclose((images == 0).all(1).mean((1, 2)), share)

    def test_relevance_follows_what_the_model_says(self, tmp_path):
        maps = np.zeros((2, 2, 4, 4), dtype=np.float16)
        maps[:, 0, :2], maps[:, 1, 2:] = 1, 1
        np.save(tmp_path / "maps.npy", maps)
        (tmp_path / "index.csv").write_text("image_id\n9\n7\n")
        name, rows, masks = relevant_region(tmp_path, np.array([1, 0, 0]), np.array([7, 8, 9]), 0.5, 8)
        assert (name, rows.tolist()) == ("relevant", [0, 2])
        assert masks[0, 4:].all()
        assert masks[1, :4].all()
        with pytest.raises(HarError, match="no image of the study has an explanation"):
            relevant_region(tmp_path, np.array([0]), np.array([1]), 0.5, 8)
        with pytest.raises(HarError, match=r"no maps\.npy; run stage explain"):
            relevant_region(tmp_path / "none", np.array([0]), np.array([7]), 0.5, 8)
