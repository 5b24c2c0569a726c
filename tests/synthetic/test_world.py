"""The generated world: equal ids give equal pictures, sizes follow COCO's, labels are what was drawn."""

import functools
import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from har.synthetic import (
    ACTIVITIES,
    FACTORS,
    PLACES,
    Scene,
    activity,
    captions,
    coco_annotations,
    factors,
    render,
    sample_scene,
    vocabulary,
)

SEED = 11


@functools.cache
def many() -> list[Scene]:
    return [sample_scene(SEED, i) for i in range(1000)]


def digest(image_id: int) -> str:
    pixels = render(sample_scene(SEED, image_id)).tobytes()
    return hashlib.sha256(pixels + repr(coco_annotations(SEED, [image_id])).encode()).hexdigest()


def test_equal_ids_give_equal_bytes_in_any_order_and_process():
    code = f"import sys; sys.path[:0] = {sys.path!r}; from test_world import digest; print(digest(4), digest(3))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    first, second = digest(3), digest(4)
    assert run.stdout.split() == [second, first]
    assert first != second
    assert sample_scene(SEED, 1) != sample_scene(SEED + 1, 1)


def test_a_small_rendering_shows_the_same_picture():
    for scene in many()[:3]:
        large, small = render(scene), render(scene, 32, 40)
        assert (large.shape, large.dtype) == ((scene.height, scene.width, 3), np.uint8)
        rows, columns = (np.arange(n) * side // n for n, side in ((40, scene.height), (32, scene.width)))
        sums = np.add.reduceat(np.add.reduceat(large.astype(float), rows, axis=0), columns, axis=1)
        assert np.corrcoef(sums.ravel(), small.ravel())[0, 1] > 0.93


def test_activities_are_balanced_in_every_place_and_some_scenes_have_nobody():
    seen = Counter((s.place, activity(s)) for s in many())
    for name in ACTIVITIES:
        assert 0.22 < sum(seen[place, name] for place in PLACES) / len(many()) < 0.34
    for place in PLACES:
        total = sum(seen[place, name] for name in ACTIVITIES)
        assert all(seen[place, name] > 0.15 * total for name in ACTIVITIES), place
    assert 0.06 < np.mean([not s.people for s in many()]) < 0.12


def test_the_world_is_the_one_that_the_weights_in_git_were_trained_on():
    told = [(captions(scene), captions(scene, False), factors(scene), activity(scene)) for scene in many()[:200]]
    assert hashlib.sha256(repr(told).encode()).hexdigest()[:16] == "5900dbc3132f8e47"


def test_factors_are_labels_within_their_ranges():
    for scene in many()[:300]:
        labels = factors(scene)
        assert labels.keys() == FACTORS.keys()
        assert all(0 <= labels[name] < FACTORS[name] for name in FACTORS)
    assert not set(FACTORS) & {"activity", *ACTIVITIES}


def test_captions_are_five_short_sentences_of_the_vocabulary_that_mostly_tell_the_truth():
    words = vocabulary()
    assert words == sorted(set(words))
    assert len(words) < 300
    stems = {"walking_running": ("walk", "run", "jog"), "sitting": ("sit", "seated"), "standing": ("stand",)}
    told = Counter()
    for scene in many():
        texts = captions(scene)
        assert len(texts) == 5
        for text in texts:
            spoken = text.removesuffix(".").split()
            assert 2 <= len(spoken) <= 16
            assert set(spoken) <= set(words), text
            found = {a for a, s in stems.items() if any(word.startswith(s) for word in spoken)}
            if truth := activity(scene):
                told["right" if found == {truth} else "silent" if not found else "other"] += 1
    share = {k: v / told.total() for k, v in told.items()}
    assert 0.6 < share["right"] < 0.8
    assert 0.15 < share["silent"] < 0.32
    assert 0.02 < share["other"] < 0.1
