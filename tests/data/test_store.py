"""The image store keeps exactly what Pillow decodes, or says in one line which file it could not."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from har.core.errors import HarError
from har.data import store
from har.models.preprocess import Preprocess, from_hub_config


def test_bytes_are_those_of_pillow(photos, store):
    for image_id, path in photos.items():
        with Image.open(path) as image:
            scale = 48 / min(image.size)
            size = (round(image.width * scale), round(image.height * scale))
            expected = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
        np.testing.assert_array_equal(store.image(image_id), expected)


def test_a_failed_build_leaves_no_store_and_an_old_one_whole(tmp_path, photos):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    with pytest.raises(HarError, match=r"bad\.jpg"):
        store.build({**photos, 99: bad}, tmp_path / "fresh", 32)
    assert not list((tmp_path / "fresh").iterdir())

    store.build(photos, tmp_path / "old", 32)
    before = {p.name: p.read_bytes() for p in (tmp_path / "old").iterdir()}
    with pytest.raises(HarError, match=r"bad\.jpg"):
        store.build({**photos, 99: bad}, tmp_path / "old", 16)
    assert {p.name: p.read_bytes() for p in (tmp_path / "old").iterdir()} == before


def test_pixels_that_do_not_fit_their_index_are_told(tmp_path, photos):
    store.build(photos, tmp_path, 32)
    pixels = (tmp_path / "pixels.bin").read_bytes()
    (tmp_path / "pixels.bin").write_bytes(pixels[:-3])
    with pytest.raises(HarError, match="index"):
        store.Store(tmp_path)
    (tmp_path / "pixels.bin").write_bytes(pixels)
    index = pd.read_csv(tmp_path / "index.csv")
    index.iloc[:-1].to_csv(tmp_path / "index.csv", index=False)
    with pytest.raises(HarError, match="index"):
        store.Store(tmp_path)
    (tmp_path / "pixels.bin").unlink()
    with pytest.raises(HarError, match="not an image store"):
        store.Store(tmp_path)


def test_an_image_that_is_not_in_the_store_is_told(store):
    with pytest.raises(HarError, match="image 404 is not in the store"):
        store.square([404], 16, "squash")


def test_squash_takes_the_whole_image_and_crop_its_centre(store):
    wide = store.image(7)  # [48, 72, 3]
    whole = np.asarray(Image.fromarray(wide).resize((48, 48), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(store.square([7], 48, "squash")[0], whole)
    np.testing.assert_array_equal(store.square([7], 48, "crop")[0], wide[:, 12:60])
    # scaled first and cropped then, as the hub's processors do it
    scaled = Image.fromarray(store.image(12)).resize((40, 40), Image.Resampling.BICUBIC)
    centre = np.asarray(scaled.crop((4, 4, 36, 36))).astype(int)
    assert np.abs(store.square([12], 32, "crop", crop_pct=0.8)[0] - centre).max() <= 1


# The real configs of openai/clip-vit-base-patch32 (new and old style) and facebook/deit-tiny-patch16-224, and of
# google/vit-base-patch16-224's kind, at this store's scale.
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
SIZE = {"height": 32, "width": 32}
COMMON = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "resample": 3}
PROCESSORS = {
    "clip": {"image_processor_type": "CLIPImageProcessor", "do_center_crop": True, "do_convert_rgb": True,
             "crop_size": SIZE, "size": {"shortest_edge": 32}, "image_mean": CLIP_MEAN, "image_std": CLIP_STD},
    "old clip": {"feature_extractor_type": "CLIPFeatureExtractor", "image_processor_type": "CLIPImageProcessor",
                 "do_center_crop": True, "crop_size": 32, "size": 32, "image_mean": CLIP_MEAN, "image_std": CLIP_STD},
    "old deit": {"image_processor_type": "DeiTImageProcessor", "do_center_crop": True, "crop_size": 32, "size": 40,
                 "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
    "vit, bilinear": {"image_processor_type": "ViTImageProcessor", "size": SIZE, "resample": 2,
                      "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
}  # fmt: skip


@pytest.mark.parametrize("name", PROCESSORS)
def test_preprocessing_equals_the_hubs_own_processor(tmp_path, store, name):
    from transformers import AutoImageProcessor

    config = COMMON | PROCESSORS[name]
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    ours = from_hub_config(config, "config")
    assert ours.fit == ("crop" if name.endswith("clip") else "squash")
    assert ours.crop_pct == (0.8 if name == "old deit" else 1)
    ids = [5, 12]  # square in the store, where squash and crop agree
    processor = AutoImageProcessor.from_pretrained(tmp_path)
    theirs = processor([Image.fromarray(store.image(i)) for i in ids], return_tensors="pt")["pixel_values"]
    got = ours.normalise(torch.from_numpy(ours.load(store, ids)))
    assert got.shape == theirs.shape == (2, 3, 32, 32)
    # two grey levels: torchvision and Pillow round a resize differently
    assert float((got - theirs).abs().max()) <= 2 / 255 / min(config["image_std"]) + 1e-5


def test_normalise_is_the_textbook_formula():
    levels = torch.arange(256, dtype=torch.uint8).expand(1, 3, 1, 256)
    found = Preprocess(1, mean=tuple(CLIP_MEAN), std=tuple(CLIP_STD)).normalise(levels)[0, :, 0].T.numpy()
    np.testing.assert_allclose(found, (np.arange(256)[:, None] / 255 - CLIP_MEAN) / CLIP_STD, atol=1e-5)
