"""The generated world: equal ids give equal pictures, sizes follow COCO's, labels are what was drawn."""

import functools
import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

import har.synthetic as world

SEED = 11


@functools.cache
def many() -> list[world.Scene]:
    return [world.sample_scene(SEED, i) for i in range(1000)]


def digest(image_id: int) -> str:
    pixels = world.render(world.sample_scene(SEED, image_id)).tobytes()
    return hashlib.sha256(pixels + repr(world.coco_annotations(SEED, [image_id])).encode()).hexdigest()


def test_equal_ids_give_equal_bytes_in_any_order_and_process():
    code = f"import sys; sys.path[:0] = {sys.path!r}; from test_world import digest; print(digest(4), digest(3))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    first, second = digest(3), digest(4)
    assert run.stdout.split() == [second, first]
    assert first != second
    assert world.sample_scene(SEED, 1) != world.sample_scene(SEED + 1, 1)


def test_a_small_rendering_shows_the_same_picture():
    for scene in many()[:3]:
        large, small = world.render(scene), world.render(scene, 32, 40)
        assert (large.shape, large.dtype) == ((scene.height, scene.width, 3), np.uint8)
        rows, columns = (np.arange(n) * side // n for n, side in ((40, scene.height), (32, scene.width)))
        sums = np.add.reduceat(np.add.reduceat(large.astype(float), rows, axis=0), columns, axis=1)
        assert np.corrcoef(sums.ravel(), small.ravel())[0, 1] > 0.93


def test_activities_are_balanced_in_every_place_and_some_scenes_have_nobody():
    seen = Counter((s.place, world.activity(s)) for s in many())
    for name in world.ACTIVITIES:
        assert 0.22 < sum(seen[place, name] for place in world.PLACES) / len(many()) < 0.34
    for place in world.PLACES:
        total = sum(seen[place, name] for name in world.ACTIVITIES)
        assert all(seen[place, name] > 0.15 * total for name in world.ACTIVITIES), place
    assert 0.06 < np.mean([not s.people for s in many()]) < 0.12


def test_the_world_is_the_one_that_the_weights_in_git_were_trained_on():
    told = [
        (world.captions(scene), world.captions(scene, False), world.factors(scene), world.activity(scene))
        for scene in many()[:200]
    ]
    assert hashlib.sha256(repr(told).encode()).hexdigest()[:16] == "5900dbc3132f8e47"


def test_factors_are_labels_within_their_ranges():
    for scene in many()[:300]:
        labels = world.factors(scene)
        assert labels.keys() == world.FACTORS.keys()
        assert all(0 <= labels[name] < world.FACTORS[name] for name in world.FACTORS)
    assert not set(world.FACTORS) & {"activity", *world.ACTIVITIES}


def test_captions_are_short_sentences_of_the_vocabulary_that_mostly_tell_the_truth():
    words = world.vocabulary()
    assert words == sorted(set(words))
    assert len(words) < 300
    stems = {"walking_running": ("walk", "run", "jog"), "sitting": ("sit", "seated"), "standing": ("stand",)}
    told = Counter()
    for scene in many():
        for text in world.captions(scene):
            spoken = text.removesuffix(".").split()
            assert 2 <= len(spoken) <= 16
            assert set(spoken) <= set(words), text
            found = {a for a, s in stems.items() if any(word.startswith(s) for word in spoken)}
            if truth := world.activity(scene):
                told["right" if found == {truth} else "silent" if not found else "other"] += 1
    assert 0.6 < told["right"] / told.total() < 0.8
    assert 0.02 < told["other"] / told.total() < 0.1
