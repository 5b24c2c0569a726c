"""What a relevance map is scored by: person boxes on the network's grid, patch AUC, deletion and insertion."""

import numpy as np
import pytest
import torch
from conftest import picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import roc_auc_score

from har.data.store import Store
from har.data.store import build as build_store
from har.models.preprocess import Preprocess
from har.studies.explain.faithfulness import curve, patch_auc
from har.studies.explain.overlay import boxes_in_view, overlay, person_cover


class TestBoxes:
    @pytest.mark.parametrize(
        ("box", "size", "look", "seen"),
        [
            ([160, 120, 320, 60], (640, 480), ("squash",), [0.25, 0.25, 0.75, 0.375]),
            ([80, 0, 240, 480], (640, 480), ("crop",), [0, 0, 0.5, 1]),  # columns 80 to 560 are seen
            ([0, 0, 200, 240], (640, 480), ("crop",), [0, 0, 0.25, 0.5]),
            ([0, 0, 80, 480], (640, 480), ("crop",), None),
            ([0, 80, 480, 480], (480, 640), ("crop",), [0, 0, 1, 1]),
            ([64, 48, 512, 384], (640, 480), ("squash", 0.8), [0, 0, 1, 1]),
        ],
    )
    def test_boxes_are_clipped_to_what_is_seen(self, box, size, look, seen):
        found = boxes_in_view([box], *size, *look)
        np.testing.assert_allclose(found, [seen] if seen else np.empty((0, 4)), atol=1e-12)

    @given(st.integers(40, 90), st.integers(40, 90), st.sampled_from(["crop", "squash"]), st.sampled_from([1.0, 0.875]))
    def test_a_box_lands_where_the_network_sees_the_person(self, tmp_path_factory, width, height, fit, crop_pct):
        """White where the box is, black elsewhere: the pixels that the model gets agree with the mapped box."""
        box = (width // 4, height // 5, width // 3, height // 2)
        image = np.zeros((height, width, 3), np.uint8)
        image[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = 255
        folder = tmp_path_factory.mktemp("white")
        Image.fromarray(image).save(folder / "1.png")
        build_store({1: folder / "1.png"}, folder, 64)
        seen = Preprocess(64, fit, resample=2, crop_pct=crop_pct).load(Store(folder), [1])[0].mean(0) / 255
        cover = person_cover(boxes_in_view([box], width, height, fit, crop_pct), 8)
        np.testing.assert_allclose(seen.reshape(8, 8, 8, 8).mean((1, 3)), cover, atol=0.1)

    def test_cover_is_the_exact_area_of_the_union(self):
        boxes = np.array([[0.25, 0.5, 0.75, 1.0], [0.5, 0.5, 0.8, 1.0]])
        np.testing.assert_allclose(person_cover(boxes, 4), np.outer([0, 0, 1, 1], [0, 1, 1, 0.2]), atol=1e-12)


class TestPatchAuc:
    @given(st.integers(0, 99), st.integers(2, 5), st.booleans())
    def test_is_the_area_under_the_roc_curve(self, seed, side, tied):
        random = np.random.default_rng(seed)
        maps, person = random.random((3, side, side)), random.random((3, side, side)) < 0.4
        maps = maps.round(1) if tied else maps
        found = patch_auc(maps, person)
        for value, scores, inside in zip(found, maps, person, strict=True):
            if inside.all() or not inside.any():
                assert np.isnan(value)
            else:
                assert value == pytest.approx(roc_auc_score(inside.ravel(), scores.ravel()))


class TestCurves:
    X = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    MAPS = np.random.default_rng(0).random((3, 4, 4))

    @pytest.mark.parametrize("steps", [1, 5, 16])
    def test_ends_are_the_image_and_the_blank_one(self, steps):
        def probability(x):
            return (x.flatten(1) ** 3).mean(1)

        removed, added = (curve(probability, self.X, self.MAPS, steps, insert) for insert in (False, True))
        assert removed.shape == added.shape == (3, steps + 1)
        blank = self.X.mean((2, 3), keepdim=True).expand_as(self.X)
        own, none = probability(self.X).double(), probability(blank).double()
        np.testing.assert_allclose([removed[:, 0], added[:, -1]], np.stack([own] * 2), rtol=1e-5)
        np.testing.assert_allclose([removed[:, -1], added[:, 0]], np.stack([none] * 2), rtol=1e-5)
        again = curve(probability, self.X, -self.MAPS, 16)  # inserting is deleting in the other order
        np.testing.assert_allclose(curve(probability, self.X, self.MAPS, 16, True), again[:, ::-1], rtol=1e-5)

    def test_the_most_relevant_patch_goes_first(self):
        images = torch.zeros(1, 3, 8, 8)
        images[..., 4:, :4] = 1  # the patch at row 1, column 0 of 2 x 2
        maps = np.array([[[0.1, 0.2], [0.9, 0.3]]])
        bright = curve(lambda x: (x > 0.9).float().mean((1, 2, 3)), images, maps, 4)
        np.testing.assert_allclose(bright, [[0.25, 0, 0, 0, 0]])
        back = curve(lambda x: (x > 0.9).float().mean((1, 2, 3)), images, maps, 4, insert=True)
        np.testing.assert_allclose(back, [[0, 0.25, 0.25, 0.25, 0.25]])


def test_an_overlay_changes_what_is_relevant_and_greys_what_was_not_seen():
    image, values = picture(1, 60, 40), np.zeros((4, 4), np.float16)
    assert (overlay(image, values) == image).all()
    values[0, 0], values[3, 3] = np.inf, np.nan
    shown = overlay(image, values)
    assert (shown.dtype, shown.shape) == (np.uint8, image.shape)
    changed = (shown != image).any(-1)
    assert changed[:5, :8].all()
    assert not changed[20:, 30:].any()
    cropped = overlay(image, np.ones((4, 4)), fit="crop")
    grey = (cropped == cropped[..., :1]).all(-1)
    assert grey[:, :10].all()
    assert grey[:, 50:].all()
    assert not grey[:, 10:50].any()
