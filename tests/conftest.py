"""What several test files share: tiny checkpoints in the hub's format and a small image store."""

import gc
import json

import hypothesis
import numpy as np
import parameters
import pytest
from PIL import Image

from har.config.models import Miniature
from har.config.training import Augmentation, Training

# `make test-all` draws by the second
for name, examples in {"quick": 10, "thorough": 100}.items():
    calm = [hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile(name, max_examples=examples, deadline=None, suppress_health_check=calm)
hypothesis.settings.load_profile("quick")

CLASSES = ["walking", "sitting", "standing"]
CAPTIONS = ["a person walking", "two people sitting on a bench", "a person standing near a dog"]


def one_by_one(**changes) -> Training:
    """The sample's settings but for `changes`, seed 0 alone and no runs side by side."""
    alone = {"seeds": [0], "jobs": 1, "backend": "sequential", "device": "cpu"}
    return Training(**(parameters.profile().training.model_dump() | alone | changes))


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Sums come out the same whatever ran before, and the suite leaves the other cores alone."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny() -> Miniature:
    """A backbone that trains in a second: 32 pixels, two layers of width 32."""
    small = {
        "image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "heads": 2, "text_width": 24, "text_layers": 2,
        "text_length": 12, "projection": 16, "samples": [32], "batch_size": 16,
    }  # fmt: skip
    return parameters.params().pretrain.models["clip"].model_copy(update=small)


@pytest.fixture(scope="session")
def checkpoints(tiny, tmp_path_factory):
    """clip, siglip2 and vit, each a folder in the hub's format with random weights."""
    return checkpoints_of(tiny, tmp_path_factory.mktemp("checkpoints"))


def checkpoints_of(size: Miniature, root):
    """What `checkpoints` gives, of networks of that size, written to `root`."""
    import torch

    from har.models import miniature

    tokenizer = miniature.tokenizer(sorted({word for text in CAPTIONS for word in text.split()}), size.text_length)
    for name in ("clip", "siglip2", "vit"):
        torch.manual_seed(100)  # none of the seeds that tests draw with
        miniature.model(name, size, len(tokenizer), ["indoor", "dog"]).save_pretrained(root / name)
        config = miniature.preprocessor_config(name, size)
        (root / name / "preprocessor_config.json").write_text(json.dumps(config))
        if name != "vit":
            tokenizer.save_pretrained(root / name)
    return {path.name: path for path in sorted(root.iterdir())}


@pytest.fixture(scope="session")
def strength() -> Augmentation:
    return Augmentation(
        flip_probability=0.5, rotation_degrees=15.0, jitter=0.3, grayscale_probability=0.5, blur_sigma=1.0,
        perspective=0.3, crop_area=0.5,
    )  # fmt: skip


def picture(seed: int, width: int, height: int) -> np.ndarray:
    """A smooth random picture, uint8 [height, width, 3]: noise would make every resampling look wrong."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """image_id to file: landscape, portrait and square pictures."""
    folder = tmp_path_factory.mktemp("photos")
    files = {}
    for image_id, size in {7: (90, 60), 3: (50, 80), 12: (64, 64), 5: (48, 48)}.items():
        files[image_id] = folder / f"{image_id}.png"
        Image.fromarray(picture(image_id, *size)).save(files[image_id])
    return files


@pytest.fixture(scope="session")
def store(photos, tmp_path_factory):
    from har.data import store

    folder = tmp_path_factory.mktemp("store")
    store.build(photos, folder, short_side=48)
    return store.Store(folder)


@pytest.fixture(scope="session")
def project(checkpoints, tmp_path_factory):
    """A project with every kind of model trained (tests/support/projects.py); read only."""
    import projects

    return projects.make(tmp_path_factory.mktemp("project"), checkpoints)


def pytest_collection_finish():
    """The million objects of imported libraries are not searched for garbage at every collection."""
    gc.freeze()
